//! Waiting for what has to come, however busy the machine is.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that has to come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long a database may take to answer in tests in which it does not hang. Even a busy machine needs less.
pub const ANSWER: Duration = Duration::from_secs(20);

/// Longer than any test takes: an interval of this length never ends in a test.
pub const NEVER: Duration = Duration::from_secs(3600);

/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `holds` returns true.
///
/// # Panics
/// After [`PATIENCE`]. The message says `what` did not come.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(|| if holds() { Ok(()) } else { Err(what) });
}

/// Repeats an attempt until it succeeds, and returns its value.
///
/// # Panics
/// After [`PATIENCE`]. The message is the error of the last attempt.
#[track_caller]
pub fn wait_for<T, E: Display>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) => assert!(start.elapsed() < PATIENCE, "waited in vain for {PATIENCE:?}: {error}"),
        }
        thread::sleep(PAUSE);
    }
}
