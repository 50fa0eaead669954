//! The thread that owns the instance: it hands over what is queued, answers requests, flushes from time to
//! time, and ends with a drained queue and a closed component.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::component::Component;
use crate::error::Error;
use crate::instance::Instance;
use crate::ledger::{Change, Ledger};
use crate::options::Options;
use crate::queue::{Queue, Taken};
use crate::types::{Event, Filter, JsonlPage, Page, PageRequest, Receipt, Spooled, Status};
use crate::warnings::Warnings;
use crate::worker::backlog::Backlog;

mod backlog;
mod deliver;
mod recover;
#[cfg(test)]
mod tests;

pub(crate) struct Worker {
    queue: Arc<Queue>,
    warnings: Warnings,
    instance: Instance,
    /// The instance's status after its last call.
    seen: Status,
    ledger: Ledger,
    backlog: Backlog,
    /// Why the backlog was not taken; it waits for the next tick.
    stalled: Option<Error>,
    restarts: u64,
    /// The host's own last error, with its time.
    last_error: Option<String>,
    tick: Duration,
    recovery_interval: Duration,
    read_only: bool,
    /// When the component is to look for spools, and to try a database again that did not answer.
    probe_at: Instant,
    full: u64,
}

impl Worker {
    pub(crate) fn open(
        component: Option<&Component>,
        options: &Options,
        queue: Arc<Queue>,
    ) -> Result<Self, Error> {
        let mut instance = match component {
            Some(component) => Instance::start(component, options)?,
            None => Instance::open(options)?,
        };
        let seen = instance.status()?;
        Ok(Self {
            queue,
            warnings: options.warnings.clone(),
            instance,
            seen,
            ledger: Ledger::default(),
            backlog: Backlog::default(),
            stalled: None,
            restarts: 0,
            last_error: None,
            tick: options.tick(),
            recovery_interval: options.recovery_interval_or_default(),
            read_only: options.read_only,
            probe_at: Instant::now(),
            full: 0,
        })
    }

    /// Works until the queue is closed.
    pub(crate) fn run(mut self) {
        let end = End(Arc::clone(&self.queue));
        let mut next_tick = Instant::now() + self.tick;
        loop {
            let Taken { events, bytes, requests, refused, closed } = self.queue.take(self.due(next_tick));
            self.backlog.append(events, bytes);
            if refused.full > self.full {
                self.full = refused.full;
                let text = format!("the queue is full; {} events were not recorded so far", refused.full);
                self.warnings.warn("queue-full", &text);
            }
            if Instant::now() >= self.due(next_tick) {
                self.stalled = None;
                self.deliver();
                let more = self.chores();
                // What a full queue had kept out fits now.
                self.stalled = None;
                next_tick = Instant::now() + if more { Duration::ZERO } else { self.tick };
            }
            self.deliver();
            for request in requests {
                request(&mut self);
            }
            if closed {
                break;
            }
        }
        let status = self.finish();
        end.0.end(Some(status));
    }

    pub(crate) fn write_batch(&mut self, mut events: Vec<Event>) -> Result<Receipt, Error> {
        let mut followed = false;
        loop {
            let count = events.len();
            if let Err(error) = self.ensure_started() {
                self.ledger.refused(count as u64);
                return Err(error);
            }
            match self.counted(|instance| instance.write_batch(&events)) {
                Ok((Err(Error::Access(_)), Change { taken: 0, rejected }))
                    if !followed && self.follow_folder(rejected) =>
                {
                    followed = true;
                }
                Ok((answer, change)) => {
                    events.truncate(usize::try_from(change.taken).unwrap_or(usize::MAX));
                    self.ledger.accepted(change.taken, Some(events));
                    return answer;
                }
                Err(reason) => {
                    self.recover(&reason, &mut events);
                    self.ledger.refused(events.len() as u64);
                    let stored = count - events.len();
                    return Err(Error::Trap(format!("{reason}; of {count} events {stored} are stored")));
                }
            }
        }
    }

    pub(crate) fn write_jsonl(&mut self, lines: &str) -> Result<Receipt, Error> {
        let count = || lines.lines().filter(|line| !line.trim().is_empty()).count() as u64;
        let mut followed = false;
        loop {
            if let Err(error) = self.ensure_started() {
                self.ledger.refused(count());
                return Err(error);
            }
            match self.counted(|instance| instance.write_jsonl(lines)) {
                Ok((Err(Error::Access(_)), Change { taken: 0, rejected }))
                    if !followed && self.follow_folder(rejected) =>
                {
                    followed = true;
                }
                Ok((answer, change)) => {
                    self.ledger.accepted(change.taken, None);
                    return answer;
                }
                Err(reason) => {
                    self.recover(&reason, &mut Vec::new());
                    self.ledger.refused(count());
                    return Err(Error::Trap(format!("{reason}; some of the events may be stored")));
                }
            }
        }
    }

    pub(crate) fn read(&mut self, filter: &Filter, page: &PageRequest) -> Result<Page, Error> {
        self.reading(|instance| instance.read(filter, page))
    }

    pub(crate) fn read_jsonl(&mut self, filter: &Filter, page: &PageRequest) -> Result<JsonlPage, Error> {
        self.reading(|instance| instance.read_jsonl(filter, page))
    }

    fn reading<T>(&mut self, read: impl Fn(&mut Instance) -> Result<T, Error>) -> Result<T, Error> {
        self.ensure_started()?;
        let answer = match read(&mut self.instance) {
            Err(Error::Access(_)) if self.follow_folder(0) => read(&mut self.instance),
            answer => answer,
        };
        if let Err(Error::Trap(reason)) = &answer {
            self.recover(reason, &mut Vec::new());
        }
        answer
    }

