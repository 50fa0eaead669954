//! Which calls are looked at: those of a time, and of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use audit_format::query::Filter;
use audit_format::time::Timestamp;

use crate::args::Period;
use crate::message::Failure;

/// How far the times of an event and of a transcript may differ for one call, in microseconds: a hook is told how long a call
/// took, and a transcript when it was asked for, maybe long before it was allowed.
const SLACK: i64 = 24 * 3_600_000_000;

#[derive(Debug)]
pub(super) struct Within {
    from: Timestamp,
    to: Timestamp,
    /// Without symbolic links.
    folder: Option<PathBuf>,
}

impl Within {
    pub(super) fn new(period: &Period, folder: Option<&Path>) -> Result<Self, Failure> {
        let (from, to) = period.span()?;
        Ok(Self { from, to, folder: folder.map(resolved) })
    }

    pub(super) fn from(&self) -> Timestamp {
        self.from
    }

    pub(super) fn has(&self, at: Timestamp) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// Whether a call that was made in this folder counts. One without a folder does.
    pub(super) fn has_folder(&self, cwd: &str) -> bool {
        let Some(folder) = &self.folder else { return true };
        let cwd = Path::new(cwd);
        cwd.as_os_str().is_empty()
            || cwd.starts_with(folder)
            || (cwd.is_absolute() && resolved(cwd).starts_with(folder))
    }

    /// The filter of all events that may be of these calls.
    pub(super) fn with_slack(&self) -> Filter {
        let moved =
            |at: Timestamp, micros: i64| Timestamp::clamped(at.micros().saturating_add(micros)).to_string();
        Filter {
            from_ts: (self.from != Timestamp::MIN).then(|| moved(self.from, -SLACK)),
            to_ts: (self.to != Timestamp::MAX).then(|| moved(self.to, SLACK)),
            ..Filter::default()
        }
    }
}

/// The folder that an option names.
pub(super) fn named(folder: &Path) -> Result<PathBuf, Failure> {
    let what = || format!("--within {}", folder.display());
    let found = fs::canonicalize(folder).map_err(|error| {
        Failure::because(what(), format_args!("{error}; accepted is a folder that exists"))
    })?;
    match found.is_dir() {
        true => Ok(found),
        false => Err(Failure::because(what(), "it is no folder")),
    }
}

/// The path without symbolic links, as far as it still exists.
fn resolved(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|start| Some((fs::canonicalize(start).ok()?, start)));
    match there.map(|(real, start)| (real, path.strip_prefix(start))) {
        // What was joined with nothing would end in a slash.
        Some((real, Ok(rest))) if rest.as_os_str().is_empty() => real,
        Some((real, Ok(rest))) => real.join(rest),
        _ => path.to_owned(),
    }
}
