//! What is written is stored whole, once and in order, and rows that the database refuses do not hold up the others.

use std::thread;

use audit_fixtures::{Entries as _, ImportRow};
use audit_host::{Database, Entry, Event, Imported, Order, RefusedRow};
use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{Cluster, DISK_FULL, NOWHERE, REFUSAL, TABLE, WRITE_AND_READ, wait_until};
use uuid::Uuid;

use crate::{
    assert_unanswered, assert_unavailable, entry, entry_of, event_of_texts, id, open, other_error, pages,
    read, seqs, with_table,
};

/// Inserts the entries, and returns the numbers of those that [`Cluster::refuse_tool`] makes the database refuse.
fn rejected(database: &Database, entries: Vec<Entry>) -> Vec<u32> {
    let rejected = database.insert_entries(entries).unwrap();
    for row in &rejected {
        assert!(row.reason.contains(REFUSAL), "{}", row.reason);
        assert!(!row.reason.contains("planner"), "{}", row.reason);
    }
    rejected.into_iter().map(|row| row.index).collect()
}

#[test]
fn an_empty_batch_does_not_need_a_database() {
    assert_eq!(
        open(&format!("postgres://nobody@{NOWHERE}/nothing")).insert_entries(Vec::new()),
        Ok(Vec::new())
    );
}

#[test]
fn entries_are_read_as_they_were_written() {
    let (_, _, database) = with_table();
    let mut full = entry(1);
    full.event = Event {
        req_id: "r \"1\" \\ ü 漢".into(),
        duration_ms: u64::MAX,
        in_size: u64::MAX - 1,
        out_size: i64::MAX as u64 + 1,
        graph_node: Some(String::new()),
        job_id: None,
        ..event_of_texts("2026-11-23T06:30:00.000001Z")
    };
    full.seq = u64::MAX;
    let bare = Entry { event: Event { ts: full.event.ts.clone(), ..Event::default() }, ..entry(2) };
    assert_eq!(database.insert_entries(vec![full.clone(), bare.clone()]), Ok(Vec::new()));
    assert_eq!(read(&database), [full, bare]);
}

#[test]
fn times_of_the_first_and_the_last_year_are_kept() {
    let (_, _, database) = with_table();
    let times = ["0000-01-01T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"];
    let at = |(n, ts): (u64, &&str)| {
        let entry = entry(n);
        Entry { event: Event { ts: (*ts).into(), ..entry.event }, ..entry }
    };
    let entries: Vec<Entry> = (0..).zip(&times).map(at).collect();
    assert_eq!(database.insert_entries(entries.clone()), Ok(Vec::new()));
    assert_eq!(read(&database), entries);
    let newest: Vec<Entry> = pages(&database, Order::NewestFirst, 1).concat();
    assert_eq!(newest, entries.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn a_batch_that_is_sent_again_is_stored_once() {
    let (cluster, url, database) = with_table();
    let entries: Vec<Entry> = (0..50).map(entry).collect();
    database.insert_entries(entries.clone()).unwrap();
    let changed = Entry { hash: "changed".into(), ..entry(3) };
    let again = [entries.clone(), vec![changed, entry(50)]].concat();
    assert_eq!(database.insert_entries(again), Ok(Vec::new()));
    assert_eq!(seqs(&database), (0..51).collect::<Vec<_>>());
    assert_eq!(read(&database)[3], entry(3));
    assert_eq!(cluster.stored(&url), 51);
}

/// A database whose table runs these statements after each statement that inserts.
fn with_trigger(statements: &str) -> (&'static Cluster, String, Database) {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        &format!(
            "CREATE TABLE prepared (id SERIAL, statements BIGINT);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $note$ BEGIN
                 {statements}; RETURN NULL;
             END $note$;
             CREATE TRIGGER note AFTER INSERT ON tool_audit_events EXECUTE FUNCTION note()"
        ),
    );
    (cluster, url, database)
}

