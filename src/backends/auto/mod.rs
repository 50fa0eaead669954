//! The host's database while it answers, else a spool on disk. What is in the spool goes into the database before
//! anything newer, so that the rows of a chain are inserted in the order of their `seq`.

mod drain;
mod spool;

use super::rows::{self, Refusal};
use crate::accounting::DropReason;
use crate::backend::{Backend, Holdings, Left, Notice, Refused};
use crate::batch::Batch;
use crate::error::Error;
use crate::host::Host;
use crate::settings::Settings;
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

/// How long one call may drain, in microseconds: its caller has other things to do.
const DRAIN_MICROS: i64 = 1_000_000;

/// How many lines a write drains at least, once it is time.
const DRAIN_LINES: usize = 1_000;

pub struct Auto<H: Host> {
    host: Rc<H>,
    batch_size: usize,
    queue_limit: usize,
    recovery_micros: u64,
    /// What waits in memory: for a batch to be full, or while neither database nor disk take anything.
    waiting: Batch,
    spool: Spool<H>,
    /// Whether the database is passed over.
    spooling: bool,
    since: Timestamp,
    /// When the database was last tried in vain, and how many microseconds off it is tried again: not a time to
    /// wait for, as the clock can be set back.
    tried: (Timestamp, u64),
    notices: Vec<Notice>,
}

impl<H: Host> Auto<H> {
    pub fn new(host: Rc<H>, chain: Uuid, settings: &Settings, left: &mut Vec<Left>) -> Self {
        let now = host.now();
        let spool = Spool::new(Rc::clone(&host), chain, settings, left);
        Self {
            host,
            batch_size: settings.batch_size,
            queue_limit: settings.queue_limit,
            recovery_micros: settings.recovery_interval_s.saturating_mul(1_000_000),
            waiting: Batch::default(),
            // What was left goes first.
            spooling: !spool.is_empty(),
            spool,
            since: now,
            tried: (now, 0),
            notices: Vec::new(),
        }
    }

    /// Sends what waits, as long as there are at least `least` lines, and falls back to the spool.
    fn send(&mut self, least: usize) {
        let (spool, notices) = (&mut self.spool, &mut self.notices);
        let mut refused = |refusal: &Refusal<'_>| notices.push(spool.set_aside(refusal));
        let sent = rows::send(&*self.host, &mut self.waiting, self.batch_size, least, &mut refused);
        if let Err(error) = sent {
            self.tell(Topic::Database, format!("{error}; events go to the spool in {}", self.spool.path()));
            self.set_spooling(true);
            self.spool_waiting();
        }
    }

    /// Moves what waits to the spool. What cannot be written goes on waiting.
    fn spool_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        match self.spool.append(&self.waiting) {
            Ok(()) => self.waiting.clear(),
            Err(error) => self.tell(Topic::Flush, error.to_string()),
        }
    }

    /// Tries the database again, with what is in the spool.
    fn recover(&mut self, budget: Budget) {
        self.tried.1 = 0;
        let probes = !self.spool.is_empty();
        match self.spool.drain(budget) {
            Ok(true) => {
                self.set_spooling(false);
                // Else it has not been asked: the next batch will tell.
                if probes {
                    self.tell(
                        Topic::Recovered,
                        "the database answers again; the spool is drained".to_string(),
                    );
                }
            }
            // The rest is drained by the next call.
            Ok(false) => {}
            Err(error) => {
                self.tried = (self.host.now(), self.recovery_micros);
                self.tell(Topic::Database, format!("{error}; events stay in the spool"));
            }
        }
    }

    fn set_spooling(&mut self, spooling: bool) {
        self.spooling = spooling;
        self.since = self.host.now();
        self.tried = (self.since, self.recovery_micros);
    }

    /// Whether the database is to be tried again.
    fn is_due(&self) -> bool {
        let (tried, pause) = self.tried;
        self.host.now().micros().abs_diff(tried.micros()) >= pause
    }

    fn tell(&mut self, topic: Topic, text: String) {
        self.notices.push(Notice { topic, text, lost: 0 });
    }

    fn budget(&self, lines: usize) -> Budget {
        let until = self.host.now().micros().saturating_add(DRAIN_MICROS);
        Budget { lines, until: Timestamp::clamped(until), begun: false }
    }
}

impl<H: Host> Backend for Auto<H> {
    fn append(&mut self, batch: &Batch) -> Result<(), Refused> {
        if self.waiting.is_full_for(batch, self.queue_limit) {
            // Which falls back to the spool.
            if self.spooling { self.spool_waiting() } else { self.send(1) }
        }
        if self.waiting.is_full_for(batch, self.queue_limit) {
            let error = format!(
                "neither the database nor the spool takes anything, and the queue of {} events is full",
                self.queue_limit
            );
            return Err(Refused {
                stored: 0,
                reason: DropReason::QueueFull,
                error: Error::Unavailable(error),
            });
        }
        self.waiting.extend(batch);
        if !self.spooling {
            self.send(self.batch_size);
            return Ok(());
        }
        self.spool_waiting();
        if self.is_due() {
            // More than the spool grows.
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
            self.tell(Topic::Database, format!("{error}; the spools of other instances stay"));
            if !matches!(error, Error::Access(_)) {
                // No other call has to wait for it too.
                self.set_spooling(true);
            }
        }
        match self.waiting.len() {
            0 => Ok(()),
            waiting => {
                let path = self.spool.path();
                let error = format!("neither the database nor the spool in {path} takes anything");
                Err(Error::Access(error).with_unstored(waiting))
            }
        }
    }

    fn holdings(&self) -> Holdings {
        Holdings {
            pending: self.waiting.len() as u64,
            spooled: self.spool.lines(),
            spooled_by_others: self.spool.bytes_of_others(),
            active: Some((if self.spooling { "spool" } else { "postgres" }, self.since)),
        }
    }

    fn leave(&mut self) -> Option<Left> {
        Some(self.spool.leave())
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
