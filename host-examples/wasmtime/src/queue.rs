//! The queue between the callers and the worker: a bounded number of events, and requests.
//!
//! Only those who ask to wait for room (`room.rs`) wait for the component. The lock is held only while values are moved,
//! and only the worker prints warnings, so that a slow stderr does not hold up a caller.

mod room;

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use self::room::{Line, Parcel};
use crate::types::{Event, Status};

/// Events and requests that wait for the worker. `R` is a request, which carries the way to answer it.
pub(crate) struct Queue<R> {
    inner: Mutex<Inner<R>>,
    wake: Condvar,
}

struct Inner<R> {
    max_events: usize,
    max_bytes: usize,
    events: VecDeque<Event>,
    bytes: usize,
    /// Events that the worker has taken and not passed on yet. They still count towards the limits.
    held: usize,
    held_bytes: usize,
    /// Events that wait for room.
    line: Line,
    requests: Vec<R>,
    not_queued: NotQueued,
    /// How many large events were changed so that they fit into a line, and what was changed since the worker last
    /// asked.
    mended: u64,
    last_mended: Option<String>,
    worker_waits: bool,
    closed: bool,
    /// The status that the worker last published, without the events that are counted here.
    status: Option<Status>,
}

/// How many events were not put into the queue, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NotQueued {
    /// The queue was full.
    pub(crate) full: u64,
    /// The queue was closed.
    pub(crate) closed: u64,
}

/// All that the worker takes from the queue at once.
pub(crate) struct Taken<R> {
    pub(crate) events: VecDeque<Event>,
    pub(crate) bytes: usize,
    pub(crate) requests: Vec<R>,
    pub(crate) not_queued: NotQueued,
    /// What was changed in an event that was too large.
    pub(crate) mended: Option<String>,
    pub(crate) closed: bool,
}

impl<R> Inner<R> {
    /// How many events are here and with the worker.
    fn count(&self) -> usize {
        self.events.len() + self.held
    }

    /// Whether there is room for an event of this size.
    fn has_room(&self, size: usize) -> bool {
        self.count() < self.max_events && self.bytes + self.held_bytes + size <= self.max_bytes
    }

    fn add(&mut self, Parcel { event, size, mended }: Parcel) {
        self.events.push_back(event);
        self.bytes += size;
        if mended.is_some() {
            self.mended += 1;
            self.last_mended = mended;
        }
    }
}

impl<R> Queue<R> {
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        let inner = Inner {
            events: VecDeque::new(),
            bytes: 0,
            held: 0,
            held_bytes: 0,
            line: Line::default(),
            requests: Vec::new(),
            not_queued: NotQueued::default(),
            mended: 0,
            last_mended: None,
            worker_waits: false,
            closed: false,
            status: None,
            max_events,
            max_bytes,
        };
        Self { inner: Mutex::new(inner), wake: Condvar::new() }
    }

    /// Adds an event, or counts it as not queued. Never blocks.
    pub(crate) fn push(&self, event: Event) {
        let parcel = Parcel::new(event);
        let mut inner = self.lock();
        if inner.closed {
            inner.not_queued.closed += 1;
        } else if !inner.line.is_empty() || !inner.has_room(parcel.size) {
            // What waits for room comes first.
            inner.not_queued.full += 1;
        } else {
            inner.add(parcel);
            self.wake(inner);
        }
    }

    /// Adds a request. If the queue is closed, nobody can answer it, and it is returned.
    pub(crate) fn ask(&self, request: R) -> Result<(), R> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(request);
        }
        inner.requests.push(request);
        self.wake(inner);
        Ok(())
    }

    /// Closes the queue: it takes no more events and requests.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        let waited = inner.close();
        self.wake(inner);
        waited.into_iter().for_each(Waker::wake);
    }

    /// Waits for events, requests or the close, until `deadline` at most, and takes everything. The events
    /// count as held until the next [`Queue::publish`].
    pub(crate) fn take(&self, deadline: Instant) -> Taken<R> {
        let mut inner = self.lock();
        loop {
            let now = Instant::now();
            if !inner.events.is_empty() || !inner.requests.is_empty() || inner.closed || now >= deadline {
                break;
            }
            inner.worker_waits = true;
            let waited = self.wake.wait_timeout(inner, deadline - now);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.worker_waits = false;
        let events = std::mem::take(&mut inner.events);
        let bytes = std::mem::take(&mut inner.bytes);
        inner.held += events.len();
        inner.held_bytes += bytes;
        let requests = std::mem::take(&mut inner.requests);
        let mended = inner.last_mended.take();
        Taken { events, bytes, requests, not_queued: inner.not_queued, mended, closed: inner.closed }
    }

    /// Publishes the worker's status, and how many events and bytes it still holds.
    pub(crate) fn publish(&self, status: Status, events: usize, bytes: usize) {
        let mut inner = self.lock();
        inner.status = Some(status);
        inner.held = events;
        inner.held_bytes = bytes;
        let admitted = inner.admit();
        drop(inner);
        admitted.into_iter().for_each(Waker::wake);
    }

    /// The status that was last published, with the events that wait here and those that were not queued.
    /// `None` if the worker ended by a panic.
    pub(crate) fn status(&self) -> Option<Status> {
        let inner = self.lock();
        let (waiting, not_queued) = (inner.count() as u64, inner.not_queued);
        let mut status = inner.status.clone()?;
        let counts = &mut status.counts;
        counts.received += waiting + not_queued.full + not_queued.closed;
        counts.pending += waiting;
        status.mended += inner.mended;
        counts.dropped.queue_full += not_queued.full;
        counts.dropped.unwritable += not_queued.closed;
        Some(status)
    }

    /// Whether the events, or their bytes, take at least half of the limit.
    pub(crate) fn is_half_full(&self) -> bool {
        let inner = self.lock();
        2 * inner.count() >= inner.max_events || 2 * (inner.bytes + inner.held_bytes) >= inner.max_bytes
    }

    /// Closes the queue when the worker ends, and drops the requests that wait. After a panic of the worker,
    /// no status is returned any more.
    pub(crate) fn end(&self, panicked: bool) {
        let mut inner = self.lock();
        let waited = inner.close();
        inner.requests.clear();
        if panicked {
            inner.status = None;
        }
        drop(inner);
        waited.into_iter().for_each(Waker::wake);
    }

    fn wake(&self, mut inner: MutexGuard<'_, Inner<R>>) {
        // Waking costs a system call, even if the worker does not wait.
        if std::mem::take(&mut inner.worker_waits) {
            drop(inner);
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<R>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
