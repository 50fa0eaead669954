//! The store on tables as they are found: none, one of the original program, partitioned ones, ones that it may not change.

use audit_fixtures::{assert_balanced, event, numbered, req_ids, stored};
use audit_host::{Error, Event, Filter, Order, PageRequest};
use audit_spin_host::SpinStore;
use audit_testbed::{Cluster, ORIGINAL_TABLE, TABLE, WRITE_AND_READ};

use crate::site::{postgres, start};

fn open(url: &str) -> SpinStore {
    start(&postgres(url, Cluster::shared().port()))
}

fn everything(store: &mut SpinStore) -> Vec<audit_host::Entry> {
    store.read(&Filter::default(), &PageRequest::default()).unwrap().entries
}

#[test]
fn a_read_makes_no_table_and_the_first_write_does() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let mut store = open(&url);
    assert!(everything(&mut store).is_empty());
    let exists = format!("SELECT count(*) FROM pg_class WHERE relname = '{TABLE}'");
    assert_eq!(cluster.number(&url, &exists), 0);
    store.write_batch(&[event(1), event(2)]).unwrap();
    store.flush().unwrap();
    assert_eq!(req_ids(&everything(&mut store)), ["req-00000001", "req-00000002"]);
    assert_balanced(&store.status().unwrap().counts);
}

#[test]
fn events_come_back_as_they_were_written_and_read_in_pages() {
    let url = Cluster::shared().database();
    let mut store = open(&url);
    let events: Vec<Event> = (0..60).map(|n| numbered("spin", n)).collect();
    store.write_batch(&events).unwrap();
    store.flush().unwrap();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut found = Vec::new();
        let mut request = PageRequest { order, limit: 7, cursor: None };
        loop {
            let page = store.read(&Filter::default(), &request).unwrap();
            found.extend(page.entries);
            match page.next {
                Some(cursor) => request.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(found.len(), events.len());
        for entry in &found {
            let sent = events.iter().find(|sent| sent.req_id == entry.event.req_id).unwrap();
            assert_eq!(entry.event, stored(sent));
        }
    }
}

#[test]
fn the_table_of_the_original_program_is_upgraded_by_the_first_write() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    cluster.execute(&url, ORIGINAL_TABLE);
    let old = "DEFAULT, '2026-11-22T12:00:00Z', '', '', '', '', 'old', '', '', 0, 0, 0, ''";
    cluster.execute(&url, &format!("INSERT INTO {TABLE} VALUES ({old})"));
    let mut store = open(&url);
    assert_eq!(everything(&mut store)[0].event.tool, "old");
    store.write_batch(&[event(1)]).unwrap();
    store.flush().unwrap();
    assert_eq!(everything(&mut store).len(), 2);
    assert_eq!(store.status().unwrap().counts.stored, 1);
}

#[test]
fn a_partitioned_table_stores_each_event_once() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let mut store = open(&url);
    store.write_batch(&[event(0)]).unwrap();
    store.flush().unwrap();
    audit_host::Database::new(&url, audit_testbed::ANSWER, audit_testbed::ANSWER)
        .unwrap()
        .partition()
        .unwrap();
    // Both in an instance that knew another table, and in a fresh one.
    let extreme = |ts: &str| Event { ts: ts.into(), ..event(3) };
    let batch = [event(1), extreme("0000-01-01T00:00:00Z"), extreme("2027-01-05T00:00:00Z")];
    store.write_batch(&batch).unwrap();
    store.flush().unwrap();
    let mut fresh = open(&url);
    fresh.write_batch(&[event(2)]).unwrap();
    fresh.flush().unwrap();
    assert_eq!(everything(&mut fresh).len(), 5);
    assert_eq!(cluster.stored(&url), 5);
}

#[test]
fn a_role_that_may_only_write_and_read_does_so_and_an_error_names_what_lacks() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let mut owner = open(&url);
    owner.write_batch(&[event(1)]).unwrap();
    owner.flush().unwrap();
    let (limited, _) = cluster.role(&url, WRITE_AND_READ);
    let mut store = open(&limited);
    store.write_batch(&[event(2)]).unwrap();
    store.flush().unwrap();
    assert_eq!(everything(&mut store).len(), 2);
    cluster.execute(&url, &format!("DROP TABLE {TABLE}"));
    store.write_batch(&[event(3)]).unwrap();
    match store.flush() {
        Err(Error::Other(text)) => assert!(text.contains("may not create the table"), "{text}"),
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn a_table_that_takes_no_event_is_an_error_that_says_why() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    cluster.execute(&url, &format!("CREATE VIEW {TABLE} AS SELECT 1 AS n"));
    let mut store = open(&url);
    store.write_batch(&[event(1)]).unwrap();
    match store.flush() {
        Err(Error::Other(text)) => assert!(text.contains("is not a table"), "{text}"),
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn more_rows_than_a_part_are_one_page() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let mut store = open(&url);
    let events: Vec<Event> = (0..4_500).map(event).collect();
    store.write_batch(&events).unwrap();
    store.flush().unwrap();
    let page = store.read_jsonl(&Filter::default(), &PageRequest::default()).unwrap();
    assert_eq!((page.count, page.next), (4_500, None));
    assert_eq!(page.lines.lines().count(), 4_500);
}
