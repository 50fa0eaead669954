//! Daily files of JSON lines, `tool_audit_YYYY-MM-DD.jsonl`. An event goes to the file of its own UTC day.
//! Other instances and processes may append to the files and read them at the same time.

mod daily_file;
mod daily_files;
mod days;
mod indexing;

use crate::accounting::{DropReason, events};
use crate::backend::{Backend, Holdings, Rejected};
use crate::batch::Batch;
use crate::error::Error;
use crate::host::Folder;
use crate::selection::Selection;
use crate::settings::{Durability, Settings};
use crate::sink::{End, Sink};
use alloc::format;
use alloc::string::String;
use audit_format::query::Query;
use daily_files::DailyFiles;
use days::Days;

/// With the durability `buffered`, this many waiting bytes are written without a flush.
const BUFFER_BYTES: usize = 64 << 10;

pub struct Jsonl<F: Folder> {
    files: DailyFiles<F>,
    buffered: bool,
    queue_limit: usize,
    /// The lines that wait in memory; always empty except with the durability `buffered`.
    waiting: Batch,
    /// What is known of the files, for later pages and reads.
    days: Days,
}

impl<F: Folder> Jsonl<F> {
    pub fn new(folder: F, settings: &Settings) -> Self {
        Self {
            files: DailyFiles::new(folder, settings.durability == Durability::Synced),
            buffered: settings.durability == Durability::Buffered,
            queue_limit: settings.queue_limit,
            waiting: Batch::default(),
            days: Days::default(),
        }
    }

    /// Writes the waiting lines. Lines that cannot be written keep waiting.
    fn write_waiting(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut waiting = core::mem::take(&mut self.waiting);
        let result = self.files.write(&waiting);
        match &result {
            Ok(()) => waiting.clear(),
            Err(rejected) => waiting.remove_first(rejected.stored),
        }
        self.waiting = waiting;
        result.map_err(|rejected| rejected.error.with_unstored(self.waiting.len()))
    }
}

impl<F: Folder> Backend for Jsonl<F> {
    fn append(&mut self, batch: &Batch) -> Result<(), Rejected> {
        if !self.buffered {
            return self.files.write(batch);
        }
        if self.waiting.is_full_for(batch, self.queue_limit) {
            let written = self.write_waiting();
            if self.waiting.is_full_for(batch, self.queue_limit) {
                let why = written.err().map_or_else(String::new, |error| format!(": {error}"));
                let text = format!("the queue of {} is full{why}", events(self.queue_limit));
                let error = Error::Unavailable(text);
                return Err(Rejected { stored: 0, reason: DropReason::QueueFull, error });
            }
        }
        self.waiting.extend(batch);
        if self.waiting.size() >= BUFFER_BYTES {
            // The batch is accepted either way. If writing fails, the next flush returns the error.
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
        // Lines that cannot be written are read from memory.
        let _ = self.write_waiting();
        let mut page = Selection::new(query);
        self.waiting.offer_to(&mut page);
        if !self.days.scan(&mut self.files.folder, &mut page)? {
            page = Selection::new(query);
            self.waiting.offer_to(&mut page);
            self.days.scan_anew(&mut self.files.folder, &mut page)?;
        }
        Ok(page.finish(sink).1)
    }
}

#[cfg(test)]
mod histories;
#[cfg(test)]
mod large_days;
#[cfg(test)]
mod tests;
