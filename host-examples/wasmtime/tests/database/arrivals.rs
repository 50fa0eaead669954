//! A follower of the table gets each row once, in the order in which rows come, and knows how much there is.

use audit_fixtures::{Entries as _, ImportRow};
use audit_host::{Arrivals, Database, Filter};
use audit_testbed::ORIGINAL_TABLE;
use serde_json::Value;
use uuid::Uuid;

use crate::{entry, entry_of, open, with_table};

/// The `duration_ms` of all rows that have come.
fn arrived(database: &Database, filter: &Filter, since: &mut Arrivals) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let page = database.arrived(filter.clone(), since).unwrap();
        assert_eq!((page.next, page.lines.lines().count()), (None, page.count as usize));
        if page.count == 0 {
            return found;
        }
        let number =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["duration_ms"].as_u64().unwrap();
        found.extend(page.lines.lines().map(number));
    }
}

#[test]
fn rows_come_once_whatever_their_time_is_and_whoever_wrote_them() {
    let (cluster, url, database) = with_table();
    for is_partitioned in [false, true] {
        if is_partitioned {
            database.partition().unwrap();
        }
        let mut since = database.arrivals().unwrap();
        assert_eq!(arrived(&database, &Filter::default(), &mut since), [0; 0]);
        let base = if is_partitioned { 100 } else { 0 };
        database.insert_entries(vec![entry(base + 5), entry(base + 6)]).unwrap();
        assert_eq!(arrived(&database, &Filter::default(), &mut since), [base + 5, base + 6]);
        let foreign =
            ImportRow::Foreign { event: entry(base + 3).event, key: Uuid::from_u128(u128::from(base) + 77) };
        database.import_rows(&[foreign, ImportRow::Own(entry(base + 4))]).unwrap();
        assert_eq!(arrived(&database, &Filter::default(), &mut since), [base + 3, base + 4]);
        database.insert_entries(vec![entry_of("a", base + 1), entry_of("b", base + 2)]).unwrap();
        let filter = Filter { tool: Some("b".into()), ..Filter::default() };
        assert_eq!(arrived(&database, &filter, &mut since), [base + 2]);
        assert_eq!(arrived(&database, &Filter::default(), &mut since), [0; 0]);
    }
    assert_eq!(cluster.stored(&url), 12);
}

#[test]
fn many_rows_come_in_parts() {
    let (_, _, database) = with_table();
    let mut since = database.arrivals().unwrap();
    database.insert_entries((0..2500).map(entry).collect()).unwrap();
    assert_eq!(database.arrived(Filter::default(), &mut since).unwrap().count, 1000);
    assert_eq!(arrived(&database, &Filter::default(), &mut since), (1000..2500).collect::<Vec<_>>());
}

#[test]
fn a_table_that_is_made_later_is_followed_from_its_first_row() {
    let (cluster, url) = (audit_testbed::Cluster::shared(), audit_testbed::Cluster::shared().database());
    let database = open(&url);
    let mut since = database.arrivals().unwrap();
    assert_eq!(arrived(&database, &Filter::default(), &mut since), [0; 0]);
    assert_eq!(database.size().unwrap().rows, Some(0));
    // That of another program.
    cluster.execute(&url, ORIGINAL_TABLE);
    cluster.execute(
        &url,
        "INSERT INTO tool_audit_events VALUES
         (DEFAULT, '2026-11-23Z', 'r', 'w', 'u', 'a', 't', 'x', 'ok', 7, 0, 0, 'h')",
    );
    assert_eq!(arrived(&database, &Filter::default(), &mut since), [7]);
    database.insert_entries(vec![entry(8)]).unwrap();
    assert_eq!(arrived(&database, &Filter::default(), &mut since), [8]);
}

#[test]
fn a_small_table_is_counted_and_a_large_one_estimated() {
    let (cluster, url, database) = with_table();
    for is_partitioned in [false, true] {
        if is_partitioned {
            database.partition().unwrap();
        }
        let size = database.size().unwrap();
        assert_eq!((size.rows, size.is_estimate), (Some(if is_partitioned { 3 } else { 0 }), false));
        database.insert_entries((0..3).map(entry).collect()).unwrap();
        let size = database.size().unwrap();
        let span = ("2026-11-23T06:30:00.000000Z".to_owned(), "2026-11-23T06:30:00.000002Z".to_owned());
        assert_eq!((size.rows, size.span), (Some(3), Some(span)));
        assert!(size.bytes > 8192, "{}", size.bytes);
    }
    // 100 rows of a megabyte that nothing makes smaller.
    cluster.execute(
        &url,
        "INSERT INTO tool_audit_events (ts, input_hash)
         SELECT '2026-11-23Z', text
         FROM (SELECT string_agg(md5(random()::text), '') AS text FROM generate_series(1, 31250)) AS one,
              generate_series(1, 100)",
    );
    let size = database.size().unwrap();
    assert!(size.is_estimate && size.bytes > 64 << 20, "{size:?}");
    cluster.execute(&url, "ANALYZE tool_audit_events");
    assert_eq!(database.size().unwrap().rows, Some(103));
}