#[test]
fn a_statement_is_prepared_only_after_some_batches() {
    let note = "INSERT INTO prepared (statements) SELECT count(*) FROM pg_prepared_statements";
    let (cluster, url, database) = with_trigger(note);
    for n in 0..20 {
        database.insert_entries(vec![entry(2 * n), entry(2 * n + 1)]).unwrap();
        assert_eq!(read(&database).len() as u64, 2 * n + 2);
    }
    let noted = cluster.column(&url, "SELECT statements FROM prepared ORDER BY id");
    let first = noted.iter().position(|count| count != "0").unwrap();
    assert!((5..15).contains(&first), "{noted:?}");
    assert!(noted[first..].iter().all(|count| count == "1"), "{noted:?}");
}

#[test]
fn no_batch_is_lost_where_a_pooler_lends_the_session_to_others() {
    let prepare = "FOR n IN 0..200 LOOP EXECUTE format('PREPARE s%s AS SELECT 1', n); END LOOP";
    for others in [
        // The prepared statement is gone, or it is another client's, or another client has taken its name before.
        "EXECUTE 'DEALLOCATE ALL'",
        &format!(
            "IF EXISTS (SELECT FROM pg_prepared_statements) THEN EXECUTE 'DEALLOCATE ALL'; {prepare}; END IF"
        ),
        &format!("EXECUTE 'DEALLOCATE ALL'; {prepare}"),
    ] {
        let (_, _, database) = with_trigger(others);
        for n in 0..20 {
            assert_eq!(
                database.insert_entries(vec![entry(2 * n), entry(2 * n + 1)]),
                Ok(Vec::new()),
                "{others}"
            );
        }
        assert_eq!(seqs(&database), (0..40).collect::<Vec<_>>());
    }
}

#[test]
fn rows_are_numbered_in_the_order_of_the_batch() {
    let (cluster, url, database) = with_table();
    let order = [7, 3, 9, 1, 8, 0, 2];
    database.insert_entries(order.map(entry).into()).unwrap();
    let rows = cluster.column(&url, "SELECT seq FROM tool_audit_events ORDER BY id");
    assert_eq!(rows, order.map(|n| n.to_string()));
}

#[test]
fn a_row_that_the_database_refuses_is_found_among_many() {
    let (cluster, url, database) = with_table();
    cluster.refuse_tool(&url, "poison");
    let mut entries: Vec<Entry> = (0..400).map(entry).collect();
    entries[273] = entry_of("poison", 273);
    assert_eq!(rejected(&database, entries), [273]);
    let others: Vec<u64> = (0..400).filter(|n| *n != 273).collect();
    assert_eq!(seqs(&database), others);
    let rows = cluster.column(&url, "SELECT seq FROM tool_audit_events ORDER BY id");
    assert_eq!(rows, others.iter().map(u64::to_string).collect::<Vec<_>>());
}

#[test]
fn several_rows_that_the_database_refuses_are_found_in_one_batch() {
    let (cluster, url, database) = with_table();
    cluster.refuse_tool(&url, "poison");
    let poison = [0, 1, 17, 38, 39];
    let entries = (0..40).map(|n| if poison.contains(&n) { entry_of("poison", n) } else { entry(n) });
    assert_eq!(rejected(&database, entries.collect()), poison.map(|n| n as u32));
    assert_eq!(seqs(&database).len(), 35);
    let all = (100..120).map(|n| entry_of("poison", n)).collect();
    assert_eq!(rejected(&database, all), (0..20).collect::<Vec<_>>());
    assert_eq!(seqs(&database).len(), 35);
}

