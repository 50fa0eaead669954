//! The daily files of a folder, of which the new lines are read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use audit_format::line;
use audit_format::names;
use audit_format::query::Query;
use audit_format::read::parse_stored;
use audit_format::time::{Day, Timestamp};
use memchr::memrchr;

use crate::message::warn;

/// How long to wait between two looks at the folder.
pub(super) const INTERVAL: Duration = Duration::from_millis(200);

/// How much of a file is read at once, in bytes.
const PIECE: usize = 1 << 20;

/// The longest line of an event, in bytes (docs/format.md).
const MAX_LINE: u64 = 8 << 20;

/// How much before a place is compared, in bytes: the hash of a store's line is in its end.
const BEFORE: u64 = 256;

pub(super) struct Files {
    folder: PathBuf,
    read: BTreeMap<Day, Place>,
    /// What could not be read at the last look, and why.
    troubles: Vec<String>,
}

/// Up to where a file is read.
#[derive(Default)]
struct Place {
    /// The beginning of a line.
    end: u64,
    /// What stands before it, which tells the file from another one of its name. Empty: it could not be read.
    before: Vec<u8>,
    /// What the file was like then. None: not all of it was read.
    seen: Option<Seen>,
}

/// What tells without reading a file whether it was changed.
type Seen = (u64, Option<SystemTime>);

impl Files {
    /// The files as they are now. It is no error if there is no folder.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut files = Self { folder: folder.to_owned(), read: BTreeMap::new(), troubles: Vec::new() };
        for (day, seen) in files.found()? {
            let place = Place::at_end(&files.path(day), seen.0);
            files.read.insert(day, place.unwrap_or(Place { end: seen.0, ..Place::default() }));
        }
        Ok(files)
    }

    fn path(&self, day: Day) -> PathBuf {
        self.folder.join(names::daily(day))
    }

    /// The daily files, in their order.
    fn found(&self) -> io::Result<Vec<(Day, Seen)>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let seen = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.ok()?;
            let day = names::day_of(entry.file_name().to_str()?)?;
            // That of the file that a link leads to. A pipe would make wait.
            let file = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
            Some((day, (file.len(), file.modified().ok())))
        };
        let mut found: Vec<_> = entries.filter_map(seen).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The new lines that are events and match. Warns of what cannot be read, once until it can.
    pub(super) fn arrived(&mut self, query: &Query) -> String {
        let mut lines = String::new();
        let mut troubles = Vec::new();
        let found = self.found().unwrap_or_else(|error| {
            troubles.push(format!("cannot read {}: {error}", self.folder.display()));
            Vec::new()
        });
        for (day, seen) in found {
            let path = self.path(day);
            let place = self.read.entry(day).or_default();
            if place.seen == Some(seen) {
                continue;
            }
            let read = place.read_on(&path, seen.0, |line| put(line, query, &mut lines));
            place.seen = read.is_ok().then_some(seen);
            if let Err(error) = read
                && error.kind() != io::ErrorKind::NotFound
            {
                troubles.push(format!("cannot read {}: {error}", path.display()));
            }
        }
        let is_new = |trouble: &&String| !self.troubles.contains(trouble);
        troubles.iter().filter(is_new).for_each(|trouble| warn(format_args!("{trouble}; trying again")));
        self.troubles = troubles;
        lines
    }
}

impl Place {
    /// Behind the last whole line of a file.
    fn at_end(path: &Path, len: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let end = end_of_lines(&mut file, len)?;
        let mut place = Self { end, ..Self::default() };
        place.before = place.stands_before(&mut file)?;
        Ok(place)
    }

    /// Hands over the whole lines that have come, up to where they can be read.
    fn read_on(&mut self, path: &Path, len: u64, take: impl FnMut(&str)) -> io::Result<()> {
        let mut file = File::open(path)?;
        if len < self.end || !self.stands_before(&mut file)?.ends_with(&self.before) {
            *self = Self::default();
        }
        file.seek(SeekFrom::Start(self.end))?;
        let read = read_lines(&mut file, len - self.end, take);
        self.end += read.bytes;
        self.before = self.stands_before(&mut file).unwrap_or_default();
        read.done
    }

    /// What the file has before this place.
    fn stands_before(&self, file: &mut File) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.end.saturating_sub(BEFORE)))?;
        file.take(self.end.min(BEFORE)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Where the last whole line ends.
fn end_of_lines(file: &mut File, len: u64) -> io::Result<u64> {
    let start = len.saturating_sub(MAX_LINE);
    let mut end = len;
    while end > start {
        let from = end.saturating_sub(PIECE as u64).max(start);
        file.seek(SeekFrom::Start(from))?;
        let mut piece = Vec::new();
        file.take(end - from).read_to_end(&mut piece)?;
        if let Some(newline) = memrchr(b'\n', &piece) {
            return Ok(from + newline as u64 + 1);
        }
        end = from;
    }
    Ok(start)
}

/// How much was read as whole lines, which are handed over, and whether that is all.
struct ReadLines {
    bytes: u64,
    done: io::Result<()>,
}

/// Reads the whole lines of the next `len` bytes.
fn read_lines(file: impl Read, len: u64, mut take: impl FnMut(&str)) -> ReadLines {
    let mut rest = file.take(len);
    let mut bytes = 0;
    let mut pending: Vec<u8> = Vec::new();
    loop {
        let before = pending.len();
        let read = rest.by_ref().take(PIECE as u64).read_to_end(&mut pending);
        if let Some(newline) = memrchr(b'\n', &pending[before..]) {
            let whole = before + newline + 1;
            String::from_utf8_lossy(&pending[..whole]).split_terminator('\n').for_each(&mut take);
            pending.drain(..whole);
            bytes += whole as u64;
        } else if pending.len() as u64 > MAX_LINE {
            // No event has so long a line: what comes of it later is passed over as no event.
            bytes += pending.len() as u64;
            pending.clear();
        }
        match read {
            Ok(0) => return ReadLines { bytes, done: Ok(()) },
            Ok(_) => {}
            Err(error) => return ReadLines { bytes, done: Err(error) },
        }
    }
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
        // Other files in its place: a shorter one, one of the same length, and a longer one.
        for tools_of_file in [&["c"] as &[&str], &["d"], &["e", "f"]] {
            let new = folder.path().join("new");
            fs::write(&new, tools_of_file.iter().map(|tool| line(tool)).collect::<String>()).unwrap();
            fs::rename(&new, &path).unwrap();
            assert_eq!(tools(&files.arrived(&all())), tools_of_file);
            assert_eq!(files.arrived(&all()), "");
        }
        // A copy with more in it.
        fs::write(&path, line("e") + &line("f") + &line("g")).unwrap();
        assert_eq!(tools(&files.arrived(&all())), ["g"]);
    }

    /// Fails when it is read.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is broken"))
        }
    }

    #[test]
    fn what_was_read_before_an_error_comes_once_and_the_error_is_told() {
        let text = line("a") + &line("b") + "torn";
        let mut found = String::new();
        let read = read_lines(text.as_bytes().chain(Broken), 1000, |line| put(line, &all(), &mut found));
        assert_eq!(tools(&found), ["a", "b"]);
        assert_eq!(read.bytes as usize, text.len() - "torn".len());
        assert_eq!(read.done.unwrap_err().to_string(), "the disk is broken");
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
