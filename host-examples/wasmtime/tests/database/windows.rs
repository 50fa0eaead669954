//! A read always ends, also where the server needs far longer than the time of a read to look through the table.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audit_fixtures::{Entries as _, database_options, every_page, start};
use audit_host::{Attribute, AuditStore, Database, Entry, Event, Filter, Order, PageRequest, SinkError};
use audit_testbed::{ANSWER, Cluster, Proxy};

use crate::{entry, open, with_table};

const ORDERS: [Order; 2] = [Order::OldestFirst, Order::NewestFirst];

/// Far less than the server needs to compare the attributes of all rows.
const SHORT: Duration = Duration::from_millis(500);

/// A table of 100 000 rows, of which groups far apart match [`rare`]. Five rows have the same time, and every other row
/// is one of another program.
fn own_big_table() -> (&'static Cluster, String, Database) {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        "INSERT INTO tool_audit_events (ts, duration_ms, attributes, event_id, chain, seq, hash)
         SELECT timestamptz '2026-11-23Z' + n / 5 * interval '1 ms', n,
                CASE WHEN n % 16661 < 6 THEN '{\"kind\":\"rare\",\"a\":\"1\",\"b\":\"2\"}'
                    ELSE '{\"kind\":\"common\",\"a\":\"1\",\"b\":\"2\"}' END::jsonb,
                gen_random_uuid(), gen_random_uuid(), n, CASE WHEN n % 2 = 0 THEN repeat('0', 64) END
         FROM generate_series(1, 100000) n;
         ANALYZE tool_audit_events",
    );
    (cluster, url, database)
}

/// Such a table for tests that do not change it.
fn big_table() -> (String, Database) {
    static URL: OnceLock<String> = OnceLock::new();
    let url = URL.get_or_init(|| own_big_table().1);
    (url.clone(), open(url))
}

/// A filter that no index serves.
fn rare() -> Filter {
    let attribute = |(key, value): (&str, &str)| Attribute { key: key.into(), value: value.into() };
    // Those that all rows have come first, so that the server compares all three.
    let attributes = [("a", "1"), ("b", "2"), ("kind", "rare")].into_iter().map(attribute).collect();
    Filter { attributes, ..Filter::default() }
}

fn read(database: &Database, order: Order, limit: u32) -> Vec<Entry> {
    let page = |request: &PageRequest| database.select_entries(rare(), request.clone()).unwrap();
    every_page(order, limit, page).into_iter().flat_map(|page| page.entries).collect()
}

/// All matching entries in this order, from a database that takes its time.
fn expected(database: &Database, order: Order) -> Vec<Entry> {
    let page = database.select_entries(rare(), PageRequest { order, limit: 1000, cursor: None }).unwrap();
    assert_eq!((page.entries.len(), page.next), (41, None));
    page.entries
}

#[test]
fn a_read_that_takes_longer_than_its_time_goes_on_in_windows() {
    let (url, patient) = big_table();
    let database = Database::new(&url, ANSWER, SHORT).unwrap();
    for order in ORDERS {
        let expected = expected(&patient, order);
        for limit in [1000, 4] {
            let began = Instant::now();
            let found = read(&database, order, limit);
            println!("{order:?}, pages of {limit}: {:?}", began.elapsed());
            assert_eq!(found, expected, "{order:?}, pages of {limit}");
        }
    }
}

#[test]
fn each_page_keeps_to_the_time_of_a_read() {
    let (url, _) = big_table();
    let database = Database::new(&url, ANSWER, SHORT).unwrap();
    every_page(Order::OldestFirst, 1000, |request| {
        let began = Instant::now();
        let page = database.select_entries(rare(), request.clone()).unwrap();
        // The connection is made within another time.
        assert!(began.elapsed() < 3 * SHORT, "{:?}", began.elapsed());
        page
    });
}

#[test]
fn stores_read_in_windows_too() {
    let (url, patient) = big_table();
    for backend in ["postgres", "auto"] {
        let folder = tempfile::tempdir().unwrap();
        let options = database_options(backend, folder.path(), &url)
            .database_timeout(ANSWER)
            .database_read_timeout(SHORT)
            .flush_interval(ANSWER);
        let mut instance = start(&options);
        let store = AuditStore::open(options).unwrap();
        for order in ORDERS {
            let expected = durations(&expected(&patient, order));
            let page = |request: &PageRequest| instance.read(&rare(), request).unwrap();
            let pages = every_page(order, 10, page);
            let found: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
            assert_eq!(durations(&found), expected, "{backend}, {order:?}");
            let found: Vec<Entry> = store.entries(rare(), order).collect::<Result<_, _>>().unwrap();
            assert_eq!(durations(&found), expected, "{backend}, {order:?}");
        }
    }
}

fn durations(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.event.duration_ms).collect()
}

