//! A table that is partitioned by day takes and gives events as one without partitions does.

use std::thread;

use audit_fixtures::Entries as _;
use audit_host::{Database, Entry, Event, Filter, Order, PageRequest};
use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{Cluster, ORIGINAL_TABLE};

use crate::{entry, entry_of, open, other_error, pages, read, seqs, with_table};

/// A database with the empty table, partitioned by day.
fn partitioned() -> (&'static Cluster, String, Database) {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let database = open(&url);
    database.partition().unwrap();
    (cluster, url, database)
}

/// The `n`-th entry, at another time.
fn entry_at(ts: &str, n: u64) -> Entry {
    let entry = entry(n);
    Entry { event: Event { ts: ts.into(), ..entry.event }, ..entry }
}

fn partitions(cluster: &Cluster, url: &str) -> Vec<String> {
    let names = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'tool_audit_events'::regclass ORDER BY 1";
    cluster.column(url, names)
}

/// The names of the partitions from today on, of so many days.
fn days(cluster: &Cluster, url: &str, first: u32, last: u32) -> Vec<String> {
    let names = format!(
        "SELECT 'tool_audit_events_' || to_char((now() AT TIME ZONE 'UTC')::date + n, 'YYYY_MM_DD')
         FROM generate_series({first}, {last}) AS n"
    );
    cluster.column(url, &names)
}

#[test]
fn a_new_table_gets_a_default_partition_and_those_of_the_next_days() {
    let (cluster, url, database) = partitioned();
    let expected = [days(cluster, &url, 0, 14), vec!["tool_audit_events_default".into()]].concat();
    assert_eq!(partitions(cluster, &url), expected);
    assert_eq!(database.partition(), Ok(Vec::new()));
    assert_eq!(database.migrate(), Ok(Vec::new()));
    assert_eq!(database.obstacle(), Ok(None));
    assert_eq!(database.insert_entries(vec![entry(0)]), Ok(Vec::new()));
    assert_eq!(seqs(&database), [0]);
}

#[test]
fn rows_of_the_default_partition_are_moved_to_partitions_of_their_days() {
    let (cluster, url, database) = partitioned();
    let times = [
        "2026-11-22T23:59:59.999999Z",
        "2026-11-23T00:00:00.000000Z",
        "2026-11-23T23:59:59.999999Z",
        "2026-11-24T00:00:00.000000Z",
        "0000-01-01T00:00:00.000000Z",
        "9999-12-31T23:59:59.999999Z",
    ];
    let entries: Vec<Entry> = times.iter().zip(0..).map(|(ts, n)| entry_at(ts, n)).collect();
    cluster.execute(&url, "DROP TABLE IF EXISTS tool_audit_events_2026_11_22, tool_audit_events_2026_11_23, tool_audit_events_2026_11_24");
    assert_eq!(database.insert_entries(entries.clone()), Ok(Vec::new()));
    let rows = "SELECT id::text || seq FROM tool_audit_events ORDER BY id";
    let (before, stored) = (read(&database), cluster.column(&url, rows));
    let added = database.partition().unwrap();
    let days = ["2026_11_22", "2026_11_23", "2026_11_24", "9999_12_31"];
    let named: Vec<String> =
        days.iter().map(|day| format!("the partition tool_audit_events_{day}")).collect();
    assert!(named.iter().all(|name| added.contains(name)), "{added:?}");
    let count = |name: &str| cluster.number(&url, &format!("SELECT count(*) FROM tool_audit_events_{name}"));
    assert_eq!([days.map(count).to_vec(), vec![count("default")]].concat(), [1, 2, 1, 1, 1]);
    assert_eq!((read(&database), cluster.column(&url, rows)), (before, stored));
    assert_eq!(database.partition(), Ok(Vec::new()));
    assert_eq!(database.insert_entries(entries), Ok(Vec::new()));
    assert_eq!(cluster.stored(&url), 6);
}

