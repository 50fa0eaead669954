//! The promises of `auto`, by topic.

mod disk;
mod histories;
mod instances;
mod outages;
mod reads;
mod short_lived;

use crate::error::Error;
use crate::host::DatabaseError;
use crate::settings::{Active, BackendKind, Config};
use crate::store::Store;
use crate::testing::{NOON, TestHost, assert_balanced, event, read_page, read_tools as read};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::cursor::Order;
use audit_format::event::Event;
use audit_format::names;
use audit_format::query::{Filter, PageRequest};

fn open(host: &TestHost, config: Config) -> Store<TestHost> {
    let mut store = Store::new(host.clone());
    store.configure(&Config { backend: Some(BackendKind::Auto), ..config }).unwrap();
    store
}

fn open_with_batches_of(batch_size: u64, host: &TestHost) -> Store<TestHost> {
    open(host, Config { batch_size: Some(batch_size), ..Config::default() })
}

fn events(tools: core::ops::Range<u32>) -> Vec<Event<'static>> {
    tools.map(event).collect()
}

fn set_down(host: &TestHost, down: bool) {
    let error = down.then(|| DatabaseError::Unavailable("it is down".into()));
    host.database(|database| database.down = error);
}

fn stored(host: &TestHost) -> String {
    host.database(|database| database.tools().join(" "))
}

#[track_caller]
fn assert_counts(store: &Store<TestHost>, stored: u64, spooled: u64, pending: u64) {
    let counts = assert_balanced(store);
    assert_eq!((counts.stored, counts.spooled, counts.pending), (stored, spooled, pending), "{counts:?}");
}

fn spools(host: &TestHost) -> Vec<String> {
    host.files().into_iter().filter(|name| names::spool_of(name).is_some()).collect()
}

fn read_after_recovery(host: &TestHost, store: &mut Store<TestHost>) -> Vec<String> {
    set_down(host, false);
    store.flush().unwrap();
    read(store, Order::OldestFirst, 0)
}
