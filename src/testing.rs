//! A host in memory for the unit tests: a clock that is set, a disk that can be filled, damaged and broken,
//! and a database that can be down and lose its answers.

mod database;
mod disk;
mod host;
mod state;

pub use host::TestHost;
pub use state::Meanwhile;

use crate::accounting::Counts;
use crate::error::Error;
use crate::sink::{Found, Sink};
use crate::store::Store;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::cursor::Order;
use audit_format::event::Event;
use audit_format::query::{Filter, PageRequest};

/// The time at which most tests start.
pub const NOON: &str = "2026-11-23T12:00:00Z";

/// An event of this tool, at the store's time.
pub fn event(tool: impl ToString) -> Event<'static> {
    Event { tool: tool.to_string().into(), ..Event::default() }
}

/// An event of this tool, at this time.
pub fn event_at(ts: &str, tool: &str) -> Event<'static> {
    Event { ts: ts.to_string().into(), ..event(tool) }
}

/// The store's counts, after checking that they account for every event.
#[track_caller]
pub fn assert_balanced(store: &Store<TestHost>) -> Counts {
    let counts = store.status().counts;
    let Counts { received, stored, spooled, pending, rejected, dropped } = counts;
    let dropped = dropped.invalid + dropped.queue_full + dropped.unwritable;
    assert_eq!(received, stored + spooled + pending + rejected + dropped, "{counts:?}");
    counts
}

/// A page that a test has read.
#[derive(Debug, Default)]
pub struct Page {
    /// The lines, newlines included.
    pub lines: String,
    pub events: Vec<Event<'static>>,
    pub next: Option<String>,
    pub skipped: u64,
}

impl Sink for Page {
    fn take(&mut self, entry: Found<'_>) {
        self.lines += entry.line;
        self.events.push(entry.parsed().unwrap().event.into_owned());
    }
}

impl Page {
    pub fn tools(&self) -> Vec<&str> {
        self.events.iter().map(|event| &*event.tool).collect()
    }
}

/// Reads a page.
pub fn read_page(store: &mut Store<TestHost>, filter: Filter, request: &PageRequest) -> Result<Page, Error> {
    let mut page = Page::default();
    let end = store.read(filter, request, &mut page)?;
    page.next = end.next.map(|key| key.to_cursor(request.order));
    page.skipped = end.skipped;
    Ok(page)
}

/// The pages of a whole read.
pub fn read_pages(store: &mut Store<TestHost>, order: Order, limit: u32) -> Vec<Page> {
    let mut request = PageRequest { order, limit, cursor: None };
    let mut pages = Vec::new();
    loop {
        let page = read_page(store, Filter::default(), &request).unwrap();
        request.cursor.clone_from(&page.next);
        pages.push(page);
        if request.cursor.is_none() {
            return pages;
        }
    }
}

/// The tools of all entries, in their order.
pub fn read_tools(store: &mut Store<TestHost>, order: Order, limit: u32) -> Vec<String> {
    read_pages(store, order, limit).iter().flat_map(Page::tools).map(String::from).collect()
}
