//! `audit read` and `audit status`: what is shown, and how.

mod common;

use common::{Place, run, run_with_input, text};
use serde_json::{Value, json};

/// A place with events, one a minute, that differ in every field.
fn filled(count: usize) -> Place {
    let place = Place::new();
    let lines: String = (0..count)
        .map(|n| {
            let event = json!({
                "ts": format!("2026-11-23T{:02}:{:02}:00Z", n / 60 % 24, n % 60),
                "req_id": format!("req-{n}"),
                "workspace_id": format!("w{}", n % 2),
                "user_id": format!("u{}", n % 3),
                "agent_id": format!("a{}", n % 4),
                "tool": format!("t{}", n % 5),
                "action": format!("do{}", n % 6),
                "status": format!("s{}", n % 7),
                "graph_run_id": format!("run{}", n % 8),
                "graph_node": format!("n{}", n % 9),
                "job_id": format!("j{}", n % 10),
            });
            event.to_string() + "\n"
        })
        .collect();
    let output = run_with_input(place.audit(["write"]), lines);
    assert!(output.status.success(), "{output:?}");
    place
}

fn requests(jsonl: &[u8]) -> Vec<String> {
    let request = |line| serde_json::from_str::<Value>(line).unwrap()["req_id"].as_str().unwrap().to_owned();
    text(jsonl).lines().map(request).collect()
}

fn named(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(|n| format!("req-{n}")).collect()
}

#[test]
fn every_filter_selects_its_field() {
    let place = filled(120);
    for (option, value, field, modulus) in [
        ("--workspace", "w1", "w", 2),
        ("--user", "u1", "u", 3),
        ("--agent", "a1", "a", 4),
        ("--tool", "t1", "t", 5),
        ("--action", "do1", "do", 6),
        ("--status", "s1", "s", 7),
        ("--run", "run1", "run", 8),
        ("--node", "n1", "n", 9),
        ("--job", "j1", "j", 10),
    ] {
        let output = run(place.audit(["read", option, value]));
        assert_eq!(requests(&output.stdout), named((0..120).filter(|n| n % modulus == 1)), "{field}");
    }
    let output = run(place.audit(["read", "--req-id", "req-7"]));
    assert_eq!(requests(&output.stdout), ["req-7"]);
    let output = run(place.audit(["read", "--tool", "t1", "--agent", "a1", "--newest"]));
    assert_eq!(requests(&output.stdout), named((0..120).rev().filter(|n| n % 20 == 1)));
    let output =
        run(place.audit("read --from 2026-11-23T01:30:00+01:00 --to 2026-11-23T00:32:00Z".split(' ')));
    assert_eq!(requests(&output.stdout), named(30..33));
    let output = run(place.audit(["read", "--to", "2026-11-22"]));
    assert_eq!((text(&output.stdout), text(&output.stderr), output.status.code()), ("", "", Some(0)));
}

#[test]
fn cursors_lead_through_all_events_once() {
    let place = filled(50);
    for order in ["--newest", "--limit=7"] {
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let mut command = place.audit(
                ["read", "--limit", "7", order].into_iter().take(4 - usize::from(order != "--newest")),
            );
            if let Some(cursor) = cursor {
                command.args(["--cursor", cursor]);
            }
            let output = run(command);
            found.extend(requests(&output.stdout));
            let Some(next) = text(&output.stderr).strip_prefix("audit: next cursor: ") else { break };
            cursor = Some(next.trim().to_owned().leak() as &str);
        }
        let expected = if order == "--newest" { named((0..50).rev()) } else { named(0..50) };
        assert_eq!(found, expected);
    }
}

#[test]
fn jsonl_is_what_is_stored() {
    let place = filled(3);
    let stored = std::fs::read(place.events_dir().join("tool_audit_2026-11-23.jsonl")).unwrap();
    assert_eq!(text(&run(place.audit(["read"])).stdout), text(&stored));
    assert_eq!(text(&run(place.audit(["read", "--format", "jsonl"])).stdout), text(&stored));
}

