//! The backends `postgres` and `auto` of the built component, on a real PostgreSQL that is stopped, crashes, hangs,
//! refuses and loses its answers: what was accepted is in the table once, in order, and everything is counted.
//!
//! Schedules are random. A test that fails prints its seed; `AUDIT_TESTBED_SEED` sets it.

#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod acknowledgements;
mod client;
mod crashes;
mod events;
mod flips;
mod hangs;
mod limits;
mod neighbours;
mod original;
mod reads;
mod refusals;
mod slow;
mod table;
mod writer;
