//! The thread that owns the instance: it hands over what is queued, answers requests, flushes from time to
//! time, and ends with a drained queue and a closed component.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use audit_format::time::Timestamp;

use crate::component::Component;
use crate::error::Error;
use crate::instance::Instance;
use crate::ledger::{Change, Ledger};
use crate::options::Options;
use crate::queue::{Queue, Taken};
use crate::types::{Active, Event, Receipt, Spooled, Status};
use crate::warnings::Warnings;
use crate::worker::backlog::Backlog;

mod backlog;
mod deliver;
mod recover;
#[cfg(test)]
mod tests;

/// What a caller wants from the worker, answer included.
pub(crate) type Request = Box<dyn FnOnce(&mut Worker) + Send>;

pub(crate) struct Worker {
    queue: Arc<Queue<Request>>,
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

/// How long what goes to the database may hold up all else, where the spool can take the rest.
const PATIENCE: Duration = Duration::from_secs(1);

/// A request that took longer lets what was written meanwhile be handed over before the next.
const BRIEF: Duration = Duration::from_millis(100);

impl Worker {
    pub(crate) fn open(
        component: Option<&Component>,
        options: &Options,
        queue: Arc<Queue<Request>>,
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
        let _end = End(Arc::clone(&self.queue));
        self.publish();
        let mut next_tick = Instant::now() + self.tick;
        let mut asked = VecDeque::new();
        loop {
            let wait_until = if asked.is_empty() { self.due(next_tick) } else { Instant::now() };
            let Taken { events, bytes, requests, refused, closed } = self.queue.take(wait_until);
            self.backlog.append(events, bytes);
            asked.extend(requests);
            if refused.full > self.full {
                self.full = refused.full;
                let text = format!("the queue is full; {} events were not recorded so far", refused.full);
                self.warnings.warn("queue-full", &text);
            }
            if Instant::now() >= self.due(next_tick) {
                self.stalled = None;
                self.deliver();
                let more = self.chores();
                self.publish();
                // What a full queue had kept out fits now.
                self.stalled = None;
                next_tick = Instant::now() + if more { Duration::ZERO } else { self.tick };
            }
            self.deliver();
            self.answer(&mut asked);
            if closed && asked.is_empty() {
                break;
            }
        }
        self.finish();
    }

    /// Does what was asked for, until something took long.
    fn answer(&mut self, asked: &mut VecDeque<Request>) {
        while let Some(request) = asked.pop_front() {
            let began = Instant::now();
            request(self);
            self.publish();
            if began.elapsed() > BRIEF {
                break;
            }
        }
    }

    /// Where the spool can take what the database does not, the component is not to wait for that any longer than
    /// until `at`, or not at all where the queue fills up.
    fn hurry(&mut self, at: Instant) {
        let at = if self.queue.is_half_full() { Instant::now() } else { at };
        self.instance.hurry(self.spools().then_some(at));
    }

    pub(crate) fn write_batch(&mut self, mut events: Vec<Event>) -> Result<Receipt, Error> {
        let count = events.len();
        if let Err(error) = self.ensure_started() {
            self.ledger.refused(count as u64);
            return Err(error);
        }
        match self.written(|instance| instance.write_batch(&events)) {
            Ok((answer, change)) => {
                events.truncate(usize::try_from(change.taken).unwrap_or(usize::MAX));
                self.ledger.accepted(change.taken, Some(events));
                answer
            }
            Err(reason) => {
                self.recover(&reason, &mut events);
                self.ledger.refused(events.len() as u64);
                let stored = count - events.len();
                Err(Error::Trap(format!("{reason}; of {count} events {stored} are stored")))
            }
        }
    }

    pub(crate) fn write_jsonl(&mut self, lines: &str) -> Result<Receipt, Error> {
        let count = || lines.lines().filter(|line| !line.trim().is_empty()).count() as u64;
        if let Err(error) = self.ensure_started() {
            self.ledger.refused(count());
            return Err(error);
        }
        match self.written(|instance| instance.write_jsonl(lines)) {
            Ok((answer, change)) => {
                self.ledger.accepted(change.taken, None);
                answer
            }
            Err(reason) => {
                self.recover(&reason, &mut Vec::new());
                self.ledger.refused(count());
                Err(Error::Trap(format!("{reason}; some of the events may be stored")))
            }
        }
    }

