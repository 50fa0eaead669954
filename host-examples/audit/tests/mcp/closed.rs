//! `--fail-closed`: no call that is not recorded before it begins.

use audit_testbed::{Cluster, NOWHERE, TABLE};
use serde_json::{Value, json};

use crate::client::{Client, toy_command};
use crate::common::Workspace;
use crate::short;

/// What the toy server has received.
fn seen(client: &mut Client) -> Value {
    client.call("seen", "seen", json!({}));
    client.message()["result"]["structuredContent"].clone()
}

#[test]
fn a_call_is_on_record_before_it_reaches_the_server() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &["--fail-closed"], &[]);
    client.initialize();
    for n in 0..20 {
        client.call(n, "echo", json!({"n": n}));
        client.message();
        let starts = workspace.events().iter().filter(|event| event["status"] == "started").count();
        assert_eq!(starts, n + 1);
    }
    client.call(20, "bad", json!({}));
    client.message();
    client.close();
    let events = workspace.events();
    assert_eq!(events.len(), 42);
    let last: Vec<&Value> = events.iter().filter(|event| event["tool"] == "bad").collect();
    assert_eq!((&last[0]["req_id"], &last[1]["status"]), (&last[1]["req_id"], &json!("error")));
}

#[test]
fn a_call_that_cannot_be_recorded_is_answered_with_an_error_and_never_reaches_the_server() {
    let workspace = Workspace::new();
    workspace.file("ops", "in the way of the folder");
    let mut client = Client::toy(&workspace, &["--fail-closed"], &[]);
    client.initialize();
    for id in [json!(1), json!("1")] {
        client.call(id.clone(), "echo", json!({"secret": "s3cr3t"}));
        let answer = client.message();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(-31000)));
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains("could not be recorded") && text.contains("ops"), "{text}");
    }
    // All requests of a batch are answered, and what is no call passes.
    client.send_line(r#"[{"id":2,"method":"tools/call","params":{"name":"a"}},{"id":3,"method":"ping"}]"#);
    let answers = client.message();
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!(2), &json!(3)));
    client.send(&json!({"jsonrpc": "2.0", "id": 4, "method": "ping"}));
    assert_eq!(client.message()["result"], json!({}));
    // Once there is room for the record, calls reach the server again.
    std::fs::remove_file(workspace.path().join("ops")).unwrap();
    assert_eq!(seen(&mut client), json!(["initialize", "ping", "seen"]));
    client.close();
    let events = workspace.events();
    let mut found = short(&events);
    found.sort();
    let expected = [
        "a denied not_recorded",
        "echo denied not_recorded",
        "echo denied not_recorded",
        "seen ok",
        "seen started",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_backend_that_keeps_nothing_lets_no_call_happen() {
    let workspace = Workspace::new();
    for backend in ["null", "memory"] {
        let mut client = Client::toy(&workspace, &["--fail-closed", "--backend", backend], &[]);
        client.call(1, "echo", json!({}));
        let text = client.message()["error"]["message"].to_string();
        assert!(text.contains(backend), "{text}");
        client.close();
    }
}

#[test]
fn what_could_be_understood_in_two_ways_does_not_pass() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &["--fail-closed"], &[]);
    let call = r#"{"id":1,"method":"tools/call","params":{"name":"echo","arguments":{"n":1}}}"#;
    for line in [call.replace('1', "NaN"), format!("{{}}\r{call}"), call.replacen('{', "\u{FEFF}{", 1)] {
        client.send_line(&line);
        let answer = client.message();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32700)), "{line}");
    }
    client.send_line("");
    client.send_line(" \r");
    client.send_line(&format!("[{}]", vec![call; 1500].join(",")));
    assert_eq!(client.message()[0]["error"]["code"], -31000);
    client.close();
    assert!(short(&workspace.events()).iter().all(|event| !event.ends_with(" ok")));
}

#[test]
fn a_call_that_goes_on_after_its_input_came_is_still_the_same_call() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &["--fail-closed"], &[]);
    client.call(1, "needs", json!({"many": 300_000}));
    client.line();
    assert_eq!(client.message()["result"]["resultType"], "input_required");
    let params = json!({"name": "needs", "arguments": {"many": 300_000}, "inputResponses": {}});
    client.send(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}));
    assert_eq!(client.message()["id"], 2);
    client.close();
    assert_eq!(short(&workspace.events()), ["needs started", "needs ok"]);
}

#[test]
fn an_answer_of_the_proxy_does_not_tear_a_line_of_the_server() {
    let workspace = Workspace::new();
    let mut client = Client::start(toy_command(&workspace, &["--fail-closed"], &[]));
    client.call(1, "half", json!({}));
    audit_testbed::wait_until("half a line is said", || workspace.path().join("half-said").exists());
    client.send_line("no JSON");
    // The proxy has time to answer that within the line.
    std::thread::sleep(std::time::Duration::from_millis(500));
    workspace.file("go-on", "");
    let lines = [client.message(), client.message(), client.message()];
    let is_there = |wanted: fn(&Value) -> bool| lines.iter().any(wanted);
    assert!(is_there(|line| line["method"] == "notifications/message"), "{lines:?}");
    assert!(is_there(|line| line["error"]["code"] == -32700), "{lines:?}");
    assert!(is_there(|line| line["id"] == 1), "{lines:?}");
    client.close();
}

#[test]
fn a_message_that_is_too_long_to_be_held_is_refused_by_its_identifier() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &["--fail-closed"], &[]);
    client.call("long", "echo", json!({"blob": "x".repeat(65 << 20)}));
    let answer = client.message();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("long"), &json!(-31000)));
    assert!(answer["error"]["message"].as_str().unwrap().contains("67108864 bytes"), "{answer}");
    assert_eq!(seen(&mut client), json!(["seen"]));
    client.close();
}

#[test]
fn with_a_database_a_call_is_in_it_before_it_reaches_the_server() {
    let workspace = Workspace::new();
    let cluster = Cluster::shared();
    let database = cluster.database();
    let start = |url: &str| {
        let mut command = toy_command(&workspace, &["--fail-closed", "--backend", "postgres"], &[]);
        command.env("DATABASE_URL", url);
        Client::start(command)
    };
    let mut client = start(&database);
    for n in 1..=3 {
        client.call(n, "echo", json!({}));
        client.message();
        let started = format!("SELECT count(*) FROM {TABLE} WHERE status = 'started'");
        assert_eq!(cluster.value(&database, &started), n.to_string());
    }
    client.close();
    assert_eq!(cluster.value(&database, &format!("SELECT count(*) FROM {TABLE}")), "6");
    // Nobody answers.
    let mut client = start(&format!("postgres://u:p@{NOWHERE}/d"));
    client.call(1, "echo", json!({}));
    assert_eq!(client.message()["error"]["code"], -31000);
    client.close();
}
