//! The thread that owns the instance. It passes queued events to the component, answers requests and flushes
//! from time to time. When the queue is closed it drains it, closes the component and ends.

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
use crate::types::{Active, Status};
use crate::unanswered::Unanswered;
use crate::warnings::{Warnings, events_were};
use crate::worker::backlog::Backlog;

mod backlog;
mod deliver;
mod flush;
mod recover;
mod requests;
#[cfg(test)]
mod tests;

/// What a caller wants from the worker. The function also sends the answer.
pub(crate) type Request = Box<dyn FnOnce(&mut Worker) + Send>;

pub(crate) struct Worker {
    queue: Arc<Queue<Request>>,
    warnings: Warnings,
    instance: Instance,
    /// The status of the instance after its last call.
    last_status: Status,
    ledger: Ledger,
    backlog: Backlog,
    /// Why the component did not take the backlog, which then waits for the next flush.
    stalled: Option<Error>,
    restarts: u64,
    /// The last error that the host itself noted, with its time.
    last_error: Option<String>,
    flush_interval: Duration,
    recovery_interval: Duration,
    read_only: bool,
    /// When the component next drains what is in the spool, and tries a database again that did not answer.
    probe_at: Instant,
    unanswered: Unanswered,
    /// How many events the full queue had dropped at the last warning of that.
    warned_full: u64,
}

/// How long inserts into the database may hold up the worker while a spool can take the events instead.
const INSERT_TIME: Duration = Duration::from_secs(1);

/// After a request that took longer, the worker passes on queued events before it answers the next request.
const SHORT_REQUEST: Duration = Duration::from_millis(100);

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
        let last_status = instance.status()?;
        Ok(Self {
            queue,
            warnings: options.warnings.clone(),
            instance,
            last_status,
            ledger: Ledger::default(),
            backlog: Backlog::default(),
            stalled: None,
            restarts: 0,
            last_error: None,
            flush_interval: options.flush_interval_or_default(),
            recovery_interval: options.recovery_interval_or_default(),
            read_only: options.read_only,
            probe_at: Instant::now(),
            unanswered: Unanswered::default(),
            warned_full: 0,
        })
    }

    /// Works until the queue is closed and drained.
    pub(crate) fn run(mut self) {
        let _end = EndQueue(Arc::clone(&self.queue));
        self.publish();
        let mut next_flush = Instant::now() + self.flush_interval;
        let mut requests = VecDeque::new();
        loop {
            let wait_until = if requests.is_empty() { self.chores_at(next_flush) } else { Instant::now() };
            let Taken { events, bytes, requests: new_requests, not_queued, mended, closed } =
                self.queue.take(wait_until);
            self.backlog.append(events, bytes);
            requests.extend(new_requests);
            if let Some(changes) = mended {
                self.warnings.warn("mended", &changes);
            }
            if not_queued.full > self.warned_full {
                self.warned_full = not_queued.full;
                let dropped = events_were(not_queued.full);
                self.warnings.warn("queue-full", &format!("the queue is full; {dropped} dropped so far"));
            }
            if Instant::now() >= self.chores_at(next_flush) {
                self.stalled = None;
                self.deliver();
                let more_to_drain = self.do_chores();
                self.publish();
                // The flush may have emptied the component's own queue, for which the backlog had to wait.
                self.stalled = None;
                next_flush =
                    Instant::now() + if more_to_drain { Duration::ZERO } else { self.flush_interval };
            }
            self.deliver();
            self.answer(&mut requests);
            if closed && requests.is_empty() {
                break;
            }
        }
        self.finish();
    }

    /// Answers requests until one of them takes long.
    fn answer(&mut self, requests: &mut VecDeque<Request>) {
        while let Some(request) = requests.pop_front() {
            let began = Instant::now();
            request(self);
            self.publish();
            if began.elapsed() > SHORT_REQUEST {
                break;
            }
        }
    }

    /// The component that the worker runs.
    pub(crate) fn component(&self) -> &Component {
        self.instance.component()
    }

    /// Gets the status of the instance, and publishes it.
    pub(crate) fn refresh(&mut self) {
        if let Err(reason) = self.call(|_| Ok(())) {
            self.recover(&reason, &mut Vec::new());
        }
        self.publish();
    }

    /// Publishes the status of the instance with the counts of the whole store.
    fn publish(&self) {
        let mut status = self.last_status.clone();
        status.counts = self.ledger.counts();
        status.mended = self.ledger.mended();
        status.restarts = self.restarts;
        // Both texts begin with their time in the same format, so that the greater one is the later one.
        status.last_error = status.last_error.max(self.last_error.clone());
        self.queue.publish(status, self.backlog.len(), self.backlog.bytes());
    }

    /// Calls the instance, and takes over its counts. The outer error says why the instance stopped.
    fn call<T>(
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
                if status.backend == Active::Spool && self.last_status.backend != Active::Spool {
                    // A database that was only too slow for the deadline is tried again at once.
                    let slow = self.instance.missed_insert_deadline();
                    let wait = if slow { Duration::ZERO } else { self.recovery_interval };
                    self.probe_at = Instant::now() + wait;
                }
                self.last_status = status;
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
        let mut unanswered = false;
        // A second round passes the events of a component that stops here to the one that replaces it.
        for _ in 0..2 {
            // If the backlog is not taken, `stalled` keeps the reason.
            let _ = self.deliver_all();
            let (backend, since) = (self.last_status.backend, self.last_status.since.clone());
            match self.call(Instance::close) {
                Ok((Ok(()), _)) => {
                    // A closed component reports no backend. The last status shows the one that was in use.
                    (self.last_status.backend, self.last_status.since) = (backend, since);
                    break;
                }
                Ok((Err(error), _)) => {
                    unanswered = matches!(error, Error::Unanswered(_));
                    self.note(&format!("the store could not be closed: {error}"));
                    break;
                }
                Err(reason) => self.recover(&reason, &mut Vec::new()),
            }
        }
        let pending = self.last_status.counts.pending > 0;
        let (unwritten, _) = if pending { self.ledger.carry_over() } else { Default::default() };
        let lost = (self.backlog.len() + unwritten.len()) as u64;
        if lost > 0 {
            let why = self.stalled.take().map(|error| format!(": {error}")).unwrap_or_default();
            let events = events_were(lost);
            self.note(&match unanswered {
                true => {
                    format!("{events} given up when the store was closed, and may be recorded or not{why}")
                }
                false => format!("{events} not recorded when the store was closed{why}"),
            });
            self.ledger.lost(lost);
            self.backlog = Backlog::default();
        }
        self.publish();
    }

    /// Notes an error for the status, and warns.
    fn note(&mut self, text: &str) {
        self.last_error = Some(format!("{} {text}", Timestamp::from(SystemTime::now())));
        self.warnings.warn("host", text);
    }
}

/// The instance that can read all that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadVia {
    /// The reader's instance.
    Reader,
    /// The worker's instance, because some of the events are in its memory alone.
    Worker,
}

/// Ends the queue with the worker, also if it panics, so that nobody waits for an answer.
struct EndQueue(Arc<Queue<Request>>);

impl Drop for EndQueue {
    fn drop(&mut self) {
        self.0.end(thread::panicking());
    }
}