    /// Calls the instance to write, once more where its folder has moved. An error is why it stopped.
    fn written(
        &mut self,
        write: impl Fn(&mut Instance) -> Result<Receipt, Error>,
    ) -> Result<(Result<Receipt, Error>, Change), String> {
        self.hurry(Instant::now() + PATIENCE);
        match self.counted(&write)? {
            (Err(Error::Access(_)), Change { taken: 0, rejected }) if self.follow_folder(rejected) => {
                self.hurry(Instant::now() + PATIENCE);
                self.counted(write)
            }
            outcome => Ok(outcome),
        }
    }

    /// The component that is worked with.
    pub(crate) fn component(&self) -> &Component {
        self.instance.component()
    }

    /// Hands over what was written before, so that another instance can read it. Says which can.
    pub(crate) fn prepare_read(&mut self) -> Result<Whose, Error> {
        if self.seen.backend == Active::Memory {
            return Ok(Whose::Workers);
        }
        if self.seen.counts.pending == 0 {
            return Ok(Whose::Readers);
        }
        let flushed = self.flush_instance();
        match (flushed, self.seen.counts.pending) {
            (_, 0) => Ok(Whose::Readers),
            // What is not in the database is not in a file either, and could be read together with it alone.
            (Err(error), _) if self.seen.backend == Active::Postgres => Err(error),
            // It waits for the disk.
            _ => Ok(Whose::Workers),
        }
    }

    /// Reads with the instance that events are written to.
    pub(crate) fn read<T>(&mut self, read: impl Fn(&mut Instance) -> Result<T, Error>) -> Result<T, Error> {
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
        !self.read_only && self.seen.has_spool()
    }

    /// What is left of the spool, if it becomes smaller.
    fn drains(&self, before: Spooled) -> Option<Spooled> {
        let now = self.seen.spooled();
        (now != Spooled::default() && now < before).then_some(now)
    }

    /// Asks the instance for its status.
    pub(crate) fn refresh(&mut self) {
        if let Err(reason) = self.counted(|_| Ok(())) {
            self.recover(&reason, &mut Vec::new());
        }
        self.publish();
    }

    /// Shows the instance's status with the counts of the whole store.
    fn publish(&self) {
        let mut status = self.seen.clone();
        status.counts = self.ledger.counts();
        status.restarts = self.restarts;
        // Both begin with their time.
        status.last_error = status.last_error.max(self.last_error.clone());
        self.queue.publish(status, self.backlog.len(), self.backlog.bytes());
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
                if status.backend == Active::Spool && self.seen.backend != Active::Spool {
                    // One that was only too slow is not waited for.
                    let wait = if self.instance.hurried() { Duration::ZERO } else { self.recovery_interval };
                    self.probe_at = Instant::now() + wait;
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
    fn finish(&mut self) {
        // Twice, because a component that stops here leaves events to hand over to the next.
        for _ in 0..2 {
            // Why not all of it was taken is kept.
            let _ = self.deliver_all();
            let (backend, since) = (self.seen.backend, self.seen.since.clone());
            match self.counted(Instance::close) {
                Ok((Ok(()), _)) => {
                    // A closed component has none in use.
                    (self.seen.backend, self.seen.since) = (backend, since);
                    break;
                }
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
        self.publish();
    }

    /// Keeps an error for the status, and warns.
    fn note(&mut self, text: &str) {
        self.last_error = Some(format!("{} {text}", Timestamp::from(SystemTime::now())));
        self.warnings.warn("host", text);
    }
}

/// Whose instance can read all that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// That of the reads.
    Readers,
    /// That which events are written to: some of them are in its memory alone.
    Workers,
}

/// Ends the queue with the worker, also where it panics: nobody waits for an answer then.
struct End(Arc<Queue<Request>>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end(!thread::panicking());
    }
}
