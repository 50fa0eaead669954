//! What goes wrong with the database: the application answers all the same, and says what is lost and why.

use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{Cluster, DISK_FULL, NOWHERE, Proxy, REFUSAL, Stop, TABLE, as_user};
use serde_json::{Value, json};

use crate::site::{app, app_on_shared, call, database, page};

/// Calls two tools, which have to be answered, and returns what is said of the record.
fn audit_of(app: &audit_spin_host::App) -> Value {
    let (status, answer) = call(app, "acme", &["sum", "reverse"]);
    assert_eq!((status, answer["answers"].as_array().unwrap().len()), (200, 2), "{answer}");
    assert_eq!(answer["answers"][0]["output"], "3");
    answer["audit"].clone()
}

#[track_caller]
fn assert_lost(audit: &Value, kind: &str, says: &str) {
    assert_eq!((&audit["recorded"], &audit["lost"]), (&0.into(), &2.into()), "{audit}");
    assert_eq!(audit["error"]["kind"], kind, "{audit}");
    assert!(audit["error"]["message"].as_str().unwrap().contains(says), "{audit}");
}

#[test]
fn while_the_database_is_away_calls_are_answered_and_the_loss_is_said() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let app = app(database(&url, cluster.port()));
    assert_eq!(audit_of(&app), json!({ "recorded": 2, "lost": 0 }));
    cluster.stop(Stop::Fast);
    let audit = audit_of(&app);
    assert_lost(&audit, "unavailable", "cannot connect to the database");
    assert!(!audit.to_string().contains(cluster.password()), "{audit}");
    let (status, html) = page(&app, "acme", "");
    assert!(status == 503 && html.contains("unavailable"), "{html}");
    cluster.launch();
    // The pool has connections that are broken by now.
    assert_eq!(audit_of(&app), json!({ "recorded": 2, "lost": 0 }));
    assert_eq!(cluster.stored(&url), 4);
}

#[test]
fn what_will_not_pass_by_itself_is_said_with_what_to_do() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let wrong = as_user(&url, "audit", "wr0ng");
    let audit = audit_of(&app(database(&wrong, cluster.port())));
    assert_lost(&audit, "other", "check user and password");
    assert!(!audit.to_string().contains("wr0ng"), "{audit}");
    let audit = audit_of(&app(database(&url, 1)));
    assert_lost(&audit, "other", "allowed_outbound_hosts");
    assert!(!audit.to_string().contains(cluster.password()), "{audit}");
    let audit = audit_of(&app(database("postgres://a:b@c@127.0.0.1/x", 5432)));
    assert_lost(&audit, "other", "%40");
}

#[test]
fn a_table_that_is_locked_ends_the_statement_and_nothing_is_stored_later() {
    let (_, url) = app_on_shared();
    let cluster = Cluster::shared();
    let mut settings = database(&url, cluster.port());
    let patient = app(settings.clone());
    audit_of(&patient);
    settings.environment.retain(|(name, _)| name != "AUDIT_DATABASE_TIMEOUT_MS");
    let app = app(settings.env("AUDIT_DATABASE_TIMEOUT_MS", "200"));
    let mut client = Client::connect(&url, NoTls).unwrap();
    let mut holder = client.transaction().unwrap();
    holder.batch_execute(&format!("LOCK TABLE {TABLE} IN EXCLUSIVE MODE")).unwrap();
    let audit = audit_of(&app);
    assert_lost(&audit, "unavailable", "timeout");
    holder.rollback().unwrap();
    assert_eq!(audit_of(&app), json!({ "recorded": 2, "lost": 0 }));
    assert_eq!(cluster.stored(&url), 4);
}

#[test]
fn a_full_disk_is_said() {
    let (app, url) = app_on_shared();
    let cluster = Cluster::shared();
    audit_of(&app);
    cluster.refuse_writes(&url, TABLE);
    assert_lost(&audit_of(&app), "unavailable", DISK_FULL);
    cluster.accept_writes(&url, TABLE);
    assert_eq!(audit_of(&app), json!({ "recorded": 2, "lost": 0 }));
    assert_eq!(cluster.stored(&url), 4);
}

#[test]
fn a_refused_row_is_lost_alone_and_noted() {
    let (app, url) = app_on_shared();
    let cluster = Cluster::shared();
    call(&app, "acme", &["reverse"]);
    cluster.refuse_tool(&url, "sum");
    let (_, answer) = call(&app, "acme", &["reverse", "sum", "word-count"]);
    assert_eq!(answer["audit"], json!({ "recorded": 2, "lost": 1 }));
    cluster.accept_tool(&url);
    cluster.drop_tool(&url, "sum");
    let (_, answer) = call(&app, "acme", &["sum", "word-count"]);
    assert_eq!(answer["audit"], json!({ "recorded": 1, "lost": 1 }));
    assert_eq!(cluster.stored(&url), 1 + 2 + 1);
    let reasons = cluster.column(&url, "SELECT reason FROM tool_audit_refused ORDER BY refused_at");
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].contains(REFUSAL) && reasons[1].contains("without storing it"), "{reasons:?}");
}

#[test]
fn where_the_answer_is_lost_the_calls_are_stored_once() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let proxy = Proxy::to(cluster.port());
    let app = app(database(&proxy.url(&url), proxy.port()));
    audit_of(&app);
    proxy.swallow_next(1);
    assert_eq!(audit_of(&app), json!({ "recorded": 2, "lost": 0 }));
    assert_eq!(proxy.swallowed(), 1);
    assert_eq!(cluster.stored(&url), 4);
    // Nobody answers any more after the batch was sent.
    proxy.swallow_next(2);
    let audit = audit_of(&app);
    assert_eq!((&audit["lost"], &audit["error"]["kind"]), (&2.into(), &"unanswered".into()), "{audit}");
    assert_eq!(cluster.stored(&url), 6);
}

#[test]
fn without_a_database_the_error_says_so() {
    let audit = audit_of(&app(crate::site::as_in_manifest(Default::default())));
    assert_eq!((&audit["recorded"], &audit["lost"]), (&0.into(), &2.into()), "{audit}");
    assert!(audit["error"]["message"].is_string(), "{audit}");
    let audit = audit_of(&app(database(NOWHERE, 1)));
    assert_eq!(audit["lost"], 2, "{audit}");
}
