//! What becomes of one call that comes in several requests, and when these are answered.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{JSON, post, post_spans, text, tool_span};
use crate::common::{Workspace, run_with_input};
use crate::receiver::Otlp;

/// The span of a server of MCP, whose client's span is that of this number.
fn server_span(number: u64, tool: &str, client: u64) -> Value {
    let mut span = tool_span(number, tool);
    span["kind"] = json!("SPAN_KIND_SERVER");
    span["parentSpanId"] = json!(format!("{:016x}", client + 1));
    span["attributes"] = json!([text("mcp.method.name", "tools/call"), text("gen_ai.tool.name", tool)]);
    span
}

#[test]
fn one_call_in_several_requests_is_one_event_and_all_are_answered_then() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &["--wait", "10000"]);
    let port = otlp.port;
    let began = Instant::now();
    thread::scope(|scope| {
        let server = scope.spawn(move || post_spans(port, &json!([server_span(2, "search", 1)])));
        // Its calls are not recorded, and so it has no answer.
        thread::sleep(Duration::from_millis(500));
        assert!(!server.is_finished());
        assert_eq!(workspace.events().len(), 0);
        let mut agent = tool_span(1, "search");
        agent["attributes"].as_array_mut().unwrap().push(text("gen_ai.agent.name", "planner"));
        post_spans(port, &json!([agent])).assert(200);
        server.join().unwrap().assert(200);
    });
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let event = workspace.event();
    assert_eq!((&event["agent_id"], &event["action"]), (&json!("planner"), &json!("tools/call")));
}

#[test]
fn what_comes_too_late_is_no_second_event() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &["--wait", "0"]);
    post_spans(otlp.port, &json!([server_span(2, "search", 1)])).assert(200);
    assert_eq!(workspace.events().len(), 1);
    post_spans(otlp.port, &json!([tool_span(1, "search")])).assert(200);
    // And what a client sends again, because it did not get the answer.
    post_spans(
        otlp.port,
        &json!([server_span(2, "search", 1), tool_span(1, "search"), tool_span(3, "fetch")]),
    )
    .assert(200);
    assert_eq!(workspace.tools(), ["search", "fetch"]);
    let ended = otlp.end();
    let summary = ended.lines.last().unwrap();
    assert!(summary.contains("2 events recorded, 3 of calls that were recorded before"), "{summary}");
}

#[test]
fn the_end_of_the_program_records_what_still_waits() {
    for signal in ["TERM", "INT"] {
        let workspace = Workspace::new();
        let otlp = Otlp::start(&workspace, &["--wait", "10000"]);
        let port = otlp.port;
        let waiting = thread::spawn(move || post_spans(port, &json!([server_span(2, "search", 1)])));
        thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        otlp.signal(signal);
        waiting.join().unwrap().assert(200);
        let ended = otlp.ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
        assert!(ended.lines.last().unwrap().contains("1 event recorded"), "{ended:?}");
        assert_eq!(workspace.event()["tool"], "search");
    }
}

#[test]
fn a_call_that_a_hook_also_sees_is_one_event_whoever_comes_first() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let hook = |call_id: &str| {
        let event = json!({
            "hook_event_name": "PostToolUse", "session_id": "session-1", "tool_use_id": call_id, "tool_name": "Bash",
            "tool_input": { "command": "ls" }, "tool_response": "a", "cwd": workspace.path(),
        });
        // The record is that of the folder.
        let output = run_with_input(workspace.audit(["hook", "claude"]), event.to_string());
        assert!(output.status.success(), "{output:?}");
    };
    let log = |call_id: &str| {
        let attributes =
            [("event.name", "tool_result"), ("session.id", "session-1"), ("tool_use_id", call_id)];
        let attributes = attributes.map(|(key, value)| text(key, value));
        let record = json!({ "timeUnixNano": "1795708800000000000", "body": { "stringValue": "claude_code.tool_result" }, "attributes": attributes });
        let export = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] });
        post(otlp.port, "/v1/logs", JSON, export.to_string().as_bytes()).assert(200);
    };
    hook("toolu_1");
    log("toolu_1");
    log("toolu_2");
    hook("toolu_2");
    let events = workspace.events();
    let mut sources: Vec<_> = events
        .iter()
        .map(|event| (event["req_id"].as_str().unwrap(), event["attributes"]["source"].as_str().unwrap()))
        .collect();
    sources.sort_unstable();
    assert_eq!(sources, [("toolu_1", "hook"), ("toolu_2", "otlp")]);
    assert!(
        otlp.end().lines.last().unwrap().contains("1 event recorded, 1 of calls that were recorded before")
    );
}

#[test]
fn options_tell_what_no_source_tells() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &["--workspace", "shop", "--agent", "helper", "--user", "ann"]);
    post_spans(otlp.port, &json!([tool_span(1, "search")])).assert(200);
    let event = workspace.event();
    assert_eq!(event["workspace_id"], "shop");
    assert_eq!((&event["agent_id"], &event["user_id"]), (&json!("helper"), &json!("ann")));
}
