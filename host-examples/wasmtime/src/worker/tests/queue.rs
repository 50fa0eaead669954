//! The queue in front of the component.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_read_sees_the_writes_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path())).unwrap();
    for n in 0..3 {
        store.write(event(n.to_string()));
        assert_eq!(tools(&store).len(), n + 1);
    }
}

#[test]
fn an_event_whose_ts_is_none_is_stored_with_the_others_of_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path())).unwrap();
    let release = hold(&store);
    for tool in ["a", "b"] {
        store.write(event(tool));
    }
    store.write(invalid("c"));
    store.write(event("d"));
    store.write(invalid("e"));
    store.write(invalid("f"));
    store.write(event("x".repeat(8 << 20)));
    store.write(event("g"));
    drop(release);
    let tools: BTreeSet<String> = tools(&store).into_iter().filter(|tool| tool.len() == 1).collect();
    assert_eq!(tools.into_iter().collect::<String>(), "abcdefg");
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.stored, status.mended), (8, 8, 4));
}

#[test]
fn writing_never_waits_and_a_full_queue_drops_and_counts_events() {
    let folder = tempfile::tempdir().unwrap();
    let warned = Arc::new(Mutex::new(Vec::new()));
    let warnings = Arc::clone(&warned);
    let sink = move |line: &str| warnings.lock().unwrap().push(line.to_owned());
    let store = AuditStore::open(options(folder.path()).queue(100, 1 << 20).warnings(sink)).unwrap();
    let release = hold(&store);
    for n in 0..1000 {
        store.write(event(n.to_string()));
    }
    store.write(event("x".repeat(2 << 20)));
    drop(release);
    assert_eq!(tools(&store).len(), 100);
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.stored, counts.dropped.queue_full), (1001, 100, 901));
    let warned = warned.lock().unwrap();
    assert!(matches!(&warned[..], [line] if line.contains("the queue is full; 901 events")), "{warned:?}");
}

#[test]
fn the_queue_is_bounded_in_bytes_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path()).queue(100, 10_000)).unwrap();
    let release = hold(&store);
    for _ in 0..10 {
        store.write(event("x".repeat(2000)));
    }
    drop(release);
    let counts = store.close().unwrap().counts;
    assert_eq!((counts.stored, counts.dropped.queue_full), (4, 6));
}

#[test]
fn closing_drains_the_queue_and_later_events_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path()).durability("buffered")).unwrap();
    let handle = store.handle();
    for n in 0..5000 {
        handle.write(event(n.to_string()));
    }
    let status = store.close().unwrap();
    assert_eq!((status.counts.received, status.counts.stored), (5000, 5000));
    handle.write(event("late"));
    let counts = handle.status().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.dropped.unwritable), (5001, 1));
    assert_eq!(handle.flush(), Err(Error::Closed));
    assert_eq!(handle.write_batch(vec![event("late")]), Err(Error::Closed));

    let store = AuditStore::open(options(folder.path())).unwrap();
    assert_eq!(tools(&store).len(), 5000);
    store.write(event("dropped"));
    drop(store);
    let store = AuditStore::open(options(folder.path())).unwrap();
    assert_eq!(tools(&store).len(), 5001);
}
