//! The table is created, or upgraded with its rows kept, and made ready again where somebody has changed it.

use audit_fixtures::Entries as _;
use std::thread;
use std::time::{Duration, Instant};

use audit_host::{Database, Filter, Order, PageRequest};
use audit_sql::statements::UPGRADE;
use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{ANSWER, Cluster, NOWHERE, ORIGINAL_TABLE, TABLE, wait_until};

use crate::{assert_unavailable, entry, open, other_error, pages, read, seqs, with_table};

/// The table of another program, with two rows. Unlike that of the original program, its columns may be NULL.
fn table_with_rows() -> String {
    let table = ORIGINAL_TABLE.replace("TEXT NOT NULL", "TEXT").replace("INT NOT NULL", "INT");
    format!(
        "{table};
         INSERT INTO tool_audit_events (ts, agent_id, tool, duration_ms) VALUES
             ('2026-11-23T06:30:02Z', 'old', 'b', 2), ('2026-11-23T06:30:01Z', 'old', 'a', 1)"
    )
}

/// A new database in which these statements were run: its URL, and its `Database`.
fn prepared(sql: &str) -> (&'static Cluster, String, Database) {
    let cluster = Cluster::shared();
    let url = cluster.database();
    cluster.execute(&url, sql);
    let database = open(&url);
    (cluster, url, database)
}

const COLUMNS: &str = "
    SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN '!' ELSE '' END,
                      ', ' ORDER BY attnum)
    FROM pg_attribute WHERE attrelid = 'tool_audit_events'::regclass AND attnum > 0";

const UPGRADED_INDEXES: &str = "(id)! (ts) (tool, ts) (agent_id, ts) (workspace_id, ts) (event_id)!";

const INDEXES: &str = "
    SELECT string_agg(substring(pg_get_indexdef(indexrelid) from '\\(.*\\)')
                      || CASE WHEN indisunique THEN '!' ELSE '' END, ' ' ORDER BY indexrelid)
    FROM pg_index WHERE indrelid = 'tool_audit_events'::regclass";

const UPGRADED: &str = "id bigint!, ts timestamp with time zone!, req_id text, workspace_id text, user_id text, \
                        agent_id text, tool text, action text, status text, duration_ms numeric(20,0), \
                        in_size numeric(20,0), out_size numeric(20,0), input_hash text, graph_run_id text, \
                        graph_node text, job_id text, attributes jsonb, event_id uuid, chain uuid, seq numeric(20,0), hash text";

#[test]
fn the_table_is_created() {
    let (cluster, url, _) = with_table();
    assert_eq!(cluster.value(&url, COLUMNS), UPGRADED);
    assert_eq!(cluster.value(&url, INDEXES), UPGRADED_INDEXES);
}

#[test]
fn a_read_takes_the_original_table_as_it_is() {
    let (cluster, url, database) = prepared(&table_with_rows());
    let before = cluster.value(&url, COLUMNS);
    let tools: Vec<String> = read(&database).into_iter().map(|entry| entry.event.tool).collect();
    assert_eq!(tools, ["a", "b"]);
    let filter = Filter { tool: Some("b".into()), agent_id: Some("old".into()), ..Filter::default() };
    let found = database.select_entries(filter, PageRequest::default()).unwrap();
    assert_eq!(found.entries.len(), 1);
    assert_eq!(pages(&database, Order::NewestFirst, 1).concat().len(), 2);
    assert_eq!(cluster.value(&url, COLUMNS), before);

    let lacked = database.migrate().unwrap();
    assert!(lacked.contains(&"the column event_id".to_owned()), "{lacked:?}");
    assert_eq!(cluster.value(&url, COLUMNS), UPGRADED);
    assert_eq!(database.migrate(), Ok(Vec::new()));
    assert_eq!(read(&database).len(), 2);
}

#[test]
fn the_upgrade_for_other_hosts_is_complete_and_may_run_again() {
    let (cluster, url, database) = prepared(ORIGINAL_TABLE);
    for _ in 0..2 {
        cluster.execute(&url, UPGRADE);
        assert_eq!(database.migrate(), Ok(Vec::new()));
    }
    assert_eq!(cluster.number(&url, "SELECT count(*) FROM tool_audit_refused"), 0);
}

