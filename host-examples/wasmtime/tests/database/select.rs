//! Reads have one order, pages that fit together, and filters that match what they match in the other backends.

use audit_fixtures::{Entries as _, ImportRow, every_page};
use audit_host::{Database, Entry, Event, Filter, Order, PageRequest};
use audit_testbed::{Cluster, database_name};
use uuid::Uuid;

use crate::{entry, entry_of, event_of_texts, id, open, other_error, pages, read, seqs, with_table};

/// Stores entries and rows of another program, of which many have the same time.
fn mixed(database: &Database) -> Vec<Entry> {
    let times = ["2026-11-23T06:30:00.000000Z", "2026-11-23T06:30:00.000001Z"];
    let at = |n: u64, time: usize| {
        let entry = entry(n);
        Entry { event: Event { ts: times[time].into(), ..entry.event }, ..entry }
    };
    let rows = [
        ImportRow::Own(at(5, 0)),
        ImportRow::Foreign { event: at(10, 1).event, key: Uuid::from_u128(99) },
        ImportRow::Foreign { event: at(11, 0).event, key: Uuid::from_u128(98) },
        ImportRow::Own(at(3, 1)),
        ImportRow::Own(at(4, 0)),
        ImportRow::Foreign { event: at(12, 0).event, key: Uuid::from_u128(97) },
        ImportRow::Own(at(1, 0)),
        ImportRow::Foreign { event: at(13, 1).event, key: Uuid::from_u128(96) },
        ImportRow::Own(at(2, 1)),
        ImportRow::Own(at(6, 0)),
    ];
    assert_eq!(database.import_rows(&rows).unwrap().stored, 10);
    read(database)
}

#[test]
fn at_one_time_rows_of_other_programs_come_first_then_entries_by_id() {
    let (_, _, database) = with_table();
    let entries = mixed(&database);
    let order: Vec<u64> = entries.iter().map(|entry| entry.event.duration_ms).collect();
    assert_eq!(order, [11, 12, 1, 4, 5, 6, 10, 13, 2, 3]);
    let positions: Vec<u64> =
        entries.iter().filter(|entry| entry.id.is_empty()).map(|entry| entry.seq).collect();
    assert_eq!(positions, [3, 6, 2, 8]);
    assert!(entries.iter().all(|entry| entry.id.is_empty() == entry.hash.is_empty()));
}

#[test]
fn pages_of_any_size_are_the_parts_of_one() {
    let (_, _, database) = with_table();
    let oldest = mixed(&database);
    let newest: Vec<Entry> = oldest.iter().rev().cloned().collect();
    for limit in 1..=11 {
        for (order, all) in [(Order::OldestFirst, &oldest), (Order::NewestFirst, &newest)] {
            let pages = pages(&database, order, limit);
            assert_eq!(pages.concat(), *all, "limit {limit}");
            assert_eq!(pages.len(), all.len().div_ceil(limit as usize), "limit {limit}");
        }
    }
}

#[test]
fn what_is_written_between_two_pages_neither_repeats_nor_hides_an_entry() {
    let (_, _, database) = with_table();
    database.insert_entries((0..10).map(|n| entry(10 * n)).collect()).unwrap();
    let request = PageRequest { limit: 5, ..PageRequest::default() };
    let first = database.select_entries(Filter::default(), request.clone()).unwrap();
    database.insert_entries(vec![entry(5), entry(41), entry(95)]).unwrap();
    let second =
        database.select_entries(Filter::default(), PageRequest { cursor: first.next, limit: 50, ..request });
    let seqs: Vec<u64> = second.unwrap().entries.into_iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [41, 50, 60, 70, 80, 90, 95]);
}

