//! Proofs and retention of a table.

use serde_json::{Value, json};

use crate::Site;
use crate::common::{run, run_with_input, text};

/// A table with events of three old days and of today, sealed.
fn site() -> (Site, String) {
    let site = Site::new();
    let made = run(site.audit(["keygen", "example.com/audit"]));
    let public = text(&made.stdout).trim().to_owned();
    let line = |day: u32, number: u32| {
        let (ts, workspace) = (format!("2026-05-0{day}T06:30:00Z"), format!("w{}", number % 2));
        json!({"ts": ts, "tool": format!("t{day}-{number}"), "workspace_id": workspace}).to_string() + "\n"
    };
    // The days come in turns, so that no range of rows is of one.
    let lines: String = (0..4).flat_map(|number| (1..=3).map(move |day| line(day, number))).collect();
    let written =
        run_with_input(site.audit(["--backend", "postgres", "write"]), lines + "{\"tool\":\"now\"}\n");
    assert!(written.status.success(), "{written:?}");
    seal(&site);
    (site, public)
}

fn seal(site: &Site) {
    site.done("--backend postgres seal --key audit-seal.key --log log");
}

fn tools(site: &Site) -> Vec<String> {
    site.sql("SELECT tool FROM tool_audit_events WHERE tool <> 'audit' ORDER BY id")
}

#[test]
fn an_event_of_a_table_is_proved_by_its_id_and_by_its_index() {
    let (site, public) = site();
    let id = site.sql("SELECT event_id::text FROM tool_audit_events WHERE tool = 't2-1'").remove(0);
    let proof = site.done(&format!("--backend postgres prove {id} --log log"));
    assert_eq!(site.done("--backend postgres prove --index 4 --log log"), proof);
    site.workspace.file("proof", proof);
    let shown = site.done(&format!("check proof --pubkey {public}"));
    let event: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    assert_eq!((event["tool"].as_str(), event["id"].as_str()), (Some("t2-1"), Some(&*id)));
    // What was changed is no proof of itself.
    site.cluster.execute(&site.url, "UPDATE tool_audit_events SET tool = 't9' WHERE tool = 't2-1'");
    let changed = run(site.audit(["--backend", "postgres", "prove", &id, "--log", "log"]));
    assert_eq!(changed.status.code(), Some(1), "{changed:?}");
    assert!(text(&changed.stderr).contains("is not what was sealed"), "{changed:?}");
}

#[test]
fn old_rows_go_into_archives_but_for_those_that_are_held() {
    let (site, public) = site();
    site.done("--backend postgres hold add --workspace w1 --to 2026-05-01 --reason inquiry --log log");
    let pruned = run(
        site.audit("--backend postgres prune --before 2026-05-03 --archive archive --log log".split(' '))
    );
    assert_eq!(pruned.status.code(), Some(0), "{pruned:?}");
    assert!(text(&pruned.stdout).contains("pruned: 6 events of 2 days"), "{pruned:?}");
    assert!(text(&pruned.stderr).contains("kept 2 rows: hold-1 holds events of it (inquiry)"), "{pruned:?}");
    assert_eq!(tools(&site), ["t3-0", "t1-1", "t3-1", "t3-2", "t1-3", "t3-3", "now"]);
    // What is left is sealed as it was, and so is what says that the rest was pruned.
    seal(&site);
    let verdict =
        site.done(&format!("--backend postgres verify --log log --pubkey {public} --archive archive"));
    assert!(verdict.contains("6 pruned") && verdict.contains("nothing was found"), "{verdict}");
    let archived = site.done("--dir archive read --format jsonl");
    assert_eq!(crate::tools(archived.as_bytes()), ["t1-0", "t1-2", "t2-0", "t2-1", "t2-2", "t2-3"]);
    let gone = run(site.audit("--backend postgres prove --index 0 --log log".split(' ')));
    assert!(text(&gone.stderr).contains("was pruned at"), "{gone:?}");
    assert!(
        site.done("--backend postgres prove --index 2 --log log").starts_with("c2sp.org/tlog-proof@v1\n")
    );
    let actions = site.sql("SELECT action FROM tool_audit_events WHERE tool = 'audit' ORDER BY id");
    assert_eq!(actions, ["hold", "prune", "prune"]);
}

#[test]
fn a_role_that_may_not_delete_is_told_so_before_anything_is_declared() {
    let (site, _) = site();
    let grants = "GRANT SELECT, INSERT ON tool_audit_events TO ROLE;
        GRANT USAGE ON SEQUENCE tool_audit_events_id_seq TO ROLE";
    let (url, _) = site.cluster.role(&site.url, grants);
    let prune = "--backend postgres prune --before 2026-05-03 --log log";
    let refused = run(site.audit_at(&url, prune.split(' ')));
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(text(&refused.stderr).contains("DELETE on tool_audit_events"), "{refused:?}");
    assert_eq!((site.stored(), site.workspace.path().join("log/pruned.jsonl").exists()), (13, false));
    site.cluster.execute(&site.url, "CREATE RULE keep AS ON DELETE TO tool_audit_events DO INSTEAD NOTHING");
    let kept = run(site.audit(prune.split(' ')));
    assert!(
        text(&kept.stderr).contains("is still there after it was deleted") || kept.status.code() == Some(2),
        "{kept:?}"
    );
    site.cluster.execute(&site.url, "DROP RULE keep ON tool_audit_events");
    // It goes on where it was.
    let finished = site.done(prune);
    assert!(finished.contains("4 rows: what an interrupted prune had left is removed"), "{finished}");
    assert_eq!(tools(&site), ["t3-0", "t3-1", "t3-2", "t3-3", "now"]);
    seal(&site);
}