#[test]
fn a_read_finds_nothing_where_there_is_no_table_and_creates_none() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let database = open(&url);
    for _ in 0..2 {
        let page = database.select_entries(Filter::default(), PageRequest::default()).unwrap();
        assert_eq!((page.entries.len(), page.next), (0, None));
    }
    assert_eq!(cluster.value(&url, &format!("SELECT to_regclass('{TABLE}')")), "");
    database.insert_entries(vec![entry(0)]).unwrap();
    assert_eq!(database.select_entries(Filter::default(), PageRequest::default()).unwrap().entries.len(), 1);
    cluster.execute(&url, "DROP TABLE tool_audit_events");
    assert_eq!(database.select_entries(Filter::default(), PageRequest::default()).unwrap().entries.len(), 0);
}

#[test]
fn the_table_of_another_program_is_upgraded_with_its_rows() {
    let (cluster, url, database) = prepared(&table_with_rows());
    let mut big = entry(9);
    big.event.in_size = u64::MAX;
    assert_eq!(database.insert_entries(vec![big.clone()]), Ok(Vec::new()));
    assert_eq!(cluster.value(&url, COLUMNS), UPGRADED);
    assert_eq!(cluster.value(&url, INDEXES), UPGRADED_INDEXES);
    let entries = read(&database);
    let old: Vec<(&str, u64)> =
        entries[1..].iter().map(|e| (e.event.tool.as_str(), e.event.duration_ms)).collect();
    assert_eq!(old, [("a", 1), ("b", 2)]);
    assert_eq!(entries[0], big);
}

#[test]
fn an_index_without_an_order_does_not_replace_one_with_an_order() {
    let table = ORIGINAL_TABLE.replace("ON tool_audit_events (ts)", "ON tool_audit_events USING brin (ts)");
    let (cluster, url, database) = prepared(&table);
    database.insert_entries(vec![entry(0)]).unwrap();
    let ordered = "SELECT count(*) FROM pg_indexes WHERE tablename = 'tool_audit_events' AND indexdef LIKE '%btree (ts)'";
    assert_eq!(cluster.number(&url, ordered), 1);
}

#[test]
fn columns_of_other_types_are_converted() {
    let (_, _, database) = prepared(
        "SET TimeZone = 'Asia/Tokyo';
         CREATE DOMAIN label AS varchar(40);
         CREATE TABLE tool_audit_events (
             id SERIAL PRIMARY KEY, ts TIMESTAMP NOT NULL DEFAULT now(), req_id UUID, workspace_id VARCHAR(64),
             user_id CHAR(8), agent_id label, tool VARCHAR(9) NOT NULL, status VARCHAR, duration_ms BIGINT DEFAULT 0,
             in_size TEXT, out_size NUMERIC(30, 2), input_hash TEXT, graph_run_id VARCHAR(9) NOT NULL,
             graph_node TEXT NOT NULL, job_id TEXT NOT NULL, extra TEXT
         );
         INSERT INTO tool_audit_events
             (ts, req_id, workspace_id, user_id, agent_id, tool, in_size, out_size, graph_run_id, graph_node, job_id)
         VALUES ('2026-11-23 06:30:00', '00000000-0000-7000-8000-000000000001', 'w', 'u', 'a', 't', '12', 7.9, 'g',
                 'n', 'j')",
    );
    let mut long = entry(1);
    long.event.tool = "a name longer than nine".into();
    long.event.workspace_id = "w".repeat(100);
    long.event.job_id = None;
    database.insert_entries(vec![long.clone()]).unwrap();
    let entries = read(&database);
    let old = &entries[0].event;
    assert_eq!(old.ts, "2026-11-23T06:30:00.000000Z");
    assert_eq!((old.req_id.as_str(), old.user_id.as_str()), ("00000000-0000-7000-8000-000000000001", "u"));
    assert_eq!((old.tool.as_str(), old.action.as_str()), ("t", ""));
    assert_eq!((old.duration_ms, old.in_size, old.out_size), (0, 12, 8));
    assert_eq!((old.graph_run_id.as_deref(), entries[0].seq), (Some("g"), 1));
    assert_eq!(entries[1], long);
}

