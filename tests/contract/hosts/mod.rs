//! What the contract asks of a host. The list of hosts is in `main.rs`.

mod driver;
pub mod node;
pub mod python;
pub mod rust;
pub mod spin;

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
    /// Its folder in `host-examples/`.
    pub folder: &'static str,
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
pub const LOCAL: &[Backend] = &[Backend::Memory, Backend::Jsonl, Backend::Null];

/// All entries that match, read in pages of this many entries, and how many lines the pages skipped.
pub fn read_all(store: &mut dyn Store, filter: &Value, order: Order, limit: u32) -> (Vec<Entry>, u64) {
    let pages =
        audit_fixtures::every_page(order, limit, |page| store.read(filter, page).expect("a read succeeds"));
    let skipped = pages.iter().map(|page| page.skipped).sum();
    (pages.into_iter().flat_map(|page| page.entries).collect(), skipped)
}
