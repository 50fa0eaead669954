//! A daily file that is open for appending. Lines are appended in atomic pieces, and start on a new line even behind a
//! truncated one. Nothing is taken back: others may append to the file at any time, and a shortened file could lose what
//! they were told is stored.

use super::indexing::Indexing;
use crate::batch::Batch;
use crate::host::{File, FileError, Folder};
use alloc::vec::Vec;
use audit_format::line::MAX_LEN;
use audit_format::time::Day;
use core::ops::Range;
use memchr::memmem;

/// How often the end of a file is looked at until a line without an end counts as truncated. Appending one takes some
/// microseconds, about as long as a look.
const LOOKS: usize = 16;

/// A daily file that is open for appending.
pub struct DailyFile<F> {
    pub day: Day,
    pub file: F,
    /// The size that the file has if nobody else appended since this instance did: it then ends with a
    /// newline.
    expected_size: Option<u64>,
    indexing: Indexing,
}

/// Why not all lines were appended.
pub struct Unfinished {
    /// How many of the first lines the host has taken.
    pub appended: usize,
    pub error: FileError,
}

impl<F: File> DailyFile<F> {
    pub fn new(day: Day, file: F) -> Self {
        Self { day, file, expected_size: None, indexing: Indexing::default() }
    }

    /// Extends the index of the file, which now has `size` bytes, where that is due.
    pub fn extend_index(&mut self, folder: &mut impl Folder<File = F>, size: u64) {
        if Some(size) != self.expected_size {
            self.indexing.restart(size);
        }
        self.indexing.extend(folder, self.day, &self.file, size);
    }

    /// Appends these lines of the batch to the file, which now has `size` bytes.
    pub fn append(&mut self, batch: &Batch, lines: Range<usize>, size: u64) -> Result<(), Unfinished> {
        let mut appended = 0;
        self.append_pieces(batch, lines, size, &mut appended).map_err(|error| Unfinished { appended, error })
    }

    /// Appends lines piece by piece, and counts those of each piece in `appended`.
    fn append_pieces(
        &mut self,
        batch: &Batch,
        lines: Range<usize>,
        size: u64,
        appended: &mut usize,
    ) -> Result<(), FileError> {
        let mut start = lines.start;
        while start < lines.end {
            let end = batch.piece_end(start, lines.end);
            let piece = batch.part(start..end);
            if start == lines.start {
                self.append_on_new_line(size, piece)?;
            } else {
                self.file.append(piece)?;
                self.expected_size = self.expected_size.map(|expected| expected + piece.len() as u64);
            }
            self.note(batch, start..end);
            *appended += end - start;
            start = end;
        }
        // One piece can be hidden too, where another process is killed within its line just before it.
        if !lines.is_empty() && Some(self.file.size()?) != self.expected_size {
            self.append_hidden_again(batch, lines, size)?;
        }
        Ok(())
    }

    /// Appends `piece` on a new line to the file, which now has `size` bytes.
    fn append_on_new_line(&mut self, mut size: u64, piece: &[u8]) -> Result<(), FileError> {
        let is_known = Some(size) == self.expected_size;
        self.expected_size = None;
        if !is_known {
            if self.is_truncated(&mut size)? {
                self.file.append(b"\n")?;
                size += 1;
            }
            self.indexing.restart(size);
        }
        self.file.append(piece)?;
        self.expected_size = Some(size + piece.len() as u64);
        Ok(())
    }

    /// Notes for the index which lines were appended last. That they are where they seem to be shows the size of the file
    /// before the next append.
    fn note(&mut self, batch: &Batch, lines: Range<usize>) {
        let Some(end) = self.expected_size else { return };
        let mut offset = end - batch.part(lines.clone()).len() as u64;
        for (at, size) in batch.sizes(lines) {
            self.indexing.note(offset, at);
            offset += size;
        }
    }

    /// Whether the last line has no end. A line that another process is just appending looks so for a moment.
    fn is_truncated(&self, size: &mut u64) -> Result<bool, FileError> {
        for _ in 0..LOOKS {
            if *size == 0 || self.file.read(*size - 1, 1)? == b"\n" {
                return Ok(false);
            }
            *size = self.file.size()?;
        }
        Ok(true)
    }

    /// Appends lines again that are hidden. The file had `start` bytes before the lines were appended, and
    /// another process has appended since. If it was killed within a line, our next line follows its truncated one
    /// without a newline, and cannot be read.
    fn append_hidden_again(
        &mut self,
        batch: &Batch,
        lines: Range<usize>,
        start: u64,
    ) -> Result<(), FileError> {
        let appended = self.read_since(start)?;
        let mut rest = &appended[..];
        for number in lines {
            let line = batch.part(number..number + 1);
            let found = memmem::find(rest, line);
            let is_hidden = found.is_none_or(|at| at > 0 && rest[at - 1] != b'\n');
            rest = found.map_or(rest, |at| &rest[at + line.len()..]);
            if is_hidden {
                self.expected_size = None;
                self.append_on_new_line(self.file.size()?, line)?;
                self.note(batch, number..number + 1);
            }
        }
        Ok(())
    }

    /// The bytes of the file from `start` on.
    fn read_since(&self, start: u64) -> Result<Vec<u8>, FileError> {
        let size = self.file.size()?;
        let mut bytes = Vec::new();
        while start + (bytes.len() as u64) < size {
            let read = self.file.read(start + bytes.len() as u64, MAX_LEN)?;
            if read.is_empty() {
                break;
            }
            bytes.extend_from_slice(&read);
        }
        Ok(bytes)
    }

    /// How many of the lines are in the file, of which the append failed. The file had `start` bytes before.
    pub fn count_stored(
        &mut self,
        start: u64,
        batch: &Batch,
        lines: Range<usize>,
    ) -> Result<usize, FileError> {
        self.expected_size = None;
        let appended = self.read_since(start)?;
        // Each line is unique because of its `id`, and the lines are in their order.
        let mut rest = &appended[..];
        let mut is_stored = |line: &usize| {
            // A line that only lacks its newline is complete: the next append adds the newline.
            let line = batch.part(*line..line + 1).trim_ascii_end();
            let found = memmem::find(rest, line).filter(|at| *at == 0 || rest[at - 1] == b'\n');
            rest = found.map_or(rest, |at| &rest[at + line.len()..]);
            found.is_some()
        };
        Ok(lines.take_while(&mut is_stored).count())
    }
}
