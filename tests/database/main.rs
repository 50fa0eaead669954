//! The backends `postgres` and `auto` of the built component, on a real PostgreSQL that is stopped, crashes, hangs,
//! refuses rows and loses its answers. What was accepted is stored once and in order, and everything is counted.
//!
//! Some schedules of faults are random. A test that fails shows its seed, and `AUDIT_TESTBED_SEED` sets it again.

#![cfg(unix)]

mod acknowledgements;
mod client;
mod crashes;
mod flips;
mod hangs;
mod limits;
mod messages;
mod neighbours;
mod original;
mod reads;
mod refusals;
mod site;
mod slow_server;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets a flag when it is dropped, also where its thread panics, so that no other thread waits for it in vain.
struct SetOnDrop<'f>(&'f AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
