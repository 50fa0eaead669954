//! Reads while events move from memory and spool into the database.

use super::*;

#[test]
fn reads_join_the_spool_and_the_database_and_give_each_event_once() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(3, &host);
    store.write_batch(events(0..4)).unwrap();
    host.database(|database| database.loses_each = Some(1));
    store.write_batch(events(4..8)).unwrap();
    store.write_batch(events(8..10)).unwrap();
    assert_eq!(store.status().backend, "spool");
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let newest: Vec<String> = expected.iter().rev().cloned().collect();
    for limit in 0..11 {
        assert_eq!(read(&mut store, Order::OldestFirst, limit), expected);
        assert_eq!(read(&mut store, Order::NewestFirst, limit), newest);
    }
    set_down(&host, true);
    let Err(Error::Unavailable(text)) = store.read(Filter::default(), &PageRequest::default()) else {
        panic!()
    };
    assert!(text.contains("it is down"), "{text}");
}
