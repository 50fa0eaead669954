//! A piece of a file, with the lines that start in it.

use crate::host::{File, FileError};
use alloc::vec::Vec;
use audit_format::line::MAX_LEN;
use core::ops::Range;
use memchr::{memchr, memchr_iter, memrchr};

/// The size of a piece, in bytes: with the end of its last line and the byte before it, it is what wasmtime reads in one
/// call, so that it need not be put together from several.
pub const PIECE_BYTES: u64 = if cfg!(test) { 300 } else { 60 << 10 };

/// How many bytes are read beyond a piece: enough for the end of a store's line.
const BEYOND: u64 = if cfg!(test) { 100 } else { MAX_LEN as u64 - 1 };

/// The longest line that is read, in bytes. Other writers' lines may be longer than a store's.
const MAX_LINE_BYTES: usize = 8 << 20;

/// How much is read at once of a line that goes on beyond that, in bytes.
const STEP_BYTES: usize = 64 << 10;

/// A piece of a file.
pub struct Piece {
    start: u64,
    /// The size of the file when it was read, in bytes.
    size: u64,
    /// The bytes of the file from `origin` on.
    read: Vec<u8>,
    origin: u64,
    /// Which of them are the lines that start in the piece.
    lines: Range<usize>,
    /// Whether the last line has its newline.
    pub ends: bool,
    /// Whether a line starts in the piece that is too long for an event.
    pub is_overlong: bool,
}

impl Piece {
    /// Reads the piece from `start`, of a file with `size` bytes. `last` is a piece that was read before.
    pub fn read(file: &impl File, start: u64, size: u64, last: Option<Self>) -> Result<Self, FileError> {
        if let Some(last) = last.filter(|last| (last.start, last.size) == (start, size)) {
            return Ok(last);
        }
        // The byte before the piece tells whether a line starts with the piece.
        let origin = start.saturating_sub(1);
        let most = size.min(start + PIECE_BYTES + BEYOND) - origin;
        let read = file.read_whole(origin, most as usize)?;
        let mut piece = Self { start, size, read, origin, lines: 0..0, ends: true, is_overlong: false };
        piece.find_lines(file)?;
        Ok(piece)
    }

    fn find_lines(&mut self, file: &impl File) -> Result<(), FileError> {
        let end = ((self.size.min(self.start + PIECE_BYTES) - self.origin) as usize).min(self.read.len());
        let first = match self.start {
            0 => Some(0),
            _ => memchr(b'\n', &self.read[..end]).map(|newline| newline + 1),
        };
        let Some(first) = first.filter(|first| *first < end) else { return Ok(()) };
        // Where the last line that starts in the piece ends.
        let mut searched = end - 1;
        let last = memrchr(b'\n', &self.read[first..searched]).map_or(first, |newline| first + newline + 1);
        self.lines = first..last;
        loop {
            if let Some(newline) = memchr(b'\n', &self.read[searched..]) {
                searched += newline;
                break;
            }
            searched = self.read.len();
            if searched - last > MAX_LINE_BYTES {
                break;
            }
            let more = file.read(self.origin + searched as u64, STEP_BYTES)?;
            if more.is_empty() {
                self.ends = false;
                break;
            }
            self.read.extend_from_slice(&more);
        }
        if searched - last > MAX_LINE_BYTES {
            self.is_overlong = true;
        } else {
            self.lines.end = searched.saturating_add(1).min(self.read.len());
        }
        Ok(())
    }

    /// The lines that start in the piece, but for one that is too long.
    pub fn bytes(&self) -> &[u8] {
        &self.read[self.lines.clone()]
    }

    /// The offset in the file of a place in [`Piece::bytes`].
    pub fn offset(&self, place: usize) -> u64 {
        self.origin + (self.lines.start + place) as u64
    }

    /// The places in [`Piece::bytes`] of the lines, without their newlines.
    pub fn lines(&self) -> impl Iterator<Item = Range<usize>> {
        let bytes = self.bytes();
        let unended = bytes.last().is_some_and(|last| *last != b'\n').then_some(bytes.len());
        let mut start = 0;
        memchr_iter(b'\n', bytes).chain(unended).map(move |end| {
            let line = start..end;
            start = end + 1;
            line
        })
    }

    /// The `len` bytes before an offset of the file; none: they were not read.
    pub fn before(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let end = usize::try_from(offset.checked_sub(self.origin)?).ok()?;
        self.read.get(end.checked_sub(len)?..end)
    }
}
