//! Daily files of JSON lines, `tool_audit_YYYY-MM-DD.jsonl` by the event's own UTC day, which other instances
//! and processes may append to and read at the same time.

mod append;
mod scan;

use super::scan::Zones;
use super::{Backend, Batch, Reason, Refused, State};
use crate::error::Error;
use crate::host::{File, FileError, Folder};
use crate::names;
use crate::page::{Collector, Page};
use crate::query::Query;
use crate::settings::{Durability, Settings};
use crate::time::Day;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use append::OpenFile;

/// How many files stay open to append to: late events come for days long past.
const OPEN_FILES: usize = 16;

/// How much waits in memory under `buffered` before it is written without being asked to.
const BUFFER_BYTES: usize = 64 << 10;

pub struct Jsonl<F: Folder> {
    folder: F,
    durability: Durability,
    queue_limit: usize,
    /// The file that was used last comes last.
    open: Vec<OpenFile<F::File>>,
    /// What waits in memory: nothing, but under `buffered`.
    waiting: Batch,
    /// What was seen in the files.
    zones: Vec<Zones>,
}

impl<F: Folder> Jsonl<F> {
    pub fn new(folder: F, settings: &Settings) -> Self {
        Self {
            folder,
            durability: settings.durability,
            queue_limit: settings.queue_limit,
            open: Vec::new(),
            waiting: Batch::default(),
            zones: Vec::new(),
        }
    }

    /// The day's file, open to append to, and its size.
    fn file(&mut self, day: Day) -> Result<(&mut OpenFile<F::File>, u64), Error> {
        let known = self.open.iter().position(|file| file.day == day).map(|place| self.open.remove(place));
        let known = known.filter(|known| self.folder.holds(&names::daily(day), &known.file));
        let known = known.and_then(|known| known.file.size().ok().map(|size| (known, size)));
        let (file, size) = match known {
            Some(known) => known,
            None => self.open_file(day)?,
        };
        if self.open.len() == OPEN_FILES {
            self.open.remove(0);
        }
        Ok((self.open.push_mut(file), size))
    }

    fn open_file(&mut self, day: Day) -> Result<(OpenFile<F::File>, u64), Error> {
        let name = names::daily(day);
        let opened = self.folder.append(&name).and_then(|file| Ok((file.size()?, file)));
        let (size, file) = opened.map_err(|e| self.access("append to", &name, &e))?;
        if let Durability::Synced = self.durability {
            self.folder.sync().map_err(|e| self.access("sync the folder of", &name, &e))?;
        }
        Ok((OpenFile::new(day, file), size))
    }

    fn access(&self, verb: &str, name: &str, error: &FileError) -> Error {
        Error::Access(format!("cannot {verb} {}/{name}: {error}", self.folder.path()))
    }

    /// Writes what waits; what cannot be written waits on.
    fn write_waiting(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut waiting = core::mem::take(&mut self.waiting);
        let result = self.write(&waiting);
        match &result {
            Ok(()) => waiting.clear(),
            Err(refused) => waiting.remove_first(refused.stored),
        }
        self.waiting = waiting;
        result.map_err(|refused| match refused.error {
            Error::Access(text) => {
                Error::Access(format!("{text}; {} events wait in memory", self.waiting.len()))
            }
            other => other,
        })
    }
}

impl<F: Folder> Backend for Jsonl<F> {
    fn append(&mut self, batch: &Batch) -> Result<(), Refused> {
        if self.durability != Durability::Buffered {
            return self.write(batch);
        }
        if self.waiting.is_full_for(batch, self.queue_limit) {
            let written = self.write_waiting();
            if self.waiting.is_full_for(batch, self.queue_limit) {
                let why = written.err().map_or_else(String::new, |error| format!(": {error}"));
                let error =
                    Error::Unavailable(format!("the queue of {} events is full{why}", self.queue_limit));
                return Err(Refused { stored: 0, reason: Reason::QueueFull, error });
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

    fn state(&self) -> State {
        State { pending: self.waiting.len() as u64, ..State::default() }
    }

    fn read(&mut self, query: Query) -> Result<Page, Error> {
        // What cannot be written is seen all the same.
        let _ = self.write_waiting();
        let mut page = Collector::new(&query);
        self.waiting.offer_to(&mut page);
        self.scan(&mut page)?;
        Ok(page.finish())
    }
}

#[cfg(test)]
mod tests;