#[test]
fn a_row_that_a_trigger_or_an_index_refuses_is_refused_alone() {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.status = 'raise' THEN RAISE EXCEPTION 'not here'; END IF;
             IF NEW.status <> '' THEN PERFORM NEW.status::int; END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON tool_audit_events FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let status = |n, status: &str| {
        let entry = entry(n);
        Entry { event: Event { status: status.into(), ..entry.event }, ..entry }
    };
    // This text cannot be compressed, and is longer than the index on (tool, ts) can take.
    let mut long = String::new();
    let mut state = 1_u64;
    while long.len() < 3900 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        long.push(char::from(b' ' + (state >> 33) as u8 % 95));
    }
    let entries = vec![entry(0), status(1, "raise"), status(2, "secret"), entry_of(&long, 3), entry(4)];
    let rejected = database.insert_entries(entries).unwrap();
    let said = [(1, "not here"), (2, "invalid input syntax"), (3, "index row size")];
    assert_eq!(rejected.len(), said.len(), "{rejected:?}");
    for (row, (index, said)) in rejected.iter().zip(said) {
        assert!(row.index == index && row.reason.contains(said), "{row:?}");
        assert!(!row.reason.contains("secret"), "a reason shows no value: {row:?}");
    }
    assert_eq!(seqs(&database), [0, 4]);
}

#[test]
fn an_invalid_entry_is_refused_alone() {
    let (_, _, database) = with_table();
    let mut entries: Vec<Entry> = (0..5).map(entry).collect();
    entries[1].event.ts = "soon".into();
    entries[2].id = String::new();
    entries[3].chain = "planner".into();
    let rejected = database.insert_entries(entries).unwrap();
    let said = [(1, "type timestamp"), (2, "type uuid"), (3, "type uuid")];
    assert_eq!(rejected.len(), said.len(), "{rejected:?}");
    for (row, (index, said)) in rejected.iter().zip(said) {
        assert!(row.index == index && row.reason.contains(said), "{row:?}");
        assert!(!row.reason.contains("soon") && !row.reason.contains("planner"), "{row:?}");
    }
    assert_eq!(seqs(&database), [0, 4]);
}

#[test]
fn a_row_that_a_policy_of_the_table_refuses_is_refused_alone() {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        "ALTER TABLE tool_audit_events ENABLE ROW LEVEL SECURITY;
         CREATE POLICY mine ON tool_audit_events USING (tool = 'search')",
    );
    let (policed, _) = cluster.role(&url, WRITE_AND_READ);
    let rejected = open(&policed).insert_entries(vec![entry(0), entry_of("shell", 1), entry(2)]).unwrap();
    assert_eq!(rejected.iter().map(|row| row.index).collect::<Vec<_>>(), [1]);
    assert_eq!(seqs(&database), [0, 2]);
}

#[test]
fn what_is_known_of_a_refused_entry_is_kept() {
    const KEPT: &str = "SELECT event_id || ' ' || chain || ' ' || seq || ' ' || hash || ' ' || reason
                        FROM tool_audit_refused WHERE ts = '2026-11-23T06:30:00.000001Z'";
    let (cluster, url, database) = with_table();
    cluster.refuse_tool(&url, "shell");
    for table in ["", "DROP TABLE tool_audit_refused"] {
        cluster.execute(&url, table);
        for _ in 0..2 {
            assert_eq!(rejected(&database, vec![entry(0), entry_of("shell", 1)]), [1]);
        }
        let Entry { id, chain, seq, hash, .. } = entry(1);
        let kept = cluster.column(&url, KEPT);
        assert!(kept.len() == 1 && kept[0].starts_with(&format!("{id} {chain} {seq} {hash} ")), "{kept:?}");
        assert!(kept[0].contains(REFUSAL) && !kept[0].contains("planner"), "{kept:?}");
    }
    let (role, _) = cluster.role(&url, WRITE_AND_READ);
    let refused = open(&role).insert_entries(vec![entry_of("shell", 2)]).unwrap();
    assert!(refused[0].reason.contains("nothing is kept of it in tool_audit_refused"), "{refused:?}");
}

