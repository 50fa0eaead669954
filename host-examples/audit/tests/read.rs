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
        ("--session", "run1", "run", 8),
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
fn the_table_has_a_bounded_width_unless_it_is_to_be_wide() {
    let workspace = filled(30);
    let output = run(workspace.audit(["read", "--format", "table"]));
    let table = text(&output.stdout);
    assert!(table.contains("t29") || table.contains("run5"), "{table}");
    assert!(table.contains("session") && table.contains("2026-11-23"), "{table}");
    assert!(table.lines().all(|line| (60..=120).contains(&line.chars().count())), "{table}");
    let output = run(workspace.audit(["read", "--format", "table", "--wide"]));
    let table = text(&output.stdout);
    assert!(
        table.contains("req-29") && table.contains("2026-11-23 00:29:00.000") && table.contains("j9"),
        "{table}"
    );
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
fn a_large_record_is_shown_page_after_page_in_every_format() {
    const EVENTS: usize = 9500;
    let workspace = filled(EVENTS);
    let stored = std::fs::read_to_string(workspace.daily_file()).unwrap();
    let mut lines: Vec<&str> = stored.split_inclusive('\n').collect();
    // The times are those of one day, again and again. Events of one time are in the order in which they were written.
    let times = field(stored.as_bytes(), "ts");
    let mut order: Vec<usize> = (0..EVENTS).collect();
    order.sort_by_key(|n| (&times[*n], *n));
    lines = order.into_iter().map(|n| lines[n]).collect();
    assert!(text(&run(workspace.audit(["read"])).stdout) == lines.concat());
    lines.reverse();
    assert!(text(&run(workspace.audit(["read", "--newest"])).stdout) == lines.concat());
    lines.reverse();

    let output = run(workspace.audit(["read", "--limit", "9000"]));
    assert!(text(&output.stdout) == lines[..9000].concat());
    let (_, cursor) = text(&output.stderr).trim_end().split_once("next cursor: ").unwrap();
    let rest = run(workspace.audit(["read", "--cursor", cursor]));
    assert!(text(&rest.stdout) == lines[9000..].concat() && rest.stderr.is_empty());

    let ids = field(lines.concat().as_bytes(), "id");
    let output = run(workspace.audit(["read", "--format", "csv"]));
    let mut csv = csv::Reader::from_reader(output.stdout.as_slice());
    let records = csv.records().map(|record| record.unwrap()[16].to_owned());
    assert!(records.eq(ids.iter().cloned()));
    let output = run(workspace.audit(["read", "--format", "table", "--wide"]));
    let requests = field(lines.concat().as_bytes(), "req_id");
    let rows = text(&output.stdout).lines().filter(|line| line.contains("req-"));
    assert!(rows.zip(&requests).filter(|(row, id)| row.contains(&format!(" {id} "))).count() == EVENTS);
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
fn a_count_of_skipped_lines_never_says_more_than_there_are() {
    let workspace = Workspace::new();
    std::fs::create_dir_all(workspace.events_dir()).unwrap();
    for day in 1..=8 {
        let lines =
            format!("{{\"ts\":\"2026-11-0{day}T06:30:00Z\",\"tool\":\"shell\"}}\n{{\"tool\":\"shell\",\n");
        std::fs::write(workspace.events_dir().join(format!("tool_audit_2026-11-0{day}.jsonl")), lines)
            .unwrap();
    }
    let said = |options: &[&str]| {
        let output = run(workspace.audit([&["read", "--tool", "shell"], options].concat()));
        assert_eq!(text(&output.stdout).lines().count(), 8, "{output:?}");
        text(&output.stderr).to_owned()
    };
    // One after the other, and parts of the time at once, which read the files between them twice.
    let one = said(&["--limit", "99999"]);
    assert!(one.starts_with("audit: 8 lines were passed over"), "{one}");
    let parts = said(&["--limit", "0"]);
    let is_said = one == parts || parts.starts_with("audit: at most 10 lines were passed over");
    assert!(is_said, "{parts}");
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
        ("--from", "soon"),
        ("--since", "2 hours"),
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

/// A workspace with these events, each of which has the current time unless it has another one.
fn with(events: &[Value]) -> Workspace {
    let workspace = Workspace::new();
    add(&workspace, events);
    workspace
}

fn add(workspace: &Workspace, events: &[Value]) {
    let lines: String = events.iter().map(|event| event.to_string() + "\n").collect();
    let output = run_with_input(workspace.audit(["write"]), lines);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn times_may_be_given_by_how_long_ago_they_were() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let event = |request: &str, ago: u64| json!({"ts": now - ago, "req_id": request});
    let workspace = with(&[event("old", 30 * 86_400), event("hours", 3 * 3600), event("new", 60)]);
    for (arguments, expected) in [
        (vec!["--since", "2h"], vec!["new"]),
        (vec!["--from", "4h"], vec!["hours", "new"]),
        (vec!["--since", "5w", "--to", "2h"], vec!["old", "hours"]),
        (vec!["--since", "2d", "--to", "now"], vec!["hours", "new"]),
        (vec!["--to", "2026-01-01"], vec![]),
    ] {
        let output = run(workspace.audit(["read"].iter().chain(&arguments)));
        assert_eq!(requests(&output.stdout), expected, "{arguments:?} {output:?}");
    }
    let both = run(workspace.audit(["read", "--since", "2h", "--from", "2h"]));
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}

#[test]
fn errors_are_found_page_by_page() {
    let workspace = Workspace::new();
    let statuses = ["ok", "error", "0", "denied", "started", "1", "ok", "unknown"];
    let lines: String = (0..400)
        .map(|n| {
            let event = json!({"ts": "2026-11-23T06:30:00Z", "req_id": format!("req-{n}"), "status": statuses[n % 8]});
            event.to_string() + "\n"
        })
        .collect();
    assert!(run_with_input(workspace.audit(["write"]), lines).status.success());
    let expected: Vec<String> = named((0..400).filter(|n| [1, 3, 5, 7].contains(&(n % 8))));
    assert_eq!(requests(&run(workspace.audit(["read", "--errors"])).stdout), expected);
    for limit in ["1", "7", "199", "200", "1000"] {
        let found = every_page(|| workspace.audit(["read", "--errors", "--limit", limit]), "req_id");
        assert_eq!(found, expected, "{limit}");
    }
    let newest = every_page(|| workspace.audit(["read", "--errors", "--newest", "--limit", "9"]), "req_id");
    assert!(newest.iter().eq(expected.iter().rev()), "{newest:?}");
    let output = run(workspace.audit(["read", "--errors", "--status", "denied", "--format", "csv"]));
    assert_eq!(text(&output.stdout).lines().count(), 51);
}

#[test]
fn calls_that_began_and_never_ended_are_found() {
    let event = |time: &str, session: &str, request: &str, status: &str| {
        json!({"ts": format!("2026-11-23T06:{time}Z"), "graph_run_id": session, "req_id": request, "status": status,
               "tool": format!("tool of {request}"), "agent_id": if status == "started" { "claude-code" } else { "" }})
    };
    let workspace = with(&[
        event("00:00", "s1", "a", "started"),
        event("00:01", "s1", "b", "started"),
        event("00:02", "s2", "a", "started"),
        // The end of a call is dated by its beginning, here a moment before the other event.
        event("00:02.900", "s1", "c", "ok"),
        event("00:03", "s1", "c", "started"),
        event("50:00", "s1", "a", "error"),
    ]);
    add(&workspace, &[event("10:00", "s2", "d", "started")]);
    let read = |arguments: &[&str]| {
        let output = run(workspace.audit(["read", "--unfinished"].iter().chain(arguments)));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        requests(&output.stdout)
    };
    assert_eq!(read(&[]), ["b", "a", "d"]);
    assert_eq!(read(&["--newest"]), ["d", "a", "b"]);
    assert_eq!(read(&["--limit", "2"]), ["b", "a"]);
    assert_eq!(read(&["--session", "s1"]), ["b"]);
    assert_eq!(read(&["--session", "s2", "--tool", "tool of d"]), ["d"]);
    // The end of `a` lies outside of all of these.
    assert_eq!(read(&["--agent", "claude-code", "--to", "2026-11-23T06:05:00Z"]), ["b", "a"]);
    assert_eq!(read(&["--from", "2026-11-23T06:00:00.5Z", "--to", "2026-11-23T06:05:00Z"]), ["b", "a"]);
    // A session that uses a request again: each end is that of one call.
    add(
        &workspace,
        &[
            event("30:00", "s3", "call_0", "started"),
            event("30:01", "s3", "call_0", "ok"),
            event("30:02", "s3", "call_0", "started"),
        ],
    );
    assert_eq!(read(&["--session", "s3"]), ["call_0"]);
    add(&workspace, &[event("30:03", "s3", "call_0", "error")]);
    assert_eq!(read(&["--session", "s3"]), [""; 0]);
    let output = run(workspace.audit(["read", "--unfinished", "--status", "ok"]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn without_a_setting_the_nearest_record_is_shown_and_the_others_are_named() {
    let workspace = Workspace::new();
    let project = workspace.path().join("project");
    let below = project.join("src/deep");
    std::fs::create_dir_all(project.join(".git")).unwrap();
    std::fs::create_dir_all(&below).unwrap();
    let audit = |arguments: &[&str]| {
        let mut command = workspace.audit(arguments);
        command.current_dir(&below);
        command
    };
    let write = |arguments: &[&str], tool: &str| {
        let mut command = audit(arguments);
        command.arg("write");
        assert!(run_with_input(command, json!({"tool": tool}).to_string()).status.success());
    };
    let shown = || {
        let output = run(audit(&["read"]));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        (field(&output.stdout, "tool"), text(&output.stderr).to_owned())
    };
    let (tools, said) = shown();
    assert!(tools.is_empty() && said.contains("does not exist"), "{said}");
    write(&["--scope", "user"], "of the user");
    let (tools, said) = shown();
    assert!(tools == ["of the user"] && said.contains("the record of the user"), "{tools:?} {said}");
    write(&["--scope", "project"], "of the project");
    let (tools, said) = shown();
    assert!(tools == ["of the project"] && said.contains("--scope user shows"), "{tools:?} {said}");
    // A writer without any setting.
    write(&[], "of the folder");
    let (tools, said) = shown();
    assert!(tools == ["of the folder"] && said.contains("--scope project shows"), "{tools:?} {said}");
    for (scope, tool) in [("user", "of the user"), ("project", "of the project")] {
        let output = run(audit(&["read", "--scope", scope]));
        assert_eq!((field(&output.stdout, "tool"), text(&output.stderr)), (vec![tool.to_owned()], ""));
    }
    let status = run(audit(&["status", "--json"]));
    assert!(text(&status.stderr).contains("--scope user shows"), "{status:?}");
    let mut command = audit(&["read"]);
    command.env("AUDIT_JSONL_DIR", project.join("ops/audit"));
    let output = run(command);
    assert_eq!(
        (field(&output.stdout, "tool"), text(&output.stderr)),
        (vec!["of the project".to_owned()], "")
    );
}

#[test]
fn an_empty_folder_hides_no_record() {
    let workspace = Workspace::new();
    let below = workspace.path().join("src");
    std::fs::create_dir_all(workspace.path().join(".git")).unwrap();
    std::fs::create_dir_all(below.join("ops/audit")).unwrap();
    let shown = || {
        let mut command = workspace.audit(["read"]);
        command.current_dir(&below);
        let output = run(command);
        (field(&output.stdout, "tool"), text(&output.stderr).to_owned())
    };
    // Where none has events, the nearest is meant.
    assert_eq!(shown(), (vec![], String::new()));
    add(&workspace, &[json!({"tool": "of the project"})]);
    let (tools, said) = shown();
    assert!(tools == ["of the project"] && said.contains("the record of the project"), "{tools:?} {said}");
    let spool = "spool_01a21e32-7399-7097-81e5-e45f57a00554_1.jsonl";
    std::fs::write(below.join("ops/audit").join(spool), "").unwrap();
    let (tools, said) = shown();
    assert!(tools.is_empty() && said.contains("--scope project shows"), "{tools:?} {said}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_holds_up_no_status_and_is_told() {
    let workspace = filled(3);
    let pipe = workspace.events_dir().join("tool_audit_2026-11-21.jsonl");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::create_dir(workspace.events_dir().join("tool_audit_2026-11-25.jsonl")).unwrap();
    let output = run(workspace.audit(["status", "--json"]));
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&status["record"]["events"], &status["record"]["days"]), (&json!(3), &json!(1)), "{status}");
    assert_eq!(status["record"]["last"], "2026-11-23T00:02:00.000000Z");
    for name in ["2026-11-21", "2026-11-25"] {
        assert!(
            status["warnings"].to_string().contains(&format!("{name}.jsonl is passed over: it is no file")),
            "{status}"
        );
    }
    let output = run(workspace.audit(["read"]));
    assert_eq!(requests(&output.stdout), named(0..3));
}

#[test]
fn the_status_says_how_much_is_recorded() {
    let workspace = filled(50);
    add(&workspace, &[json!({"ts": "2026-11-24T01:02:03Z"})]);
    let output = run(workspace.audit(["status", "--json"]));
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let bytes: u64 = ["23", "24"]
        .map(|day| {
            std::fs::metadata(workspace.events_dir().join(format!("tool_audit_2026-11-{day}.jsonl")))
                .unwrap()
                .len()
        })
        .iter()
        .sum();
    let expected = json!({"events": 51, "is_estimate": false, "days": 2, "bytes": bytes, "first": null,
                          "last": "2026-11-24T01:02:03.000000Z"});
    assert_eq!(status["record"], expected);
    let output = run(workspace.audit(["status"]));
    assert!(text(&output.stdout).contains("events      51 events of 2 days, "), "{output:?}");
    let nothing: Value =
        serde_json::from_slice(&run(Workspace::new().audit(["status", "--json"])).stdout).unwrap();
    assert_eq!(nothing["record"], Value::Null);
}
