//! `--fail-closed`: what a server may understand in another way does not pass, and each request that is refused is answered.

use serde_json::{Value, json};

use crate::client::Client;
use crate::common::Workspace;
use crate::short;

/// What the toy server has received.
fn seen(client: &mut Client) -> Value {
    client.call("seen", "seen", json!({}));
    client.message()["result"]["structuredContent"].clone()
}

#[test]
fn what_a_server_may_read_in_another_way_is_refused_by_its_identifier() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &["--fail-closed"], &[]);
    let lines = [
        r#"{"id":1,"Method":"tools/call","params":{"name":"a"}}"#,
        r#"{"id":1,"method":"tools/call","method":"ping","params":{"name":"a"}}"#,
        r#"{"id":1,"method":"ping","method":"tools/call","params":{"name":"a"}}"#,
        r#"{"id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1}},"params":{"name":"b"}}"#,
        r#"{"id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}"#,
    ];
    for line in lines {
        client.send_line(line);
        let answer = client.message();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-31000)), "{line}");
    }
    client.send_line(r#"[[{"id":1,"method":"tools/call","params":{"name":"a"}}]]"#);
    client.send_line(r#""tools/call""#);
    assert_eq!(seen(&mut client), json!(["seen"]));
    client.close();
    let events = workspace.events();
    let denied: Vec<_> = events.iter().filter(|event| event["status"] == "denied").collect();
    assert_eq!(denied.len(), 7, "{events:?}");
    let of = |tool: &str| denied.iter().filter(|event| event["tool"] == tool).count();
    assert_eq!((of("a"), of("b"), of("")), (2, 1, 4), "{events:?}");
}

#[test]
fn what_is_no_json_is_refused_however_deep_it_is_and_leaves_an_event_without_a_name() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &["--fail-closed"], &[]);
    let deep = |text: &str| format!(r#"{{"a":{}{text}{}}}"#, "[".repeat(40), "]".repeat(40));
    let lines =
        [deep("}{"), deep("x"), deep("'"), r#"{"a":"\q"}"#.into(), "{\"a\":\"\t\"}".into(), "no".into()];
    for line in &lines {
        client.send_line(line);
        let answer = client.message();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32700)), "{line}");
    }
    assert_eq!(seen(&mut client), json!(["seen"]));
    client.close();
    let events = workspace.events();
    let found: Vec<_> = events.iter().filter(|event| event["status"] == "denied").collect();
    assert_eq!(found.len(), lines.len());
    assert!(found.iter().all(|event| event["tool"] == "" && event["input_hash"] != ""), "{found:?}");
    assert_eq!(found[0]["attributes"]["error_type"], "not_understood");
}

#[test]
fn each_request_of_a_batch_that_is_too_long_is_answered() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &["--fail-closed"], &[]);
    let call = |id: u32| format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"t"}}}}"#);
    client.send_line(&format!("[{}]", (0..1100).map(call).collect::<Vec<_>>().join(",")));
    let answers = client.message();
    let ids: Vec<u64> =
        answers.as_array().unwrap().iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (0..1100).collect::<Vec<u64>>());
    // An identifier comes back as it was, however long.
    let id = format!("{}é", "i".repeat(10_000));
    client
        .send_line(&json!({"id": id, "method": "tools/call", "params": {"name": "a"}, "Id": 2}).to_string());
    assert_eq!(client.message()["id"], id);
    client.close();
}

#[test]
fn an_answer_that_waits_for_the_end_of_a_line_is_written_when_the_output_ends_without_one() {
    let workspace = Workspace::new();
    let script = "printf '{\"jsonrpc\":'; touch said; read a; while [ ! -e go-on ]; do sleep 0.05; done";
    let mut command = workspace.audit(["mcp", "--fail-closed", "--", "sh", "-c", script]);
    command.current_dir(workspace.path());
    let mut client = Client::start(command);
    audit_testbed::wait_until("half a line is said", || workspace.path().join("said").exists());
    // It passes the proxy meanwhile.
    std::thread::sleep(std::time::Duration::from_millis(500));
    client.send_line("no JSON");
    client.send(&json!({"jsonrpc": "2.0", "method": "go"}));
    std::thread::sleep(std::time::Duration::from_millis(500));
    workspace.file("go-on", "");
    assert_eq!(client.line(), "{\"jsonrpc\":");
    assert_eq!(client.message()["error"]["code"], -32700);
    client.close();
}

#[test]
fn a_result_that_is_null_is_no_answer_to_a_client() {
    let workspace = Workspace::new();
    let script = r#"read a; echo '{"jsonrpc":"2.0","id":1,"result":null}'; cat"#;
    let mut client = Client::start(workspace.audit(["mcp", "--", "sh", "-c", script]));
    client.call(1, "t", json!({}));
    client.message();
    client.close();
    assert_eq!(short(&workspace.events()), ["t lost client_left"]);
}
