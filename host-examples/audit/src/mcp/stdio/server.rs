//! The end of the server, once its client is gone.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::client::Out;
use crate::child::signals::PassingOn;
use crate::child::streams::is_hung_up;
use crate::mcp::observer::Observer;
use crate::mcp::tracker::Gone;

/// How long the server may take to end after SIGTERM.
const LAST: Duration = Duration::from_secs(2);

/// How long answers may still come after somebody asked this program to end. A client that does not wait for longer, and then
/// kills it, takes no calls with it.
const ANSWERS: Duration = Duration::from_secs(1);

/// How often is looked whether a signal came.
const LOOK: Duration = Duration::from_millis(200);

/// Whether the client is there, and when the server last said or took something.
#[derive(Debug, Default)]
pub(super) struct Life {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    left: Option<Instant>,
    progress: Option<Instant>,
    /// A message of the client waits until it is recorded, and the server for it.
    is_holding: bool,
}

impl Life {
    /// No more comes from the client.
    pub(super) fn client_left(&self) {
        self.lock().left.get_or_insert_with(Instant::now);
        self.changed.notify_all();
    }

    pub(super) fn client_has_left(&self) -> bool {
        self.lock().left.is_some()
    }

    /// The server has said or taken something.
    pub(super) fn progress(&self) {
        self.lock().progress = Some(Instant::now());
    }

    pub(super) fn holding(&self, is_holding: bool) {
        self.lock().is_holding = is_holding;
        self.progress();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at most for `time` until the client has left, and returns since when nothing was said, if it has.
    fn silent_since(&self, time: Duration) -> Option<Instant> {
        let waited =
            self.changed.wait_timeout_while(self.lock(), time, |state: &mut State| state.left.is_none());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let now = state.is_holding.then(Instant::now);
        state.left.max(state.left.and(state.progress.max(now)))
    }
}

/// The client's streams, whose end is to be seen also while something is written to the server, which may not take it.
pub(super) struct Streams {
    pub(super) stdin: Weak<OwnedFd>,
    pub(super) stdout: Weak<Out>,
}

impl Streams {
    fn is_hung_up(&self) -> bool {
        self.stdin.upgrade().is_some_and(|stdin| is_hung_up(&*stdin))
            || self.stdout.upgrade().is_some_and(|out| is_hung_up(out.fd()))
    }
}

/// Ends the server if it does not end by itself.
pub(super) struct Ending {
    pub(super) life: Arc<Life>,
    /// The client's ends of the streams, as long as they are copied.
    pub(super) streams: Streams,
    pub(super) passing_on: PassingOn,
    pub(super) observer: Observer,
    pub(super) grace: Duration,
}

impl Ending {
    /// Works in a thread of its own, which ends with the program.
    pub(super) fn start(self) {
        let _: io::Result<_> = thread::Builder::new().name("ending".into()).spawn(move || self.run());
    }

    fn run(self) {
        let mut asked: Option<Instant> = None;
        let mut is_settled = false;
        let mut terminated: Option<Instant> = None;
        loop {
            if self.streams.is_hung_up() {
                self.life.client_left();
            }
            let silent = self.life.silent_since(LOOK);
            if self.passing_on.asked_to_end() {
                let asked = *asked.get_or_insert_with(Instant::now);
                if !is_settled && asked.elapsed() >= ANSWERS {
                    is_settled = true;
                    self.observer.work(|tracker, now| tracker.end_all(Gone::Client, now));
                }
            }
            match (silent, terminated) {
                (Some(silent), None) if silent.elapsed() >= self.grace => {
                    self.passing_on.send(Signal::TERM);
                    terminated = Some(Instant::now());
                }
                (_, Some(at)) if at.elapsed() >= LAST => self.passing_on.send(Signal::KILL),
                _ => {}
            }
            if silent.is_some() {
                thread::sleep(LOOK);
            }
        }
    }
}
