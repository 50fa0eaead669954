//! Keeps the audit trail of AI agents' tool calls: who called which tool, when, with what outcome, how long and
//! how large. The store is a WebAssembly component, which is built into this crate and runs in wasmtime.
//!
//! ```
//! use audit_host::{AuditStore, Event, Filter, Options, Order};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let store = AuditStore::open(Options::new().dir(folder.path()))?;
//!
//! // A clone of the handle goes wherever tools are called. Writing never waits and never fails.
//! let audit = store.handle();
//! audit.write(Event {
//!     agent_id: "planner".into(),
//!     tool: "search".into(),
//!     action: "query".into(),
//!     status: "ok".into(),
//!     duration_ms: 45,
//!     in_size: 120,
//!     out_size: 4800,
//!     ..Event::default()
//! });
//!
//! let filter = Filter { tool: Some("search".into()), ..Filter::default() };
//! for entry in store.entries(filter, Order::NewestFirst) {
//!     let entry = entry?;
//!     println!("{} {} took {} ms", entry.event.ts, entry.event.agent_id, entry.event.duration_ms);
//! }
//!
//! let status = store.close()?;
//! assert_eq!((status.counts.received, status.counts.stored), (1, 1));
//! # Ok(())
//! # }
//! ```
//!
//! [`Options::from_env`] takes the settings from the environment instead. The host owns what needs trust: the
//! component reaches the one folder that it is given, the clock, random numbers and stderr, and nothing else. The
//! PostgreSQL database of [`Options::database_url`] is the host's too: the component hands it entries and asks for
//! pages, and sees neither the URL nor a connection.
//!
//! # What becomes of an event
//! [`Handle::write`] puts it into a bounded queue, from which a worker hands it to the component in batches.
//! - An invalid event is counted as `invalid`; its neighbours are stored.
//! - While the disk is full or the folder cannot be written, events wait in the queue. When that is full, the
//!   newest are refused, and counted as `queue_full`.
//! - With the backend `postgres`, events wait in the component until the database has acknowledged them; with `auto`,
//!   they go to a spool in the folder while it does not, and from there into the database once it does. A database
//!   that hangs holds up the worker for one timeout, and never a caller of [`Handle::write`].
//! - If the component needs too much time or memory, it is replaced, and what it had not stored is written
//!   again. What it had stored is looked up before, so that it is not recorded twice.
//! - [`AuditStore::close`] drains the queue. What cannot be stored then is counted as `unwritable`.
//!
//! [`Status::counts`] has each event once: `received` is the sum of the others at every moment.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod bindings;
mod component;
mod database;
mod error;
#[cfg(test)]
mod faults;
mod instance;
mod ledger;
mod options;
mod postgres;
mod queue;
mod reader;
mod state;
mod store;
mod types;
mod warnings;
mod worker;

pub use component::Component;
pub use database::{Database, ImportRow, Imported};
pub use error::Error;
pub use instance::Instance;
pub use options::Options;
pub use postgres::{RejectedRow, SinkError};
pub use store::{AuditStore, Entries, Handle};
pub use types::{
    Active, Backend, Counts, Dropped, Entry, Event, Filter, InvalidValue, JsonlPage, Order, Page,
    PageRequest, Receipt, Status,
};

/// The examples of the README run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So do those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/postgresql.md")]
struct Postgresql;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/settings.md")]
struct Settings;
