//! Seeds for random schedules of faults. Each run has a new seed, unless the seed of a failed run is set again.

use std::env;

pub use fastrand::Rng;

/// The environment variable that sets the seed, which is a number.
pub const SEED: &str = "AUDIT_TESTBED_SEED";

/// Returns the seed that [`SEED`] sets, else a new one, and prints it: a test that fails shows what it printed.
pub fn seed() -> u64 {
    let seed = match env::var(SEED) {
        Ok(text) => {
            text.parse().unwrap_or_else(|_| panic!("{SEED} is {text:?}; it can be a number below 2^64"))
        }
        Err(_) => fastrand::u64(..),
    };
    println!("seed {seed}");
    seed
}