#[test]
fn a_refused_entry_of_which_nothing_can_be_kept_for_now_comes_again() {
    let (cluster, url, database) = with_table();
    cluster.refuse_tool(&url, "shell");
    let batch = || vec![entry_of("shell", 1), entry(2)];
    cluster.refuse_writes(&url, "tool_audit_refused");
    assert_unavailable(database.insert_entries(batch()), &[DISK_FULL]);
    assert_unanswered(database.insert_entries(vec![entry(0), entry_of("shell", 1)]), &[DISK_FULL]);
    cluster.accept_writes(&url, "tool_audit_refused");
    assert_eq!(rejected(&database, batch()), [0]);
    assert_eq!(cluster.column(&url, "SELECT seq::text FROM tool_audit_refused"), ["1"]);
    assert_eq!(seqs(&database), [0, 2]);
}

#[test]
fn entries_that_are_stored_already_use_up_no_numbers() {
    let (cluster, url, database) = with_table();
    let entries: Vec<Entry> = (0..300).map(entry).collect();
    for _ in 0..4 {
        assert_eq!(database.insert_entries(entries.clone()), Ok(Vec::new()));
    }
    let foreign = [ImportRow::Foreign { event: entry(1).event, key: Uuid::from_u128(11) }];
    for _ in 0..4 {
        database.import_rows(&foreign).unwrap();
    }
    assert_eq!(cluster.number(&url, "SELECT last_value FROM tool_audit_events_id_seq"), 301);
}

#[test]
fn a_row_that_a_trigger_drops_is_refused_and_what_is_known_of_it_is_kept() {
    let (cluster, url, database) = with_table();
    cluster.drop_tool(&url, "ghost");
    let entries = |_| (0..300).map(|n| if n % 100 == 7 { entry_of("ghost", n) } else { entry(n) }).collect();
    // The second batch is stored already, but for the rows that are dropped again.
    for entries in [(); 2].map(entries) {
        let refused = database.insert_entries(entries).unwrap();
        assert_eq!(refused.iter().map(|row| row.index).collect::<Vec<_>>(), [7, 107, 207]);
        assert!(refused.iter().all(|row| row.reason.contains("without storing it")), "{refused:?}");
    }
    assert_eq!(cluster.stored(&url), 297);
    let kept = cluster.column(&url, "SELECT seq || reason FROM tool_audit_refused ORDER BY seq");
    assert!(kept.len() == 3 && kept[1].starts_with("107the database accepted the row"), "{kept:?}");
    let foreign =
        |tool, key| ImportRow::Foreign { event: entry_of(tool, 1).event, key: Uuid::from_u128(key) };
    let imported = database.import_rows(&[foreign("ghost", 11), foreign("search", 12)]).unwrap();
    assert_eq!((imported.stored, imported.refused.len(), imported.refused[0].index), (1, 1, 0));
}

#[test]
fn where_the_server_does_not_tell_which_rows_it_has_dropped_the_others_may_be_stored() {
    let (cluster, url, database) = with_table();
    cluster.drop_tool(&url, "ghost");
    cluster.execute(
        &url,
        "CREATE FUNCTION hurry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM set_config('statement_timeout', '1', false); RETURN NULL;
         END $$;
         CREATE TRIGGER hurry AFTER INSERT ON tool_audit_events EXECUTE FUNCTION hurry()",
    );
    let entries: Vec<Entry> =
        (0..3_000).map(|n| if n == 7 { entry_of("ghost", n) } else { entry(n) }).collect();
    assert_unanswered(database.insert_entries(entries.clone()), &["statement timeout"]);
    assert_eq!(cluster.stored(&url), 2_999);
    cluster.execute(&url, "DROP TRIGGER hurry ON tool_audit_events");
    let refused = open(&url).insert_entries(entries).unwrap();
    assert_eq!(refused.iter().map(|row| row.index).collect::<Vec<_>>(), [7]);
}

