//! What `audit read` and `audit status` show, and how.

mod common;

use common::{Workspace, every_page, field, run, run_with_input, text};
use serde_json::{Value, json};

/// A workspace with one event a minute. The events differ in every field.
fn filled(count: usize) -> Workspace {
    let workspace = Workspace::new();
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
    let output = run_with_input(workspace.audit(["write"]), lines);
    assert!(output.status.success(), "{output:?}");
    workspace
}

/// The `req_id` of each entry.
fn requests(jsonl: &[u8]) -> Vec<String> {
    field(jsonl, "req_id")
}

/// The `req_id` of the events with these numbers.
fn named(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(|n| format!("req-{n}")).collect()
}

#[test]
fn every_filter_selects_its_field() {
    let workspace = filled(120);
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
        let output = run(workspace.audit(["read", option, value]));
        assert_eq!(requests(&output.stdout), named((0..120).filter(|n| n % modulus == 1)), "{field}");
    }
    let output = run(workspace.audit(["read", "--req-id", "req-7"]));
    assert_eq!(requests(&output.stdout), ["req-7"]);
    let output = run(workspace.audit(["read", "--tool", "t1", "--agent", "a1", "--newest"]));
    assert_eq!(requests(&output.stdout), named((0..120).rev().filter(|n| n % 20 == 1)));
    let output =
        run(workspace.audit("read --from 2026-11-23T01:30:00+01:00 --to 2026-11-23T00:32:00Z".split(' ')));
    assert_eq!(requests(&output.stdout), named(30..33));
    let output = run(workspace.audit(["read", "--to", "2026-11-22"]));
    assert_eq!((text(&output.stdout), text(&output.stderr), output.status.code()), ("", "", Some(0)));
}

#[test]
fn cursors_lead_through_all_events_once() {
    let workspace = filled(50);
    let oldest = every_page(|| workspace.audit(["read", "--limit", "7"]), "req_id");
    assert_eq!(oldest, named(0..50));
    let newest = every_page(|| workspace.audit(["read", "--limit", "7", "--newest"]), "req_id");
    assert_eq!(newest, named((0..50).rev()));
}

#[test]
fn the_jsonl_format_is_what_is_stored() {
    let workspace = filled(3);
    let stored = std::fs::read(workspace.daily_file()).unwrap();
    assert_eq!(text(&run(workspace.audit(["read"])).stdout), text(&stored));
    assert_eq!(text(&run(workspace.audit(["read", "--format", "jsonl"])).stdout), text(&stored));
}

#[test]
fn the_csv_format_has_all_fields_whatever_is_in_them() {
    let workspace = Workspace::new();
    let event = json!({"ts": "2026-11-23T06:30:00+01:00", "tool": "a,\"b\"", "agent_id": "ä", "duration_ms": 5,
               "action": "a\n\u{1b}[2Jb\u{9b}", "attributes": {"model": "m\n"}});
    run_with_input(workspace.audit(["write"]), event.to_string());
    let output = run(workspace.audit(["read", "--format", "csv"]));
    let mut csv = csv::Reader::from_reader(output.stdout.as_slice());
    let header = csv.headers().unwrap().clone();
    assert_eq!(header.len(), 20);
    let records: Vec<_> = csv.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 1);
    let field = |name| &records[0][header.iter().position(|field| field == name).unwrap()];
    assert_eq!(field("ts"), "2026-11-23T05:30:00.000000Z");
    assert_eq!((field("tool"), field("agent_id"), field("duration_ms")), ("a,\"b\"", "ä", "5"));
    assert_eq!((field("action"), field("attributes")), (r"a\n\u001b[2Jb\u009b", r#"{"model":"m\n"}"#));
    assert_eq!((field("job_id"), field("seq"), field("hash").len()), ("", "0", 64));

    let nothing = run(workspace.audit(["read", "--format", "csv", "--tool", "none"]));
    assert_eq!(text(&nothing.stdout).lines().count(), 1);
}

#[test]
fn the_table_has_a_bounded_width() {
    let workspace = filled(30);
    let output = run(workspace.audit(["read", "--format", "table"]));
    let table = text(&output.stdout);
    assert!(table.contains("req-29") && table.contains("2026-11-23"), "{table}");
    assert!(table.lines().all(|line| (60..=120).contains(&line.chars().count())), "{table}");
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error() {
    let workspace = filled(5000);
    for format in ["jsonl", "csv", "table"] {
        let script = format!("{{ \"$AUDIT\" read --format {format}; echo $? >&2; }} | head -1 > head");
        assert_eq!(text(&run(workspace.shell(&script)).stderr), "0\n", "{format}");
    }
}

#[test]
fn lines_that_are_no_events_are_skipped_and_counted() {
    let workspace = filled(2);
    let path = workspace.daily_file();
    let torn = std::fs::read_to_string(&path).unwrap() + "garbage\n{\"ts\":\"2026";
    std::fs::write(&path, torn).unwrap();
    let output = run(workspace.audit(["read"]));
    assert_eq!((requests(&output.stdout), output.status.code()), (named(0..2), Some(0)));
    assert!(text(&output.stderr).starts_with("audit: 2 lines "), "{output:?}");
}

#[test]
fn a_folder_that_does_not_exist_has_no_events_and_is_not_made() {
    let workspace = Workspace::new();
    let output = run(workspace.audit(["read"]));
    assert_eq!((text(&output.stdout), output.status.code()), ("", Some(0)));
    let said = text(&output.stderr);
    assert!(said.contains("no events") && said.contains("./ops/audit does not exist"), "{said}");
    assert!(run(workspace.audit(["status"])).status.success());
    assert!(!workspace.events_dir().exists());
}

#[test]
fn a_wrong_value_is_refused_and_its_option_is_named() {
    let workspace = filled(1);
    for (option, value) in [
        ("--from", "yesterday"),
        ("--to", "2026-13-01"),
        ("--cursor", "x"),
        ("--format", "xml"),
        ("--limit", "many"),
    ] {
        let output = run(workspace.audit(["read", option, value]));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with("audit: ") && stderr.contains(option), "{stderr}");
    }
    let blocked = run(workspace.audit(["read", "--dir", "/dev/null"]));
    assert_eq!(blocked.status.code(), Some(2), "{blocked:?}");
}

#[test]
fn the_status_shows_the_settings_in_use_and_what_is_wrong_with_them() {
    let workspace = filled(1);
    let output = run(workspace.audit(["status"]));
    let said: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!((said[0], said[2]), ("backend     jsonl", "folder      ./ops/audit"), "{output:?}");
    assert!(said[1].starts_with("since       20") && said[1].ends_with('Z'), "{output:?}");

    let mut command = workspace.audit(["status", "--json", "--durability", "synced"]);
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
fn an_option_overrides_a_variable() {
    let workspace = filled(1);
    let elsewhere = |command: &mut std::process::Command| {
        command.env("AUDIT_JSONL_DIR", "elsewhere").env("REPO_ROOT", "/nowhere");
    };
    let mut command = workspace.audit(["read", "--dir", "ops/audit"]);
    elsewhere(&mut command);
    assert_eq!(requests(&run(command).stdout), ["req-0"]);
    let mut command = workspace.audit(["read"]);
    elsewhere(&mut command);
    let output = run(command);
    assert!(text(&output.stderr).contains("elsewhere does not exist"), "{output:?}");
    let mut command = workspace.audit(["read"]);
    command.env("REPO_ROOT", workspace.path());
    assert_eq!(requests(&run(command).stdout), ["req-0"]);
}
