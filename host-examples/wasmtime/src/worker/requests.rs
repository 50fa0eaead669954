//! How the worker answers callers that wait: batches to write, and reads that only its own instance can
//! answer.

use std::time::Instant;

use super::{INSERT_TIME, ReadVia, Worker};
use crate::error::Error;
use crate::instance::{Instance, room};
use crate::ledger::Change;
use crate::types::{Active, Event, Receipt};
use crate::warnings::events_were;

impl Worker {
    pub(crate) fn write_batch(&mut self, mut events: Vec<Event>) -> Result<Receipt, Error> {
        let count = events.len();
        if let Err(error) = self.ensure_started() {
            self.ledger.rejected(count as u64);
            return Err(error);
        }
        match self.call_writer(|instance| instance.write_events(&events)) {
            Ok((answer, change)) => {
                self.count_refused(&answer, change, || count as u64);
                events.truncate(usize::try_from(change.taken).unwrap_or(usize::MAX));
                self.ledger.accepted(change.taken, Some(events));
                answer
            }
            Err(reason) => {
                self.recover(&reason, &mut events);
                self.ledger.rejected(events.len() as u64);
                let (stored, all) = (count - events.len(), events_were(count as u64));
                Err(Error::Trap(format!("{reason}; {stored} of {all} stored")))
            }
        }
    }

    pub(crate) fn write_jsonl(&mut self, lines: &str) -> Result<Receipt, Error> {
        let count = || room::count_of(lines) as u64;
        if let Err(error) = self.ensure_started() {
            self.ledger.rejected(count());
            return Err(error);
        }
        match self.call_writer(|instance| instance.write_jsonl(lines)) {
            Ok((answer, change)) => {
                self.count_refused(&answer, change, count);
                self.ledger.accepted(change.taken, None);
                answer
            }
            Err(reason) => {
                self.recover(&reason, &mut Vec::new());
                self.ledger.rejected(count());
                Err(Error::Trap(format!("{reason}; some of the events may be stored")))
            }
        }
    }

    /// Counts a batch that was refused before the component got it.
    fn count_refused(
        &mut self,
        answer: &Result<Receipt, Error>,
        change: Change,
        count: impl FnOnce() -> u64,
    ) {
        if answer.is_err() && change == (Change { taken: 0, rejected: 0 }) {
            self.ledger.rejected(count());
        }
    }

    /// Calls the instance to write, and once more if its folder has moved. The outer error says why the
    /// instance stopped.
    fn call_writer(
        &mut self,
        write: impl Fn(&mut Instance) -> Result<Receipt, Error>,
    ) -> Result<(Result<Receipt, Error>, Change), String> {
        self.limit_inserts(Instant::now() + INSERT_TIME);
        match self.call(&write)? {
            (Err(Error::Access(_)), Change { taken: 0, rejected }) if self.follow_folder(rejected) => {
                self.limit_inserts(Instant::now() + INSERT_TIME);
                self.call(write)
            }
            outcome => Ok(outcome),
        }
    }

    /// If a spool can take the events that the database does not take in time, the component inserts nothing
    /// more after `deadline`, or at once if the queue is filling up.
    pub(super) fn limit_inserts(&mut self, deadline: Instant) {
        let deadline = if self.queue.is_half_full() { Instant::now() } else { deadline };
        self.instance.set_insert_deadline(self.spools().then_some(deadline));
    }

    /// Passes on what was written before, so that another instance can read it, and says which instance can.
    pub(crate) fn prepare_read(&mut self, asked: Instant) -> Result<ReadVia, Error> {
        if self.last_status.backend == Active::Memory {
            return Ok(ReadVia::Worker);
        }
        if self.last_status.counts.pending == 0 {
            return Ok(ReadVia::Reader);
        }
        self.unanswered.check(asked)?;
        // An error is why events stay in the memory of the worker's instance, which alone can read them then.
        let _ = self.flush_instance();
        Ok(if self.last_status.counts.pending == 0 { ReadVia::Reader } else { ReadVia::Worker })
    }

    /// Reads with the instance that events are written to.
    pub(crate) fn read<T>(&mut self, read: impl Fn(&mut Instance) -> Result<T, Error>) -> Result<T, Error> {
        self.ensure_started()?;
        let answer = match read(&mut self.instance) {
            Err(Error::Access(_)) if self.follow_folder(0) => read(&mut self.instance),
            answer => answer,
        };
        self.unanswered.observe(&answer);
        if let Err(Error::Trap(reason)) = &answer {
            self.recover(reason, &mut Vec::new());
        }
        answer
    }
}
