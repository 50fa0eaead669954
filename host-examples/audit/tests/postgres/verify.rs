//! `audit verify` on a table, which it reads with SELECT alone.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::Site;
use crate::common::{lines, run, run_with_input, text};

/// A site whose table is sealed, and the public key.
fn site() -> (Site, String) {
    let site = Site::new();
    let made = run(site.audit(["keygen", "example.com/audit", "--out", "seal.key"]));
    let public = text(&made.stdout).trim().to_owned();
    assert!(run_with_input(site.audit(["--backend", "postgres", "write"]), lines(0..20)).status.success());
    seal(&site);
    (site, public)
}

fn seal(site: &Site) {
    let options = ["--backend", "postgres", "seal", "--key", "seal.key", "--log", "log"];
    let sealed = run(site.audit(options));
    assert!(sealed.status.success(), "{sealed:?}");
}

fn verify(site: &Site, url: &str, public: &str, backend: &str) -> Output {
    let options = ["--backend", backend, "verify", "--json", "--log", "log", "--pubkey", public];
    run(site.audit_at(url, options))
}

#[track_caller]
fn found(site: &Site, public: &str) -> Vec<(String, u64)> {
    let output = verify(site, &site.url, public, "postgres");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let findings = verdict["findings"].as_array().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!findings.is_empty())), "{output:?}");
    let one = |finding: &Value| {
        (
            finding["kind"].as_str().unwrap().to_owned(),
            finding["row"].as_u64().or(finding["seq"].as_u64()).unwrap(),
        )
    };
    findings.iter().map(one).collect()
}

#[test]
fn rows_that_are_changed_removed_or_swapped_are_named_by_their_numbers() {
    let (site, public) = site();
    assert_eq!(found(&site, &public), []);
    site.sql("BEGIN; UPDATE tool_audit_events SET status = 'denied' WHERE id = 7; COMMIT");
    assert_eq!(found(&site, &public), [("changed".into(), 7)]);
    site.sql("DELETE FROM tool_audit_events WHERE id IN (3, 4)");
    assert_eq!(found(&site, &public), [("missing".into(), 3), ("changed".into(), 7)]);
    site.sql("UPDATE tool_audit_events SET id = CASE id WHEN 10 THEN -10 ELSE -11 END WHERE id IN (10, 11)");
    site.sql("UPDATE tool_audit_events SET id = 21 + id WHERE id < 0");
    assert_eq!(
        found(&site, &public),
        [("missing".into(), 3), ("changed".into(), 7), ("reordered".into(), 10)]
    );
}

#[test]
fn rows_that_the_database_refuses_explain_holes_in_chains() {
    let (site, public) = site();
    site.sql("ALTER TABLE tool_audit_events ADD CONSTRAINT no CHECK (tool <> 't22')");
    let written = run_with_input(site.audit(["--backend", "postgres", "write"]), lines(20..30));
    assert_eq!(written.status.code(), Some(1), "{written:?}");
    seal(&site);
    assert_eq!(found(&site, &public), []);
    // What nothing explains is a gap.
    site.sql("DELETE FROM tool_audit_refused");
    assert_eq!(found(&site, &public), [("gap".into(), 2)]);
}

#[test]
fn who_may_only_read_the_events_can_check_them() {
    let (site, public) = site();
    let (url, _) = site.cluster.role(&site.url, "GRANT SELECT ON tool_audit_events TO ROLE");
    let output = verify(&site, &url, &public, "postgres");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{output:?}");
}

#[test]
fn what_waits_in_the_spool_is_counted_and_no_finding() {
    let (site, public) = site();
    let chain = "01a21dfc-da9d-775e-9c12-b8a0e19beb0e";
    let spooled = r#"{"ts":"2026-11-27T17:10:40.005377Z","req_id":"","workspace_id":"","user_id":"","agent_id":"demo","tool":"sort","action":"exec","status":"0","duration_ms":11,"in_size":11,"out_size":11,"input_hash":"","graph_run_id":null,"graph_node":null,"job_id":null,"id":"01a21dfc-da9d-775e-9c12-b8a0e19beb0f","chain":"01a21dfc-da9d-775e-9c12-b8a0e19beb0e","seq":0,"hash":"77383e46ef1514d4733f9b58b0ab5efb46885b206d8d9465f1a0ca157ba954b9"}"#;
    fs::create_dir_all(site.workspace.events_dir()).unwrap();
    fs::write(site.workspace.events_dir().join(format!("spool_{chain}_0.jsonl")), format!("{spooled}\n"))
        .unwrap();
    let output = verify(&site, &site.url, &public, "auto");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&verdict["counts"]["spooled"], &verdict["counts"]["sealed"]), (&1.into(), &20.into()));
}
