//! What each role may do, and what it is told where it may not do something.

use audit_fixtures::Entries as _;
use audit_host::{Database, Filter, PageRequest};
use audit_testbed::{Cluster, TABLE, WRITE_AND_READ, as_user};

use crate::{entry, entry_of, open, other_error, seqs, with_table};

/// What the database says to a write.
#[track_caller]
fn refusal(database: &Database) -> String {
    other_error(database.insert_entries(vec![entry(0)]))
}

#[test]
fn a_role_that_may_not_create_is_told_what_its_owner_has_to_run() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let (limited, name) = cluster.role(&url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let database = open(&limited);
    let text = refusal(&database);
    assert!(text.contains(&format!("\"{name}\" may not create")), "{text}");
    let sql = &text[text.find("CREATE TABLE").unwrap()..];
    cluster.execute(&url, sql);
    assert_eq!(database.insert_entries(vec![entry(0)]), Ok(Vec::new()));
    assert_eq!(seqs(&database), [0]);
}

#[test]
fn a_role_that_may_not_alter_is_told_what_its_owner_has_to_run() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    cluster.execute(
        &url,
        "CREATE TABLE tool_audit_events (id BIGSERIAL, ts TIMESTAMP NOT NULL, tool VARCHAR(3))",
    );
    let (limited, name) = cluster.role(&url, WRITE_AND_READ);
    let database = open(&limited);
    let text = refusal(&database);
    assert!(text.contains(&format!("\"{name}\" may not upgrade")), "{text}");
    assert!(text.contains("the column event_id"), "{text}");
    assert_eq!(database.obstacle(), Ok(Some(text.clone())));
    let sql = &text[text.find("ALTER TABLE").unwrap()..];
    cluster.execute(&url, &format!("SET TimeZone = 'UTC'; {sql}"));
    assert_eq!(database.insert_entries(vec![entry(0)]), Ok(Vec::new()));
}

#[test]
fn a_role_that_may_insert_and_select_needs_no_more() {
    let (cluster, url, _) = with_table();
    let (limited, _) = cluster.role(&url, WRITE_AND_READ);
    let database = open(&limited);
    assert_eq!(database.insert_entries(vec![entry(0), entry(1)]), Ok(Vec::new()));
    assert_eq!(seqs(&database), [0, 1]);
    // A missing index that the role may not create only costs time.
    cluster.execute(&url, "DROP INDEX tool_audit_events_tool_ts_idx");
    assert_eq!(open(&limited).insert_entries(vec![entry(2)]), Ok(Vec::new()));
    cluster.execute(&url, "DROP INDEX tool_audit_events_event_id_idx");
    let text = refusal(&open(&limited));
    assert!(text.contains("unique index on (event_id)"), "{text}");
}

#[test]
fn a_writer_needs_no_more_than_to_insert_and_to_read_the_identifiers() {
    const WRITE: &str = "GRANT INSERT, SELECT (event_id) ON tool_audit_events, tool_audit_refused TO ROLE;
                         GRANT USAGE ON SEQUENCE tool_audit_events_id_seq TO ROLE";
    let (cluster, url, all) = with_table();
    cluster.drop_tool(&url, "ghost");
    let (writer, _) = cluster.role(&url, WRITE);
    let database = open(&writer);
    assert_eq!(database.obstacle(), Ok(None));
    for _ in 0..12 {
        assert_eq!(database.insert_entries(vec![entry(0), entry(1)]), Ok(Vec::new()));
    }
    let refused = database.insert_entries(vec![entry(2), entry_of("ghost", 3)]).unwrap();
    assert!(refused.len() == 1 && !refused[0].reason.contains("nothing is kept"), "{refused:?}");
    let text = other_error(database.select_entries(Filter::default(), PageRequest::default()));
    assert!(text.contains("SELECT"), "{text}");
    assert_eq!(seqs(&all), [0, 1, 2]);
}

#[test]
fn a_missing_privilege_is_named() {
    let (cluster, url, _) = with_table();
    let (limited, name) = cluster.role(&url, "GRANT SELECT ON tool_audit_events TO ROLE");
    let database = open(&limited);
    let text = refusal(&database);
    assert!(text.contains(&name) && text.contains("SELECT and INSERT"), "{text}");
    assert!(seqs(&database).is_empty());
    cluster.execute(&url, &format!("GRANT INSERT ON tool_audit_events TO {name}"));
    let text = refusal(&database);
    assert!(text.contains("sequence"), "{text}");
    cluster.execute(&url, &format!("REVOKE SELECT ON tool_audit_events FROM {name}"));
    let text = other_error(database.select_entries(Filter::default(), PageRequest::default()));
    assert!(text.contains("SELECT"), "{text}");
}

#[test]
fn a_wrong_password_and_a_missing_database_are_named() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let text = refusal(&open(&as_user(&url, "audit", "wrong-password")));
    assert!(text.contains("the user \"audit\": password authentication failed"), "{text}");
    assert!(text.contains("check user and password in the database URL"), "{text}");
    assert!(!text.contains("wrong-password"), "{text}");
    let text = refusal(&open(&format!("{url}_no")));
    assert!(text.contains("there is no database \"test_") && text.contains("_no\""), "{text}");
    let (_, rest) = url.split_once('@').unwrap();
    let text = refusal(&open(&format!("postgres://audit@{rest}")));
    assert!(text.contains("as the user \"audit\": password missing"), "{text}");
    let text = refusal(&open(&format!("postgres://{rest}")));
    assert!(text.contains("database URL names none") && !text.contains("\"\""), "{text}");
    assert_eq!(cluster.value(&url, &format!("SELECT to_regclass('{TABLE}')")), "", "a table was made");
}
