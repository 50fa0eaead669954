//! The newest events, in memory. They are gone when the instance ends.

use crate::backend::{Backend, Rejected};
use crate::batch::Batch;
use crate::error::Error;
use crate::selection::Selection;
use crate::sink::{End, Sink};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use audit_format::cursor::Position;
use audit_format::query::Query;

/// The most bytes of lines that are kept: the guest's memory is sized for this.
const MAX_BYTES: usize = 96 << 20;

pub struct Memory {
    limit: usize,
    bytes: usize,
    lines: VecDeque<Box<[u8]>>,
}

impl Memory {
    /// Keeps the `limit` events that were written last, or fewer if their lines are larger than
    /// [`MAX_BYTES`].
    pub fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, lines: VecDeque::new() }
    }
}

impl Backend for Memory {
    fn append(&mut self, batch: &Batch) -> Result<(), Rejected> {
        for (_, line) in batch.lines() {
            self.bytes += line.len();
            self.lines.push_back(line.into());
            while self.lines.len() > self.limit || self.bytes > MAX_BYTES {
                self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
            }
        }
        Ok(())
    }

    fn read(&mut self, query: &Query, sink: &mut dyn Sink) -> Result<End, Error> {
        let mut page = Selection::new(query);
        for line in &self.lines {
            page.offer(line, Position::default());
        }
        Ok(page.finish(sink).1)
    }
}
