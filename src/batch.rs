//! A batch: encoded lines that a backend is to store.

use crate::host::MAX_APPEND;
use crate::selection::Selection;
use alloc::vec::Vec;
use audit_format::cursor::Position;
use audit_format::leaf;
use audit_format::time::Timestamp;
use core::convert::Infallible;
use core::ops::Range;

/// Encoded lines, each with the instant of its event.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    lines: Vec<(Timestamp, Range<usize>)>,
}

impl Batch {
    /// Adds the line of an event. `encode` appends the line, newline included, and returns when the event happened, and
    /// what else the caller wants to know.
    pub fn push<T>(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> (Timestamp, T)) -> T {
        let Ok(more) = self.try_push(|out| Ok::<_, Infallible>(encode(out)));
        more
    }

    /// As [`Batch::push`].
    ///
    /// # Errors
    /// That of `encode`, which has appended nothing then.
    pub fn try_push<T, E>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(Timestamp, T), E>,
    ) -> Result<T, E> {
        let start = self.bytes.len();
        let (at, more) = encode(&mut self.bytes)?;
        self.lines.push((at, start..self.bytes.len()));
        Ok(more)
    }

    /// Fills in the leaf hashes. Called once, before the batch goes to a backend.
    pub fn seal(&mut self) {
        leaf::seal(&mut self.bytes, self.lines.iter().map(|(_, range)| range.clone()));
    }

    /// Adds the lines of another batch.
    pub fn extend(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        let shifted = other.lines.iter().map(|(at, range)| (*at, start + range.start..start + range.end));
        self.lines.extend(shifted);
    }

    /// Whether `more` would bring this batch to more than `limit` lines. An empty batch has room for any
    /// number.
    pub fn is_full_for(&self, more: &Self, limit: usize) -> bool {
        !self.is_empty() && self.len() + more.len() > limit
    }

    /// Offers all lines to a page. Lines in memory have no position in a file.
    pub fn offer_to(&self, page: &mut Selection<'_>) {
        for (_, line) in self.lines() {
            page.offer(line, Position::default());
        }
    }

    /// Removes the first `count` lines.
    pub fn remove_first(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let mut rest = Self::default();
        for (at, range) in self.lines.drain(..).skip(count) {
            let start = rest.bytes.len();
            rest.bytes.extend_from_slice(&self.bytes[range]);
            rest.lines.push((at, start..rest.bytes.len()));
        }
        *self = rest;
    }

    /// The size of all lines, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Removes all lines, but keeps the memory for others.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The bytes of consecutive lines; empty where `lines` is not a range of this batch.
    pub fn part(&self, lines: Range<usize>) -> &[u8] {
        match self.lines.get(lines) {
            Some([(_, first), .., (_, last)]) => &self.bytes[first.start..last.end],
            Some([(_, only)]) => &self.bytes[only.clone()],
            _ => &[],
        }
    }

    /// The instants of consecutive lines, each with the size of the line in bytes.
    pub fn sizes(&self, lines: Range<usize>) -> impl Iterator<Item = (Timestamp, u64)> {
        let lines = self.lines.get(lines).unwrap_or_default();
        lines.iter().map(|(at, range)| (*at, range.len() as u64))
    }

    /// The end of the lines from `start` that fit into one append of [`MAX_APPEND`] bytes: one line at least, and none
    /// after `end`.
    pub fn piece_end(&self, start: usize, end: usize) -> usize {
        let mut piece = start + 1;
        while piece < end && self.part(start..piece + 1).len() <= MAX_APPEND {
            piece += 1;
        }
        piece
    }

    /// The lines in their order, newlines included, each with the instant of its event.
    pub fn lines(&self) -> impl Iterator<Item = (Timestamp, &[u8])> {
        self.lines.iter().map(|(at, range)| (*at, &self.bytes[range.clone()]))
    }
}
