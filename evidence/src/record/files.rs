//! The daily files of a folder, in the order of their days and bytes. Lines are read as whole ones: what has no newline
//! yet waits.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use audit_format::names;
use audit_format::time::Day;
use audit_log::tree::Hash;
use memchr::{memchr_iter, memrchr};

use super::{Found, Kind, Record, Sealed, Take, Trouble};
use crate::error::Error;
use crate::leaf::{self, Line, MAX_LINE};
use crate::segment::{Gap, Place, SealedFile};

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 20;

/// How much is read at first to find the beginning of the last line, in bytes.
const BACK: usize = 4096;

/// Takes lines, each with its offset and its newline. Where it says so, it gets no more.
pub(crate) type TakeLine<'t> = dyn FnMut(u64, &[u8]) -> Result<ControlFlow<()>, Error> + 't;

/// The folder of daily files. What waits in a spool is no part of the record yet.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// The record in a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names of the daily files that there are, in the order of their days.
    pub(crate) fn files(&self) -> Result<Vec<String>, Error> {
        Ok(self.names()?.into_values().collect())
    }

    /// Reads the whole lines between two offsets of a file, of which the first begins one: each with its offset. A file
    /// that is not there has none.
    pub(crate) fn lines(&self, file: &str, from: u64, to: u64, take: &mut TakeLine<'_>) -> Result<(), Error> {
        let mut lines = match Lines::open(&self.folder, file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            lines => lines.map_err(Error::read(file))?,
        };
        lines.file.seek(SeekFrom::Start(from)).map_err(Error::read(file))?;
        let read = BufReader::with_capacity(PIECE, lines.file.take(to.saturating_sub(from)));
        each_line(read, file, from, take)
    }

    /// The daily files that there are, by their days.
    fn names(&self) -> Result<BTreeMap<Day, String>, Error> {
        let name = || self.folder.display().to_string();
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(Error::read(name())(error)),
        };
        let mut names = BTreeMap::new();
        for entry in entries {
            let file = entry.map_err(Error::read(name()))?.file_name();
            if let Some(file) = file.to_str()
                && let Some(day) = names::day_of(file)
            {
                names.insert(day, file.to_owned());
            }
        }
        Ok(names)
    }
}

impl Record for Files {
    fn kind(&self) -> Kind {
        Kind::Files
    }

