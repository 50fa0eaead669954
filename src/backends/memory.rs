//! The newest events, in memory. They end with the instance.

use super::{Backend, Batch, Refused};
use crate::error::Error;
use crate::page::{Collector, Page, Place};
use crate::query::Query;
use alloc::boxed::Box;
use alloc::collections::VecDeque;

/// The most bytes of lines that are kept: what the guest's memory is sized for.
const MAX_BYTES: usize = 96 << 20;

pub struct Memory {
    limit: usize,
    bytes: usize,
    lines: VecDeque<Box<[u8]>>,
}

impl Memory {
    /// Keeps the `limit` events that were written last, or as many as there is room for.
    pub fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, lines: VecDeque::new() }
    }
}

impl Backend for Memory {
    fn append(&mut self, batch: &Batch) -> Result<(), Refused> {
        for (_, line) in batch.lines() {
            self.bytes += line.len();
            self.lines.push_back(line.into());
            while self.lines.len() > self.limit || self.bytes > MAX_BYTES {
                self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
            }
        }
        Ok(())
    }

    fn read(&mut self, query: Query) -> Result<Page, Error> {
        let mut page = Collector::new(&query);
        for line in &self.lines {
            page.offer(line, Place::default());
        }
        Ok(page.finish())
    }
}
