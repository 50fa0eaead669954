//! What `auto` promises, by topic.

mod disk;
mod histories;
mod instances;
mod outages;
mod reads;

use crate::error::Error;
use crate::event::Event;
use crate::host::SinkError;
use crate::names;
use crate::query::{Filter, Order, PageRequest};
use crate::settings::Config;
use crate::store::{Counts, Store};
use crate::testing::TestHost;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

const NOON: &str = "2026-11-23T12:00:00Z";

fn open(host: &TestHost, config: Config) -> Store<TestHost> {
    let mut store = Store::new(host.clone());
    store.configure(&Config { backend: Some("auto".into()), ..config }).unwrap();
    store
}

fn open_with_batches_of(batch_size: u64, host: &TestHost) -> Store<TestHost> {
    open(host, Config { batch_size: Some(batch_size), ..Config::default() })
}

fn event(tool: impl ToString) -> Event<'static> {
    Event { tool: tool.to_string().into(), ..Event::default() }
}

fn events(tools: core::ops::Range<u32>) -> Vec<Event<'static>> {
    tools.map(event).collect()
}

fn set_down(host: &TestHost, down: bool) {
    let error = down.then(|| SinkError::Unavailable("it is down".into()));
    host.database(|database| database.down = error);
}

fn stored(host: &TestHost) -> String {
    host.database(|database| database.tools().join(" "))
}

fn read(store: &mut Store<TestHost>, order: Order, limit: u32) -> Vec<String> {
    let mut request = PageRequest { order, limit, cursor: None };
    let mut tools = Vec::new();
    loop {
        let page = store.read(Filter::default(), &request).unwrap();
        tools.extend(page.entries.iter().map(|kept| kept.entry().unwrap().event.tool.into_owned()));
        request.cursor = page.next;
        if request.cursor.is_none() {
            return tools;
        }
    }
}

#[track_caller]
fn assert_balanced(store: &Store<TestHost>) -> Counts {
    let counts = store.status().counts;
    let Counts { received, stored, spooled, pending, rejected, dropped } = counts;
    let dropped = dropped.invalid + dropped.queue_full + dropped.unwritable;
    assert_eq!(received, stored + spooled + pending + rejected + dropped, "{counts:?}");
    counts
}

#[track_caller]
fn assert_counts(store: &Store<TestHost>, stored: u64, spooled: u64, pending: u64) {
    let counts = assert_balanced(store);
    assert_eq!((counts.stored, counts.spooled, counts.pending), (stored, spooled, pending), "{counts:?}");
}

fn spools(host: &TestHost) -> Vec<String> {
    host.files().into_iter().filter(|name| name.starts_with("spool_")).collect()
}

fn read_after_recovery(host: &TestHost, store: &mut Store<TestHost>) -> Vec<String> {
    set_down(host, false);
    store.flush().unwrap();
    read(store, Order::OldestFirst, 0)
}