#[test]
fn csv_has_all_fields_whatever_is_in_them() {
    let place = Place::new();
    let event =
        json!({"ts": "2026-11-23T06:30:00+01:00", "tool": "a,\"b\"", "agent_id": "ä", "duration_ms": 5});
    run_with_input(place.audit(["write"]), event.to_string());
    let output = run(place.audit(["read", "--format", "csv"]));
    let mut csv = csv::Reader::from_reader(output.stdout.as_slice());
    let header = csv.headers().unwrap().clone();
    assert_eq!(header.len(), 19);
    let records: Vec<_> = csv.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 1);
    let field = |name| &records[0][header.iter().position(|field| field == name).unwrap()];
    assert_eq!(field("ts"), "2026-11-23T05:30:00.000000Z");
    assert_eq!((field("tool"), field("agent_id"), field("duration_ms")), ("a,\"b\"", "ä", "5"));
    assert_eq!((field("job_id"), field("seq"), field("hash").len()), ("", "0", 64));

    let nothing = run(place.audit(["read", "--format", "csv", "--tool", "none"]));
    assert_eq!(text(&nothing.stdout).lines().count(), 1);
}

#[test]
fn a_table_has_a_bounded_width() {
    let place = filled(30);
    let output = run(place.audit(["read", "--format", "table"]));
    let table = text(&output.stdout);
    assert!(table.contains("req-29") && table.contains("2026-11-23"), "{table}");
    assert!(table.lines().all(|line| (60..=120).contains(&line.chars().count())), "{table}");
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let place = filled(5000);
    for format in ["jsonl", "csv", "table"] {
        let script = format!("{{ \"$AUDIT\" read --format {format}; echo $? >&2; }} | head -1 > head");
        assert_eq!(text(&run(place.shell(&script)).stderr), "0\n", "{format}");
    }
}

#[test]
fn lines_that_are_no_events_are_counted() {
    let place = filled(2);
    let path = place.events_dir().join("tool_audit_2026-11-23.jsonl");
    let torn = std::fs::read_to_string(&path).unwrap() + "garbage\n{\"ts\":\"2026";
    std::fs::write(&path, torn).unwrap();
    let output = run(place.audit(["read"]));
    assert_eq!((requests(&output.stdout), output.status.code()), (named(0..2), Some(0)));
    assert!(text(&output.stderr).starts_with("audit: 2 lines were passed over"), "{output:?}");
}

#[test]
fn a_folder_that_does_not_exist_has_no_events_and_is_not_made() {
    let place = Place::new();
    let output = run(place.audit(["read"]));
    assert_eq!((text(&output.stdout), output.status.code()), ("", Some(0)));
    assert_eq!(text(&output.stderr), "audit: no events: ./ops/audit does not exist\n");
    assert!(run(place.audit(["status"])).status.success());
    assert!(!place.events_dir().exists());
}

#[test]
fn a_wrong_value_is_named_by_its_option() {
    let place = filled(1);
    for (option, value) in [
        ("--from", "yesterday"),
        ("--to", "2026-13-01"),
        ("--cursor", "x"),
        ("--format", "xml"),
        ("--limit", "many"),
    ] {
        let output = run(place.audit(["read", option, value]));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with("audit: ") && stderr.contains(option), "{stderr}");
    }
    let blocked = run(place.audit(["read", "--dir", "/dev/null"]));
    assert_eq!(blocked.status.code(), Some(2), "{blocked:?}");
}

#[test]
fn the_status_says_what_is_in_use_and_what_is_wrong() {
    let place = filled(1);
    let output = run(place.audit(["status"]));
    let said: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!((said[0], said[2]), ("backend     jsonl", "folder      ./ops/audit"), "{output:?}");
    assert!(said[1].starts_with("since       20") && said[1].ends_with('Z'), "{output:?}");

    let mut command = place.audit(["status", "--json", "--durability", "synced"]);
    command.env("AUDIT_BACKEND", "jsnol");
    let output = run(command);
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&status["backend"], &status["requested"]), (&"jsonl".into(), &"jsnol".into()));
    assert_eq!((&status["durability"], &status["jsonl_dir"]), (&"synced".into(), &"./ops/audit".into()));
    assert_eq!(status["warnings"].as_array().map(Vec::len), Some(1));
    assert_eq!(status["counts"]["dropped"]["queue_full"], 0);
}

#[test]
fn options_go_before_variables() {
    let place = filled(1);
    let elsewhere = |command: &mut std::process::Command| {
        command.env("AUDIT_JSONL_DIR", "elsewhere").env("REPO_ROOT", "/nowhere");
    };
    let mut command = place.audit(["read", "--dir", "ops/audit"]);
    elsewhere(&mut command);
    assert_eq!(requests(&run(command).stdout), ["req-0"]);
    let mut command = place.audit(["read"]);
    elsewhere(&mut command);
    assert_eq!(text(&run(command).stderr), "audit: no events: elsewhere does not exist\n");
    let mut command = place.audit(["read"]);
    command.env("REPO_ROOT", place.path());
    assert_eq!(requests(&run(command).stdout), ["req-0"]);
}
