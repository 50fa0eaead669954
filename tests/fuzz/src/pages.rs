//! Whole reads of a store, page by page.

use audit_format::cursor::{Key, Order};
use audit_format::query::{Filter, PageRequest};
use audit_store::sink::{Found, Sink};
use audit_store::store::Store;

use crate::host::Memory;

/// An entry as a read gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    /// With its newline.
    pub(crate) line: String,
}

/// All entries of a read, and how many lines were skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) entries: Vec<Entry>,
    pub(crate) skipped: u64,
}

impl Sink for Whole {
    fn take(&mut self, entry: Found<'_>) {
        // A page of records is made of the same entries.
        assert!(entry.parsed().is_ok(), "a line of a page is no event: {:?}", entry.line);
        self.entries.push(Entry { key: *entry.key, line: entry.line.to_owned() });
    }
}

/// Reads by the cursors of pages with this limit. Each cursor is good for its own order alone.
pub(crate) fn read_all(store: &mut Store<Memory>, filter: &Filter, order: Order, limit: u32) -> Whole {
    let mut whole = Whole::default();
    let mut cursor = None;
    loop {
        let request = PageRequest { order, limit, cursor: cursor.clone() };
        let before = whole.entries.len();
        let end = store.read(filter.clone(), &request, &mut whole).expect("a read of a valid filter");
        let count = whole.entries.len() - before;
        assert!(limit == 0 || count <= limit as usize, "a page of {count} entries, of {limit} at most");
        whole.skipped += end.skipped;
        let Some(next) = end.next else { return whole };
        assert!(count > 0, "an empty page of a file has another one after it");
        cursor = Some(next.to_cursor(order));
    }
}