#[test]
fn each_field_of_the_filter_has_to_match() {
    let (cluster, url, database) = with_table();
    let mut other = entry(1);
    other.event = Event { job_id: Some(String::new()), ..event_of_texts("2026-11-24T00:00:00.000000Z") };
    let mut without = entry(2);
    without.event.job_id = None;
    database.insert_entries(vec![entry(0), other, without]).unwrap();
    cluster.execute(&url, "INSERT INTO tool_audit_events (ts) VALUES ('2026-11-25Z')");
    let some = |text: &str| Some(text.to_owned());
    let none = Filter::default;
    for (filter, expected) in [
        (none(), vec![0, 2, 1, 4]),
        (Filter { from_ts: some("2026-11-24"), ..none() }, vec![1, 4]),
        (Filter { from_ts: some("2026-11-24T00:00:00.000001Z"), ..none() }, vec![4]),
        (Filter { to_ts: some("2026-11-23"), ..none() }, vec![0, 2]),
        (Filter { to_ts: some("2026-11-24T01:00:00+01:00"), ..none() }, vec![0, 2, 1]),
        (Filter { from_ts: some("2026-11-25"), to_ts: some("2026-11-24"), ..none() }, vec![]),
        (Filter { tool: some("t"), ..none() }, vec![1]),
        (Filter { tool: some("T"), ..none() }, vec![]),
        (Filter { tool: some("t\0"), ..none() }, vec![]),
        (Filter { tool: some(""), ..none() }, vec![4]),
        (Filter { agent_id: some("a"), ..none() }, vec![1]),
        (Filter { workspace_id: some("w"), ..none() }, vec![1]),
        (Filter { workspace_id: some(""), ..none() }, vec![0, 2, 4]),
        (Filter { user_id: some("u"), ..none() }, vec![1]),
        (Filter { action: some("x"), ..none() }, vec![1]),
        (Filter { status: some("ok"), ..none() }, vec![1]),
        (Filter { req_id: some("r"), ..none() }, vec![1]),
        (Filter { graph_run_id: some("g"), ..none() }, vec![1]),
        (Filter { graph_node: some("n"), ..none() }, vec![1]),
        (Filter { job_id: some("job"), ..none() }, vec![0]),
        (Filter { job_id: some(""), ..none() }, vec![1]),
        (Filter { agent_id: some("planner"), tool: some("t"), ..none() }, vec![]),
        (
            Filter { agent_id: some("planner"), from_ts: some("2026-11-23T06:30:00.000001Z"), ..none() },
            vec![2],
        ),
    ] {
        let page = database.select_entries(filter.clone(), PageRequest::default()).unwrap();
        let seqs: Vec<u64> = page.entries.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, expected, "{filter:?}");
    }
}

#[test]
fn rows_of_other_programs_are_read_with_what_they_lack_left_empty() {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        "ALTER TABLE tool_audit_events ALTER COLUMN in_size TYPE numeric;
         INSERT INTO tool_audit_events (ts, duration_ms, in_size, out_size, event_id, chain, seq) VALUES
         ('2026-11-23T06:30:00Z', NULL, 99999999999999999999999, -3,
          '00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002', 4)",
    );
    let event = Event { ts: "2026-11-23T06:30:00.000000Z".into(), in_size: u64::MAX, ..Event::default() };
    let entry = Entry { event, id: String::new(), chain: String::new(), seq: 1, hash: String::new() };
    // Without a hash the row is in no chain.
    assert_eq!(read(&database), [entry]);
}

#[test]
fn rows_without_an_id_are_read_once_whatever_the_size_of_the_page() {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        "ALTER TABLE tool_audit_events DROP CONSTRAINT tool_audit_events_pkey, ALTER COLUMN id DROP NOT NULL;
         INSERT INTO tool_audit_events (id, ts, tool) SELECT CASE WHEN n % 3 = 0 THEN n END, '2026-11-23Z', n
         FROM generate_series(1, 300) n",
    );
    database.insert_entries((0..3).map(entry).collect()).unwrap();
    let oldest = read(&database);
    assert_eq!(oldest.iter().filter(|entry| entry.id.is_empty()).count(), 300);
    let newest: Vec<Entry> = oldest.iter().rev().cloned().collect();
    for limit in [1, 7, 300] {
        for (order, all) in [(Order::OldestFirst, &oldest), (Order::NewestFirst, &newest)] {
            assert_eq!(pages(&database, order, limit).concat(), *all, "limit {limit}");
        }
    }
    // The store makes such a cursor of an entry.
    let key = format!("2026-11-23T00:00:00.000000Z,,{}", oldest[150].seq);
    let after = PageRequest { cursor: Some(key), ..PageRequest::default() };
    assert_eq!(database.select_entries(Filter::default(), after).unwrap().entries, oldest[151..]);
}

/// Creates a database that keeps its texts in this encoding, and returns its URL.
fn encoded(cluster: &Cluster, encoding: &str) -> String {
    let url = cluster.database();
    let name = database_name(&url);
    cluster.execute(&cluster.url("postgres"), &format!("DROP DATABASE {name}"));
    let database = format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0");
    cluster.execute(&cluster.url("postgres"), &database);
    url
}

#[test]
fn a_text_that_is_not_utf_8_is_read_with_replacement_characters() {
    let cluster = Cluster::shared();
    let url = encoded(cluster, "SQL_ASCII");
    let database = open(&url);
    database.insert_entries(vec![entry_of("größer", 1)]).unwrap();
    cluster.execute(
        &url,
        "INSERT INTO tool_audit_events (ts, tool) VALUES ('2026-11-23T00:00:00Z', convert_from('\\x6772f6df6572', 'SQL_ASCII'))",
    );
    let tools: Vec<String> = read(&database).into_iter().map(|entry| entry.event.tool).collect();
    assert_eq!(tools, ["gr\u{fffd}\u{fffd}er", "größer"]);
    assert_eq!(pages(&database, Order::NewestFirst, 1).concat()[0], entry_of("größer", 1));
}

