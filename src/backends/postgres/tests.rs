use crate::accounting::Counts;
use crate::error::Error;
use crate::host::DatabaseError;
use crate::settings::{BackendKind, Config};
use crate::store::Store;
use crate::testing::{NOON, TestHost, assert_balanced, event, read_pages, read_tools};
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::cursor::Order;

fn open(host: &TestHost, config: Config) -> Store<TestHost> {
    let mut store = Store::new(host.clone());
    store.configure(&Config { backend: Some(BackendKind::Postgres), ..config }).unwrap();
    store
}

fn down() -> Option<DatabaseError> {
    Some(DatabaseError::Unavailable("it is down".into()))
}

fn read(store: &mut Store<TestHost>) -> Vec<String> {
    read_tools(store, Order::OldestFirst, 0)
}

#[track_caller]
fn assert_counts(store: &Store<TestHost>, received: u64, stored: u64, pending: u64, queue_full: u64) {
    let counts @ Counts { dropped, .. } = assert_balanced(store);
    assert_eq!(
        (counts.received, counts.stored, counts.pending, dropped.queue_full),
        (received, stored, pending, queue_full),
        "{counts:?}"
    );
}

#[test]
fn a_batch_is_sent_when_it_is_full_or_the_flush_interval_is_over() {
    let host = TestHost::with_database(NOON);
    let mut store = open(&host, Config { batch_size: Some(3), ..Config::default() });
    for n in 0..7 {
        store.write(event(n));
    }
    assert_eq!(host.database(|database| database.calls.clone()), [3, 3]);
    assert_counts(&store, 7, 6, 1, 0);
    host.pass_seconds(3);
    store.write(event(7));
    assert_eq!(host.database(|database| database.calls.clone()), [3, 3, 2]);
    store.write_batch((8..16).map(event).collect()).unwrap();
    assert_eq!(host.database(|database| database.calls.clone()), [3, 3, 2, 6]);
    store.close().unwrap();
    assert_counts(&store, 16, 16, 0, 0);
    assert_eq!(host.database(|database| database.tools().len()), 16);
}

#[test]
fn a_quick_database_gets_more_events_at_once_where_many_wait() {
    let host = TestHost::with_database(NOON);
    let mut store = open(&host, Config { batch_size: Some(100), ..Config::default() });
    store.write_batch((0..4_000).map(event).collect()).unwrap();
    assert_eq!(host.database(|database| database.calls.clone()), [100, 200, 400, 800, 1_000, 1_000, 500]);
    host.database(|database| {
        database.calls.clear();
        database.micros = 100_001;
    });
    store.write_batch((0..1_000).map(event).collect()).unwrap();
    store.write_batch((0..300).map(event).collect()).unwrap();
    assert_eq!(host.database(|database| database.calls.clone()), [1_000, 100, 100, 100]);
    assert_eq!(host.database(|database| database.tools().len()), 5_300);
}

#[test]
fn after_a_failure_the_database_gets_a_batch_at_once() {
    let host = TestHost::with_database(NOON);
    let mut store = open(&host, Config { batch_size: Some(2), ..Config::default() });
    store.write_batch((0..14).map(event).collect()).unwrap();
    host.database(|database| database.down = down());
    store.write_batch((14..24).map(event).collect()).unwrap();
    host.database(|database| {
        database.down = None;
        database.calls.clear();
    });
    store.flush().unwrap();
    assert_eq!(host.database(|database| database.calls.clone()), [2, 4, 4]);
    assert_counts(&store, 24, 24, 0, 0);
}

#[test]
fn events_beyond_a_batch_are_a_few_megabytes_at_once() {
    let host = TestHost::with_database(NOON);
    let mut store = open(&host, Config { batch_size: Some(10), ..Config::default() });
    let large = |n: u32| audit_format::event::Event { action: "x".repeat(3_000).into(), ..event(n) };
    store.write_batch((0..4_000).map(large).collect()).unwrap();
    let largest = host.database(|database| database.calls.iter().copied().max()).unwrap();
    assert!((300..=700).contains(&largest), "{largest}");
    assert_counts(&store, 4_000, 4_000, 0, 0);
}

#[test]
fn waiting_events_are_read_with_the_stored_ones() {
    let host = TestHost::with_database(NOON);
    let mut store = open(&host, Config { batch_size: Some(2), ..Config::default() });
    for n in 0..5 {
        store.write(event(n));
    }
    assert_eq!(read(&mut store), ["0", "1", "2", "3", "4"]);
    assert_counts(&store, 5, 4, 1, 0);
}

