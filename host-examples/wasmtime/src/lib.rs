//! Keeps an audit trail of AI agents' tool calls: who called which tool, when, with what outcome, how long
//! the call took and how large its input and output were.
//!
//! The store is a WebAssembly component. It is embedded in this crate and runs in wasmtime.
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
//! [`Options::from_env`] reads the settings from environment variables instead.
//!
//! # What the component can reach
//! The component can reach one folder, the clock, random numbers and stderr, and nothing else. The PostgreSQL
//! database of [`Options::database_url`] belongs to the host: the component sends entries to it and asks it
//! for pages, but sees neither the URL nor a connection.
//!
//! # What happens to an event
//! [`Handle::write`] puts an event into a bounded queue. A worker thread takes events from the queue and
//! passes them to the component in batches.
//! - No event is refused for its content. What cannot be stored as it is, is changed: a text that is too long is cut, a
//!   `ts` that is no timestamp is that of the clock. [`Status::mended`] counts these events.
//! - While the disk is full or the folder cannot be written, events wait in the queue. When the queue is full, further
//!   events are dropped and counted as `queue_full`. A program that would rather wait than lose an event calls
//!   [`Handle::write_when_room`].
//! - With the backend `postgres`, events wait in the component's memory until the database has acknowledged
//!   them. With `auto`, they go to a spool in the folder while the database does not acknowledge them, and
//!   the spool is drained into the database once it does. A database that hangs holds up the worker for one
//!   timeout. It never holds up a caller of [`Handle::write`].
//! - If a call needs more time or memory than the limits allow, a new instance replaces the component. Events
//!   that the old instance had not stored are written again. The worker first looks up which events it had
//!   stored, so that none is recorded twice.
//! - [`AuditStore::close`] drains the queue. Events that still cannot be stored are counted as `unwritable`.
//!
//! [`Status::counts`] counts each event exactly once: `received` is the sum of the other counts at every
//! moment.
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
mod linker;
mod options;
mod postgres;
mod queue;
mod reader;
mod state;
mod store;
mod streams;
mod types;
mod unanswered;
mod warnings;
mod worker;

pub use component::Component;
pub use database::{Arrivals, Database, Imported, NumberedRows, TableSize};
pub use error::Error;
pub use instance::Instance;
pub use linker::{
    GuestReader, GuestWriter, Identity, add_reader_to_linker, add_reader_to_linker_async,
    add_writer_to_linker, add_writer_to_linker_async,
};
pub use options::Options;
pub use postgres::{RefusedRow, SinkError};
pub use store::{AuditStore, Entries, Handle};
pub use types::{
    Active, Attribute, Backend, Counts, Dropped, Durability, Entry, Event, Filter, IncompleteBatch,
    InvalidValue, JsonlPage, Order, Page, PageRequest, Receipt, Status,
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