#[test]
fn times_as_text_are_converted_and_a_text_that_is_no_time_is_named() {
    let table = "SET TimeZone = 'Asia/Tokyo';
                 CREATE TABLE tool_audit_events (id BIGSERIAL, ts TEXT, tool TEXT);
                 INSERT INTO tool_audit_events (ts, tool) VALUES
                     ('2026-11-23T06:30:00.5Z', 'a'), ('2026-11-23 06:30:01', 'b')";
    let (_, _, good) = prepared(table);
    let times: Vec<String> = read(&good).into_iter().map(|entry| entry.event.ts).collect();
    assert_eq!(times, ["2026-11-23T06:30:00.500000Z", "2026-11-23T06:30:01.000000Z"]);

    let (cluster, url, bad) = prepared(&format!("{table}, ('secret', 'c')"));
    let text = other_error(bad.insert_entries(vec![entry(0)]));
    assert!(text.contains("cannot be upgraded") && text.contains("column ts"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(cluster.stored(&url), 3);
}

#[test]
fn a_view_or_a_table_of_another_kind_is_left_alone() {
    for (sql, said) in [
        ("CREATE VIEW tool_audit_events AS SELECT 1 AS id", "is not a table"),
        ("CREATE TABLE tool_audit_events (id UUID PRIMARY KEY)", "the column id"),
    ] {
        let (_, _, database) = prepared(sql);
        let text = other_error(database.insert_entries(vec![entry(0)]));
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn an_id_that_nothing_numbers_is_named_to_writers() {
    let table =
        |id: &str| format!("CREATE TABLE tool_audit_events (id {id} PRIMARY KEY, ts TIMESTAMPTZ NOT NULL)");
    let row = "INSERT INTO tool_audit_events VALUES (7, '2026-11-23Z')";
    let (cluster, url, database) = prepared(&format!("{}; {row}", table("BIGINT")));
    assert_eq!(read(&open(&url)).len(), 1);
    let text = other_error(database.insert_entries(vec![entry(0)]));
    assert!(text.contains("the column id") && text.contains("neither"), "{text}");
    assert_eq!(database.obstacle(), Ok(Some(text.clone())));
    let mend = text.split(": ").last().unwrap();
    cluster.execute(&url, &mend.replace("WITH n", "WITH 8"));
    assert_eq!(database.insert_entries(vec![entry(0)]), Ok(Vec::new()));

    cluster.execute(&url, "CREATE DOMAIN numbered AS BIGINT DEFAULT 3");
    let trigger = "CREATE FUNCTION number() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                       NEW.id = 9;
                       RETURN NEW;
                   END $$;
                   CREATE TRIGGER number BEFORE INSERT ON tool_audit_events FOR EACH ROW EXECUTE FUNCTION number()";
    for (id, trigger) in [
        ("BIGINT GENERATED ALWAYS AS IDENTITY", ""),
        ("BIGINT DEFAULT 3", ""),
        ("numbered", ""),
        ("BIGINT", trigger),
    ] {
        cluster.execute(&url, &format!("DROP TABLE tool_audit_events; {}; {trigger}", table(id)));
        assert_eq!(open(&url).insert_entries(vec![entry(0)]), Ok(Vec::new()), "{id}");
    }
}

#[test]
fn a_column_that_needs_a_value_and_gets_none_is_named_before_a_row_is_refused() {
    let (cluster, url, _) =
        prepared(&format!("{}; CREATE DOMAIN tenant AS TEXT NOT NULL", table_with_rows()));
    for kind in ["TEXT NOT NULL DEFAULT ''", "tenant DEFAULT ''"] {
        cluster.execute(&url, &format!("ALTER TABLE tool_audit_events ADD COLUMN tenant {kind}"));
        assert_eq!(open(&url).insert_entries(vec![entry(0)]), Ok(Vec::new()), "{kind}");
        cluster.execute(&url, "ALTER TABLE tool_audit_events ALTER COLUMN tenant DROP DEFAULT");
        let database = open(&url);
        let text = other_error(database.insert_entries(vec![entry(1)]));
        assert!(text.contains("the column tenant"), "{text}");
        assert_eq!(database.obstacle(), Ok(Some(text)));
        assert_eq!(read(&database).len(), 3);
        cluster.execute(&url, "ALTER TABLE tool_audit_events DROP COLUMN tenant");
    }
}

#[test]
fn what_holds_up_an_upgrade_is_named_with_what_to_run() {
    for (sql, names, mend) in [
        (
            "CREATE VIEW durations AS SELECT duration_ms FROM tool_audit_events",
            "view durations",
            "DROP VIEW durations",
        ),
        (
            "ALTER TABLE tool_audit_events ADD COLUMN seconds INT GENERATED ALWAYS AS (duration_ms / 1000) STORED",
            "column \"seconds\"",
            "ALTER TABLE tool_audit_events DROP COLUMN seconds",
        ),
    ] {
        let (cluster, url, database) = prepared(&format!("{}; {sql}", table_with_rows()));
        let text = other_error(database.insert_entries(vec![entry(0)]));
        assert!(text.contains("cannot be upgraded") && text.contains(names), "{text}");
        let upgrade = &text[text.find("ALTER TABLE").unwrap()..];
        cluster.execute(&url, &format!("{mend}; {upgrade}"));
        assert_eq!(open(&url).insert_entries(vec![entry(0)]), Ok(Vec::new()), "{text}");
    }
}

#[test]
fn a_search_path_without_a_schema_is_named() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    for path in ["nowhere", "%22%22"] {
        let database = open(&format!("{url}?options=-csearch_path%3D{path}"));
        let text = other_error(database.insert_entries(vec![entry(0)]));
        assert!(text.contains("the search path names no schema"), "{text}");
        assert_eq!(database.obstacle(), Ok(Some(text.clone())));
        assert!(!text.contains("\"\""), "{text}");
    }
}

#[test]
fn the_table_is_the_one_on_the_search_path() {
    let (cluster, url, _) = prepared("CREATE SCHEMA ops");
    let database = open(&format!("{url}?options=-csearch_path%3Dops"));
    database.insert_entries(vec![entry(0)]).unwrap();
    assert_eq!(cluster.number(&url, "SELECT count(*) FROM ops.tool_audit_events"), 1);
}

#[test]
fn several_stores_that_start_at_once_create_one_table() {
    for table in ["", &table_with_rows()] {
        let (cluster, url, _) = prepared(table);
        thread::scope(|scope| {
            for n in 0..6 {
                let database = open(&url);
                scope.spawn(move || assert_eq!(database.insert_entries(vec![entry(n)]), Ok(Vec::new())));
            }
        });
        assert_eq!(cluster.number(&url, "SELECT count(event_id) FROM tool_audit_events"), 6);
        assert_eq!(cluster.value(&url, COLUMNS), UPGRADED);
    }
}

#[test]
fn a_table_that_somebody_drops_or_changes_is_made_ready_again() {
    let (cluster, url, database) = with_table();
    for (n, change) in [
        "DROP TABLE tool_audit_events",
        "DROP INDEX tool_audit_events_event_id_idx",
        "ALTER TABLE tool_audit_events DROP COLUMN chain",
    ]
    .into_iter()
    .enumerate()
    {
        let n = n as u64;
        database.insert_entries(vec![entry(10 + n)]).unwrap();
        cluster.execute(&url, change);
        assert_eq!(database.insert_entries(vec![entry(n)]), Ok(Vec::new()), "{change}");
        assert!(read(&database).contains(&entry(n)), "{change}");
        cluster.execute(&url, change);
        assert!(database.select_entries(Default::default(), Default::default()).is_ok(), "{change}");
    }
}

#[test]
fn a_long_upgrade_goes_on_when_calls_stop_waiting_for_it() {
    let (cluster, url, _) = prepared(&table_with_rows());
    // Two timeouts of this length are much shorter than the time after which the upgrade begins anew.
    let database = Database::new(&url, Duration::from_millis(1400), ANSWER).unwrap();
    let mut reader = Client::connect(&url, NoTls).unwrap();
    let mut reading = reader.transaction().unwrap();
    // The upgrade waits for the end of this transaction.
    reading.batch_execute("SELECT * FROM tool_audit_events").unwrap();
    for _ in 0..2 {
        let asked = Instant::now();
        assert_unavailable(database.insert_entries(vec![entry(0)]), &["being upgraded"]);
        assert!(asked.elapsed() < Duration::from_secs(4));
    }
    // Only this database is asked, because other tests may wait in theirs.
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'tool_audit_events'::regclass";
    assert_eq!(cluster.number(&url, waiting), 1);
    reading.rollback().unwrap();
    wait_until("the table is upgraded", || database.insert_entries(vec![entry(0)]) == Ok(Vec::new()));
    assert_eq!(seqs(&database).len(), 3);
}

#[test]
fn only_a_table_as_this_library_creates_it_is_not_inspected() {
    let usual = |cluster: &Cluster, url: &str| cluster.value(url, &audit_sql::table::is_usual()) == "t";
    let (cluster, url, database) = with_table();
    assert!(usual(cluster, &url));
    cluster.execute(&url, "CREATE INDEX ON tool_audit_events (user_id, ts)");
    assert!(usual(cluster, &url), "an index more does no harm");
    for (change, back) in [
        ("DROP INDEX tool_audit_events_tool_ts_idx", "CREATE INDEX ON tool_audit_events (tool, ts)"),
        (
            "DROP INDEX tool_audit_events_ts_idx; CREATE INDEX b ON tool_audit_events USING brin (ts)",
            "DROP INDEX b; CREATE INDEX ON tool_audit_events (ts)",
        ),
        (
            "ALTER TABLE tool_audit_events ALTER duration_ms TYPE INT",
            "ALTER TABLE tool_audit_events ALTER duration_ms TYPE NUMERIC(20)",
        ),
        (
            "ALTER TABLE tool_audit_events ADD tenant TEXT NOT NULL DEFAULT 't'",
            "ALTER TABLE tool_audit_events DROP tenant",
        ),
        (
            "ALTER TABLE tool_audit_events ALTER job_id SET NOT NULL",
            "ALTER TABLE tool_audit_events ALTER job_id DROP NOT NULL",
        ),
        (
            "ALTER TABLE tool_audit_events ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE tool_audit_events DISABLE ROW LEVEL SECURITY",
        ),
        (
            "DROP INDEX tool_audit_events_event_id_idx; CREATE INDEX e ON tool_audit_events (event_id)",
            "DROP INDEX e; CREATE UNIQUE INDEX ON tool_audit_events (event_id)",
        ),
    ] {
        cluster.execute(&url, change);
        assert!(!usual(cluster, &url), "{change}");
        cluster.execute(&url, back);
        assert!(usual(cluster, &url), "{back}");
    }
    assert_eq!(database.insert_entries(vec![entry(0)]), Ok(Vec::new()));
    cluster.execute(
        &url,
        "ALTER TABLE tool_audit_events RENAME TO t; CREATE VIEW tool_audit_events AS SELECT * FROM t",
    );
    assert!(!usual(cluster, &url));
}

#[test]
fn a_connection_that_is_made_ahead_is_used_by_the_first_call_or_closed() {
    let (cluster, url, _) = with_table();
    let sessions = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'ahead'";
    let ahead = format!("{url}?application_name=ahead");
    let database = open(&ahead);
    database.connect_ahead();
    assert_eq!(database.insert_entries(vec![entry(0)]), Ok(Vec::new()));
    assert_eq!(cluster.number(&url, sessions), 1);
    let unused = open(&ahead);
    unused.connect_ahead();
    wait_until("it is connected", || cluster.number(&url, sessions) == 2);
    wait_until("it is closed", || cluster.number(&url, sessions) == 1);
    // What goes wrong is told by the first call.
    let nowhere = open(&format!("postgres://audit@{NOWHERE}/audit"));
    nowhere.connect_ahead();
    assert_unavailable(nowhere.insert_entries(vec![entry(1)]), &["Connection refused"]);
}
