//! What each role may do, and what it is told where it may not.

use audit_host::{Database, Filter, PageRequest, SinkError};
use audit_testbed::Cluster;

use crate::{as_user, entry, open, seqs, value, with_table};

/// A role of this database, by whose URL.
fn role(cluster: &Cluster, url: &str, grants: &str) -> (String, String) {
    let name = format!("role_{}", url.rsplit('_').next().unwrap());
    cluster.execute(url, &format!("CREATE ROLE {name} LOGIN PASSWORD '{name}'"));
    cluster.execute(url, &grants.replace("ROLE", &name));
    (as_user(url, &name, &name), name)
}

fn other(database: &Database) -> String {
    match database.insert(vec![entry(0)]) {
        Err(SinkError::Other(text)) => {
            assert!(!text.contains('\n'), "{text}");
            text
        }
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn a_role_that_may_not_create_is_told_what_its_owner_has_to_run() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let (limited, name) = role(cluster, &url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let database = open(&limited);
    let text = other(&database);
    assert!(text.contains(&format!("\"{name}\" may not create")), "{text}");
    let sql = &text[text.find("CREATE TABLE").unwrap()..];
    cluster.execute(&url, sql);
    assert_eq!(database.insert(vec![entry(0)]), Ok(Vec::new()));
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
    let grants = "GRANT SELECT, INSERT ON tool_audit_events TO ROLE;
                  GRANT USAGE ON SEQUENCE tool_audit_events_id_seq TO ROLE";
    let (limited, name) = role(cluster, &url, grants);
    let database = open(&limited);
    let text = other(&database);
    assert!(text.contains(&format!("\"{name}\" may not upgrade")), "{text}");
    assert!(text.contains("the column event_id"), "{text}");
    assert_eq!(database.obstacle(), Ok(Some(text.clone())));
    let sql = &text[text.find("ALTER TABLE").unwrap()..];
    cluster.execute(&url, &format!("SET TimeZone = 'UTC'; {sql}"));
    assert_eq!(database.insert(vec![entry(0)]), Ok(Vec::new()));
}

#[test]
fn a_role_that_may_insert_and_select_needs_no_more() {
    let (cluster, url, _) = with_table();
    let grants = "GRANT SELECT, INSERT ON tool_audit_events TO ROLE;
                  GRANT USAGE ON SEQUENCE tool_audit_events_id_seq TO ROLE";
    let (limited, _) = role(cluster, &url, grants);
    let database = open(&limited);
    assert_eq!(database.insert(vec![entry(0), entry(1)]), Ok(Vec::new()));
    assert_eq!(seqs(&database), [0, 1]);
    // An index that it may not create only costs time.
    cluster.execute(&url, "DROP INDEX tool_audit_events_tool_ts_idx");
    assert_eq!(open(&limited).insert(vec![entry(2)]), Ok(Vec::new()));
    cluster.execute(&url, "DROP INDEX tool_audit_events_event_id_idx");
    let text = other(&open(&limited));
    assert!(text.contains("unique index on (event_id)"), "{text}");
}

#[test]
fn a_privilege_that_is_missing_is_named() {
    let (cluster, url, _) = with_table();
    let (limited, name) = role(cluster, &url, "GRANT SELECT ON tool_audit_events TO ROLE");
    let database = open(&limited);
    let text = other(&database);
    assert!(text.contains(&name) && text.contains("SELECT and INSERT"), "{text}");
    assert!(seqs(&database).is_empty());
    cluster.execute(&url, &format!("GRANT INSERT ON tool_audit_events TO {name}"));
    let text = other(&database);
    assert!(text.contains("sequence"), "{text}");
    cluster.execute(&url, &format!("REVOKE SELECT ON tool_audit_events FROM {name}"));
    let page = database.select(Filter::default(), PageRequest::default());
    assert!(matches!(&page, Err(SinkError::Other(text)) if text.contains("SELECT")), "{page:?}");
}

#[test]
fn a_wrong_password_and_a_database_that_is_missing_are_named() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let text = other(&open(&as_user(&url, "audit", "wrong-password")));
    let expected = "the database refuses the user \"audit\": password authentication failed; check user and password \
                    in the database URL";
    assert_eq!(text, expected);
    let text = other(&open(&format!("{url}_no")));
    assert!(text.contains("there is no database \"test_") && text.contains("_no\""), "{text}");
    let (_, rest) = url.split_once('@').unwrap();
    let text = other(&open(&format!("postgres://audit@{rest}")));
    assert!(text.contains("as the user \"audit\": password missing"), "{text}");
    let text = other(&open(&format!("postgres://{rest}")));
    assert!(text.contains("database URL names none") && !text.contains("\"\""), "{text}");
    assert_eq!(
        value(cluster, &url, "SELECT count(*) FROM pg_class WHERE relname = 'tool_audit_events'"),
        "0"
    );
}
