//! The files of a folder that are imported, in their order.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use audit_format::names;
use audit_format::time::Day;
use uuid::Uuid;

use crate::message::warn;

/// The kind of a file. Daily files come first, ordered by their day. Spools come next, ordered by their
/// chain, a UUIDv7 that begins with its time, and by their number, so that the lines of a chain come in the
/// order of their `seq`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FileKind {
    Daily(Day),
    Spool(Uuid, u64),
}

impl FileKind {
    /// The kind of the file with this name. `None` if it is no file of a store.
    fn of(name: &str) -> Option<Self> {
        let daily = names::day_of(name).map(Self::Daily);
        daily.or_else(|| names::spool_of(name).map(|(chain, number)| Self::Spool(chain, number)))
    }
}

/// A file to import.
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Whether this is a spool. The instance that owns it may remove or rename it while the import runs, once
    /// its lines are in the database.
    pub(super) is_spool: bool,
}

/// The daily files and the spools of a folder.
pub(super) fn of_folder(folder: &Path) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(kind) = entry.file_name().to_str().and_then(FileKind::of) else { continue };
        // A pipe would make wait. A file that cannot be looked at is named where it is opened.
        match fs::metadata(entry.path()) {
            Ok(file) if !file.is_file() => {
                warn(format_args!("{} is passed over: it is no file", entry.path().display()))
            }
            _ => found.push((kind, entry.path())),
        }
    }
    found.sort();
    let source = |(kind, path)| Source { path, is_spool: matches!(kind, FileKind::Spool(..)) };
    Ok(found.into_iter().map(source).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daily_files_come_first_and_spools_in_the_order_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let expected = [
            "tool_audit_2025-12-31.jsonl",
            "tool_audit_2026-01-01.jsonl",
            "spool_01934c5e-7b1a-7000-8000-00000000000a_2.jsonl",
            "spool_01934c5e-7b1a-7000-8000-00000000000a_10.jsonl",
            "spool_01934c5e-7b1b-7000-8000-000000000001_0.jsonl",
        ];
        let others = [
            "refused_01934c5e-7b1a-7000-8000-00000000000a.jsonl",
            "spool_x_1.jsonl",
            "spool_01934c5e-7b1a-7000-8000-00000000000a_01.jsonl",
            "tool_audit_2026-02-30.jsonl",
            "tool_audit_2026-01-01.jsonl.gz",
        ];
        for name in expected.iter().rev().chain(&others) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("tool_audit_2026-01-02.jsonl")).unwrap();
        let found = of_folder(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|source| source.path.file_name().unwrap()).collect();
        assert_eq!(names, expected);
        assert_eq!(found.iter().filter(|source| source.is_spool).count(), 3);
    }
}
