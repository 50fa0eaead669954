//! Indexes on request are built once, mended, and used by reads.

use audit_fixtures::Entries as _;
use audit_format::query::Filter;
use audit_sql::statements::{parameters, select};
use audit_testbed::Cluster;

use crate::{entry, open, other_error, seqs, with_table};

const FIELDS: [&str; 7] = ["user_id", "req_id", "action", "status", "graph_run_id", "graph_node", "job_id"];

/// The indexes of the table and its partitions on the field and `ts` that are valid.
fn valid(cluster: &Cluster, url: &str, field: &str) -> u64 {
    cluster.number(
        url,
        &format!(
            "SELECT count(*) FROM pg_index WHERE indisvalid AND pg_get_indexdef(indexrelid) LIKE '%btree ({field}, ts)'"
        ),
    )
}

/// The plan of a read with this filter.
fn plan(cluster: &Cluster, url: &str, field: &str) -> String {
    let mut filter = Filter::default();
    filter.texts.push((audit_format::event::Field::named(field).unwrap(), "x7".into()));
    let mut values: Vec<String> = parameters(&filter)
        .iter()
        .map(|text| text.as_deref().map_or("NULL".into(), |text| format!("'{text}'")))
        .collect();
    values.extend(["NULL".into(), "10".into()]);
    let text = select(audit_format::cursor::Order::NewestFirst);
    let explained = format!("PREPARE read AS {text}; EXPLAIN EXECUTE read ({})", values.join(", "));
    cluster.column(url, &format!("SET plan_cache_mode = force_custom_plan; {explained}")).join("\n")
}

#[test]
fn a_read_uses_the_index_that_was_asked_for() {
    let (cluster, url, database) = with_table();
    cluster.execute(
        &url,
        "INSERT INTO tool_audit_events (ts, user_id, req_id, action, status, graph_run_id, graph_node, job_id)
         SELECT '2026-11-23T06:30:00Z'::timestamptz + n * interval '1 s', u, u, u, u, u, u, u
         FROM generate_series(1, 30000) AS n, LATERAL (SELECT 'x' || n % 3000) AS x (u)",
    );
    assert!(!plan(cluster, &url, "user_id").contains("user_id_ts_idx"));
    let added = database.add_indexes(&FIELDS).unwrap();
    assert_eq!((added.len(), &*added[0]), (7, "the index on (user_id, ts) of tool_audit_events"));
    cluster.execute(&url, "ANALYZE tool_audit_events");
    for field in FIELDS {
        let plan = plan(cluster, &url, field);
        assert!(plan.contains(&format!("tool_audit_events_{field}_ts_idx")), "{plan}");
    }
    assert_eq!(database.add_indexes(&FIELDS), Ok(Vec::new()));
    assert_eq!(database.migrate(), Ok(Vec::new()));
    let text = other_error(database.add_indexes(&["input_hash"]));
    assert!(text.contains("\"input_hash\"") && text.contains("user_id"), "{text}");
}

#[test]
fn an_incomplete_index_is_built_again() {
    let (cluster, url, database) = with_table();
    database.add_indexes(&["user_id"]).unwrap();
    cluster.execute(
        &url,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tool_audit_events_user_id_ts_idx'::regclass",
    );
    assert_eq!(database.add_indexes(&["user_id"]).unwrap().len(), 1);
    assert_eq!(valid(cluster, &url, "user_id"), 1);
    let all = "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%(user_id, ts)'";
    assert_eq!(cluster.number(&url, all), 1);
}

#[test]
fn each_partition_gets_the_index_and_so_do_later_ones() {
    let (cluster, url, database) = with_table();
    database.insert_entries(vec![entry(0)]).unwrap();
    database.partition().unwrap();
    let partitions = cluster
        .number(&url, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'tool_audit_events'::regclass");
    assert_eq!(database.add_indexes(&["user_id"]).unwrap().len(), 1);
    assert_eq!(valid(cluster, &url, "user_id"), partitions + 1);
    assert_eq!(open(&url).add_indexes(&["user_id"]), Ok(Vec::new()));

    // An interrupted run has left an incomplete one.
    cluster.execute(
        &url,
        "DROP INDEX tool_audit_events_user_id_ts_idx;
         CREATE INDEX ON ONLY tool_audit_events (user_id, ts);
         CREATE INDEX broken ON tool_audit_events_default (user_id, ts);
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass",
    );
    assert_eq!(database.add_indexes(&["user_id"]).unwrap().len(), 1);
    assert_eq!(valid(cluster, &url, "user_id"), partitions + 1);
    cluster.execute(&url, "DROP TABLE tool_audit_events_default");
    database.partition().unwrap();
    assert_eq!(valid(cluster, &url, "user_id"), partitions + 1);
    assert_eq!(seqs(&database), [0]);
}