#[test]
fn a_batch_does_not_make_the_server_read_the_whole_table() {
    let (cluster, url, database) = with_table();
    cluster.execute(&url, "ALTER TABLE tool_audit_events SET (autovacuum_enabled = off)");
    for rows in [5, 50, 200, 1_000] {
        for n in 0..6 {
            let first = rows * (100 + n);
            assert_eq!(database.insert_entries((first..first + rows).map(entry).collect()), Ok(Vec::new()));
        }
    }
    drop(database);
    let statistic = |name| {
        cluster.number(
            &url,
            &format!("SELECT {name} FROM pg_stat_user_tables WHERE relname = 'tool_audit_events'"),
        )
    };
    wait_until("the statistics have arrived", || statistic("n_tup_ins") >= 6 * 1_255);
    assert!(
        statistic("seq_tup_read") < 100,
        "{} rows were read one after the other",
        statistic("seq_tup_read")
    );
}

#[test]
fn a_row_that_a_trigger_stores_in_a_child_of_the_table_is_stored() {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        "CREATE TABLE child () INHERITS (tool_audit_events);
         CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO child SELECT NEW.*; RETURN NULL;
         END $$;
         CREATE TRIGGER route BEFORE INSERT ON tool_audit_events FOR EACH ROW EXECUTE FUNCTION route()",
    );
    for _ in 0..2 {
        assert_eq!(database.insert_entries(vec![entry(0), entry(1)]), Ok(Vec::new()));
    }
    assert_eq!(seqs(&database), [0, 1]);
}

#[test]
fn a_row_that_another_session_is_inserting_is_stored_and_not_refused() {
    let (cluster, url, database) = with_table();
    cluster.execute(&url, "CREATE TABLE stage (LIKE tool_audit_events)");
    database.insert_entries((0..3).map(entry).collect()).unwrap();
    cluster.execute(&url, "INSERT INTO stage SELECT * FROM tool_audit_events; DELETE FROM tool_audit_events");
    let mut other = Client::connect(&url, NoTls).unwrap();
    let mut inserting = other.transaction().unwrap();
    inserting.batch_execute("INSERT INTO tool_audit_events SELECT * FROM stage").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| database.insert_entries((0..5).map(entry).collect()));
        let locks = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                     AND wait_event_type = 'Lock'";
        wait_until("the insert waits", || cluster.number(&url, locks) == 1);
        inserting.commit().unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(Vec::new()));
    });
    assert_eq!(seqs(&database), [0, 1, 2, 3, 4]);
}

#[test]
fn a_statement_that_was_prepared_for_an_empty_table_uses_the_index_of_a_big_one() {
    let (cluster, url, database) = with_table();
    for n in 0..20 {
        if n == 1 {
            cluster.execute(&url, "ALTER TABLE tool_audit_events SET (autovacuum_enabled = off)");
            cluster.execute(&url, "VACUUM ANALYZE tool_audit_events");
        }
        database.insert_entries((10 * n..10 * n + 10).map(entry).collect()).unwrap();
    }
    cluster.execute(
        &url,
        "INSERT INTO tool_audit_events (ts, event_id) SELECT now(), gen_random_uuid() FROM generate_series(1, 100000)",
    );
    for n in 20..30 {
        database.insert_entries((10 * n..10 * n + 10).map(entry).collect()).unwrap();
    }
    let statistic = |name| {
        cluster.number(
            &url,
            &format!("SELECT {name} FROM pg_stat_user_tables WHERE relname = 'tool_audit_events'"),
        )
    };
    // Those of a session arrive at the latest when it has ended.
    drop(database);
    wait_until("the statistics have arrived", || statistic("n_tup_ins") >= 100_300);
    assert!(statistic("seq_tup_read") < 100_000, "the whole table was read");
}

