//! A large batch is copied where that does the same as inserting it, and stores what an insert would.

use std::thread;

use audit_fixtures::{Entries as _, ImportRow, numbered, stored};
use audit_host::{Database, Entry, Event, Imported};
use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{Cluster, Pooler, REFUSAL, WRITE_AND_READ, wait_until};
use uuid::Uuid;

use crate::{entry, entry_of, open, read, seqs, with_table};

/// Enough rows for a batch that is copied.
const LARGE: u64 = 600;

/// How many batches come before, so that the connection is one that keeps statements.
const BEFORE: u64 = 12;

/// Large batches begin with this number.
const FIRST: u64 = 1_000;

/// A large batch.
fn large() -> Vec<Entry> {
    (FIRST..FIRST + LARGE).map(entry).collect()
}

/// A large batch, with a tool of their own for some.
fn large_with(tool: &str, numbers: &[u64]) -> Vec<Entry> {
    (FIRST..FIRST + LARGE).map(|n| if numbers.contains(&n) { entry_of(tool, n) } else { entry(n) }).collect()
}

/// Stores small batches, which are inserted.
fn warm_up(database: &Database) {
    for n in 0..BEFORE {
        assert_eq!(database.insert_entries(vec![entry(n)]), Ok(Vec::new()));
    }
}

/// Has the table note which command each statement is that stores rows.
fn note_commands(cluster: &Cluster, url: &str) {
    cluster.execute(
        url,
        "CREATE TABLE commands (id SERIAL, command TEXT);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
             INSERT INTO commands (command) VALUES (substring(current_query() FROM '(COPY|INSERT) '));
             RETURN NULL;
         END $$;
         CREATE TRIGGER note AFTER INSERT ON tool_audit_events EXECUTE FUNCTION note()",
    );
}

/// The commands that were noted since the last call.
fn noted(cluster: &Cluster, url: &str) -> Vec<String> {
    let commands = cluster.column(url, "SELECT command FROM commands ORDER BY id");
    cluster.execute(url, "TRUNCATE commands");
    commands
}

/// A database whose connection keeps statements, and which notes the commands.
fn warm() -> (&'static Cluster, String, Database) {
    let (cluster, url, database) = with_table();
    warm_up(&database);
    note_commands(cluster, &url);
    (cluster, url, database)
}

/// The numbers of the small batches and of a large one, but for some.
fn all_but(numbers: &[u64]) -> Vec<u64> {
    (0..BEFORE).chain(FIRST..FIRST + LARGE).filter(|n| !numbers.contains(n)).collect()
}

fn in_order_of_insertion(cluster: &Cluster, url: &str) -> Vec<u64> {
    let rows = cluster.column(url, "SELECT seq FROM tool_audit_events ORDER BY id");
    rows.iter().map(|seq| seq.parse().unwrap()).collect()
}

#[test]
fn large_batches_are_copied_and_have_the_rows_of_an_insert() {
    let (cluster, url, database) = warm();
    let entries: Vec<Entry> = (FIRST..FIRST + LARGE)
        .map(|n| Entry { event: stored(&numbered("copied", n)), seq: u64::MAX / n, ..entry(n) })
        .collect();
    let other = open(&url);
    for (table, database, command) in [("copied", &database, "COPY"), ("inserted", &other, "INSERT")] {
        assert_eq!(database.insert_entries(entries.clone()), Ok(Vec::new()));
        assert_eq!(noted(cluster, &url), [command]);
        cluster.execute(
            &url,
            &format!("CREATE TABLE {table} AS SELECT * FROM tool_audit_events WHERE id > {BEFORE}"),
        );
        cluster.execute(&url, &format!("DELETE FROM tool_audit_events WHERE id > {BEFORE}"));
    }
    let rows = |table| cluster.number(&url, &format!("SELECT count(*) FROM {table}"));
    assert_eq!((rows("copied"), rows("inserted")), (LARGE, LARGE));
    // In the order of the columns, and with the order of the rows.
    let differences = "
        SELECT count(*) FROM (
            SELECT row_number() OVER (ORDER BY id), to_jsonb(copied) - 'id' FROM copied
            EXCEPT SELECT row_number() OVER (ORDER BY id), to_jsonb(inserted) - 'id' FROM inserted
        ) AS different";
    assert_eq!(cluster.number(&url, differences), 0);
}

#[test]
fn large_batches_follow_each_other_in_order_and_are_all_copied() {
    let (cluster, url, database) = warm();
    for n in 1..6 {
        let batch = (n * LARGE..(n + 1) * LARGE).map(entry).collect();
        assert_eq!(database.insert_entries(batch), Ok(Vec::new()));
    }
    assert_eq!(noted(cluster, &url), ["COPY"; 5]);
    let expected: Vec<u64> = (0..BEFORE).chain(LARGE..6 * LARGE).collect();
    assert_eq!(in_order_of_insertion(cluster, &url), expected);
}

