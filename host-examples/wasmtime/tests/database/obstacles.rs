//! `obstacle` says that the database takes events where an insert stores them, and nowhere else.

use audit_fixtures::Entries as _;
use audit_host::SinkError;
use audit_testbed::{Cluster, WRITE_AND_READ};

use crate::{entry, open, with_table};

/// What keeps the database from taking events, which an insert has to find out too.
#[track_caller]
fn agreed(url: &str, case: &str) -> Option<String> {
    let obstacle = open(url).obstacle().unwrap();
    let inserted = open(url).insert_entries(vec![entry(0), entry(1)]);
    let stores = inserted.as_ref().is_ok_and(Vec::is_empty);
    assert_eq!(obstacle.is_none(), stores, "{case}: {obstacle:?}, but {inserted:?}");
    // No event is given up on for what the table's owner can mend.
    let refused = inserted.is_ok_and(|refused| !refused.is_empty());
    assert!(!refused || obstacle.as_ref().is_some_and(|text| text.contains("partition for")), "{case}");
    obstacle
}

/// Checks that the obstacle is named with these words, and that what it says to run mends it.
#[track_caller]
fn mended(cluster: &Cluster, owner: &str, url: &str, named: &str) {
    let text = agreed(url, named).unwrap_or_else(|| panic!("no obstacle: {named}"));
    assert!(text.contains(named), "{text}");
    let sql = text.split(": ").last().unwrap();
    cluster.execute(owner, sql);
    assert_eq!(agreed(url, sql), None);
}

#[test]
fn a_partition_key_over_which_no_index_can_tell_entries_apart_is_named() {
    let cluster = Cluster::shared();
    const TABLE: &str =
        "CREATE TABLE tool_audit_events (id BIGSERIAL, ts TIMESTAMPTZ NOT NULL, tool TEXT, job_id TEXT)
                         PARTITION BY";
    const PARTITION: &str = "CREATE TABLE all_events PARTITION OF tool_audit_events DEFAULT";
    for (by, named) in [
        ("RANGE (id)", "partitioned by the column id"),
        ("LIST (job_id)", "partitioned by the column job_id"),
        ("RANGE (ts, lower(tool))", "partitioned by an expression"),
    ] {
        let url = cluster.database();
        cluster.execute(&url, &format!("{TABLE} {by}; {PARTITION}"));
        mended(cluster, &url, &url, named);
    }
    let url = cluster.database();
    cluster.execute(
        &url,
        &format!("{}; {PARTITION}", TABLE.replace("TIMESTAMPTZ", "TIMESTAMP") + " RANGE (ts)"),
    );
    mended(cluster, &url, &url, "partitioned by the column ts");

    let url = cluster.database();
    cluster.execute(
        &url,
        &format!(
            "{TABLE} RANGE (ts); CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
             CREATE FOREIGN TABLE elsewhere PARTITION OF tool_audit_events DEFAULT SERVER nowhere"
        ),
    );
    mended(cluster, &url, &url, "elsewhere");
    for by in ["RANGE (ts)", "LIST (tool)", "HASH (ts, tool)"] {
        let url = cluster.database();
        let partition = match by.starts_with("HASH") {
            true => PARTITION.replace("DEFAULT", "FOR VALUES WITH (MODULUS 1, REMAINDER 0)"),
            false => PARTITION.to_owned(),
        };
        cluster.execute(&url, &format!("{TABLE} {by}; {partition}"));
        for _ in 0..2 {
            assert_eq!(agreed(&url, by), None);
        }
        assert_eq!(cluster.stored(&url), 2);
    }
}

#[test]
fn a_missing_partition_for_today_is_named() {
    let cluster = Cluster::shared();
    for partition in ["", "FROM (MINVALUE) TO ('2020-01-01')", "FROM ('2500-01-01') TO (MAXVALUE)"] {
        let url = cluster.database();
        cluster.execute(
            &url,
            "CREATE TABLE tool_audit_events (id BIGSERIAL, ts TIMESTAMPTZ NOT NULL) PARTITION BY RANGE (ts)",
        );
        if !partition.is_empty() {
            cluster.execute(
                &url,
                &format!("CREATE TABLE p PARTITION OF tool_audit_events FOR VALUES {partition}"),
            );
        }
        mended(cluster, &url, &url, "no partition for the events of today");
    }
    let url = cluster.database();
    cluster.execute(
        &url,
        "CREATE TABLE tool_audit_events (id BIGSERIAL, ts TIMESTAMPTZ NOT NULL) PARTITION BY RANGE (ts);
         CREATE TABLE p PARTITION OF tool_audit_events FOR VALUES FROM ('2000-01-01') TO ('2500-01-01')",
    );
    assert_eq!(agreed(&url, "a partition for today"), None);
}

