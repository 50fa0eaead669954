//! `audit seal` on a table: read with SELECT alone, with rows that appear late, and one that another program has made.

use std::fs;
use std::path::Path;
use std::process::Output;

use audit_evidence::{Files, Gap, Log, LogFolder, Place, Record, Segments};
use audit_log::tree::{Hash, Node, NodeReader as _};
use audit_testbed::ORIGINAL_TABLE;
use audit_testbed::postgres::{Client, NoTls};
use serde_json::Value;

use crate::Site;
use crate::common::{lines, run, run_with_input, text};

const NAME: &str = "example.com/audit";

/// A site with a key.
fn site() -> Site {
    let site = Site::new();
    let made = run(site.audit(["keygen", NAME, "--out", "seal.key"]));
    assert!(made.status.success(), "{made:?}");
    site
}

fn write(site: &Site, lines: &str) {
    assert!(run_with_input(site.audit(["--backend", "postgres", "write"]), lines).status.success());
}

fn seal_at(site: &Site, url: &str, backend: &str) -> Output {
    let options = ["--backend", backend, "seal", "--json", "--key", "seal.key", "--log", "log"];
    run(site.audit_at(url, options))
}

/// How many rows a seal has found.
#[track_caller]
fn seal(site: &Site) -> u64 {
    let output = seal_at(site, &site.url, "postgres");
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["new"].as_u64().unwrap()
}

fn log(site: &Site) -> Log<LogFolder> {
    Log::new(LogFolder::new(site.workspace.path().join("log")))
}

/// The leaves of a log.
fn leaves(log: &Log<LogFolder>) -> Vec<Hash> {
    let size = log.checkpoint().unwrap().unwrap().unverified().size();
    let mut tree = log.tree(size);
    (0..size).map(|index| tree.node(Node { level: 0, index }).unwrap()).collect()
}

fn segments(site: &Site) -> Segments {
    log(site).segments().unwrap()
}

/// The hashes that the table has, in this order of rows.
fn hashes(site: &Site, order: &str) -> Vec<Hash> {
    let hashes = site.sql(&format!("SELECT hash FROM tool_audit_events ORDER BY {order}"));
    hashes.iter().map(|hash| Hash::from_hex(hash).unwrap()).collect()
}

#[test]
fn rows_that_appear_late_are_sealed_once_they_are_there() {
    let site = site();
    write(&site, &lines(0..3));
    // A transaction that took its number first, and ends last.
    let mut late = Client::connect(&site.url, NoTls).unwrap();
    let mut transaction = late.transaction().unwrap();
    transaction
        .execute("INSERT INTO tool_audit_events (ts, tool) VALUES ('2026-11-23Z', 'late')", &[])
        .unwrap();
    // And one that took its number before it had begun to write.
    let mut later = Client::connect(&site.url, NoTls).unwrap();
    let mut idle = later.transaction().unwrap();
    let number: i64 = idle.query_one("SELECT nextval('tool_audit_events_id_seq')", &[]).unwrap().get(0);
    write(&site, &lines(3..6));
    assert_eq!(seal(&site), 6);
    transaction.commit().unwrap();
    assert_eq!(seal(&site), 1);
    let insert = "INSERT INTO tool_audit_events (id, ts, tool) VALUES ($1, '2026-11-23Z', 'later')";
    idle.execute(insert, &[&number]).unwrap();
    assert_eq!(seal(&site), 0);
    idle.commit().unwrap();
    assert_eq!(seal(&site), 1);
    write(&site, &lines(6..7));
    assert_eq!((seal(&site), seal(&site)), (1, 0));

    let rows = Place::Rows { rows: vec![[1, 3], [6, 8], [4, 5], [9, 9]] };
    let found: Vec<(Place, u64)> =
        segments(&site).iter().map(|segment| (segment.place.clone(), segment.count)).collect();
    assert_eq!(found, [(rows, 9)]);
    let own = leaves(&log(&site)).into_iter().enumerate().filter(|(index, _)| ![6, 7].contains(index));
    let of_store = "hash IS NULL, id LIMIT 7";
    assert_eq!(own.map(|(_, leaf)| leaf).collect::<Vec<_>>(), hashes(&site, of_store));
}