#[test]
fn an_import_stores_each_row_once_and_counts_the_new_ones() {
    let (cluster, url, database) = with_table();
    let foreign = |n: u64, key: u128| ImportRow::Foreign { event: entry(n).event, key: Uuid::from_u128(key) };
    let first = [foreign(1, 11), ImportRow::Own(entry(2)), foreign(1, 12)];
    assert_eq!(database.import_rows(&first), Ok(Imported { stored: 3, refused: Vec::new() }));
    let unreadable = Event { ts: "soon".into(), ..Event::default() };
    let second = [
        ImportRow::Foreign { event: unreadable, key: Uuid::from_u128(13) },
        foreign(1, 12),
        foreign(3, 14),
        ImportRow::Own(entry(2)),
    ];
    let imported = database.import_rows(&second).unwrap();
    assert_eq!(imported.stored, 1);
    assert!(
        matches!(&imported.refused[..], [RefusedRow { index: 0, reason }] if reason.contains("type timestamp"))
    );
    let expected = [(1, ""), (1, ""), (2, &id(2)), (3, "")];
    let stored: Vec<(u64, String)> =
        read(&database).into_iter().map(|entry| (entry.event.duration_ms, entry.id)).collect();
    assert_eq!(stored, expected.map(|(n, id)| (n, id.to_owned())));
    let keys = "SELECT count(*) FROM tool_audit_events WHERE chain IS NULL AND event_id IS NOT NULL";
    assert_eq!(cluster.number(&url, keys), 3);
}

#[test]
fn a_fault_of_the_table_is_not_blamed_on_a_row() {
    let (cluster, url, database) = with_table();
    let entries = vec![entry(0), entry(1)];
    for (broken, said, mended) in [
        (
            "ALTER TABLE tool_audit_events ADD COLUMN tenant TEXT NOT NULL",
            "the column tenant",
            "ALTER TABLE tool_audit_events ALTER COLUMN tenant DROP NOT NULL",
        ),
        (
            "ALTER SEQUENCE tool_audit_events_id_seq MAXVALUE 5; SELECT setval('tool_audit_events_id_seq', 5)",
            "\"tool_audit_events_id_seq\" (5)",
            "ALTER SEQUENCE tool_audit_events_id_seq NO MAXVALUE",
        ),
        (
            "ALTER TABLE tool_audit_events ALTER COLUMN id DROP DEFAULT",
            "the column id",
            "ALTER TABLE tool_audit_events ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY",
        ),
    ] {
        cluster.execute(&url, broken);
        let text = other_error(database.insert_entries(entries.clone()));
        assert!(text.contains(said) && text.contains("ALTER "), "{text}");
        assert!(!text.contains("planner"), "{text}");
        cluster.execute(&url, mended);
        assert_eq!(database.insert_entries(entries.clone()), Ok(Vec::new()), "{mended}");
        cluster.clear(&url);
    }
}

#[test]
fn a_row_without_a_value_that_its_column_needs_is_refused_alone() {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        "CREATE TABLE elsewhere (note TEXT NOT NULL);
         CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.tool = 'shell' THEN INSERT INTO elsewhere VALUES (NULL); END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER elsewhere BEFORE INSERT ON tool_audit_events FOR EACH ROW EXECUTE FUNCTION elsewhere();
         ALTER TABLE tool_audit_events ALTER COLUMN chain SET NOT NULL",
    );
    let foreign = ImportRow::Foreign { event: entry(1).event, key: Uuid::from_u128(11) };
    let rows = [ImportRow::Own(entry(0)), foreign, ImportRow::Own(entry_of("shell", 2))];
    let imported = database.import_rows(&rows).unwrap();
    let rejected: Vec<(u32, bool, bool)> = imported
        .refused
        .iter()
        .map(|row| (row.index, row.reason.contains("chain"), row.reason.contains("note")))
        .collect();
    assert_eq!((imported.stored, &rejected[..]), (1, &[(1, true, false), (2, false, true)][..]));
}

#[test]
fn a_full_disk_is_not_blamed_on_a_row() {
    let (cluster, url, database) = with_table();
    database.insert_entries(vec![entry(0)]).unwrap();
    cluster.refuse_writes(&url, TABLE);
    assert_unavailable(database.insert_entries(vec![entry(1), entry(2)]), &[DISK_FULL]);
    cluster.accept_writes(&url, TABLE);
    assert_eq!(database.insert_entries(vec![entry(1), entry(2)]), Ok(Vec::new()));
    assert_eq!(seqs(&database), [0, 1, 2]);
}
