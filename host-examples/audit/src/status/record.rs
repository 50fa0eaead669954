//! How much is recorded: events, days and bytes, and when the last event was.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use audit_format::names;
use audit_format::read::parse_stored;
use audit_format::time::{Day, Timestamp};
use audit_host::TableSize;
use indicatif::{BinaryBytes, HumanCount};
use memchr::memchr_iter;
use serde::Serialize;

use crate::message::count;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Record {
    /// `None`: the database does not know.
    events: Option<u64>,
    is_estimate: bool,
    /// How many daily files there are. `None`: it is a database.
    days: Option<u64>,
    bytes: u64,
    /// RFC 3339 in UTC.
    first: Option<String>,
    last: Option<String>,
    /// What has the name of a daily file and cannot be read as one, and why.
    #[serde(skip)]
    pub(super) passed_over: Vec<String>,
}

impl From<TableSize> for Record {
    fn from(size: TableSize) -> Self {
        let (first, last) = size.span.unzip();
        let (is_estimate, passed_over) = (size.is_estimate, Vec::new());
        Self { events: size.rows, is_estimate, days: None, bytes: size.bytes, first, last, passed_over }
    }
}

impl Record {
    pub(super) fn events(&self) -> String {
        let about = if self.is_estimate { "about " } else { "" };
        let events = match self.events {
            Some(1) => "1 event".to_owned(),
            Some(events) => format!("{} events", HumanCount(events)),
            None => "an unknown number of events (ANALYZE tells)".to_owned(),
        };
        let days = self.days.map(|days| format!(" of {}", count(days, "day"))).unwrap_or_default();
        format!("{about}{events}{days}, {}", BinaryBytes(self.bytes))
    }

    pub(super) fn times(&self) -> Option<String> {
        match (&self.first, &self.last) {
            (Some(first), Some(last)) => Some(format!("{first} to {last}")),
            (None, Some(last)) => Some(format!("the last at {last}")),
            _ => None,
        }
    }
}

/// What is in the daily files of the folder. Their lines are counted, and not read.
pub(super) fn of_folder(folder: &Path) -> io::Result<Record> {
    let mut files: Vec<(Day, PathBuf)> = fs::read_dir(folder)?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((names::day_of(entry.file_name().to_str()?)?, entry.path()))
        })
        .collect();
    files.sort_unstable();
    let (mut events, mut bytes) = (0, 0);
    let mut passed_over = Vec::new();
    files.retain(|(_, path)| match lines(path) {
        Ok((lines, len)) => {
            events += lines;
            bytes += len;
            true
        }
        Err(error) => {
            passed_over.push(format!("{} is passed over: {error}", path.display()));
            false
        }
    });
    let last = files.iter().rev().find_map(|(_, path)| last(path).ok()?);
    let days = Some(files.len() as u64);
    Ok(Record {
        events: Some(events),
        is_estimate: false,
        days,
        bytes,
        first: None,
        last: last.map(|at| at.to_string()),
        passed_over,
    })
}

/// How many lines a file has, and how many bytes.
fn lines(path: &Path) -> io::Result<(u64, u64)> {
    // A pipe would make wait.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let mut file = File::open(path)?;
    let mut piece = vec![0; 1 << 20];
    let (mut lines, mut bytes) = (0, 0);
    loop {
        let read = match file.read(&mut piece) {
            Ok(0) => return Ok((lines, bytes)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = piece.get(..read).unwrap_or_default();
        lines += memchr_iter(b'\n', read).count() as u64;
        bytes += read.len() as u64;
    }
}

/// How much of the end of a file is searched for the last event, in bytes.
const END: u64 = 1 << 18;

/// The latest time of the events at the end of a file.
fn last(path: &Path) -> io::Result<Option<Timestamp>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(END)))?;
    let mut end = Vec::new();
    file.take(END).read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    Ok(end.lines().filter_map(|line| Timestamp::parse(&parse_stored(line).ok()?.event.ts).ok()).max())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_folder_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let line = |time: &str| format!("{{\"ts\":\"2026-11-23T{time}Z\",\"tool\":\"t\"}}\n");
        let first = line("06:30:00").repeat(3);
        let second = line("09:30:00") + &line("08:30:00") + "torn";
        fs::write(folder.path().join("tool_audit_2026-11-22.jsonl"), &first).unwrap();
        fs::write(folder.path().join("tool_audit_2026-11-23.jsonl"), &second).unwrap();
        fs::write(folder.path().join("spool_x.jsonl"), "{}\n").unwrap();
        let record = of_folder(folder.path()).unwrap();
        assert_eq!(
            (record.events, record.days, record.bytes),
            (Some(5), Some(2), (first.len() + second.len()) as u64)
        );
        assert_eq!(record.last.as_deref(), Some("2026-11-23T09:30:00.000000Z"));
        assert_eq!(record.events(), "5 events of 2 days, 209 B");
    }
}