#[test]
fn a_large_batch_that_is_sent_again_is_stored_once_and_uses_up_no_numbers() {
    let (cluster, url, database) = warm();
    for _ in 0..4 {
        assert_eq!(database.insert_entries(large()), Ok(Vec::new()));
    }
    let (half, fresh) = (FIRST + LARGE / 2..FIRST + LARGE, FIRST + LARGE..FIRST + 2 * LARGE);
    let overlapping = half.chain(fresh).map(entry).collect();
    assert_eq!(database.insert_entries(overlapping), Ok(Vec::new()));
    assert_eq!(noted(cluster, &url), ["COPY", "INSERT", "INSERT", "INSERT", "INSERT"]);
    assert_eq!(seqs(&database).len() as u64, BEFORE + 2 * LARGE);
    let last = cluster.number(&url, "SELECT last_value FROM tool_audit_events_id_seq");
    assert_eq!(last, BEFORE + 2 * LARGE);
}

#[test]
fn an_entry_twice_in_a_large_batch_is_stored_once() {
    let (_, _, database) = warm();
    let twice = [large(), large()].concat();
    assert_eq!(database.insert_entries(twice), Ok(Vec::new()));
    assert_eq!(seqs(&database), all_but(&[]));
}

#[test]
fn rows_of_a_large_batch_that_the_database_refuses_are_refused_alone() {
    let (cluster, url, database) = warm();
    cluster.refuse_tool(&url, "poison");
    let poison = [FIRST, FIRST + 273, FIRST + LARGE - 1];
    let refused = database.insert_entries(large_with("poison", &poison)).unwrap();
    let found: Vec<u64> = refused.iter().map(|row| FIRST + u64::from(row.index)).collect();
    assert_eq!(found, poison);
    assert!(refused.iter().all(|row| row.reason.contains(REFUSAL)), "{refused:?}");
    assert_eq!(in_order_of_insertion(cluster, &url), all_but(&poison));
    noted(cluster, &url);
    let next = (2 * FIRST..2 * FIRST + LARGE).map(entry).collect();
    assert_eq!(database.insert_entries(next), Ok(Vec::new()));
    assert_eq!(noted(cluster, &url), ["COPY"]);
}

#[test]
fn rows_of_a_large_batch_that_a_trigger_drops_are_refused() {
    let (cluster, url, database) = warm();
    cluster.drop_tool(&url, "ghost");
    let ghosts = [FIRST + 7, FIRST + 500];
    let refused = database.insert_entries(large_with("ghost", &ghosts)).unwrap();
    assert_eq!(noted(cluster, &url), ["COPY"]);
    assert_eq!(refused.iter().map(|row| row.index).collect::<Vec<_>>(), [7, 500]);
    assert!(refused.iter().all(|row| row.reason.contains("without storing it")), "{refused:?}");
    assert_eq!(seqs(&database), all_but(&ghosts));
}

#[test]
fn rows_of_a_large_batch_that_another_session_is_inserting_are_stored_once() {
    let (cluster, url, database) = warm();
    cluster.execute(&url, "CREATE TABLE stage (LIKE tool_audit_events)");
    database.insert_entries(large()).unwrap();
    cluster.execute(
        &url,
        &format!(
            "INSERT INTO stage SELECT * FROM tool_audit_events WHERE seq >= {FIRST} AND seq < {FIRST} + 10;
             DELETE FROM tool_audit_events WHERE seq >= {FIRST}"
        ),
    );
    let mut other = Client::connect(&url, NoTls).unwrap();
    let mut inserting = other.transaction().unwrap();
    inserting.batch_execute("INSERT INTO tool_audit_events SELECT * FROM stage").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| database.insert_entries(large()));
        let locks = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                     AND wait_event_type = 'Lock' AND query LIKE '%COPY tool_audit_events%'";
        wait_until("the copy waits", || cluster.number(&url, locks) == 1);
        inserting.commit().unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(Vec::new()));
    });
    assert_eq!(seqs(&database), all_but(&[]));
}