#[test]
fn a_role_that_may_only_read_seals_and_changes_nothing() {
    let site = site();
    write(&site, &lines(0..1500));
    let (url, _) = site.cluster.role(&site.url, "GRANT SELECT ON tool_audit_events TO ROLE");
    for backend in ["postgres", "auto"] {
        let output = seal_at(&site, &url, backend);
        assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    }
    assert_eq!(leaves(&log(&site)), hashes(&site, "id"));
    assert!(!site.workspace.events_dir().exists());
}

#[test]
fn a_record_has_the_same_leaves_in_files_and_in_a_table() {
    let site = site();
    let foreign = "{\"ts\": \"2026-11-23T06:30:00.5+01:00\", \"tool\": \"caf\\u00e9 \\\"x\\\"\", \"duration_ms\": 1.5}\n";
    let file = site.workspace.daily_file();
    assert!(run_with_input(site.workspace.audit(["write"]), lines(0..20)).status.success());
    let own = fs::read_to_string(&file).unwrap();
    fs::write(&file, own + foreign).unwrap();
    let of_files = run(site.workspace.audit(["seal", "--key", "seal.key"]));
    assert!(of_files.status.success(), "{of_files:?}");
    assert!(run(site.audit(["import"])).status.success());
    assert_eq!(seal(&site), 21);
    let in_files = Log::new(LogFolder::new(site.workspace.events_dir().join("log")));
    assert_eq!(leaves(&log(&site)), leaves(&in_files));

    let mut found = Vec::new();
    let mut files = Files::new(site.workspace.events_dir());
    for segment in &in_files.segments().unwrap() {
        let mut take = |there: audit_evidence::Found<'_>| {
            found.extend_from_slice(there.leaves);
            Ok(())
        };
        files.stands(&segment.place, &mut take).unwrap();
    }
    assert_eq!(found, leaves(&log(&site)));
}

#[test]
fn the_table_of_the_original_program_is_sealed_before_and_after_its_upgrade() {
    let site = site();
    site.cluster.execute(&site.url, ORIGINAL_TABLE);
    let insert =
        "INSERT INTO tool_audit_events (ts, req_id, workspace_id, user_id, agent_id, tool, action, status,
        duration_ms, in_size, out_size, input_hash)
        SELECT ts::timestamptz, '', '', '', '', tool, '', 'ok', 1, 2, 3, ''
        FROM (VALUES ('2026-11-23Z', 'a'), ('infinity', 'b'), ('2026-11-24Z', 'c')) AS old (ts, tool)";
    site.cluster.execute(&site.url, insert);
    assert_eq!(seal(&site), 2);
    let before = leaves(&log(&site));
    write(&site, &lines(0..2));
    assert_eq!(seal(&site), 2);
    let all = leaves(&log(&site));
    assert_eq!(all[..2], before);
    assert_eq!(all[2..], hashes(&site, "id OFFSET 3"));
    let gaps: Vec<Place> = segments(&site)
        .iter()
        .filter(|segment| segment.gap == Some(Gap::Unreadable))
        .map(|segment| segment.place.clone())
        .collect();
    assert_eq!(gaps, [Place::Rows { rows: vec![[2, 2]] }]);
}

#[test]
fn what_cannot_be_sealed_of_a_database_is_said() {
    let site = site();
    let without = run(site.audit(["--backend", "postgres", "seal", "--key", "seal.key"]));
    assert!(text(&without.stderr).contains("--log"), "{without:?}");
    assert_eq!(without.status.code(), Some(2));
    // There is no table yet.
    assert_eq!(seal(&site), 0);
    write(&site, &lines(0..5));
    assert_eq!(seal(&site), 5);
    site.cluster.execute(&site.url, "DELETE FROM tool_audit_events WHERE id = 5");
    let output = seal_at(&site, &site.url, "postgres");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stderr), "audit: the row 5 was sealed and is gone\n");
    site.cluster.execute(&site.url, "ALTER TABLE tool_audit_events RENAME COLUMN id TO number");
    let output = seal_at(&site, &site.url, "postgres");
    assert!(text(&output.stderr).contains("id"), "{output:?}");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let away = seal_at(&site, audit_testbed::NOWHERE, "postgres");
    assert_eq!(away.status.code(), Some(2), "{away:?}");
    assert!(Path::new(&site.workspace.path().join("log/checkpoint")).exists());
}