#[test]
fn what_waits_in_memory_or_in_the_spool_is_found_between_the_rows() {
    let (url, patient) = big_table();
    let proxy = Proxy::to(Cluster::shared().port());
    for (backend, spools) in [("postgres", false), ("auto", false), ("auto", true)] {
        let folder = tempfile::tempdir().unwrap();
        let options = database_options(backend, folder.path(), proxy.url(&url))
            .database_timeout(ANSWER)
            .database_read_timeout(SHORT)
            .flush_interval(ANSWER);
        let mut instance = start(&options);
        let ts = ["2026-11-22T00:00:00Z", "2026-11-23T00:00:30Z", "2026-11-24T00:00:00Z"];
        for ts in ts {
            let attributes = rare().attributes;
            instance.write(&Event { ts: ts.into(), duration_ms: 0, attributes, ..Event::default() }).unwrap();
        }
        if spools {
            proxy.refuse();
            instance.flush().unwrap();
            proxy.pass();
            assert_eq!(instance.status().unwrap().counts.spooled, 3);
        }
        for order in ORDERS {
            let page = |request: &PageRequest| instance.read(&rare(), request).unwrap();
            let pages = every_page(order, 10, page);
            let found: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
            let rows = durations(&found).into_iter().filter(|n| *n > 0).collect::<Vec<_>>();
            assert_eq!(rows, durations(&expected(&patient, order)), "{backend}, {order:?}");
            let waiting: Vec<&str> =
                found.iter().filter(|e| e.event.duration_ms == 0).map(|e| &e.event.ts[..10]).collect();
            let mut expected = ["2026-11-22", "2026-11-23", "2026-11-24"];
            if order == Order::NewestFirst {
                expected.reverse();
            }
            assert_eq!(waiting, expected, "{backend}, {order:?}");
            assert!(found.windows(2).all(|pair| {
                let sorted = pair[0].event.ts.cmp(&pair[1].event.ts);
                if order == Order::OldestFirst { sorted.is_le() } else { sorted.is_ge() }
            }));
        }
    }
}

#[test]
fn others_may_write_meanwhile() {
    let (_, url, patient) = own_big_table();
    let database = Database::new(&url, ANSWER, SHORT).unwrap();
    let expected: Vec<_> = ORDERS.map(|order| expected(&patient, order)).into();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = &done;
        scope.spawn(|| {
            let writer = open(&url);
            for n in 0..500 {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
                // At times before, within and behind those of the rows, equal ones among them.
                let new = |day: u64, offset: u64| {
                    let mut new = entry(3 * n + day);
                    new.event.ts = format!("2026-11-{}T00:00:{:02}.000000Z", 22 + day, offset % 60);
                    new.event.attributes = rare().attributes;
                    new.event.duration_ms = 0;
                    new
                };
                writer.insert_entries((0..3).map(|day| new(day, n)).collect()).unwrap();
            }
        });
        let reads = thread::scope(|scope| {
            let reading = scope.spawn(|| ORDERS.map(|order| read(&database, order, 7)));
            let reads = reading.join();
            done.store(true, Ordering::Relaxed);
            reads.unwrap()
        });
        for (read, expected) in reads.into_iter().zip(expected) {
            let read: Vec<Entry> = read.into_iter().filter(|entry| entry.event.duration_ms > 0).collect();
            assert_eq!(read, expected);
        }
    });
}

#[test]
fn a_filter_with_an_index_is_not_read_in_windows_because_another_one_is() {
    let (url, _) = big_table();
    let database = Database::new(&url, ANSWER, SHORT).unwrap();
    read(&database, Order::OldestFirst, 1000);
    let none = Filter { tool: Some("none".into()), ..Filter::default() };
    let page = database.select_entries(none, PageRequest::default()).unwrap();
    assert_eq!((page.entries.len(), page.next), (0, None));
}

#[test]
fn a_table_that_cannot_be_read_by_the_time_is_named() {
    let (cluster, url, _) = own_big_table();
    cluster.execute(
        &url,
        "DROP INDEX tool_audit_events_ts_idx;
         ALTER TABLE tool_audit_events ALTER COLUMN ts TYPE TEXT USING ts::text",
    );
    let database = Database::new(&url, ANSWER, Duration::from_millis(200)).unwrap();
    let mut request = PageRequest::default();
    let error = loop {
        match database.select(rare(), request.clone()) {
            Ok(page) => request.cursor = Some(page.next.expect("the read cannot end")),
            Err(error) => break error,
        }
    };
    let SinkError::Other(text) = error else { panic!("{error:?}") };
    for part in ["lacks the index on (ts)", "audit migrate"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn rows_without_a_time_are_counted_in_windows_too() {
    let (cluster, url, _) = own_big_table();
    cluster.execute(
        &url,
        "INSERT INTO tool_audit_events (ts, attributes) VALUES ('infinity', '{\"kind\":\"rare\",\"a\":\"1\",\"b\":\"2\"}'),
         ('infinity', '{}')",
    );
    let database = Database::new(&url, ANSWER, SHORT).unwrap();
    // The second read knows that the filter is slow.
    for _ in 0..2 {
        let page = |request: &PageRequest| database.select_entries(rare(), request.clone()).unwrap();
        let pages = every_page(Order::OldestFirst, 1000, page);
        assert_eq!(pages.iter().map(|page| page.skipped).sum::<u64>(), 1);
    }
}
