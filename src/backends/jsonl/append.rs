//! Appending: whole lines in pieces that are atomic, on a line of their own whatever a crash left before, and
//! put back where a batch cannot be written to its end.

use super::{Durability, File, FileError, Folder, Jsonl, file_name};
use crate::backends::{Batch, Reason, Refused};
use crate::error::Error;
use crate::line::MAX_LEN;
use crate::time::Day;
use alloc::format;
use alloc::vec::Vec;

/// A file that is open to append to.
pub struct OpenFile<F> {
    pub day: Day,
    file: F,
    /// The size after the last append, if nobody else appended: the file then ends with a newline.
    expected: Option<u64>,
}

/// Lines of a batch that follow each other and belong to one day.
struct Run<'b> {
    day: Day,
    lines: Vec<&'b [u8]>,
}

/// Where a run went.
struct Appended {
    day: Day,
    /// The size of the file before.
    start: u64,
    bytes: Vec<u8>,
    /// How many of the lines are there in full.
    lines: usize,
}

impl<F: File> OpenFile<F> {
    pub fn new(day: Day, file: F) -> Self {
        Self { day, file, expected: None }
    }

    /// Its size, if it can still be found: it may have been deleted since it was opened.
    pub fn size(&self) -> Option<u64> {
        self.file.stat().ok().filter(|stat| stat.linked).map(|stat| stat.size)
    }

    /// Appends the lines to the file, which now has `size`; `appended` says what became of them, also after an
    /// error.
    fn append(&mut self, lines: &[&[u8]], size: u64, appended: &mut Appended) -> Result<(), FileError> {
        appended.start = size;
        let mut size = size;
        let mut rest = lines;
        while !rest.is_empty() {
            let mut len = 0;
            let fits = |line: &&&[u8]| {
                len += line.len();
                len <= MAX_LEN
            };
            let (piece, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            self.append_piece(piece, size, appended)?;
            rest = later;
            if !rest.is_empty() {
                size = self.file.stat()?.size;
            }
        }
        Ok(())
    }

    fn append_piece(&mut self, lines: &[&[u8]], size: u64, appended: &mut Appended) -> Result<(), FileError> {
        let mut end = size;
        if Some(size) != self.expected && size > 0 && self.file.read(size - 1, 1)? != b"\n" {
            appended.bytes.push(b'\n');
            self.file.append(b"\n")?;
            end += 1;
        }
        self.expected = None;
        let piece = lines.concat();
        appended.bytes.extend_from_slice(&piece);
        self.file.append(&piece)?;
        appended.lines += lines.len();
        self.expected = Some(end + piece.len() as u64);
        Ok(())
    }

    /// Takes back what was appended, if nobody appended since and all of it is ours.
    fn take_back(&mut self, appended: &Appended) -> Result<bool, FileError> {
        let Some(len) = self.file.stat()?.size.checked_sub(appended.start) else {
            // Somebody else cut the file off, or deleted it.
            return Ok(true);
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > appended.bytes.len() {
            return Ok(false);
        }
        let mut at = 0;
        while at < len {
            let found = self.file.read(appended.start + at as u64, len - at)?;
            if found.is_empty() || !appended.bytes[at..].starts_with(&found) {
                return Ok(false);
            }
            at += found.len();
        }
        self.file.truncate(appended.start)?;
        self.expected = None;
        Ok(true)
    }
}

impl<F: Folder> Jsonl<F> {
    /// Writes all lines of the batch to the files of their days, or none.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), Refused> {
        let mut done: Vec<Appended> = Vec::new();
        for run in runs(batch) {
            let mut appended = Appended { day: run.day, start: 0, bytes: Vec::new(), lines: 0 };
            let result = self.write_run(&run, &mut appended);
            done.push(appended);
            if let Err(error) = result {
                return Err(self.put_back(&done, error));
            }
        }
        Ok(())
    }

    fn write_run(&mut self, run: &Run<'_>, appended: &mut Appended) -> Result<(), Error> {
        let synced = self.durability == Durability::Synced;
        let (file, size) = self.file(run.day)?;
        let result = file.append(&run.lines, size, appended);
        let result = result.and_then(|()| if synced { file.file.sync() } else { Ok(()) });
        result.map_err(|e| self.access("append to", &file_name(run.day), &e))
    }

    fn put_back(&mut self, done: &[Appended], error: Error) -> Refused {
        let mut left = done.len();
        for appended in done.iter().rev() {
            let taken_back = appended.bytes.is_empty()
                || self.file(appended.day).is_ok_and(|(file, _)| file.take_back(appended).unwrap_or(false));
            if !taken_back {
                break;
            }
            left -= 1;
        }
        let stored = done[..left].iter().map(|appended| appended.lines).sum();
        let error = match error {
            Error::Access(text) if stored > 0 => {
                Error::Access(format!("{text}; the first {stored} events of the batch are stored"))
            }
            error => error,
        };
        Refused { stored, reason: Reason::Unwritable, error }
    }
}

fn runs(batch: &Batch) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for (at, line) in batch.lines() {
        match runs.last_mut() {
            Some(run) if run.day == at.day() => run.lines.push(line),
            _ => runs.push(Run { day: at.day(), lines: [line].into() }),
        }
    }
    runs
}
