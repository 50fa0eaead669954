//! Answers that clients do not take for a success are none.

use super::*;

#[test]
fn an_answer_that_a_client_refuses_is_none() {
    let mut run = Run::new();
    let place = run.place;
    for answer in [
        r#"{"id":1,"result":{}}"#,
        r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":2.0,"id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":"done"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true},"result":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"isError":false},"result":7}"#,
    ] {
        run.call("1");
        run.exactly(place, Sender::Server, answer);
        assert_eq!(run.found(), [""; 0], "{answer}");
        run.end(Gone::Client);
        assert_eq!(run.found(), ["t lost client_left"], "{answer}");
    }
}

#[test]
fn only_what_is_no_error_for_every_client_is_none() {
    let mut run = Run::new();
    for (value, expected) in [
        ("false", "t ok"),
        ("true", "t error tool_error"),
        ("1", "t error tool_error"),
        ("\"true\"", "t error tool_error"),
        ("null", "t error tool_error"),
        ("{}", "t error tool_error"),
        ("false,\"isError\":true", "t error tool_error"),
    ] {
        run.call("1");
        run.server(&format!(r#"{{"id":1,"result":{{"content":[],"isError":{value}}}}}"#));
        assert_eq!(run.found(), [expected], "{value}");
    }
}

#[test]
fn a_task_that_failed_is_no_success_whatever_its_result_says() {
    let mut run = Run::new();
    let made = r#"{"id":1,"result":{"resultType":"task","taskId":"k","status":"working"}}"#;
    for (state, expected) in [
        (r#""status":"failed","result":{"content":[]}"#, "t error task_failed"),
        (r#""status":"failed","result":{"isError":true}"#, "t error tool_error"),
        (r#""status":"cancelled","result":{"content":[]}"#, "t cancelled"),
        (r#""status":"completed","result":{"isError":1}"#, "t error tool_error"),
    ] {
        run.call("1");
        run.server(made);
        run.server(&format!(r#"{{"method":"notifications/tasks","params":{{"taskId":"k",{state}}}}}"#));
        assert_eq!(run.found(), [expected], "{state}");
    }
    // Before 2026-07-28, the state and the result are two answers.
    run.call("1");
    run.server(r#"{"id":1,"result":{"task":{"taskId":"k","status":"working"}}}"#);
    run.client(&task_get("2"));
    run.server(r#"{"id":2,"result":{"taskId":"k","status":"failed"}}"#);
    run.client(r#"{"id":3,"method":"tasks/result","params":{"taskId":"k"}}"#);
    run.server(r#"{"id":3,"result":{"content":[]}}"#);
    assert_eq!(run.found(), ["t error task_failed"]);
}

#[test]
fn a_result_of_which_nobody_knows_what_it_means_is_unknown() {
    let mut run = Run::new();
    for (result, expected) in [
        (r#"{"resultType":"task"}"#, "t unknown task"),
        (r#"{"resultType":"task","taskId":7}"#, "t unknown task"),
        (r#"{"task":{"taskId":""}}"#, "t unknown task"),
        (r#"{"resultType":"later","content":[]}"#, "t unknown result_type"),
        (r#"{"resultType":7,"content":[]}"#, "t unknown result_type"),
        (r#"{"resultType":"later","isError":true}"#, "t error tool_error"),
        (r#"{"resultType":"complete"}"#, "t ok"),
    ] {
        run.call("1");
        run.server(&format!(r#"{{"id":1,"result":{result}}}"#));
        assert_eq!(run.found(), [expected], "{result}");
    }
}

#[test]
fn a_result_in_an_answer_without_success_is_none() {
    let mut run = Run::new();
    let result = r#"{"id":1,"result":{}}"#;
    let error = r#"{"id":1,"error":{"code":-32020,"message":"no"}}"#;
    for (closed, answer, expected) in [
        (Closed::Status(500), result, "t error transport"),
        (Closed::Status(404), result, "t error transport"),
        (Closed::Status(302), result, "t error transport"),
        (Closed::Accepted, result, "t unknown answered_elsewhere"),
        // Servers say so why they refuse a request (2026-07-28).
        (Closed::Status(400), error, "t error -32020"),
    ] {
        let place = Place { channel: run.tracker.channel(), exchange: 4 };
        run.at(place, Sender::Client, r#"{"id":1,"method":"tools/call","params":{"name":"t"}}"#);
        run.tracker.answer_begins(place, closed);
        run.at(place, Sender::Server, answer);
        run.tracker.end_exchange(place, closed, run.now);
        assert_eq!(run.found(), [expected], "{closed:?}");
    }
    // The next exchange has nothing to do with it.
    let place = Place { channel: run.tracker.channel(), exchange: 4 };
    run.at(place, Sender::Client, r#"{"id":1,"method":"tools/call","params":{"name":"t"}}"#);
    run.at(place, Sender::Server, result);
    assert_eq!(run.found(), ["t ok"]);
}

#[test]
fn an_answer_is_that_of_the_request_in_its_own_exchange() {
    let mut run = Run::new();
    let channel = run.tracker.session("s");
    run.tracker.accept_session(channel);
    let places = [1, 2].map(|exchange| Place { channel, exchange });
    for (place, tool) in places.into_iter().zip(["slow", "fast"]) {
        let call = format!(r#"{{"id":5,"method":"tools/call","params":{{"name":"{tool}"}}}}"#);
        run.at(place, Sender::Client, &call);
    }
    run.at(places[1], Sender::Server, r#"{"id":5,"result":{}}"#);
    run.at(places[0], Sender::Server, r#"{"id":5,"result":{"isError":true}}"#);
    assert_eq!(run.found(), ["fast ok", "slow error tool_error"]);
    for (place, tool) in places.into_iter().zip(["slow", "fast"]) {
        let call = format!(r#"{{"id":5,"method":"tools/call","params":{{"name":"{tool}"}}}}"#);
        run.at(place, Sender::Client, &call);
    }
    // In a third one comes the answer of the exchange that has ended.
    run.tracker.end_exchange(places[1], Closed::ByServer, run.now);
    run.at(Place { channel, exchange: 3 }, Sender::Server, r#"{"id":5,"result":{}}"#);
    assert_eq!(run.found(), ["fast ok"]);
}

#[test]
fn an_identifier_in_another_form_is_that_of_a_request_if_no_other_waits_under_it() {
    let mut run = Run::new();
    run.call("1");
    run.server(r#"{"id":"1","result":{}}"#);
    run.call(r#""2""#);
    run.server(r#"{"id":2,"result":{}}"#);
    run.call("3");
    run.server(r#"{"id":"03","result":{}}"#);
    run.server(r#"{"id":"three","result":{}}"#);
    run.end(Gone::Client);
    assert_eq!(run.found(), ["t ok", "t ok", "t lost client_left"]);
}

#[test]
fn only_a_text_that_means_it_tells_of_a_timeout() {
    let mut run = Run::new();
    for (code, message, expected) in [
        ("-32001", "Request timed out", "t timeout -32001"),
        ("-32001", "MCP error -32001: Maximum total timeout exceeded", "t timeout -32001"),
        (
            "408",
            "Timed out while waiting for response to ClientRequest. Waited 5.0 seconds.",
            "t timeout 408",
        ),
        ("408", "", "t timeout 408"),
        ("-32603", "Request timeout.", "t timeout -32603"),
        ("-32001", "the header timeout differs", "t error -32001"),
        ("-32602", "unknown argument timeout_seconds", "t error -32602"),
        ("-32602", "Request timed out", "t error -32602"),
        ("-32603", "could not set the timeout", "t error -32603"),
    ] {
        run.call("1");
        run.server(&format!(r#"{{"id":1,"error":{{"code":{code},"message":"{message}"}}}}"#));
        assert_eq!(run.found(), [expected], "{message}");
    }
    for (reason, expected) in [
        ("McpError: MCP error -32001: Request timed out", "t timeout"),
        ("Error: Request timed out", "t timeout"),
        ("timeout", "t timeout"),
        ("not a timeout", "t cancelled"),
        ("the user was told that it timed out", "t cancelled"),
    ] {
        run.call("1");
        run.client(&format!(
            r#"{{"method":"notifications/cancelled","params":{{"requestId":1,"reason":"{reason}"}}}}"#
        ));
        run.pass(11);
        assert_eq!(run.found(), [expected], "{reason}");
    }
}

/// So long that a tree has no room for all of them.
fn many(message: &str) -> String {
    let long = "m".repeat(4000);
    (0..270).map(|n| message.replace("LONG", &long).replace('#', &(n + 100).to_string()) + ",").collect()
}

#[test]
fn long_messages_in_a_batch_hide_nothing_of_those_that_follow() {
    let mut run = Run::new();
    let errors = many(r#"{"id":#,"error":{"code":-32603,"message":"LONG"}}"#);
    run.call("1");
    run.server(&format!(r#"[{errors}{{"id":1,"result":{{"content":[],"isError":true}}}}]"#));
    assert_eq!(run.found(), ["t error tool_error"]);
    let notes = many(r#"{"method":"notifications/LONG","params":{"reason":"LONG"}}"#);
    run.client(&format!(r#"[{notes}{{"id":2,"method":"tools/call","params":{{"name":"tool"}}}}]"#));
    run.server(r#"{"id":2,"result":{}}"#);
    assert_eq!(run.found(), ["tool ok"]);
}

#[test]
fn tools_with_long_names_are_all_compared() {
    let mut run = Run::new();
    run.client(r#"{"id":1,"method":"tools/list"}"#);
    let tools = many(r#"{"name":"LONG#"}"#).repeat(3);
    run.server(&format!(r#"{{"id":1,"result":{{"tools":[{tools}{{"name":"last"}}]}}}}"#));
    let found = run.tracker.take();
    let [Found::Tools { page, .. }] = &found[..] else { panic!("{found:?}") };
    assert_eq!((page.tools.len(), page.is_cut), (811, false));
    let names: std::collections::HashSet<_> = page.tools.iter().map(|(name, _)| name).collect();
    assert_eq!((names.len(), page.tools[810].0.as_str()), (271, "last"));
}