    fn unsealed(&mut self, sealed: &Sealed<'_>, take: &mut Take<'_>) -> Result<Vec<Trouble>, Error> {
        let pruned = sealed.segments.files_of(|segment| sealed.pruned.has(segment));
        let mut before = sealed.segments.files_of(|segment| !sealed.pruned.has(segment));
        let mut troubles = Vec::new();
        for file in self.names()?.into_values() {
            let known = before
                .remove(file.as_str())
                .or_else(|| self.left_by_prune(&file, pruned.get(file.as_str())?, sealed));
            let known = known.unwrap_or_default();
            match self.grown(&file, known, sealed, take) {
                Ok(()) => {}
                Err(Stop::Trouble(trouble)) => troubles.push(trouble),
                Err(Stop::Read(source)) => troubles.push(Trouble::Unreadable { file, source }),
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        troubles.extend(before.into_keys().map(|file| Trouble::Gone { file: file.to_owned() }));
        Ok(troubles)
    }

    fn stands(&mut self, place: &Place, take: &mut Take<'_>) -> Result<(), Error> {
        let Place::Lines { file, from, to } = place else { return Ok(()) };
        let mut read = || Lines::open(&self.folder, file)?.hand_over(*from, *to, take);
        match read() {
            Err(Stop::Read(error)) if error.kind() != ErrorKind::NotFound => Err(Error::read(file)(error)),
            Err(Stop::Failed(error)) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Hands over the whole lines of something, each with its offset and its newline. A line that is too long for an event is
/// left out.
pub(crate) fn each_line(
    mut read: impl BufRead,
    name: &str,
    mut offset: u64,
    take: &mut TakeLine<'_>,
) -> Result<(), Error> {
    let most = MAX_LINE as u64 + 2;
    let (mut line, mut is_whole) = (Vec::new(), true);
    loop {
        line.clear();
        let len = read.by_ref().take(most).read_until(b'\n', &mut line).map_err(Error::read(name))? as u64;
        let ends = line.ends_with(b"\n");
        if !ends && len < most {
            return Ok(());
        }
        if ends && is_whole && take(offset, &line)?.is_break() {
            return Ok(());
        }
        (offset, is_whole) = (offset + len, ends);
    }
}

/// Why a file is not read to its end.
enum Stop {
    Trouble(Trouble),
    Read(io::Error),
    Failed(Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Files {
    /// What is sealed of a file that is declared pruned and still there: a prune was interrupted. Where it is another file,
    /// of events that came later, nothing of it is sealed.
    fn left_by_prune(&self, file: &str, known: &SealedFile, sealed: &Sealed<'_>) -> Option<SealedFile> {
        let (leaf, end) = known.last?;
        let len = fs::metadata(self.folder.join(file)).ok()?.len();
        let is_left = len >= known.end
            && Lines::open(&self.folder, file).and_then(|mut lines| lines.last_before(end)).ok()?
                == Line::Leaf((sealed.leaf)(leaf).ok()?);
        is_left.then_some(*known)
    }

    /// Hands over what a file has beyond its sealed part.
    fn grown(
        &self,
        file: &str,
        known: SealedFile,
        sealed: &Sealed<'_>,
        take: &mut Take<'_>,
    ) -> Result<(), Stop> {
        let metadata = fs::metadata(self.folder.join(file))?;
        let len = metadata.len();
        if len < known.end {
            let (file, sealed) = (file.to_owned(), known.end);
            return Err(Stop::Trouble(Trouble::Shorter { file, sealed, found: len }));
        }
        if len == known.end && metadata.is_file() {
            return Ok(());
        }
        let mut lines = Lines::open(&self.folder, file)?;
        self.sync(&lines.file, known)?;
        if let Some((leaf, end)) = known.last
            && lines.last_before(end)? != Line::Leaf((sealed.leaf)(leaf)?)
        {
            return Err(Stop::Trouble(Trouble::Replaced { file: file.to_owned() }));
        }
        lines.hand_over(known.end, len, take)
    }
}

impl Files {
    /// Waits until a file is on the disk, and its name if nothing of it is sealed yet. What a power cut takes from the record
    /// must not be in its log: it would look as if somebody had removed it.
    #[cfg(unix)]
    fn sync(&self, file: &File, known: SealedFile) -> io::Result<()> {
        file.sync_all()?;
        if known.end == 0 { File::open(&self.folder)?.sync_all() } else { Ok(()) }
    }

    /// Where a file has to be open for writing to be synced, its writer has to do that.
    #[cfg(not(unix))]
    fn sync(&self, _: &File, _: SealedFile) -> io::Result<()> {
        Ok(())
    }
}

/// The lines of a file.
struct Lines<'f> {
    name: &'f str,
    file: File,
}

impl<'f> Lines<'f> {
    fn open(folder: &Path, name: &'f str) -> io::Result<Self> {
        Ok(Self { name, file: crate::folder::open(&folder.join(name))? })
    }

    /// The last line before an offset that is not blank.
    fn last_before(&mut self, end: u64) -> io::Result<Line> {
        let mut bytes = Vec::new();
        let mut from = end;
        loop {
            let step = from.min(bytes.len().max(BACK) as u64);
            from -= step;
            let mut more = vec![0; step as usize];
            self.file.seek(SeekFrom::Start(from))?;
            self.file.read_exact(&mut more)?;
            more.append(&mut bytes);
            bytes = more;
            let text = bytes.trim_ascii_end();
            let newline = memrchr(b'\n', text);
            if newline.is_some() || from == 0 || bytes.len() > 2 * MAX_LINE {
                return Ok(leaf::of_line(&text[newline.map_or(0, |newline| newline + 1)..]));
            }
        }
    }

    /// Hands over the whole lines between two offsets, of which the first begins one.
    fn hand_over(&mut self, from: u64, to: u64, take: &mut Take<'_>) -> Result<(), Stop> {
        self.file.seek(SeekFrom::Start(from))?;
        let mut rest = (&self.file).take(to.saturating_sub(from));
        let mut run = Run { name: self.name, from, end: from, leaves: Vec::new(), gap: None, without: 0 };
        let mut bytes = Vec::with_capacity(PIECE);
        // How much of a line that is too long was left out already.
        let mut left_out = 0;
        while rest.by_ref().take(PIECE as u64).read_to_end(&mut bytes)? > 0 {
            let Some(last) = memrchr(b'\n', &bytes) else {
                if left_out > 0 || bytes.len() > MAX_LINE {
                    left_out += bytes.len();
                    bytes.clear();
                }
                continue;
            };
            let mut begin = 0;
            for newline in memchr_iter(b'\n', &bytes[..=last]) {
                let line = &bytes[begin..=newline];
                match left_out {
                    0 => run.add(leaf::of_line(line), line.len(), take)?,
                    _ => run.add(Line::Unreadable, left_out + line.len(), take)?,
                }
                (begin, left_out) = (newline + 1, 0);
            }
            run.end(take)?;
            bytes.drain(..=last);
        }
        Ok(())
    }
}

/// Lines that are handed over together.
struct Run<'f> {
    name: &'f str,
    from: u64,
    end: u64,
    leaves: Vec<Hash>,
    gap: Option<Gap>,
    without: u64,
}

impl Run<'_> {
    fn add(&mut self, line: Line, len: usize, take: &mut Take<'_>) -> Result<(), Error> {
        let gap = match line {
            Line::Blank => self.gap,
            Line::Leaf(_) => None,
            Line::Unreadable => Some(Gap::Unreadable),
        };
        if gap != self.gap {
            self.end(take)?;
            self.gap = gap;
        }
        match line {
            Line::Leaf(hash) => self.leaves.push(hash),
            Line::Blank => {}
            Line::Unreadable => self.without += 1,
        }
        self.end += len as u64;
        Ok(())
    }

    fn end(&mut self, take: &mut Take<'_>) -> Result<(), Error> {
        if self.end > self.from {
            let place = Place::Lines { file: self.name.to_owned(), from: self.from, to: self.end };
            take(Found { place, leaves: &self.leaves, gap: self.gap, without: self.without })?;
        }
        self.from = self.end;
        self.leaves.clear();
        (self.gap, self.without) = (None, 0);
        Ok(())
    }
}