#[test]
fn a_batch_waits_until_it_is_acknowledged() {
    let host = TestHost::with_database(NOON);
    let mut store = open(&host, Config { batch_size: Some(2), ..Config::default() });
    host.database(|database| database.loses_each = Some(1));
    store.write_batch((0..5).map(event).collect()).unwrap();
    assert_counts(&store, 5, 0, 5, 0);
    // The first batch is stored, but its answer was lost.
    assert_eq!(host.database(|database| database.rows.len()), 2);
    assert_eq!(read(&mut store), ["0", "1", "2", "3", "4"]);
    host.database(|database| database.loses_each = None);
    store.flush().unwrap();
    assert_counts(&store, 5, 5, 0, 0);
    assert_eq!(host.database(|database| database.tools().join("")), "01234");
}

#[test]
fn pages_are_full_even_if_events_are_both_waiting_and_stored() {
    let host = TestHost::with_database(NOON);
    let mut store = open(&host, Config { batch_size: Some(5), ..Config::default() });
    host.database(|database| database.loses_each = Some(1));
    store.write_batch((0..9).map(event).collect()).unwrap();
    let pages = read_pages(&mut store, Order::OldestFirst, 4);
    let pages: Vec<_> = pages.iter().map(|page| page.tools().concat()).collect();
    assert_eq!(pages, ["0123", "4567", "8"]);
}

#[test]
fn while_the_database_is_down_events_wait_and_a_full_queue_rejects_new_events() {
    let host = TestHost::with_database(NOON);
    host.database(|database| database.down = down());
    let config = Config { batch_size: Some(2), queue_limit: Some(6), ..Config::default() };
    let mut store = open(&host, config);
    for n in 0..9 {
        store.write(event(n));
    }
    assert_counts(&store, 9, 0, 6, 3);
    let Err(Error::Unavailable(text)) = store.write_batch((9..11).map(event).collect()) else { panic!() };
    assert!(text.contains("queue of 6 events is full") && text.contains("it is down"), "{text}");
    let Err(Error::Unavailable(text)) = store.flush() else { panic!() };
    assert!(text.starts_with("it is down") && text.contains("6 events are not stored"), "{text}");
    assert!(store.status().last_error.unwrap().contains("it is down"));
    assert!(matches!(store.close(), Err(Error::Unavailable(_))));
    host.database(|database| database.down = None);
    store.flush().unwrap();
    store.write(event("after"));
    store.flush().unwrap();
    assert_eq!(host.database(|database| database.tools().join(" ")), "0 1 2 3 4 5 after");
    assert_counts(&store, 11 + 1, 7, 0, 3);
}

#[test]
fn a_refused_row_is_dropped_and_counted_and_the_others_are_stored() {
    let host = TestHost::with_database(NOON);
    host.database(|database| database.poison = ["3", "5"].into());
    let mut store = open(&host, Config { batch_size: Some(4), ..Config::default() });
    store.write_batch((0..8).map(event).collect()).unwrap();
    assert_eq!(host.database(|database| database.tools().join("")), "012467");
    let counts = store.status().counts;
    assert_eq!((counts.received, counts.stored, counts.dropped.unwritable), (8, 6, 2));
    let warnings = host.0.borrow().warnings.clone();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("the database refuses an event") && warnings[0].ends_with("poison"),
        "{warnings:?}"
    );
}

#[test]
fn rows_that_are_said_to_be_refused_twice_or_were_never_sent_count_once_or_not_at_all() {
    let host = TestHost::with_database(NOON);
    host.database(|database| {
        database.poison = ["1"].into();
        database.said = [1, 1, 3, 4, usize::MAX].into();
    });
    let mut store = open(&host, Config { batch_size: Some(4), ..Config::default() });
    store.write_batch((0..4).map(event).collect()).unwrap();
    let counts = store.status().counts;
    assert_eq!((counts.received, counts.stored, counts.dropped.unwritable), (4, 2, 2));
}

#[test]
fn wrong_credentials_lose_no_events() {
    let host = TestHost::with_database(NOON);
    host.database(|database| database.down = Some(DatabaseError::Other("check the password".into())));
    let mut store = open(&host, Config::default());
    store.write(event("a"));
    let Err(Error::Other(text)) = store.flush() else { panic!() };
    assert!(text.starts_with("check the password") && text.contains("1 event is not stored"), "{text}");
    host.database(|database| database.down = None);
    store.flush().unwrap();
    assert_counts(&store, 1, 1, 0, 0);
}
