//! Where hooks complain: in a file of their own, because an agent takes what they write to stderr, and their exit status, for a
//! decision on the call.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use audit_format::show::escaped;
use audit_format::time::Timestamp;

use crate::call::place;
use crate::call::recent::open_regular;
use crate::mask::masked;

/// The name of the file in the user's folder of state.
const NAME: &str = "hook.log";

/// How many bytes the file may have. Then it becomes `hook.log.old`, in the place of the last one.
const MOST: u64 = 256 * 1024;

pub(super) fn path() -> Option<PathBuf> {
    Some(place::user_folder()?.join(NAME))
}

/// Adds a line to the log. What cannot be written is lost.
pub(super) fn note(text: impl fmt::Display) {
    let Some(path) = path() else { return };
    if fs::metadata(&path).is_ok_and(|log| log.len() > MOST) {
        let _ = fs::rename(&path, path.with_extension("log.old"));
    }
    let now = Timestamp::from(SystemTime::now());
    let line = format!("{now} {}\n", escaped(&masked(&text.to_string())));
    let write = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        open_regular(OpenOptions::new().append(true).create(true), &path)?.write_all(line.as_bytes())
    };
    let _ = write();
}
