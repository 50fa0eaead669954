//! Seeds for schedules of faults: a new one each run, or the one of a run that failed.

use std::env;

pub use fastrand::Rng;

/// The variable that sets the seed, a number.
pub const SEED: &str = "AUDIT_TESTBED_SEED";

/// The seed that [`SEED`] sets, else a new one; for [`Rng::with_seed`].
///
/// A test that fails should print it.
pub fn seed() -> u64 {
    match env::var(SEED) {
        Ok(text) => {
            text.parse().unwrap_or_else(|_| panic!("{SEED} is {text:?}; it can be a number below 2^64"))
        }
        Err(_) => fastrand::u64(..),
    }
}
