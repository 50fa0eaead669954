//! A daily file that is open to append to: whole lines in pieces that are atomic, on a line of their own whatever a
//! crash left before, and taken back where a batch cannot be written to its end.

use crate::batch::Batch;
use crate::host::{File, FileError};
use alloc::vec::Vec;
use audit_format::line::MAX_LEN;
use audit_format::time::Day;
use core::ops::Range;
use memchr::memmem;

/// A file that is open to append to.
pub struct DailyFile<F> {
    pub day: Day,
    pub file: F,
    /// The size after the last append, if nobody else appended: the file then ends with a newline.
    expected: Option<u64>,
}

impl<F: File> DailyFile<F> {
    pub fn new(day: Day, file: F) -> Self {
        Self { day, file, expected: None }
    }

    /// Appends these lines of the batch to the file, which now has `size`.
    pub fn append(&mut self, batch: &Batch, lines: Range<usize>, size: u64) -> Result<(), FileError> {
        let mut start = lines.start;
        while start < lines.end {
            let end = batch.piece_end(start, lines.end);
            let piece = batch.part(start..end);
            if start == lines.start {
                self.append_to(size, piece)?;
            } else {
                self.file.append(piece)?;
                self.expected = self.expected.map(|expected| expected + piece.len() as u64);
            }
            start = end;
        }
        if batch.part(lines.clone()).len() > MAX_LEN && Some(self.file.size()?) != self.expected {
            self.append_hidden(batch, lines, size)?;
        }
        Ok(())
    }

    /// Appends on a new line to the file, which now has `size`.
    fn append_to(&mut self, mut size: u64, piece: &[u8]) -> Result<(), FileError> {
        let torn = Some(size) != self.expected && size > 0 && self.file.read(size - 1, 1)? != b"\n";
        self.expected = None;
        if torn {
            self.file.append(b"\n")?;
            size += 1;
        }
        self.file.append(piece)?;
        self.expected = Some(size + piece.len() as u64);
        Ok(())
    }

    /// Others appended between the pieces since the file had `start` bytes. Where one of them was killed within a
    /// line, the line of ours that follows it is hidden behind the torn one, and is appended again.
    fn append_hidden(&mut self, batch: &Batch, lines: Range<usize>, start: u64) -> Result<(), FileError> {
        let appended = self.read_since(start)?;
        let mut rest = &appended[..];
        for line in lines.map(|line| batch.part(line..line + 1)) {
            let found = memmem::find(rest, line);
            let is_hidden = found.is_none_or(|at| at > 0 && rest[at - 1] != b'\n');
            rest = found.map_or(rest, |at| &rest[at + line.len()..]);
            if is_hidden {
                self.expected = None;
                self.append_to(self.file.size()?, line)?;
            }
        }
        Ok(())
    }

    /// What is in the file from `start` on.
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

    /// Takes the lines back, if all that was appended since `start` is theirs; else says how many of them
    /// are there to stay.
    pub fn take_back(&mut self, start: u64, lines: &[&[u8]]) -> Result<usize, FileError> {
        let appended = self.read_since(start)?;
        if !are_all(&appended, lines) {
            // Their identifiers make lines unique, and they stand in their order.
            let mut rest = &appended[..];
            let mut is_there = |line: &&&[u8]| {
                // Without its newline it is whole too: whoever appends next ends it.
                let line = line.trim_ascii_end();
                let found = memmem::find(rest, line);
                rest = found.map_or(rest, |at| &rest[at + line.len()..]);
                found.is_some()
            };
            return Ok(lines.iter().take_while(&mut is_there).count());
        }
        if !appended.is_empty() {
            self.file.truncate(start)?;
            self.expected = None;
        }
        Ok(0)
    }
}

/// Whether `appended` is nothing but the first of the lines, the last of them maybe torn.
fn are_all(mut appended: &[u8], lines: &[&[u8]]) -> bool {
    for line in lines {
        // A torn line of somebody else was ended.
        appended = appended.strip_prefix(b"\n").unwrap_or(appended);
        match appended.strip_prefix(*line) {
            Some(rest) => appended = rest,
            None => return line.starts_with(appended),
        }
    }
    appended.is_empty()
}
