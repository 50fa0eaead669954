//! Hooks run at the same time, and each is a process of its own.

use std::fs;
use std::thread;

use audit_testbed::Cluster;
use serde_json::{Value, json};

use crate::common::{Workspace, text};
use crate::{call, hook, send};

#[test]
fn two_hundred_at_once_lose_nothing_and_write_whole_lines() {
    let workspace = Workspace::new();
    // With the component in the cache, as on all calls but the first.
    send(hook(&workspace, "hook claude --dir ops/audit"), call(200).to_string());
    thread::scope(|scope| {
        for n in 0..200 {
            let workspace = &workspace;
            scope.spawn(move || send(hook(workspace, "hook claude --dir ops/audit"), call(n).to_string()));
        }
    });
    let file = audit_testbed::files(&workspace.events_dir(), "tool_audit_").into_iter().next().unwrap();
    let lines = fs::read_to_string(file).unwrap();
    // A writer that meets another one within a line may leave an empty one, which no reader minds.
    let lines: Vec<&str> = lines.lines().filter(|line| !line.is_empty()).collect();
    let mut ids: Vec<String> = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["req_id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!((lines.len(), ids.len()), (201, 201));
}

#[test]
fn of_one_call_that_many_report_one_is_recorded() {
    let workspace = Workspace::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            let workspace = &workspace;
            scope.spawn(move || send(hook(workspace, "hook claude --dir ops/audit"), call(1).to_string()));
        }
    });
    assert_eq!(workspace.events().len(), 1);
}

#[test]
fn an_identifier_that_is_used_again_hides_no_call() {
    let workspace = Workspace::new();
    for command in ["ls", "rm -r /", "ls"] {
        let mut again = call(0);
        again["tool_input"]["command"] = command.into();
        send(hook(&workspace, "hook claude --dir ops/audit"), again.to_string());
        again.as_object_mut().unwrap().remove("session_id");
        send(hook(&workspace, "hook claude --dir ops/audit"), again.to_string());
    }
    // One was there twice, and those without a session may be of others.
    assert_eq!(workspace.events().len(), 5);
}

#[test]
fn a_call_that_begins_and_ends_has_its_duration_and_one_identifier() {
    let workspace = Workspace::new();
    let object = |event: &str| {
        json!({
            "session_id": "s", "cwd": "/", "hook_event_name": event, "tool_name": "read_file", "tool_input": {"path": "a"},
            "tool_response": {"llmContent": "x"},
        })
    };
    send(hook(&workspace, "hook gemini --dir ops/audit --starts"), object("BeforeTool").to_string());
    thread::sleep(std::time::Duration::from_millis(300));
    send(hook(&workspace, "hook gemini --dir ops/audit --starts"), object("AfterTool").to_string());
    let events = workspace.events();
    let statuses: Vec<_> = events.iter().map(|event| event["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["started", "ok"]);
    assert_eq!(events[0]["req_id"], events[1]["req_id"]);
    assert!(!events[0]["req_id"].as_str().unwrap().is_empty());
    assert!((300..60_000).contains(&events[1]["duration_ms"].as_u64().unwrap()), "{events:?}");
    assert!(events[0]["ts"].as_str().unwrap()[..23] <= events[1]["ts"].as_str().unwrap()[..23], "{events:?}");
}

#[test]
fn a_database_that_is_away_or_hangs_costs_no_call() {
    let (cluster, workspace) = (Cluster::start(), Workspace::new());
    let url = cluster.database();
    let audit = |n| {
        let mut command = hook(&workspace, "hook claude --dir ops/audit");
        command.env("DATABASE_URL", &url).env("AUDIT_BACKEND", "auto");
        send(command, call(n).to_string())
    };
    audit(0);
    assert_eq!(cluster.stored(&url), 1);
    cluster.stop(audit_testbed::Stop::Fast);
    audit(1);
    audit(2);
    let mut read = hook(&workspace, "read --dir ops/audit --format jsonl");
    cluster.launch();
    read.env("DATABASE_URL", &url).env("AUDIT_BACKEND", "auto");
    let read = crate::common::run(read);
    assert_eq!(text(&read.stdout).lines().count(), 3, "{read:?}");
}

#[test]
fn the_record_is_that_of_the_user_or_of_the_project() {
    let workspace = Workspace::new();
    let project = workspace.path().join("shop");
    fs::create_dir_all(project.join(".git")).unwrap();
    fs::create_dir_all(project.join("src")).unwrap();
    let mut in_project = call(0);
    in_project["cwd"] = project.join("src").to_str().unwrap().into();
    send(hook(&workspace, "hook claude --user"), in_project.to_string());
    let user = crate::home(&workspace).join(".local/state/audit");
    assert_eq!(audit_testbed::files(&user, "tool_audit_").len(), 1);
    in_project["tool_use_id"] = "other".into();
    send(hook(&workspace, "hook claude --project"), in_project.to_string());
    let file = audit_testbed::files(&project.join("ops/audit"), "tool_audit_").into_iter().next().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&fs::read(file).unwrap()).unwrap()["workspace_id"], "shop");
    // An agent that goes elsewhere keeps its record.
    let mut elsewhere = call(2);
    elsewhere["cwd"] = workspace.path().to_str().unwrap().into();
    let mut command = hook(&workspace, "hook claude --project");
    command.env("CLAUDE_PROJECT_DIR", &project);
    send(command, elsewhere.to_string());
    assert!(!workspace.events_dir().exists());
}
