//! The host's database while it answers, else a spool on disk. Spooled events are inserted before newer ones,
//! so that the rows of a chain are inserted in the order of their `seq`.

mod drain;
mod refused;
mod scan;
mod spool;

use super::rows::{self, Refusal};
use crate::accounting::{DropReason, events};
use crate::backend::{Backend, Holdings, Leftover, Notice, Rejected};
use crate::batch::Batch;
use crate::error::Error;
use crate::host::Host;
use crate::settings::{Active, Settings};
use crate::sink::{End, Sink};
use crate::warnings::Topic;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::query::Query;
use audit_format::time::Timestamp;
use drain::Budget;
use spool::Spool;
use uuid::Uuid;

/// How long one call may drain the spool, in microseconds: its caller waits.
const DRAIN_MICROS: i64 = 1_000_000;

/// How many lines a write drains besides twice its own, once the database is tried again.
const DRAIN_LINES: usize = 1_000;

pub struct Auto<H: Host> {
    host: Rc<H>,
    batch_size: usize,
    queue_limit: usize,
    recovery_micros: u64,
    /// The lines that wait in memory: until a batch is full, or while neither the database nor the spool
    /// takes them.
    waiting: Batch,
    spool: Spool<H>,
    /// Whether events go to the spool, and not to the database.
    spooling: bool,
    /// When `spooling` last changed.
    since: Timestamp,
    /// When the database was last tried.
    tried_at: Timestamp,
    /// How far the clock has to be from `tried_at` before a write tries the database again. It may be set
    /// back, so a time to wait for would not do.
    retry_micros: u64,
    notices: Vec<Notice>,
}

impl<H: Host> Auto<H> {
    pub fn new(host: Rc<H>, chain: Uuid, settings: &Settings, leftovers: &mut Vec<Leftover>) -> Self {
        let now = host.now();
        let spool = Spool::new(Rc::clone(&host), chain, settings, leftovers);
        Self {
            host,
            batch_size: settings.batch_size,
            queue_limit: settings.queue_limit,
            recovery_micros: settings.recovery_interval_s.saturating_mul(1_000_000),
            waiting: Batch::default(),
            // What an earlier backend has left is inserted first.
            spooling: !spool.is_empty(),
            spool,
            since: now,
            tried_at: now,
            retry_micros: 0,
            notices: Vec::new(),
        }
    }

    /// Sends waiting lines in batches, as long as at least `least` of them wait. If the database fails, the
    /// lines go to the spool.
    fn send(&mut self, least: usize) {
        let (spool, notices) = (&mut self.spool, &mut self.notices);
        let mut on_refusal = |refusal: &Refusal<'_>| notices.push(spool.set_aside(refusal));
        let sent = rows::send(&*self.host, &mut self.waiting, self.batch_size, least, &mut on_refusal);
        if let Err(error) = sent {
            self.note(Topic::Database, format!("{error}; events go to the spool in {}", self.spool.path()));
            self.set_spooling(true);
            self.spool_waiting();
        }
    }

    /// Moves the waiting lines to the spool. If it cannot be written, they keep waiting.
    fn spool_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        match self.spool.append(&self.waiting) {
            Ok(()) => self.waiting.clear(),
            Err(error) => self.note(Topic::Flush, error.to_string()),
        }
    }

    /// Tries the database again, by draining the spool.
    fn recover(&mut self, budget: Budget) {
        // The next write goes on draining.
        self.retry_micros = 0;
        let asks_database = !self.spool.is_empty();
        match self.spool.drain(budget) {
            Ok(true) => {
                self.set_spooling(false);
                // With an empty spool the database was not asked: the next batch shows whether it answers.
                if asks_database {
                    self.note(
                        Topic::Recovered,
                        "the database answers again; the spool is drained".to_string(),
                    );
                }
            }
            // The budget is used up.
            Ok(false) => {}
            Err(error) => {
                self.tried_at = self.host.now();
                self.retry_micros = self.recovery_micros;
                self.note(Topic::Database, format!("{error}; events stay in the spool"));
            }
        }
    }

    fn set_spooling(&mut self, spooling: bool) {
        self.spooling = spooling;
        self.since = self.host.now();
        self.tried_at = self.since;
        self.retry_micros = self.recovery_micros;
    }

    /// Whether a write should try the database again.
    fn is_due(&self) -> bool {
        self.host.now().micros().abs_diff(self.tried_at.micros()) >= self.retry_micros
    }

    /// Keeps a message for the store.
    fn note(&mut self, topic: Topic, text: String) {
        self.notices.push(Notice { topic, text, lost: 0 });
    }

    /// A budget of this many lines, and of the time that one call may drain.
    fn budget(&self, lines: usize) -> Budget {
        let until = self.host.now().micros().saturating_add(DRAIN_MICROS);
        Budget { lines, until: Timestamp::clamped(until), started: false }
    }
}

impl<H: Host> Backend for Auto<H> {
    fn append(&mut self, batch: &Batch) -> Result<(), Rejected> {
        if self.waiting.is_full_for(batch, self.queue_limit) {
            // `send` goes to the spool if the database fails.
            if self.spooling { self.spool_waiting() } else { self.send(1) }
        }
        if self.waiting.is_full_for(batch, self.queue_limit) {
            let text = format!(
                "neither the database nor the spool takes events, and the queue of {} is full",
                events(self.queue_limit)
            );
            let error = Error::Unavailable(text);
            return Err(Rejected { stored: 0, reason: DropReason::QueueFull, error });
        }
        self.waiting.extend(batch);
        if !self.spooling {
            self.send(self.batch_size);
            return Ok(());
        }
        self.spool_waiting();
        if self.is_due() {
            // More than this write adds, so that the spool shrinks.
            self.recover(self.budget(2 * batch.len() + DRAIN_LINES));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.spooling {
            self.spool_waiting();
            self.recover(self.budget(usize::MAX));
        }
        if !self.spooling {
            self.send(1);
        }
        if !self.spooling
            && let Err(error) = self.spool.drain_others(self.budget(usize::MAX))
        {
            self.note(Topic::Database, format!("{error}; the spool files of other instances stay"));
            if !matches!(error, Error::Access(_)) {
                // The database fails: the next calls should not wait for it too.
                self.set_spooling(true);
            }
        }
        match self.waiting.len() {
            0 => Ok(()),
            waiting => {
                let path = self.spool.path();
                let text = format!("neither the database nor the spool in {path} takes events");
                Err(Error::Access(text).with_unstored(waiting))
            }
        }
    }

    fn holdings(&self) -> Holdings {
        Holdings {
            pending: self.waiting.len() as u64,
            spooled: self.spool.counted(),
            spooled_by_others: self.spool.bytes_of_others(),
            active: Some((if self.spooling { Active::Spool } else { Active::Postgres }, self.since)),
        }
    }

    fn retire(&mut self) -> Option<Leftover> {
        Some(self.spool.retire())
    }

    fn notices(&mut self) -> Vec<Notice> {
        let mut notices = core::mem::take(&mut self.notices);
        notices.append(&mut self.spool.notices);
        notices
    }

    fn read(&mut self, query: &Query, sink: &mut dyn Sink) -> Result<End, Error> {
        let (waiting, spool) = (&self.waiting, &mut self.spool);
        rows::read(&*self.host, query, sink, &mut |page| {
            waiting.offer_to(page);
            spool.scan(page)
        })
    }
}

#[cfg(test)]
mod tests;
