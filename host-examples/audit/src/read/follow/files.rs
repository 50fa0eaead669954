//! The daily files of a folder, of which the new lines are read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_format::line;
use audit_format::names;
use audit_format::query::Query;
use audit_format::read::parse_stored;
use audit_format::time::{Day, Timestamp};
use memchr::memrchr;

/// How long to wait between two looks at the folder.
pub(super) const INTERVAL: Duration = Duration::from_millis(200);

/// How much of a file is read at once, in bytes.
const PIECE: usize = 1 << 20;

/// The longest line of an event, in bytes (docs/format.md).
const MAX_LINE: u64 = 8 << 20;

pub(super) struct Files {
    folder: PathBuf,
    /// Up to where each file is read: the beginning of a line.
    read: BTreeMap<Day, u64>,
}

impl Files {
    /// The files as they are now. It is no error if there is no folder.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut files = Self { folder: folder.to_owned(), read: BTreeMap::new() };
        for (day, len) in files.lengths()? {
            let path = files.path(day);
            let end = end_of_lines(&path, len).unwrap_or(len);
            files.read.insert(day, end);
        }
        Ok(files)
    }

    fn path(&self, day: Day) -> PathBuf {
        self.folder.join(names::daily(day))
    }

    /// The daily files, in their order, with their lengths.
    fn lengths(&self) -> io::Result<Vec<(Day, u64)>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let length = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.ok()?;
            let day = names::day_of(entry.file_name().to_str()?)?;
            // That of the file that a link leads to. A pipe would make wait.
            let file = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
            Some((day, file.len()))
        };
        let mut found: Vec<_> = entries.filter_map(length).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The new lines that are events and match.
    pub(super) fn arrived(&mut self, query: &Query) -> String {
        let mut lines = String::new();
        // A folder that cannot be read now may be readable again.
        for (day, len) in self.lengths().unwrap_or_default() {
            let read = self.read.get(&day).copied().unwrap_or_default();
            // A file that is shorter than before is another one.
            let read = if len < read { 0 } else { read };
            if len > read {
                let end = read_lines(&self.path(day), read, len, |line| put(line, query, &mut lines));
                self.read.insert(day, end.unwrap_or(read));
            } else {
                self.read.insert(day, read);
            }
        }
        lines
    }
}

/// Where the last whole line ends.
fn end_of_lines(path: &Path, len: u64) -> io::Result<u64> {
    let start = len.saturating_sub(MAX_LINE);
    let mut file = File::open(path)?;
    let mut end = len;
    while end > start {
        let from = end.saturating_sub(PIECE as u64).max(start);
        file.seek(SeekFrom::Start(from))?;
        let mut piece = Vec::new();
        (&mut file).take(end - from).read_to_end(&mut piece)?;
        if let Some(newline) = memrchr(b'\n', &piece) {
            return Ok(from + newline as u64 + 1);
        }
        end = from;
    }
    Ok(start)
}

/// Reads the whole lines between these positions, and returns where they end.
fn read_lines(path: &Path, from: u64, to: u64, mut take: impl FnMut(&str)) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let (mut read, mut end) = (from, from);
    let mut pending: Vec<u8> = Vec::new();
    while read < to {
        let before = pending.len();
        let count = (&mut file).take((to - read).min(PIECE as u64)).read_to_end(&mut pending)?;
        if count == 0 {
            break;
        }
        read += count as u64;
        if let Some(newline) = memrchr(b'\n', &pending[before..]) {
            let whole = before + newline + 1;
            String::from_utf8_lossy(&pending[..whole]).split_terminator('\n').for_each(&mut take);
            pending.drain(..whole);
            end += whole as u64;
        } else if pending.len() as u64 > MAX_LINE {
            // No event has so long a line: what comes of it later is passed over as no event.
            end += pending.len() as u64;
            pending.clear();
        }
    }
    Ok(end)
}

/// Appends the line as a read of the store gives it, if it is an event that matches.
fn put(line: &str, query: &Query, out: &mut String) {
    if !query.may_match(line.as_bytes()) {
        return;
    }
    let Ok(mut parsed) = parse_stored(line) else { return };
    let Ok(at) = Timestamp::parse(&parsed.event.ts) else { return };
    if !(query.from..=query.to).contains(&at) || !query.texts_match(&parsed.event) {
        return;
    }
    let mut encoded = Vec::new();
    match &parsed.stamp {
        Some(stamp) => line::put_entry(&parsed.event, stamp, &mut encoded),
        None => {
            parsed.event.ts = at.to_string().into();
            line::put_event(&parsed.event, &mut encoded);
            encoded.push(b'\n');
        }
    }
    out.push_str(&String::from_utf8_lossy(&encoded));
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_format::query::{Filter, PageRequest};

    fn tools(lines: &str) -> Vec<String> {
        lines.lines().map(|line| parse_stored(line).unwrap().event.tool.into_owned()).collect()
    }

    fn all() -> Query {
        Query::new(Filter::default(), &PageRequest::default()).unwrap()
    }

    fn line(tool: &str) -> String {
        format!("{{\"ts\":\"2026-11-23T06:30:00Z\",\"tool\":\"{tool}\"}}\n")
    }

    #[test]
    fn each_line_comes_once_however_it_is_written() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let within = folder.path().join("later");
        let mut files = Files::open(&within).unwrap();
        assert_eq!(files.arrived(&all()), "");
        fs::create_dir(&within).unwrap();
        let path = within.join("tool_audit_2026-11-23.jsonl");
        let mut file = File::create(&path).unwrap();
        let mut found = Vec::new();
        let text = line("a") + "no event\n" + &line("b") + &line("c");
        for piece in text.as_bytes().chunks(7) {
            file.write_all(piece).unwrap();
            found.extend(tools(&files.arrived(&all())));
        }
        // The next day, and a line of a long call on the day before.
        fs::write(within.join("tool_audit_2026-11-24.jsonl"), line("d")).unwrap();
        file.write_all(line("e").as_bytes()).unwrap();
        found.extend(tools(&files.arrived(&all())));
        assert_eq!(found, ["a", "b", "c", "e", "d"]);
        assert_eq!(files.arrived(&all()), "");
    }

    #[test]
    fn what_was_there_does_not_come_and_a_torn_line_comes_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tool_audit_2026-11-23.jsonl");
        let (first, second) = (line("a"), line("b"));
        fs::write(&path, first.clone() + &second[..20]).unwrap();
        let mut files = Files::open(folder.path()).unwrap();
        assert_eq!(files.arrived(&all()), "");
        fs::write(&path, first + &second).unwrap();
        assert_eq!(tools(&files.arrived(&all())), ["b"]);
        // Another file in its place.
        fs::write(&path, line("c")).unwrap();
        assert_eq!(tools(&files.arrived(&all())), ["c"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("tool_audit_2026-11-22.jsonl");
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
        let mut files = Files::open(folder.path()).unwrap();
        fs::write(folder.path().join("tool_audit_2026-11-23.jsonl"), line("a")).unwrap();
        assert_eq!(tools(&files.arrived(&all())), ["a"]);
    }

    #[test]
    fn a_line_that_never_ends_takes_no_more_memory_than_an_event() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tool_audit_2026-11-23.jsonl");
        let mut files = Files::open(folder.path()).unwrap();
        fs::write(&path, "x".repeat(20 << 20) + "\n" + &line("a")).unwrap();
        assert_eq!(tools(&files.arrived(&all())), ["a"]);
    }
}
