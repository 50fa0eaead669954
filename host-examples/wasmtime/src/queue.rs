//! What waits between the callers and the worker: events, bounded, and requests.
//!
//! Nothing here waits for the component. The lock is held for moving values only, and the worker alone prints
//! warnings, so that a caller is not held up by a slow stderr.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::types::{Event, Status};

/// What waits. `R` is what a caller wants from the worker, answer included.
pub(crate) struct Queue<R> {
    max_events: usize,
    max_bytes: usize,
    inner: Mutex<Inner<R>>,
    wake: Condvar,
}

struct Inner<R> {
    events: VecDeque<Event>,
    bytes: usize,
    /// What the worker has taken, but still keeps.
    held: usize,
    held_bytes: usize,
    requests: Vec<R>,
    /// Events that found the queue full, and events that came after it was closed.
    refused: Refused,
    worker_waits: bool,
    closed: bool,
    /// What the worker last said, without what is counted here.
    status: Option<Status>,
}

/// How many events were not let in, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) full: u64,
    pub(crate) closed: u64,
}

/// What the worker takes at once.
pub(crate) struct Taken<R> {
    pub(crate) events: VecDeque<Event>,
    pub(crate) bytes: usize,
    pub(crate) requests: Vec<R>,
    pub(crate) refused: Refused,
    pub(crate) closed: bool,
}

impl<R> Queue<R> {
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        let inner = Inner {
            events: VecDeque::new(),
            bytes: 0,
            held: 0,
            held_bytes: 0,
            requests: Vec::new(),
            refused: Refused::default(),
            worker_waits: false,
            closed: false,
            status: None,
        };
        Self { max_events, max_bytes, inner: Mutex::new(inner), wake: Condvar::new() }
    }

    /// Lets an event in, if there is room.
    pub(crate) fn push(&self, event: Event) {
        let size = event.size();
        let mut inner = self.lock();
        if inner.closed {
            inner.refused.closed += 1;
        } else if inner.events.len() + inner.held >= self.max_events
            || inner.bytes + inner.held_bytes + size > self.max_bytes
        {
            inner.refused.full += 1;
        } else {
            inner.events.push_back(event);
            inner.bytes += size;
            self.wake(inner);
        }
    }

    /// Gives the request back where nobody is there to answer it.
    pub(crate) fn ask(&self, request: R) -> Result<(), R> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(request);
        }
        inner.requests.push(request);
        self.wake(inner);
        Ok(())
    }

    /// Lets nothing in any more.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        self.wake(inner);
    }

    /// Waits for something to do, until `deadline` at most, and takes all of it. The events stay counted as
    /// held, until [`Queue::publish`] says otherwise.
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
        Taken { events, bytes, requests, refused: inner.refused, closed: inner.closed }
    }

    /// The worker keeps so much of what it took, and this became of the rest.
    pub(crate) fn publish(&self, status: Status, events: usize, bytes: usize) {
        let mut inner = self.lock();
        inner.status = Some(status);
        inner.held = events;
        inner.held_bytes = bytes;
    }

    /// The status as it was last published, with what waits here and what was not let in. None: the worker ended
    /// before its time.
    pub(crate) fn status(&self) -> Option<Status> {
        let inner = self.lock();
        let (waiting, refused) = ((inner.events.len() + inner.held) as u64, inner.refused);
        let mut status = inner.status.clone()?;
        let counts = &mut status.counts;
        counts.received += waiting + refused.full + refused.closed;
        counts.pending += waiting;
        counts.dropped.queue_full += refused.full;
        counts.dropped.unwritable += refused.closed;
        Some(status)
    }

    /// Whether half of the room is taken.
    pub(crate) fn is_half_full(&self) -> bool {
        let inner = self.lock();
        2 * (inner.events.len() + inner.held) >= self.max_events
            || 2 * (inner.bytes + inner.held_bytes) >= self.max_bytes
    }

    /// The worker ends, and there is no status where it does so before its time.
    pub(crate) fn end(&self, well: bool) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.requests.clear();
        if !well {
            inner.status = None;
        }
    }

    fn wake(&self, mut inner: MutexGuard<'_, Inner<R>>) {
        // Waking costs a system call, even where nobody waits.
        if std::mem::take(&mut inner.worker_waits) {
            drop(inner);
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<R>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
