//! A process that writes through the library, until it is killed or its input ends. It says which events may not be lost any
//! more.

use std::env;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audit_fixtures::{acknowledge, assert_balanced, component, database_options};
use audit_host::{AuditStore, Error, Event, Options};
use audit_testbed::{Rng, wait_for};

use crate::clock::Clock;
use crate::ledger::event_of;
use crate::record::TIMEOUT;

/// The variables that say what such a process does.
pub const NAME: &str = "SOAK_NAME";
pub const DIR: &str = "SOAK_DIR";
pub const BACKEND: &str = "SOAK_BACKEND";
pub const URL: &str = "SOAK_URL";
pub const RATE: &str = "SOAK_RATE";

/// Begins the line that says how long the longest call of `write` took, in microseconds.
pub const LONGEST: &str = "LONGEST ";

/// How often events are written, and passed on.
const TURN: Duration = Duration::from_millis(50);

/// Is such a process, if the environment says so: then it returns true at its end.
///
/// # Panics
/// Where the store says something that is not true.
pub fn run_from_environment() -> bool {
    let (Ok(name), Some(clock)) = (env::var(NAME), Clock::from_environment()) else { return false };
    let value = |name: &str| env::var(name).unwrap_or_default();
    let (dir, backend, url) = (value(DIR), value(BACKEND), value(URL));
    let options = match backend.as_str() {
        "jsonl" => Options::new().backend("jsonl").dir(&dir).warnings(|_| ()),
        _ => database_options(&backend, Path::new(&dir), url),
    };
    let options = options
        .database_timeout(TIMEOUT)
        .recovery_interval(Duration::from_secs(1))
        .flush_interval(Duration::from_millis(500));
    let store = AuditStore::open_with(component(), options).expect("the store opens");
    let writing = Writing { name, clock, store, done: 0, longest: Duration::ZERO, rng: Rng::new() };
    writing.run(value(RATE).parse().expect("the rate is a number"));
    true
}

struct Writing {
    name: String,
    clock: Clock,
    store: AuditStore,
    /// How many events were handed to the store.
    done: u64,
    longest: Duration,
    rng: Rng,
}

impl Writing {
    /// Writes so many events a second on average.
    fn run(mut self, rate: u64) {
        let ended = end_of_input();
        let (began, mut budget) = (Instant::now(), 0);
        while !ended.load(Ordering::Relaxed) {
            let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
            let count = self.rng.u64(0..=2 * due.saturating_sub(budget));
            budget += count;
            if self.rng.bool() {
                self.write_each(count)
            } else {
                self.write_batch(count)
            }
            if self.rng.u32(..3) == 0 && self.store.flush().is_ok() {
                self.acknowledge();
            }
            thread::sleep(TURN);
        }
        wait_for(|| self.store.flush());
        self.acknowledge();
        let done = self.done;
        let counts = self.store.close().expect("the store has a status").counts;
        assert_balanced(&counts);
        assert_eq!(counts.stored + counts.spooled, done, "{counts:?}");
        println!("{LONGEST}{}", self.longest.as_micros());
    }

    fn event(&self, n: u64) -> Event {
        Event { ts: self.clock.now().to_string(), ..event_of(&self.name, n) }
    }

    fn write_each(&mut self, count: u64) {
        for n in self.done..self.done + count {
            let event = self.event(n);
            let called = Instant::now();
            self.store.write(event);
            self.longest = self.longest.max(called.elapsed());
        }
        self.done += count;
    }

    fn write_batch(&mut self, count: u64) {
        let events = (self.done..self.done + count).map(|n| self.event(n)).collect();
        match self.store.write_batch(events) {
            Ok(receipt) => {
                assert_eq!(receipt.accepted, count);
                self.done += count;
            }
            Err(Error::Incomplete(batch)) => self.done += batch.stored,
            // They are written again later, under the same names.
            Err(Error::Access(_) | Error::Unavailable(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Says that what was written is not lost any more. The store has passed it on, and dropped nothing.
    fn acknowledge(&self) {
        let counts = self.store.status().expect("a status").counts;
        assert_balanced(&counts);
        let dropped = &counts.dropped;
        assert_eq!((dropped.queue_full, dropped.unwritable, dropped.invalid), (0, 0, 0), "{counts:?}");
        acknowledge(self.done);
    }
}

fn end_of_input() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        end.store(true, Ordering::Relaxed);
    });
    ended
}
