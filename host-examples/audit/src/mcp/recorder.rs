//! Hands events to the store, which opens while messages pass already.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use audit_host::{Active, AuditStore, Component, Error, Event, Handle, Options};

use crate::call::Call;
use crate::message::{Failure, count, warn};

/// The most events that wait until the store is open, as many as its own queue takes.
const MAX_WAITING: usize = 100_000;

/// How long a call waits for the store to open, where it may not happen before it is recorded. The first start on a machine
/// compiles the component.
const OPENING: Duration = Duration::from_secs(30);

/// How often events that could not be stored are told.
const TELL_EVERY: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(super) struct Recorder(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    opening: Mutex<Option<JoinHandle<()>>>,
}

enum State {
    Opening {
        waiting: Vec<Event>,
        dropped: u64,
    },
    Open(AuditStore),
    /// There is no store.
    Failed {
        reason: String,
        dropped: u64,
        told: Option<Instant>,
    },
    Closed,
}

impl Recorder {
    /// Opens the store in a thread of its own.
    pub(super) fn open(options: Options, loaded: Option<Result<Component, Error>>) -> Self {
        let state = State::Opening { waiting: Vec::new(), dropped: 0 };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), opening: Mutex::default() });
        let opened = Arc::clone(&shared);
        let open = move || {
            // Meanwhile the database answers.
            options.connect_ahead();
            let component = loaded.unwrap_or_else(|| Component::load(&options));
            opened.opened(component.and_then(|component| AuditStore::open_with(&component, options)));
        };
        match thread::Builder::new().name("opening".into()).spawn(open) {
            Ok(opening) => *lock(&shared.opening) = Some(opening),
            Err(error) => shared.opened(Err(Error::Start(error.to_string()))),
        }
        Self(shared)
    }

    /// One that only collects events, for tests.
    pub(super) fn collecting() -> Self {
        let state = State::Opening { waiting: Vec::new(), dropped: 0 };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            opening: Mutex::default(),
        }))
    }

    /// The events that were collected.
    pub(super) fn collected(&self) -> Vec<Event> {
        match &*lock(&self.0.state) {
            State::Opening { waiting, .. } => waiting.clone(),
            _ => Vec::new(),
        }
    }

    /// Records a call. Never waits.
    pub(super) fn record(&self, call: Call) {
        self.0.write(event(call));
    }

    /// Records calls that may not happen otherwise. Blocks until they are on the disk or in the database.
    pub(super) fn record_first(&self, calls: Vec<Call>) -> Result<(), Failure> {
        if calls.is_empty() {
            return Ok(());
        }
        let handle = self.handle()?;
        handle.write_batch(calls.into_iter().map(event).collect())?;
        let status = handle.status()?;
        match status.backend {
            Active::Memory | Active::Null => {
                let why = format_args!("the backend \"{}\" keeps no record", status.backend.name());
                Err(Failure::because("--fail-closed", why))
            }
            // The component has the event in its memory until the database acknowledges it.
            _ if status.counts.pending > 0 => Ok(handle.flush()?),
            _ => Ok(()),
        }
    }

    fn handle(&self) -> Result<Handle, Failure> {
        let is_opening = |state: &mut State| matches!(state, State::Opening { .. });
        let state = self.0.changed.wait_timeout_while(lock(&self.0.state), OPENING, is_opening);
        let (state, _) = state.unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Open(store) => Ok(store.handle()),
            State::Failed { reason, .. } => Err(Failure::new(reason)),
            State::Opening { .. } => Err(Failure::new("the store is not open yet")),
            State::Closed => Err(Failure::new("the store is closed")),
        }
    }

    /// Waits until all is recorded, and says what is not.
    pub(super) fn close(&self) {
        if let Some(opening) = lock(&self.0.opening).take() {
            // A panic was printed already, and leaves the state as it was.
            let _ = opening.join();
        }
        let state = std::mem::replace(&mut *lock(&self.0.state), State::Closed);
        let (lost, reason) = match state {
            State::Open(store) => match store.close() {
                Ok(status) => {
                    let dropped = &status.counts.dropped;
                    let lost = dropped.invalid + dropped.queue_full + dropped.unwritable;
                    (lost, status.last_error.unwrap_or_default())
                }
                Err(error) => (1, error.to_string()),
            },
            State::Failed { reason, dropped, .. } => (dropped, reason),
            State::Opening { waiting, dropped } => {
                (waiting.len() as u64 + dropped, "the store did not open".into())
            }
            State::Closed => return,
        };
        if lost > 0 {
            Failure::because(format!("{} not recorded", calls_were(lost)), reason).tell();
        }
    }
}

impl Shared {
    fn opened(&self, store: Result<AuditStore, Error>) {
        let mut state = lock(&self.state);
        let State::Opening { waiting, dropped } = std::mem::replace(&mut *state, State::Closed) else {
            return;
        };
        if dropped > 0 {
            warn(format_args!("{} not recorded: the store took too long to open", calls_were(dropped)));
        }
        *state = match store {
            Ok(store) => {
                waiting.into_iter().for_each(|event| store.write(event));
                State::Open(store)
            }
            Err(error) => {
                let reason = error.to_string();
                Failure::because("calls are not recorded", &reason).tell();
                State::Failed { reason, dropped: waiting.len() as u64, told: Some(Instant::now()) }
            }
        };
        self.changed.notify_all();
    }

    fn write(&self, event: Event) {
        match &mut *lock(&self.state) {
            State::Opening { waiting, .. } if waiting.len() < MAX_WAITING => waiting.push(event),
            State::Opening { dropped, .. } => *dropped += 1,
            State::Open(store) => store.write(event),
            State::Failed { reason, dropped, told } => {
                *dropped += 1;
                if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    *told = Some(Instant::now());
                    warn(format_args!("{} not recorded: {reason}", calls_were(*dropped)));
                }
            }
            State::Closed => {}
        }
    }
}

fn event(call: Call) -> Event {
    call.into_event(SystemTime::now()).into()
}

fn calls_were(number: u64) -> String {
    format!("{} {}", count(number, "event"), if number == 1 { "was" } else { "were" })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
