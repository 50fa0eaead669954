//! The host's database while it answers, else a spool on disk. Spooled events are inserted before newer ones,
//! so that the rows of a chain are inserted in the order of their `seq`.

mod drain;
mod outage;
mod refused;
mod scan;
mod spool;

use super::rows::{self, Refusal, Waiting};
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
use outage::Outage;
use spool::Spool;
use uuid::Uuid;

/// How long one call may drain the spool, in microseconds: its caller waits.
const DRAIN_MICROS: i64 = 1_000_000;

/// How many lines a write drains besides twice its own, once the database is tried again.
const DRAIN_LINES: usize = 1_000;

/// How long an instance that is being closed drains what others have left, in microseconds. It may have lived for one event,
/// whose writer waits.
const CLOSE_MICROS: i64 = 40_000;

/// How many lines it then inserts at once.
const CLOSE_BATCH: usize = 200;

/// How long a try takes at least that has waited for an answer, in microseconds.
const LONG_MICROS: u64 = 100_000;

/// How long after such a try an instance that is being closed does not try again, in microseconds.
const RECENT_MICROS: u64 = 10_000_000;

pub struct Auto<H: Host> {
    host: Rc<H>,
    batch_size: usize,
    queue_limit: usize,
    recovery_micros: u64,
    /// The lines that wait in memory: until a batch is full, or while neither the database nor the spool
    /// takes them.
    waiting: Waiting,
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
    /// The outage that the folder tells of.
    outage: Option<Outage>,
    /// Whether this instance finds out by itself whether the database answers, rather than from the folder.
    finds_out: bool,
    /// When a try that failed last ended, if it had waited long for an answer.
    waited: Option<Timestamp>,
    notices: Vec<Notice>,
}

impl<H: Host> Auto<H> {
    pub fn new(host: Rc<H>, chain: Uuid, settings: &Settings, leftovers: &mut Vec<Leftover>) -> Self {
        let now = host.now();
        let mut spool = Spool::new(Rc::clone(&host), chain, settings, leftovers);
        let outage = Outage::known(&mut spool.folder);
        Self {
            host,
            batch_size: settings.batch_size,
            queue_limit: settings.queue_limit,
            recovery_micros: settings.recovery_interval_s.saturating_mul(1_000_000),
            waiting: Waiting::default(),
            // What an earlier backend has left is inserted first.
            spooling: !spool.is_empty() || outage.is_some(),
            spool,
            since: outage.map_or(now, |outage| outage.since),
            tried_at: now,
            retry_micros: 0,
            outage,
            finds_out: outage.is_none(),
            waited: None,
            notices: Vec::new(),
        }
    }

    /// Sends waiting lines in batches, as long as at least `least` of them wait. If the database fails, the
    /// lines go to the spool.
    fn send(&mut self, least: usize) {
        let (spool, notices) = (&mut self.spool, &mut self.notices);
        let mut on_refusal = |refusal: &Refusal<'_>| notices.push(spool.set_aside(refusal));
        let (waiting, asked) = (self.waiting.lines.len(), self.host.now());
        let sent = self.waiting.send(&*self.host, self.batch_size, least, &mut on_refusal);
        match sent {
            Ok(()) if self.waiting.lines.len() < waiting => self.end_outage(),
            Ok(()) => {}
            Err(error) => {
                let text = format!("{error}; events go to the spool in {}", self.spool.path());
                self.note(Topic::Database, text);
                self.set_spooling(true);
                self.spool_waiting();
                self.note_outage(&error.into(), asked);
            }
        }
    }

    /// Moves the waiting lines to the spool. If it cannot be written, they keep waiting.
    fn spool_waiting(&mut self) {
        if self.waiting.lines.is_empty() {
            return;
        }
        match self.spool.append(&self.waiting.lines) {
            Ok(()) => self.waiting.clear(),
            Err(error) => self.note(Topic::Flush, error.to_string()),
        }
    }

