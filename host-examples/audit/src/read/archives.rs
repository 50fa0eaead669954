//! Reading archives of `audit prune`: what they have of the days that are asked for is unpacked into a temporary folder, and
//! read there as any record is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use audit_evidence::archive;
use audit_format::names;
use audit_format::time::{Day, Timestamp};
use audit_host::{Active, Instance, Options};
use tempfile::TempDir;

use crate::input::cannot_read;
use crate::message::{Failure, warn};

/// A record that was unpacked. Its folder goes with it.
pub(super) struct Unpacked {
    pub(super) options: Options,
    _folder: TempDir,
}

/// The record of a folder with archives, as far as it is of a time; none: the folder has no archive of that time.
pub(super) fn unpacked(
    options: &Options,
    (from, to): (Timestamp, Timestamp),
) -> Result<Option<Unpacked>, Failure> {
    let Some(source) = options.folder() else { return Ok(None) };
    // As everywhere: the file of a writer that rotates by local time has events of the day before or after.
    let is_asked = |day: &Day| (from.day().plus(-1)..=to.day().plus(1)).contains(day);
    let archives = archive::of_folder(&source).map_err(|error| cannot_read(&source, &error))?;
    let mut days = BTreeMap::<Day, Vec<PathBuf>>::new();
    for (day, path) in archives.into_iter().filter(|(day, _)| is_asked(day)) {
        days.entry(day).or_default().push(path);
    }
    if days.is_empty()
        || Instance::open(&options.clone().read_only(true).warnings(|_| {}))?.status()?.backend
            != Active::Jsonl
    {
        return Ok(None);
    }
    for entry in source.read_dir().map_err(|error| cannot_read(&source, &error))? {
        let name = entry?.file_name();
        if let Some(day) = name.to_str().and_then(names::day_of).filter(is_asked) {
            days.entry(day).or_default().push(source.join(name));
        }
    }
    let folder = tempfile::tempdir()?;
    for (day, sources) in days {
        let mut out = File::create(folder.path().join(names::daily(day)))?;
        for source in sources {
            // Also what a link leads to. Opening a pipe would wait for whoever writes into it.
            match fs::metadata(&source) {
                Ok(file) if !file.is_file() => {
                    warn(format_args!("{} is passed over: it is no file", source.display()));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => unpack(&source, &mut out).map(drop).map_err(|error| cannot_read(&source, &error))?,
            }
        }
    }
    Ok(Some(Unpacked { options: options.clone().dir(folder.path()), _folder: folder }))
}

/// Appends what an archive has, or a daily file.
fn unpack(source: &Path, out: &mut File) -> io::Result<u64> {
    let is_archive = source.file_name().and_then(|name| name.to_str()).and_then(archive::day_of).is_some();
    if is_archive {
        io::copy(&mut archive::open(source)?, out)
    } else {
        io::copy(&mut File::open(source)?, out)
    }
}