#[test]
fn missing_policies_of_row_security_are_named() {
    const ENABLE: &str = "ALTER TABLE tool_audit_events ENABLE ROW LEVEL SECURITY";
    for (policies, named) in [
        ("", "no policy for INSERT and SELECT"),
        ("CREATE POLICY p ON tool_audit_events FOR INSERT WITH CHECK (true)", "no policy for SELECT"),
        ("CREATE POLICY p ON tool_audit_events FOR SELECT USING (true)", "no policy for INSERT"),
        (
            "CREATE POLICY p ON tool_audit_events FOR SELECT USING (true);
             CREATE POLICY w ON tool_audit_events TO pg_monitor USING (true)",
            "no policy for INSERT",
        ),
        (
            "CREATE POLICY p ON tool_audit_events AS RESTRICTIVE USING (true)",
            "no policy for INSERT and SELECT",
        ),
    ] {
        let (cluster, url, _) = with_table();
        cluster.execute(&url, &format!("{ENABLE}; {policies}"));
        let (role, _) = cluster.role(&url, WRITE_AND_READ);
        mended(cluster, &url, &role, named);
    }
    let (cluster, url, _) = with_table();
    cluster.execute(&url, &format!("{ENABLE}; CREATE POLICY p ON tool_audit_events USING (true)"));
    let (role, _) = cluster.role(&url, WRITE_AND_READ);
    assert_eq!(agreed(&role, "a policy for all"), None);
}

#[test]
fn the_owner_is_bound_by_row_security_only_where_it_is_forced() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let (owner, _) = cluster.role(&url, "GRANT CREATE ON SCHEMA public TO ROLE");
    assert_eq!(agreed(&owner, "the owner"), None);
    cluster.execute(&url, "ALTER TABLE tool_audit_events ENABLE ROW LEVEL SECURITY");
    assert_eq!(agreed(&owner, "not forced"), None);
    cluster.execute(&url, "ALTER TABLE tool_audit_events FORCE ROW LEVEL SECURITY");
    mended(cluster, &url, &owner, "no policy for INSERT and SELECT");
}

#[test]
fn an_index_that_tells_no_entries_apart_is_replaced_or_its_lack_is_named() {
    for index in [
        "CREATE UNIQUE INDEX ON tool_audit_events (event_id) WHERE tool <> ''",
        "CREATE INDEX ON tool_audit_events (event_id)",
        "CREATE UNIQUE INDEX ON tool_audit_events (event_id, ts)",
        "CREATE UNIQUE INDEX broken ON tool_audit_events (event_id);
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass",
    ] {
        let (cluster, url, _) = with_table();
        let (role, _) = cluster.role(&url, WRITE_AND_READ);
        cluster.execute(&url, &format!("DROP INDEX tool_audit_events_event_id_idx; {index}"));
        assert!(
            agreed(&role, index).is_some_and(|text| text.contains("unique index on (event_id)")),
            "{index}"
        );
        assert_eq!(agreed(&url, index), None);
        assert_eq!(agreed(&role, index), None);
    }
}

#[test]
fn a_deferrable_constraint_on_the_identifier_is_named_beside_an_index_too() {
    for index in ["", "DROP INDEX tool_audit_events_event_id_idx;"] {
        let (cluster, url, _) = with_table();
        cluster.execute(
            &url,
            &format!(
                "{index} ALTER TABLE tool_audit_events ADD CONSTRAINT late UNIQUE (event_id) DEFERRABLE"
            ),
        );
        mended(cluster, &url, &url, "the constraint late");
    }
}

#[test]
fn what_is_no_table_and_a_rule_are_named() {
    for (sql, named) in [
        ("CREATE VIEW tool_audit_events AS SELECT 1 AS id", "is not a table"),
        ("CREATE MATERIALIZED VIEW tool_audit_events AS SELECT 1 AS id", "is not a table"),
        (
            "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
             CREATE FOREIGN TABLE tool_audit_events (id BIGINT) SERVER nowhere",
            "is not a table",
        ),
    ] {
        let cluster = Cluster::shared();
        let url = cluster.database();
        cluster.execute(&url, sql);
        assert!(agreed(&url, sql).is_some_and(|text| text.contains(named)), "{sql}");
    }
    let (cluster, url, _) = with_table();
    cluster.execute(&url, "CREATE RULE ghost AS ON INSERT TO tool_audit_events DO INSTEAD NOTHING");
    mended(cluster, &url, &url, "the rule ghost");
    cluster.execute(&url, "CREATE RULE delete_only AS ON DELETE TO tool_audit_events DO INSTEAD NOTHING");
    assert_eq!(agreed(&url, "a rule for DELETE"), None);
    cluster.execute(&url, "CREATE RULE ghost AS ON UPDATE TO tool_audit_events DO INSTEAD NOTHING");
    mended(cluster, &url, &url, "the rule ghost");
}

#[test]
fn a_privilege_on_too_few_columns_is_named() {
    const USE: &str = "GRANT USAGE ON SEQUENCE tool_audit_events_id_seq TO ROLE";
    for (grants, named) in [
        ("GRANT INSERT (ts, tool), SELECT ON tool_audit_events TO ROLE", "insert into the column req_id"),
        ("GRANT INSERT, SELECT (tool) ON tool_audit_events TO ROLE", "read the column event_id"),
        ("GRANT INSERT ON tool_audit_events TO ROLE", "read the column event_id"),
        ("GRANT SELECT ON tool_audit_events TO ROLE", "insert into the column ts"),
    ] {
        let (cluster, url, _) = with_table();
        let (role, _) = cluster.role(&url, &format!("{grants}; {USE}"));
        mended(cluster, &url, &role, named);
    }
    let (cluster, url, _) = with_table();
    let (role, _) =
        cluster.role(&url, &format!("GRANT INSERT, SELECT (event_id) ON tool_audit_events TO ROLE; {USE}"));
    assert_eq!(agreed(&role, "a writer"), None);
    let inserted: Result<_, SinkError> = open(&role).insert_entries(vec![entry(5)]);
    assert_eq!((inserted, cluster.stored(&url)), (Ok(Vec::new()), 3));
}
