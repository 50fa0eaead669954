//! The hosts that the contract holds in: one list, [`HOSTS`]. A host that is not on it is none of this project's.

mod driver;
mod node;
mod rust;

use std::path::Path;

use audit_host::{Backend, Counts, Entry, Error, JsonlPage, Order, Page, PageRequest};
use serde_json::Value;

/// A store in some host. Events and filters are JSON objects with the names of a line's fields.
pub trait Store {
    /// Writes an event. This never fails its caller, and what it has written is read by the next call.
    fn write(&mut self, event: &Value);
    fn write_batch(&mut self, events: &[Value]) -> Result<(), Error>;
    fn write_jsonl(&mut self, lines: &str) -> Result<(), Error>;
    fn flush(&mut self) -> Result<(), Error>;
    fn read(&mut self, filter: &Value, page: &PageRequest) -> Result<Page, Error>;
    fn read_jsonl(&mut self, filter: &Value, page: &PageRequest) -> Result<JsonlPage, Error>;
    fn status(&mut self) -> Status;
}

/// What the contract asks of the status.
pub struct Status {
    pub mended: u64,
    pub counts: Counts,
}

/// What a store is opened with.
pub struct Opening<'o> {
    pub backend: Backend,
    pub dir: &'o Path,
    pub database_url: Option<&'o str>,
}

/// A host.
pub struct Host {
    pub name: &'static str,
    /// The backends that work there.
    pub backends: &'static [Backend],
    /// Starts what opens the stores.
    pub start: fn() -> Box<dyn Opener>,
}

/// Opens one store after the other.
pub trait Opener {
    /// Opens a store. The one before is not used any more.
    fn open(&mut self, opening: &Opening<'_>) -> Box<dyn Store + '_>;
}

/// Backends that need no database.
const LOCAL: &[Backend] = &[Backend::Memory, Backend::Jsonl, Backend::Null];

/// Every host. `hosts!` in `main.rs` runs each of them.
pub mod list {
    use super::{Backend, Host, LOCAL, node, rust};

    pub const RUST_INSTANCE: Host =
        Host { name: "an instance in Rust", backends: &Backend::ALL, start: rust::full };
    pub const RUST_LOCAL_INSTANCE: Host =
        Host { name: "an instance in Rust of the world local", backends: LOCAL, start: rust::local };
    pub const RUST_HANDLE: Host =
        Host { name: "a handle in Rust", backends: &Backend::ALL, start: rust::handle };
    pub const NODE: Host = Host { name: "Node.js", backends: &Backend::ALL, start: node::node };
    pub const BROWSER: Host =
        Host { name: "a browser", backends: &[Backend::Memory, Backend::Null], start: node::browser };
}

/// All entries that match, read in pages of this many entries, and how many lines the first page skipped.
pub fn read_all(store: &mut dyn Store, filter: &Value, order: Order, limit: u32) -> (Vec<Entry>, u64) {
    let pages =
        audit_fixtures::every_page(order, limit, |page| store.read(filter, page).expect("a read succeeds"));
    let skipped = pages[0].skipped;
    (pages.into_iter().flat_map(|page| page.entries).collect(), skipped)
}