#[test]
fn a_large_batch_is_inserted_where_copying_would_not_do_the_same() {
    for (change, tool) in [
        (
            "ALTER TABLE tool_audit_events ENABLE ROW LEVEL SECURITY;
          CREATE POLICY mine ON tool_audit_events USING (tool = 'search')",
            "shell",
        ),
        ("CREATE RULE instead AS ON DELETE TO tool_audit_events DO INSTEAD NOTHING", "search"),
    ] {
        let (cluster, url, _) = with_table();
        let (role, _) = cluster.role(&url, WRITE_AND_READ);
        note_commands(cluster, &url);
        let database = open(&role);
        warm_up(&database);
        noted(cluster, &url);
        cluster.execute(&url, change);
        for n in 1..4 {
            let mut batch: Vec<Entry> = (n * FIRST..n * FIRST + LARGE).map(entry).collect();
            batch[77] = entry_of(tool, n * FIRST + 77);
            let refused = database.insert_entries(batch).unwrap();
            let expected: &[u32] = if tool == "shell" { &[77] } else { &[] };
            assert_eq!(refused.iter().map(|row| row.index).collect::<Vec<_>>(), expected, "{change}");
        }
        assert!(!noted(cluster, &url).contains(&"COPY".to_owned()), "{change}");
    }
}

#[test]
fn row_level_security_that_begins_between_two_large_batches_is_obeyed() {
    let (cluster, url, _) = with_table();
    let (role, _) = cluster.role(&url, WRITE_AND_READ);
    note_commands(cluster, &url);
    let database = open(&role);
    warm_up(&database);
    assert_eq!(database.insert_entries(large()), Ok(Vec::new()));
    assert_eq!(noted(cluster, &url).last().unwrap(), "COPY");
    cluster.execute(
        &url,
        "ALTER TABLE tool_audit_events ENABLE ROW LEVEL SECURITY;
         CREATE POLICY mine ON tool_audit_events USING (tool = 'search')",
    );
    let mut batch: Vec<Entry> = (2 * FIRST..2 * FIRST + LARGE).map(entry).collect();
    batch[5] = entry_of("shell", 2 * FIRST + 5);
    let refused = database.insert_entries(batch).unwrap();
    assert_eq!(refused.iter().map(|row| row.index).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_unique_index_that_is_dropped_between_two_large_batches_is_made_again() {
    let (cluster, url, database) = warm();
    assert_eq!(database.insert_entries(large()), Ok(Vec::new()));
    cluster.execute(&url, "DROP INDEX tool_audit_events_event_id_idx");
    let next: Vec<Entry> = (2 * FIRST..2 * FIRST + LARGE).map(entry).collect();
    for _ in 0..2 {
        assert_eq!(database.insert_entries(next.clone()), Ok(Vec::new()));
    }
    assert_eq!(cluster.stored(&url), BEFORE + 2 * LARGE);
    let unique =
        "SELECT count(*) FROM pg_index WHERE indrelid = 'tool_audit_events'::regclass AND indisunique";
    assert_eq!(cluster.number(&url, unique), 2);
}

#[test]
fn large_batches_of_other_writers_are_stored_once() {
    let (cluster, url, database) = warm();
    let foreign = |n: u64| ImportRow::Foreign { event: entry(n).event, key: Uuid::from_u128(n.into()) };
    let rows: Vec<ImportRow> = (FIRST..FIRST + LARGE).map(foreign).collect();
    let stored = |stored| Ok(Imported { stored, refused: Vec::new() });
    assert_eq!(database.import_rows(&rows), stored(LARGE));
    assert_eq!(database.import_rows(&rows), stored(0));
    assert_eq!(cluster.stored(&url), BEFORE + LARGE);
}

#[test]
fn large_batches_reach_a_partitioned_table_once() {
    let (cluster, url, database) = with_table();
    warm_up(&database);
    database.partition().unwrap();
    for _ in 0..2 {
        assert_eq!(database.insert_entries(large()), Ok(Vec::new()));
    }
    assert_eq!(cluster.stored(&url), BEFORE + LARGE);
    assert_eq!(seqs(&database), all_but(&[]));
}

#[test]
fn large_batches_pass_a_pooler_that_lends_its_sessions_to_others() {
    let (cluster, url, _) = with_table();
    let pooler = Pooler::start(cluster, "pool_mode = transaction\ndefault_pool_size = 2");
    let pooled = pooler.url(&url);
    thread::scope(|scope| {
        for writer in 0..3 {
            let pooled = pooled.clone();
            scope.spawn(move || {
                let database = open(&pooled);
                for n in 0..BEFORE {
                    let batch = (0..LARGE).map(|row| entry((writer * BEFORE + n) * LARGE + row)).collect();
                    assert_eq!(database.insert_entries(batch), Ok(Vec::new()));
                }
            });
        }
    });
    assert_eq!(seqs(&open(&url)), (0..3 * BEFORE * LARGE).collect::<Vec<_>>());
}

#[test]
fn texts_that_are_longer_than_a_line_are_copied() {
    let (_, _, database) = warm();
    let mut entries = large();
    entries[9].event = Event { action: "漢\n\t\\".repeat(50_000), ..entries[9].event.clone() };
    assert_eq!(database.insert_entries(entries.clone()), Ok(Vec::new()));
    assert_eq!(read(&database)[BEFORE as usize..], entries);
}