#[test]
fn a_table_with_rows_becomes_a_partition_without_a_copy() {
    for (table, identity) in [("", false), ("", true), (ORIGINAL_TABLE, false)] {
        let cluster = Cluster::shared();
        let url = cluster.database();
        let database = open(&url);
        cluster.execute(&url, table);
        database.insert_entries((0..20).map(entry).collect()).unwrap();
        if identity {
            cluster.execute(
                &url,
                "ALTER TABLE tool_audit_events ALTER id DROP DEFAULT; DROP SEQUENCE tool_audit_events_id_seq;
                 ALTER TABLE tool_audit_events ALTER id ADD GENERATED ALWAYS AS IDENTITY (START 21)",
            );
        }
        let later = entry_at("9000-01-01T00:00:00.000000Z", 20);
        database.insert_entries(vec![later.clone()]).unwrap();
        let (role, name) = cluster.role(
            &url,
            "GRANT INSERT, SELECT (event_id, ts) ON tool_audit_events TO ROLE; GRANT SELECT ON tool_audit_refused TO ROLE",
        );
        if !identity {
            cluster.execute(&url, &format!("GRANT USAGE ON SEQUENCE tool_audit_events_id_seq TO {name}"));
        }
        let node = "SELECT pg_relation_filenode('tool_audit_events')";
        let (file, before) = (cluster.value(&url, node), read(&database));

        let added = database.partition().unwrap();
        assert_eq!(added[0], "the partitions by day");
        assert!(added.contains(&"the partition tool_audit_events_9000_01_01".to_owned()), "{added:?}");
        let old = partitions(cluster, &url).into_iter().find(|name| name.contains("_before_")).unwrap();
        assert_eq!(cluster.value(&url, &format!("SELECT pg_relation_filenode('{old}')")), file);
        assert_eq!(read(&database), before);
        assert_eq!(database.partition(), Ok(Vec::new()));
        assert_eq!(database.migrate(), Ok(Vec::new()));
        // The store that was open before, and the role of a writer, go on.
        assert_eq!(
            database.insert_entries((0..22).map(entry).filter(|e| e.seq != 20).chain([later]).collect()),
            Ok(Vec::new())
        );
        assert_eq!(open(&role).obstacle(), Ok(None));
        assert_eq!(open(&role).insert_entries(vec![entry(21), entry(22)]), Ok(Vec::new()));
        let numbers = cluster.column(&url, "SELECT id FROM tool_audit_events ORDER BY seq");
        assert_eq!(numbers, (1..24).map(|n| n.to_string()).collect::<Vec<_>>(), "{identity}");
    }
}

#[test]
fn a_batch_that_parallel_sessions_insert_is_stored_once() {
    let (cluster, url, plain) = with_table();
    plain.insert_entries(vec![entry(0)]).unwrap();
    plain.partition().unwrap();
    for round in 0..4 {
        thread::scope(|scope| {
            for _ in 0..4 {
                let database = open(&url);
                scope.spawn(move || {
                    for n in 0..10 {
                        let first = 200 * round + 20 * n;
                        let batch = (first..first + 20).map(entry).collect();
                        assert_eq!(database.insert_entries(batch), Ok(Vec::new()));
                    }
                });
            }
        });
    }
    assert_eq!(cluster.stored(&url), 800);
    assert_eq!(seqs(&open(&url)), (0..800).collect::<Vec<_>>());
}

#[test]
fn partitions_are_added_while_events_are_written() {
    let (cluster, url, database) = partitioned();
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 0..60 {
                let batch = (20 * n..20 * n + 20).map(entry).collect();
                assert_eq!(open(&url).insert_entries(batch), Ok(Vec::new()));
            }
        });
        while !writing.is_finished() {
            database.partition().unwrap();
            cluster.execute(
                &url,
                "DROP TABLE IF EXISTS moved; BEGIN; LOCK TABLE tool_audit_events; CREATE TABLE moved AS SELECT * FROM tool_audit_events;
                 DROP TABLE IF EXISTS tool_audit_events_2026_11_23;
                 DELETE FROM tool_audit_events; INSERT INTO tool_audit_events SELECT * FROM moved; COMMIT",
            );
        }
    });
    assert_eq!(seqs(&database), (0..1200).collect::<Vec<_>>());
}

