//! What a client does not take for an answer is recorded as none.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::client::Client;
use crate::common::Workspace;
use crate::short;
use crate::web::{Exchange, Proxy, answer, begin_events, server};

#[test]
fn an_answer_that_no_client_takes_is_no_success() {
    let workspace = Workspace::new();
    let url = server(|request, stream| {
        let message: Value = serde_json::from_slice(&request.body).unwrap();
        let result = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#, message["id"]);
        let mut events = |text: String| {
            begin_events(stream);
            stream.write_all(text.as_bytes()).unwrap();
        };
        match message["params"]["name"].as_str().unwrap() {
            "failed" => answer(stream, 500, "application/json", "", &result),
            "moved" => answer(stream, 307, "application/json", "Location: /x\r\n", &result),
            "other" => events(format!("event: other\ndata: {result}\n\n")),
            "cut" => events(format!("event: message\ndata: {result}\n")),
            "untyped" => events(format!("data: {result}\n\n")),
            name => panic!("{name}"),
        }
    });
    let proxy = Proxy::start(&workspace, &url, &[]);
    for tool in ["failed", "moved", "other", "cut", "untyped"] {
        let params = json!({"name": tool});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        Exchange::post(proxy.port, &[], &call).rest();
    }
    proxy.stop();
    let events = workspace.events();
    let expected = [
        "failed error transport",
        "moved error transport",
        "other lost server_ended",
        "cut lost server_ended",
        "untyped ok",
    ];
    assert_eq!(short(&events), expected);
    assert_eq!(events[0]["attributes"]["http_status"], "500");
}

#[test]
fn a_line_of_a_server_without_its_end_is_no_answer() {
    let workspace = Workspace::new();
    let mut command = workspace.audit(["mcp", "--", "sh", "-c"]);
    command.arg(r#"read call; printf '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'"#);
    let mut client = Client::start(command);
    client.call(1, "t", json!({}));
    client.end();
    assert_eq!(short(&workspace.events()), ["t lost server_ended"]);
}
