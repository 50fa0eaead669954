//! The newest events, in memory. They end with the instance.

use super::{Backend, Batch, Refused};
use crate::error::Error;
use crate::page::{Collector, Page, Place};
use crate::query::Query;
use alloc::boxed::Box;
use alloc::collections::VecDeque;

pub struct Memory {
    limit: usize,
    lines: VecDeque<Box<[u8]>>,
}

impl Memory {
    /// Keeps the `limit` events that were written last.
    pub fn new(limit: usize) -> Self {
        Self { limit, lines: VecDeque::new() }
    }
}

impl Backend for Memory {
    fn append(&mut self, batch: &Batch) -> Result<(), Refused> {
        for (_, line) in batch.lines() {
            if self.lines.len() == self.limit {
                self.lines.pop_front();
            }
            self.lines.push_back(line.into());
        }
        Ok(())
    }

    fn read(&mut self, query: &Query) -> Result<Page, Error> {
        let mut page = Collector::new(query);
        for line in &self.lines {
            page.offer(line, Place::default());
        }
        Ok(page.finish())
    }
}