#[test]
fn a_filter_with_a_text_that_the_database_cannot_hold_matches_no_row() {
    let cluster = Cluster::shared();
    let database = open(&encoded(cluster, "LATIN1"));
    database.insert_entries(vec![entry_of("größer", 1)]).unwrap();
    for (text, found) in [("größer", 1), ("日本", 0)] {
        let filter = Filter { tool: Some(text.into()), ..Filter::default() };
        let page = database.select_entries(filter, PageRequest::default()).unwrap();
        assert_eq!((page.entries.len(), page.next, page.skipped), (found, None, 0), "{text}");
    }
}

#[test]
fn a_refusal_names_the_encoding_that_lacks_a_character_and_no_byte_of_it() {
    let database = open(&encoded(Cluster::shared(), "LATIN1"));
    let refused = database.insert_entries(vec![entry_of("größer", 1), entry_of("10 €", 2)]).unwrap();
    let [row] = &refused[..] else { panic!("{refused:?}") };
    assert!(row.index == 1 && row.reason.contains("in encoding \"LATIN1\""), "{row:?}");
    assert!(!row.reason.contains("0x"), "{row:?}");
}

#[test]
fn rows_with_a_time_that_no_event_can_have_are_skipped_and_counted_once() {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        "INSERT INTO tool_audit_events (ts, tool) VALUES ('infinity', ''), ('-infinity', ''), ('infinity', 'a'),
         ('10000-01-01Z', ''), ('0002-12-31 23:59:59Z BC', '')",
    );
    database.insert_entries((0..4).map(entry).collect()).unwrap();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut request = PageRequest { order, limit: 2, cursor: None };
        let first = database.select_entries(Filter::default(), request.clone()).unwrap();
        assert_eq!((first.entries.len(), first.skipped), (2, 5));
        request.cursor = first.next;
        let second = database.select_entries(Filter::default(), request).unwrap();
        assert_eq!((second.entries.len(), second.skipped, second.next), (2, 0, None));
    }
    let skipped = |filter| database.select_entries(filter, PageRequest::default()).unwrap().skipped;
    assert_eq!(skipped(Filter { from_ts: Some("2026-01-01".into()), ..Filter::default() }), 3);
    assert_eq!(skipped(Filter { to_ts: Some("2026-01-01".into()), ..Filter::default() }), 2);
    assert_eq!(skipped(Filter { tool: Some("a".into()), ..Filter::default() }), 1);
}

#[test]
fn a_page_ends_before_it_takes_too_much_memory() {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        "INSERT INTO tool_audit_events (ts, tool, status)
         SELECT timestamptz '2026-11-23T06:30:00Z' + n * interval '1 s', n::text, repeat('x', 10 << 20)
         FROM generate_series(1, 5) n;
         INSERT INTO tool_audit_events (ts, tool, status) VALUES ('2026-11-23T06:30:00Z', 'giant', repeat('x', 25 << 20))",
    );
    let page = |request: &PageRequest| database.select_entries(Filter::default(), request.clone()).unwrap();
    let pages = every_page(Order::OldestFirst, 3, page);
    let tools: Vec<Vec<&str>> = pages
        .iter()
        .map(|page| page.entries.iter().map(|entry| entry.event.tool.as_str()).collect())
        .collect();
    assert_eq!(tools, [vec!["1", "2"], vec!["3", "4"], vec!["5"]]);
    assert_eq!(pages.iter().map(|page| page.skipped).sum::<u64>(), 1);
}

#[test]
fn cursors_have_the_form_of_the_contract() {
    let (_, _, database) = with_table();
    database.insert_entries(vec![entry(0), entry(1)]).unwrap();
    let request = PageRequest { limit: 1, ..PageRequest::default() };
    let page = database.select_entries(Filter::default(), request.clone()).unwrap();
    assert_eq!(page.next, Some(format!("2026-11-23T06:30:00.000000Z,{},0", id(0))));
    // This cursor is of an entry that is not in the database.
    let made = "2026-11-23T06:30:00.000001Z,,65535".to_owned();
    let page =
        database.select_entries(Filter::default(), PageRequest { cursor: Some(made), ..request.clone() });
    assert_eq!(page.unwrap().entries, [entry(1)]);
    for wrong in ["", "soon", "2026-11-23T06:30:00Z,,0", "2026-11-23T06:30:00.000000Z,planner,0"] {
        let request = PageRequest { cursor: Some(wrong.into()), ..request.clone() };
        let text = other_error(database.select_entries(Filter::default(), request));
        assert!(text.contains("cursor"), "{text}");
    }
    let filter = Filter { to_ts: Some("soon".into()), ..Filter::default() };
    let text = other_error(database.select_entries(filter, request));
    assert!(text.contains("to_ts"), "{text}");
}

#[test]
fn several_stores_share_the_table() {
    let (_, url, database) = with_table();
    let other = open(&url);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let database = if thread % 2 == 0 { &database } else { &other };
            scope.spawn(move || {
                for batch in 0..20 {
                    let first = thread * 1000 + batch * 10;
                    assert_eq!(
                        database.insert_entries((first..first + 10).map(entry).collect()),
                        Ok(Vec::new())
                    );
                }
            });
        }
    });
    assert_eq!(seqs(&database).len(), 800);
}
