//! The end of the server, once its client is gone.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::child::signals::PassingOn;
use crate::mcp::observer::Observer;
use crate::mcp::tracker::Gone;

/// How long the server may take to end after SIGTERM.
const LAST: Duration = Duration::from_secs(2);

/// How long answers may still come after somebody asked this program to end. A client that does not wait for longer, and then
/// kills it, takes no calls with it.
const ANSWERS: Duration = Duration::from_secs(1);

/// How often is looked whether a signal came.
const LOOK: Duration = Duration::from_millis(200);

/// Whether the client is there, and when the server last said something.
#[derive(Debug, Default)]
pub(super) struct Life {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    left: Option<Instant>,
    output: Option<Instant>,
}

impl Life {
    /// No more comes from the client.
    pub(super) fn client_left(&self) {
        self.lock().left = Some(Instant::now());
        self.changed.notify_all();
    }

    pub(super) fn client_has_left(&self) -> bool {
        self.lock().left.is_some()
    }

    pub(super) fn output(&self) {
        self.lock().output = Some(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at most for `time` until the client has left, and returns since when nothing was said, if it has.
    fn silent_since(&self, time: Duration) -> Option<Instant> {
        let waited =
            self.changed.wait_timeout_while(self.lock(), time, |state: &mut State| state.left.is_none());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.left.max(state.left.and(state.output))
    }
}

/// Ends the server if it does not end by itself.
pub(super) struct Ending {
    pub(super) life: Arc<Life>,
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
