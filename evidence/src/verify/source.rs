//! A record as a check reads it: streams of lines or of rows. The positions in a stream are numbers in its order: offsets in
//! a file, or the `id` of rows from the smallest one on.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};

use audit_format::names;
use memchr::{memchr_iter, memrchr};

use crate::error::Error;
use crate::folder;
use crate::leaf::MAX_LINE;
use crate::record::{Files, Record, RowPage, Rows, Table};
use crate::segment::Place;

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 20;

/// How many rows are read at once.
const ROWS: u32 = 1000;

/// Lines of a file, or all rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The name of the file; empty for the table.
    pub name: String,
    /// The day of the file, such as `2026-11-23`.
    pub day: String,
    /// The position behind its last one, as far as it is read.
    pub end: u64,
}

/// A line or a row in a stream.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'l> {
    /// Its position.
    pub at: u64,
    /// The position behind it.
    pub next: u64,
    /// Its text, without a newline.
    pub text: &'l [u8],
}

/// Whether more is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More.
    GoOn,
    /// No more.
    Stop,
}

/// Takes lines or rows.
pub type Each<'e> = dyn FnMut(Standing<'_>) -> Result<Flow, Error> + 'e;

/// A record that can be checked.
pub trait Source: Record {
    /// Its streams, in the order of their names. What comes later is not read.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn streams(&mut self) -> Result<Vec<Stream>, Error>;

    /// Hands over the whole lines or the rows between two positions.
    ///
    /// # Errors
    /// Where they cannot be read, or `each` has failed.
    fn read(&mut self, stream: &Stream, from: u64, to: u64, each: &mut Each<'_>) -> Result<(), Error>;

    /// The numbers of a chain that were refused, which explain holes in it.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn refused(&mut self, chain: &str) -> Result<Vec<u64>, Error>;

    /// How many lines end before each of these positions, which are in order.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn lines_before(&mut self, stream: &Stream, positions: &[u64]) -> Result<Vec<u64>, Error>;
}

/// The position of a row.
pub fn of_id(id: i64) -> u64 {
    (id as u64) ^ (1 << 63)
}

/// The row at a position.
pub fn to_id(position: u64) -> i64 {
    (position ^ (1 << 63)) as i64
}

/// The stream that a place is in, and its parts there, in the order of their leaves.
pub fn parts(place: &Place) -> (&str, Vec<(u64, u64)>) {
    match place {
        Place::Lines { file, from, to } => (file, vec![(*from, *to)]),
        Place::Rows { rows } => {
            let part = |[first, last]: &[i64; 2]| (of_id(*first), of_id(*last).saturating_add(1));
            ("", rows.iter().map(part).collect())
        }
    }
}

impl Source for Files {
    fn streams(&mut self) -> Result<Vec<Stream>, Error> {
        let folder = self.folder();
        let name = folder.display().to_string();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::read(name)(error)),
        };
        let mut streams = Vec::new();
        for entry in entries {
            let file = entry.map_err(Error::read(&name))?.file_name();
            if let Some(file) = file.to_str()
                && let Some(day) = names::day_of(file)
            {
                // What is no file has no lines, and opening a pipe would wait for whoever writes into it.
                let Some(metadata) = fs::metadata(folder.join(file)).ok().filter(fs::Metadata::is_file)
                else {
                    continue;
                };
                streams.push(Stream { name: file.into(), day: day.to_string(), end: metadata.len() });
            }
        }
        streams.sort_by(|one, next| one.name.cmp(&next.name));
        Ok(streams)
    }

    fn read(&mut self, stream: &Stream, from: u64, to: u64, each: &mut Each<'_>) -> Result<(), Error> {
        let wrong = Error::read(&stream.name);
        match folder::open(&self.folder().join(&stream.name)) {
            Ok(file) => read_lines(&file, from, to, each).map_err(|stop| match stop {
                Stop::Read(error) => wrong(error),
                Stop::Failed(error) => error,
            }),
            Err(error) => Err(wrong(error)),
        }
    }

    fn lines_before(&mut self, stream: &Stream, positions: &[u64]) -> Result<Vec<u64>, Error> {
        let count = || {
            let mut file = folder::open(&self.folder().join(&stream.name))?;
            let (mut numbers, mut lines, mut at) = (Vec::new(), 0, 0);
            let mut bytes = vec![0; PIECE];
            for position in positions {
                while at < *position {
                    let most = (*position - at).min(PIECE as u64) as usize;
                    let read = file.read(&mut bytes[..most])?;
                    if read == 0 {
                        break;
                    }
                    lines += memchr_iter(b'\n', &bytes[..read]).count() as u64;
                    at += read as u64;
                }
                numbers.push(lines);
            }
            Ok(numbers)
        };
        count().map_err(Error::read(&stream.name))
    }

    fn refused(&mut self, _: &str) -> Result<Vec<u64>, Error> {
        Ok(Vec::new())
    }
}

enum Stop {
    Read(io::Error),
    Failed(Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Hands over whole lines. One that is too long has the text of a line that is no event.
fn read_lines(mut file: &File, from: u64, to: u64, each: &mut Each<'_>) -> Result<(), Stop> {
    file.seek(SeekFrom::Start(from))?;
    let mut rest = file.take(to.saturating_sub(from));
    let mut bytes = Vec::with_capacity(2 * PIECE);
    // The position of the first byte that is kept, and of the line that it is in.
    let (mut start, mut at) = (from, from);
    while rest.by_ref().take(PIECE as u64).read_to_end(&mut bytes)? > 0 {
        let Some(last) = memrchr(b'\n', &bytes) else {
            if start > at || bytes.len() > MAX_LINE {
                start += bytes.len() as u64;
                bytes.clear();
            }
            continue;
        };
        let mut begin = 0;
        for newline in memchr_iter(b'\n', &bytes[..=last]) {
            let next = start + newline as u64 + 1;
            let text = if at < start { b"too long".as_slice() } else { &bytes[begin..newline] };
            if each(Standing { at, next, text }).map_err(Stop::Failed)? == Flow::Stop {
                return Ok(());
            }
            (begin, at) = (newline + 1, next);
        }
        bytes.drain(..=last);
        start += last as u64 + 1;
    }
    Ok(())
}

impl<R: Rows> Source for Table<R> {
    fn streams(&mut self) -> Result<Vec<Stream>, Error> {
        Ok(vec![Stream { name: String::new(), day: String::new(), end: u64::MAX }])
    }

    fn read(&mut self, _: &Stream, from: u64, to: u64, each: &mut Each<'_>) -> Result<(), Error> {
        let mut next = from;
        while next < to {
            let range = [to_id(next), to_id(to - 1)];
            let RowPage { rows, more } = self.rows_in(&[range], ROWS)?;
            for row in &rows {
                let at = of_id(row.id);
                next = at.saturating_add(1);
                if each(Standing { at, next, text: row.line.as_bytes() })? == Flow::Stop {
                    return Ok(());
                }
            }
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    fn lines_before(&mut self, _: &Stream, positions: &[u64]) -> Result<Vec<u64>, Error> {
        Ok(positions.to_vec())
    }

    fn refused(&mut self, chain: &str) -> Result<Vec<u64>, Error> {
        self.refused_of(chain)
    }
}