    /// Hands everything over, and drains a part of the spool; what is left of it, if it becomes smaller.
    pub(crate) fn flush(&mut self) -> Result<Option<Spooled>, Error> {
        self.deliver_all()?;
        self.flush_instance()
    }

    /// Hands the backlog over, also where the component's own queue was full: a flush empties that.
    fn deliver_all(&mut self) -> Result<(), Error> {
        self.stalled = None;
        self.deliver();
        if let Some(Error::Unavailable(_)) = self.stalled {
            // Why it was not emptied is why the backlog has to wait.
            let _ = self.flush_instance();
            self.stalled = None;
            self.deliver();
        }
        self.stalled.clone().map_or(Ok(()), Err)
    }

    /// Flushes the component, which drains a part of the spool; what is left of it, if it becomes smaller.
    fn flush_instance(&mut self) -> Result<Option<Spooled>, Error> {
        let before = self.seen.spooled();
        let mut flushed = self.counted(Instance::flush);
        if let Ok((Err(Error::Access(_)), _)) = flushed
            && self.follow_folder(0)
        {
            // With what the instance before had in memory.
            self.stalled = None;
            self.deliver();
            flushed = self.counted(Instance::flush);
        }
        match flushed {
            Ok((answer, _)) => answer.map(|()| self.drains(before)),
            Err(reason) => {
                self.recover(&reason, &mut Vec::new());
                Err(Error::Trap(reason))
            }
        }
    }

    /// What has to be done from time to time: flushes what waits in the component, and has it try the database
    /// again that did not answer. True: there is more to drain, now.
    fn chores(&mut self) -> bool {
        let spools = self.spools();
        let probes = spools && Instant::now() >= self.probe_at;
        if self.seen.counts.pending == 0 && !probes {
            return false;
        }
        // What it cannot hand on stays pending, and shows in the status.
        let left = self.flush_instance();
        let more = spools && matches!(left, Ok(Some(_)));
        if !more {
            self.probe_at = Instant::now() + self.recovery_interval;
        }
        more
    }

    /// When there are chores next.
    fn due(&self, next_tick: Instant) -> Instant {
        if self.spools() { next_tick.min(self.probe_at) } else { next_tick }
    }

    fn spools(&self) -> bool {
        !self.read_only && self.seen.requested == "auto" && self.seen.backend != "jsonl"
    }

    /// What is left of the spool, if it becomes smaller.
    fn drains(&self, before: Spooled) -> Option<Spooled> {
        let now = self.seen.spooled();
        (now != Spooled::default() && now < before).then_some(now)
    }

    pub(crate) fn status(&mut self) -> Status {
        if let Err(reason) = self.counted(|_| Ok(())) {
            self.recover(&reason, &mut Vec::new());
        }
        let (waiting, refused) = self.queue.counts();
        let waiting = (waiting + self.backlog.len()) as u64;
        self.combined(waiting, refused.full, refused.closed)
    }

    /// The instance's status with the counts of the whole store.
    fn combined(&self, waiting: u64, full: u64, closed: u64) -> Status {
        let mut status = self.seen.clone();
        status.counts = self.ledger.counts(waiting, full, closed);
        status.restarts = self.restarts;
        // Both begin with their time.
        status.last_error = status.last_error.max(self.last_error.clone());
        status
    }

    /// Calls the instance and takes over its counts. An error is why it stopped.
    fn counted<T>(
        &mut self,
        call: impl FnOnce(&mut Instance) -> Result<T, Error>,
    ) -> Result<(Result<T, Error>, Change), String> {
        let answer = call(&mut self.instance);
        if let Err(Error::Trap(reason)) = answer {
            return Err(reason);
        }
        match self.instance.status() {
            Ok(status) => {
                let change = self.ledger.observe(&status);
                if status.backend == "spool" && self.seen.backend != "spool" {
                    self.probe_at = Instant::now() + self.recovery_interval;
                }
                self.seen = status;
                Ok((answer, change))
            }
            Err(error) => Err(match error {
                Error::Trap(reason) => reason,
                other => other.to_string(),
            }),
        }
    }

    /// Drains the queue and closes the component.
    fn finish(&mut self) -> Status {
        // Twice, because a component that stops here leaves events to hand over to the next.
        for _ in 0..2 {
            // Why not all of it was taken is kept.
            let _ = self.deliver_all();
            match self.counted(Instance::close) {
                Ok((Ok(()), _)) => break,
                Ok((Err(error), _)) => {
                    self.note(&format!("the store was not closed well: {error}"));
                    break;
                }
                Err(reason) => self.recover(&reason, &mut Vec::new()),
            }
        }
        let (again, _) = if self.seen.counts.pending > 0 { self.ledger.fold() } else { Default::default() };
        let lost = (self.backlog.len() + again.len()) as u64;
        if lost > 0 {
            let why = self.stalled.take().map(|error| format!(": {error}")).unwrap_or_default();
            self.note(&format!("{lost} events were not recorded when the store was closed{why}"));
            self.ledger.lost(lost);
            self.backlog = Backlog::default();
        }
        let (_, refused) = self.queue.counts();
        self.combined(0, refused.full, 0)
    }

    /// Keeps an error for the status, and warns.
    fn note(&mut self, text: &str) {
        self.last_error = Some(format!("{} {text}", clock::now()));
        self.warnings.warn("host", text);
    }
}

/// Ends the queue with the worker, also where it panics: nobody waits for an answer then.
struct End(Arc<Queue>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end(None);
    }
}
