//! Calls that a server understands, and that another reader of the same bytes may not see.

use std::process::Command;

use serde_json::{Value, json};

use crate::client::Client;
use crate::common::Workspace;
use crate::short;

/// A server in Python that ends lines as the SDK does (universal newlines), ignores what it does not understand, and answers calls.
const LENIENT: &str = r#"
import io, json, sys
for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"):
    try:
        message = json.loads(line)
        name = message["params"]["name"]
    except Exception:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": {"content": [], "name": name}}), flush=True)
"#;

/// A server in Python that splits lines where Unicode ends them.
const UNICODE: &str = r#"
import json, sys
for all in sys.stdin.buffer:
    for line in all.decode().splitlines():
        try:
            message = json.loads(line)
            name = message["params"]["name"]
        except Exception:
            continue
        print(json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": {"content": [], "name": name}}), flush=True)
"#;

fn client(workspace: &Workspace, options: &[&str], script: &str) -> Client {
    let mut command: Command = workspace.audit(["mcp"]);
    command.args(options).args(["--", "python3", "-c", script]);
    Client::start(command)
}

fn call(id: u32, tool: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": {}}})
        .to_string()
}

/// Lines that have a call within them for a server that ends lines at `end`.
fn lines(end: &str) -> [String; 3] {
    let hidden = call(1, "hidden");
    [
        format!("{{}}{end}{hidden}"),
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":{{\"text\":\"{end}{hidden}{end}\"}}}}")
            .replace("\\", ""),
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":[1,{end}{hidden}{end}]}}"),
    ]
}

#[test]
fn a_call_is_recorded_wherever_the_server_ends_a_line() {
    for (script, end) in
        [(LENIENT, "\r"), (UNICODE, "\r"), (UNICODE, "\u{2028}"), (UNICODE, "\u{85}"), (UNICODE, "\x0B")]
    {
        for line in lines(end) {
            let workspace = Workspace::new();
            let mut client = client(&workspace, &[], script);
            client.send_line(&line);
            assert_eq!(client.message()["result"]["name"], "hidden", "{line:?}");
            client.send_line(&format!("{}\r", call(2, "plain")));
            assert_eq!(client.message()["result"]["name"], "plain", "{line:?}");
            client.close();
            assert_eq!(short(&workspace.events()), ["hidden ok", "plain ok"], "{line:?}");
        }
    }
}

#[test]
fn with_fail_closed_no_line_passes_that_may_be_two_for_the_server() {
    let workspace = Workspace::new();
    for (script, end) in [(LENIENT, "\r"), (UNICODE, "\u{2028}"), (UNICODE, "\u{85}")] {
        let mut client = client(&workspace, &["--fail-closed"], script);
        for line in lines(end) {
            client.send_line(&line);
        }
        let name = if script == LENIENT { "one\u{2028}two" } else { "one" };
        client.send_line(&call(2, name));
        let last = loop {
            let message = client.message();
            if message["id"] == 2 {
                break message;
            }
            assert!(message["error"].is_object(), "{message}");
        };
        assert_eq!(last["result"]["name"], name);
        client.close();
    }
    let events = workspace.events();
    assert_eq!(events.iter().filter(|event| event["status"] == "denied").count(), 9, "{events:?}");
    assert!(events.iter().all(|event| event["tool"] != "hidden"), "{events:?}");
}

#[test]
fn a_call_with_numbers_that_are_none_is_recorded_and_refused_only_with_fail_closed() {
    let workspace = Workspace::new();
    let line = call(1, "t").replace("{}", r#"{"x":NaN,"y":[-Infinity,Infinity]}"#);
    let mut open = client(&workspace, &[], LENIENT);
    open.send_line(&line);
    assert_eq!(open.message()["result"]["name"], "t");
    open.close();
    let event = workspace.event();
    assert_eq!((&event["tool"], &event["attributes"]["input_form"]), (&json!("t"), &json!("raw")));
    let mut closed = client(&workspace, &["--fail-closed"], LENIENT);
    closed.send_line(&line);
    let answer = closed.message();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32700)));
    closed.close();
}