#[test]
fn reads_filters_cursors_and_refusals_are_those_of_a_table_without_partitions() {
    let (cluster, url, database) = partitioned();
    let (_, plain_url, plain) = with_table();
    let day = |n: u64| format!("2026-11-{:02}T06:30:00.{n:06}Z", 20 + n % 5);
    let entries: Vec<Entry> = (0..100)
        .map(|n| Entry {
            event: Event { ts: day(n), ..entry_of(["search", "shell"][n as usize % 2], n).event },
            ..entry(n)
        })
        .collect();
    for (url, database) in [(&url, &database), (&plain_url, &plain)] {
        cluster.refuse_tool(url, "poison");
        let batch = entries.iter().cloned().chain([entry_of("poison", 100)]).collect();
        let refused = database.insert_entries(batch).unwrap();
        assert_eq!(refused.iter().map(|row| row.index).collect::<Vec<_>>(), [100]);
        cluster.execute(url, "INSERT INTO tool_audit_events (ts, tool) VALUES ('2026-11-22Z', 'foreign'), ('2026-11-23Z', 'foreign')");
    }
    database.partition().unwrap();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        for limit in [0, 1, 7] {
            assert_eq!(pages(&database, order, limit), pages(&plain, order, limit), "{order:?} {limit}");
        }
    }
    let filter = Filter {
        tool: Some("shell".into()),
        from_ts: Some("2026-11-21T00:00:00.000000Z".into()),
        to_ts: Some("2026-11-23T12:00:00.000000Z".into()),
        ..Filter::default()
    };
    let found = |database: &Database| {
        database.select_entries(filter.clone(), PageRequest::default()).unwrap().entries
    };
    assert!(!found(&plain).is_empty());
    assert_eq!(found(&database), found(&plain));
}

#[test]
fn what_would_not_go_with_the_new_rows_is_named_and_nothing_is_changed() {
    let (cluster, url, database) = with_table();
    database.insert_entries(vec![entry(0)]).unwrap();
    for (make, named, drop) in [
        ("CREATE VIEW seen AS SELECT * FROM tool_audit_events", "the view seen", "DROP VIEW seen"),
        (
            "CREATE TRIGGER t BEFORE INSERT ON tool_audit_events FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "the trigger t",
            "DROP TRIGGER t ON tool_audit_events",
        ),
        ("CREATE POLICY p ON tool_audit_events", "the policy p", "DROP POLICY p ON tool_audit_events"),
    ] {
        cluster.execute(&url, make);
        let text = other_error(database.partition());
        assert!(text.contains(named) && text.contains("cannot be partitioned"), "{text}");
        cluster.execute(&url, drop);
        assert_eq!(
            cluster
                .number(&url, "SELECT count(*) FROM pg_class WHERE relname LIKE 'tool_audit_events_before%'"),
            0
        );
    }
    database.partition().unwrap();
    assert_eq!(seqs(&database), [0]);

    let other = cluster.database();
    cluster.execute(
        &other,
        "CREATE TABLE tool_audit_events (id BIGSERIAL, ts TIMESTAMPTZ NOT NULL, tool TEXT) PARTITION BY LIST (tool)",
    );
    let text = other_error(open(&other).partition());
    assert!(text.contains("partitioned by LIST (tool)"), "{text}");
}

#[test]
fn an_insert_uses_the_partitions_of_its_batch_alone() {
    let (cluster, url, database) = partitioned();
    let batches = |first: u64| {
        for n in first..first + 12 {
            assert_eq!(database.insert_entries((10 * n..10 * n + 10).map(entry).collect()), Ok(Vec::new()));
        }
    };
    batches(0);
    database.partition().unwrap();
    // Only what an insert plans for is locked.
    let mut other = Client::connect(&url, NoTls).unwrap();
    let mut holding = other.transaction().unwrap();
    holding.batch_execute("LOCK TABLE tool_audit_events_default IN ACCESS EXCLUSIVE MODE").unwrap();
    batches(12);
    batches(12);
    holding.rollback().unwrap();
    assert_eq!(cluster.stored(&url), 240);
}