    /// Tries the database again, by draining the spool.
    fn recover(&mut self, budget: Budget) {
        // The next write goes on draining.
        self.retry_micros = 0;
        let asked = self.host.now();
        let drained = self.spool.drain(budget);
        // With an empty spool the database was not asked: the next batch shows whether it answers.
        let is_answered = self.spool.was_answered() && drained.is_ok();
        if is_answered {
            self.end_outage();
        }
        match drained {
            Ok(true) => {
                self.set_spooling(false);
                if is_answered {
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
                self.note_outage(&error, asked);
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

    /// Whether a write should try the database again. Where others have found out that it does not answer, one instance
    /// tries in their place, and the others wait.
    fn is_due(&mut self) -> bool {
        let now = self.host.now();
        match self.outage {
            Some(outage) if !self.finds_out => {
                if outage.lasts(now, self.recovery_micros) {
                    return false;
                }
                let next = Outage::after(Some(outage), now, self.recovery_micros);
                self.outage = Some(next);
                self.finds_out = outage.claim(next, &mut self.spool.folder, self.spool.chain);
                self.finds_out
            }
            _ => now.micros().abs_diff(self.tried_at.micros()) >= self.retry_micros,
        }
    }

    /// Whether a store that is being closed should try the database again: not where it has just waited for it.
    fn is_worth_a_try(&mut self) -> bool {
        let now = self.host.now().micros();
        match self.waited {
            _ if !self.finds_out => self.is_due(),
            Some(waited) => now.abs_diff(waited.micros()) >= RECENT_MICROS,
            None => true,
        }
    }

    /// Has the folder remember that the database, which was asked at this time, does not answer. Any other error holds
    /// nobody up.
    fn note_outage(&mut self, error: &Error, asked: Timestamp) {
        if let Error::Unavailable(_) | Error::Unanswered(_) = error {
            let now = self.host.now();
            let outage = Outage::after(self.outage, now, self.recovery_micros);
            outage.remember(&mut self.spool.folder, self.spool.chain);
            self.outage = Some(outage);
            self.finds_out = true;
            self.waited = (now.micros().abs_diff(asked.micros()) >= LONG_MICROS).then_some(now);
        }
    }

    /// Has the folder forget the outage, since the database answers.
    fn end_outage(&mut self) {
        if self.outage.take().is_some() {
            Outage::end(&mut self.spool.folder);
        }
        self.finds_out = true;
        self.waited = None;
    }

    /// Keeps a message for the store.
    fn note(&mut self, topic: Topic, text: String) {
        self.notices.push(Notice { topic, text, lost: 0 });
    }

    /// A budget of this many lines, and of the time that one call may drain.
    fn budget(&self, lines: usize) -> Budget {
        self.budget_of(DRAIN_MICROS, lines, self.spool.batch_size)
    }

    fn budget_of(&self, micros: i64, lines: usize, batch: usize) -> Budget {
        let until = self.host.now().micros().saturating_add(micros);
        Budget { lines, batch, until: Timestamp::clamped(until), started: false }
    }

    /// Drains what other instances have left, if it could be listed.
    fn drain_others(&mut self, listed: Result<(), Error>, budget: Budget) {
        let asked = self.host.now();
        let drained = listed.and_then(|()| self.spool.drain_others(budget));
        if self.spool.was_answered() && drained.is_ok() {
            self.end_outage();
        }
        if let Err(error) = drained {
            self.note(Topic::Database, format!("{error}; the spool files of other instances stay"));
            if !matches!(error, Error::Access(_)) {
                // The database fails: the next calls should not wait for it too.
                self.set_spooling(true);
                self.note_outage(&error, asked);
            }
        }
    }

    /// Fails if lines still wait in memory.
    fn check_waiting(&self) -> Result<(), Error> {
        if self.waiting.lines.is_empty() {
            return Ok(());
        }
        let path = self.spool.path();
        let text = format!("neither the database nor the spool in {path} takes events");
        Err(self.waiting.error(Error::Access(text)))
    }
}

impl<H: Host> Backend for Auto<H> {
    fn append(&mut self, batch: &Batch) -> Result<(), Rejected> {
        if self.waiting.lines.is_full_for(batch, self.queue_limit) {
            // `send` goes to the spool if the database fails.
            if self.spooling { self.spool_waiting() } else { self.send(1) }
        }
        if self.waiting.lines.is_full_for(batch, self.queue_limit) {
            let text = format!(
                "neither the database nor the spool takes events, and the queue of {} is full",
                events(self.queue_limit)
            );
            let error = Error::Unavailable(text);
            return Err(Rejected { stored: 0, reason: DropReason::QueueFull, error });
        }
        self.waiting.lines.extend(batch);
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
        if !self.spooling {
            let listed = self.spool.list_others();
            self.drain_others(listed.map(drop), self.budget(usize::MAX));
        }
        self.check_waiting()
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.spooling {
            self.spool_waiting();
            if self.is_worth_a_try() {
                self.recover(self.budget(usize::MAX));
            }
        }
        if !self.spooling {
            self.send(1);
        }
        if !self.spooling && self.spool.visits_others() {
            self.drain_others(Ok(()), self.budget_of(CLOSE_MICROS, usize::MAX, CLOSE_BATCH));
        }
        self.check_waiting()
    }

    fn survey(&mut self) {
        self.spool.survey();
    }

    fn holdings(&self) -> Holdings {
        Holdings {
            pending: self.waiting.lines.len() as u64,
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
            waiting.lines.offer_to(page);
            spool.scan(page)
        })
    }
}

#[cfg(test)]
mod tests;
