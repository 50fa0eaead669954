//! Daily files of JSON lines, `tool_audit_YYYY-MM-DD.jsonl` by the event's own UTC day, which other instances
//! and processes may append to and read at the same time.

mod daily_file;
mod daily_files;
mod days;

use crate::accounting::DropReason;
use crate::backend::{Backend, Holdings, Refused};
use crate::batch::Batch;
use crate::error::Error;
use crate::host::Folder;
use crate::scan::Zones;
use crate::selection::Selection;
use crate::settings::{Durability, Settings};
use crate::sink::{End, Sink};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::query::Query;
use daily_files::DailyFiles;

/// How much waits in memory under `buffered` before it is written without being asked to.
const BUFFER_BYTES: usize = 64 << 10;

pub struct Jsonl<F: Folder> {
    files: DailyFiles<F>,
    buffered: bool,
    queue_limit: usize,
    /// What waits in memory: nothing, but under `buffered`.
    waiting: Batch,
    /// What was seen in the files.
    zones: Vec<Zones>,
}

impl<F: Folder> Jsonl<F> {
    pub fn new(folder: F, settings: &Settings) -> Self {
        Self {
            files: DailyFiles::new(folder, settings.durability == Durability::Synced),
            buffered: settings.durability == Durability::Buffered,
            queue_limit: settings.queue_limit,
            waiting: Batch::default(),
            zones: Vec::new(),
        }
    }

    /// Writes what waits; what cannot be written waits on.
    fn write_waiting(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut waiting = core::mem::take(&mut self.waiting);
        let result = self.files.write(&waiting);
        match &result {
            Ok(()) => waiting.clear(),
            Err(refused) => waiting.remove_first(refused.stored),
        }
        self.waiting = waiting;
        result.map_err(|refused| refused.error.with_unstored(self.waiting.len()))
    }
}

impl<F: Folder> Backend for Jsonl<F> {
    fn append(&mut self, batch: &Batch) -> Result<(), Refused> {
        if !self.buffered {
            return self.files.write(batch);
        }
        if self.waiting.is_full_for(batch, self.queue_limit) {
            let written = self.write_waiting();
            if self.waiting.is_full_for(batch, self.queue_limit) {
                let why = written.err().map_or_else(String::new, |error| format!(": {error}"));
                let error =
                    Error::Unavailable(format!("the queue of {} events is full{why}", self.queue_limit));
                return Err(Refused { stored: 0, reason: DropReason::QueueFull, error });
            }
        }
        self.waiting.extend(batch);
        if self.waiting.size() >= BUFFER_BYTES {
            // The lines are taken either way; `flush` says why they still wait.
            let _ = self.write_waiting();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.write_waiting()
    }

    fn holdings(&self) -> Holdings {
        Holdings { pending: self.waiting.len() as u64, ..Holdings::default() }
    }

    fn read(&mut self, query: &Query, sink: &mut dyn Sink) -> Result<End, Error> {
        // What cannot be written is seen all the same.
        let _ = self.write_waiting();
        let mut page = Selection::new(query);
        self.waiting.offer_to(&mut page);
        days::scan(&mut self.files.folder, &mut self.zones, &mut page)?;
        Ok(page.finish(sink).1)
    }
}

#[cfg(test)]
mod tests;
