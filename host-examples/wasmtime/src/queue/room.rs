//! Waiting for room in the queue. Events that wait stand in one line, and go into the queue in the order in which they
//! came, so that none starves. They count nowhere before they are in the queue.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::{Inner, Queue};
use crate::error::Error;
use crate::instance::large::fit;
use crate::types::Event;

/// An event that fits into a line, as it goes into the queue.
pub(super) struct Parcel {
    pub(super) event: Event,
    pub(super) size: usize,
    /// What was changed in an event that was too large.
    pub(super) mended: Option<String>,
}

impl Parcel {
    pub(super) fn new(event: Event) -> Self {
        // However large an agent makes its event, the event takes no more room than others.
        let (event, mended) = fit(event);
        Self { size: event.size(), event, mended }
    }
}

/// The events that wait for room.
#[derive(Default)]
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    /// The number of the next one that comes.
    next: u64,
    /// Those with lower numbers are in the queue, or were taken back.
    admitted: u64,
}

struct Waiting {
    number: u64,
    parcel: Parcel,
    waker: Waker,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn add(&mut self, parcel: Parcel, waker: Waker) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.push_back(Waiting { number, parcel, waker });
        number
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&number, |waiting| waiting.number).ok()
    }
}

impl<R> Inner<R> {
    /// Whether an event of this size, before which none waits, can go into the queue. One that is larger than the whole
    /// queue goes into an empty one: it would wait for ever otherwise.
    fn takes(&self, size: usize) -> bool {
        self.has_room(size) || self.count() == 0
    }

    /// Puts events that wait into the queue, as far as there is room. Returns whom to wake, without the lock.
    #[must_use]
    pub(super) fn admit(&mut self) -> Vec<Waker> {
        let mut admitted = Vec::new();
        while let Some(first) = self.line.waiting.front()
            && self.takes(first.parcel.size)
            && let Some(Waiting { number, parcel, waker }) = self.line.waiting.pop_front()
        {
            self.add(parcel);
            self.line.admitted = number + 1;
            admitted.push(waker);
        }
        admitted
    }

    /// Closes the queue, also for those who wait. Returns whom to wake, without the lock.
    #[must_use]
    pub(super) fn close(&mut self) -> Vec<Waker> {
        self.closed = true;
        self.not_queued.closed += self.line.waiting.len() as u64;
        self.line.waiting.drain(..).map(|waiting| waiting.waker).collect()
    }
}

impl<R> Queue<R> {
    /// Adds an event once there is room. The event of a future that is dropped before is not added.
    pub(crate) fn push_when_room(self: Arc<Self>, event: Event) -> WhenRoom<R> {
        WhenRoom { queue: self, state: State::New(Box::new(Parcel::new(event))) }
    }

    /// Takes a place in the line; none if the event is in the queue already.
    fn stand_in_line(&self, parcel: Parcel, waker: &Waker) -> Result<Option<u64>, Error> {
        let mut inner = self.lock();
        if inner.closed {
            inner.not_queued.closed += 1;
            return Err(Error::Closed);
        }
        if !inner.line.is_empty() || !inner.takes(parcel.size) {
            return Ok(Some(inner.line.add(parcel, waker.clone())));
        }
        inner.add(parcel);
        self.wake(inner);
        Ok(None)
    }

    fn look(&self, number: u64, waker: &Waker) -> Poll<Result<(), Error>> {
        let mut inner = self.lock();
        if number < inner.line.admitted {
            return Poll::Ready(Ok(()));
        }
        let Some(place) = inner.line.place(number) else { return Poll::Ready(Err(Error::Closed)) };
        inner.line.waiting[place].waker.clone_from(waker);
        Poll::Pending
    }

    /// Takes an event back that waits. Those behind it may have room now.
    fn leave(&self, number: u64) {
        let mut inner = self.lock();
        let Some(place) = inner.line.place(number) else { return };
        let left = inner.line.waiting.remove(place);
        let admitted = inner.admit();
        self.wake(inner);
        admitted.into_iter().for_each(Waker::wake);
        drop(left);
    }
}

/// An event on its way into the queue. Resolves once the event is there.
pub(crate) struct WhenRoom<R> {
    queue: Arc<Queue<R>>,
    state: State,
}

enum State {
    New(Box<Parcel>),
    InLine(u64),
    Done,
}

impl<R> WhenRoom<R> {
    /// Blocks until the event is in the queue.
    pub(crate) fn wait(self) -> Result<(), Error> {
        let waker = Arc::new(Unpark(thread::current())).into();
        let mut context = Context::from_waker(&waker);
        let mut written = pin!(self);
        loop {
            match written.as_mut().poll(&mut context) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl<R> Future for WhenRoom<R> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match std::mem::replace(&mut self.state, State::Done) {
            State::New(parcel) => match self.queue.stand_in_line(*parcel, context.waker()) {
                Ok(Some(number)) => {
                    self.state = State::InLine(number);
                    return Poll::Pending;
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            },
            State::InLine(number) => match self.queue.look(number, context.waker()) {
                Poll::Ready(answer) => answer,
                Poll::Pending => {
                    self.state = State::InLine(number);
                    return Poll::Pending;
                }
            },
            // The answer was given already.
            State::Done => return Poll::Pending,
        };
        Poll::Ready(answer)
    }
}

impl<R> Drop for WhenRoom<R> {
    fn drop(&mut self) {
        if let State::InLine(number) = self.state {
            self.queue.leave(number);
        }
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
