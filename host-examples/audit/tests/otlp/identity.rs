//! Which spans and log records are of one call, and which are of several.

use std::fs;

use serde_json::{Value, json};

use crate::client::{Answer, JSON, post, post_spans, text, tool_span};
use crate::common::{Workspace, run_with_input};
use crate::receiver::Otlp;

/// Posts log records.
fn post_records(port: u16, records: &[Value]) -> Answer {
    let export = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] });
    post(port, "/v1/logs", JSON, export.to_string().as_bytes())
}

/// A log record with these attributes, so many seconds after the first one.
fn record(seconds: u64, attributes: &[(&str, &str)]) -> Value {
    let attributes: Vec<Value> = attributes.iter().map(|(key, value)| text(key, value)).collect();
    json!({ "timeUnixNano": (1_795_708_800 + seconds) * 1_000_000_000, "attributes": attributes })
}

fn codex(seconds: u64, call_id: &str, arguments: &str) -> Value {
    record(
        seconds,
        &[
            ("event.name", "codex.tool_result"),
            ("conversation.id", "conversation-1"),
            ("tool_name", "shell"),
            ("call_id", call_id),
            ("arguments", arguments),
            ("success", "true"),
        ],
    )
}

fn call_span(number: u64, tool: &str, attributes: &[(&str, &str)]) -> Value {
    let mut span = tool_span(number, tool);
    let more = attributes.iter().map(|(key, value)| text(key, value));
    span["attributes"].as_array_mut().unwrap().extend(more);
    span
}

#[test]
fn an_identifier_that_is_used_again_in_a_later_export_is_another_call() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let (first, second) = (codex(0, "call_1", r#"{"c":"ls"}"#), codex(60, "call_1", r#"{"c":"rm"}"#));
    post_records(otlp.port, std::slice::from_ref(&first)).assert(200);
    post_records(otlp.port, std::slice::from_ref(&second)).assert(200);
    assert_eq!(workspace.events().len(), 2);
    // What is sent again is of no other call, after the program was started again too.
    post_records(otlp.port, &[second.clone(), first.clone()]).assert(200);
    otlp.end();
    let otlp = Otlp::start(&workspace, &[]);
    post_records(otlp.port, &[first, second]).assert(200);
    assert_eq!(workspace.events().len(), 2);
}

#[test]
fn an_identifier_that_is_used_again_after_a_hook_has_recorded_the_first_call_is_another_call() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let event = json!({
        "hook_event_name": "PostToolUse", "session_id": "conversation-1", "tool_use_id": "call_1", "tool_name": "Bash",
        "tool_input": { "command": "ls" }, "tool_response": "a", "cwd": workspace.path(),
    });
    run_with_input(workspace.audit(["hook", "claude"]), event.to_string());
    post_records(otlp.port, &[codex(0, "call_1", r#"{"c":"ls"}"#)]).assert(200);
    assert_eq!(workspace.events().len(), 1);
    post_records(otlp.port, &[codex(60, "call_1", r#"{"c":"rm"}"#)]).assert(200);
    assert_eq!(workspace.events().len(), 2);
}

#[test]
fn a_log_record_of_other_arguments_is_of_another_call_than_a_span_with_the_identifier() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let span = |number, command: &str| {
        let arguments = format!(r#"{{"c":"{command}"}}"#);
        let of_call = [("gen_ai.tool.call.id", "call_1"), ("gen_ai.conversation.id", "conversation-1")];
        let mut span = call_span(number, "shell", &of_call);
        span["attributes"].as_array_mut().unwrap().push(text("gen_ai.tool.call.arguments", &arguments));
        span
    };
    post_spans(otlp.port, &json!([span(1, "ls")])).assert(200);
    post_records(otlp.port, &[codex(60, "call_1", r#"{"c":"rm"}"#)]).assert(200);
    assert_eq!(workspace.events().len(), 2);
    post_spans(otlp.port, &json!([span(2, "rm")])).assert(200);
    post_records(otlp.port, &[codex(0, "call_1", r#"{"c": "ls"}"#)]).assert(200);
    assert_eq!(workspace.events().len(), 2);
}

#[test]
fn parallel_calls_without_identifiers_are_as_many_as_their_log_records() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let gemini = |path: &str, prompt: &str| {
        record(
            0,
            &[
                ("event.name", "gemini_cli.tool_call"),
                ("session.id", "session-1"),
                ("function_name", "read_file"),
                ("function_args", path),
                ("prompt_id", prompt),
                ("duration_ms", "3"),
                ("success", "true"),
            ],
        )
    };
    let (one, other) = (gemini(r#"{"path":"a"}"#, "p1"), gemini(r#"{"path":"b"}"#, "p1"));
    let records = [one.clone(), other, gemini(r#"{"path":"a"}"#, "p2"), one];
    post_records(otlp.port, &records).assert(200);
    assert_eq!(workspace.events().len(), 4);
    post_records(otlp.port, &records).assert(200);
    assert_eq!(workspace.events().len(), 4);
}

#[test]
fn one_identifier_in_a_trace_does_not_join_calls_of_other_tools_or_conversations() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let inference = |number, tool: &str, conversation: &str| {
        let mut span = tool_span(number, tool);
        span["attributes"] = json!([
            text("openinference.span.kind", "TOOL"),
            text("tool.name", tool),
            text("tool.id", "call_0"),
            text("session.id", conversation),
        ]);
        span
    };
    let execute = |number, tool: &str, conversation: &str| {
        let of_call = [("gen_ai.tool.call.id", "call_0"), ("gen_ai.conversation.id", conversation)];
        call_span(number, tool, &of_call)
    };
    post_spans(otlp.port, &json!([execute(1, "shell", "a"), inference(2, "delete", "a")])).assert(200);
    assert_eq!(workspace.events().len(), 2);
    post_spans(otlp.port, &json!([execute(3, "shell", "c"), inference(4, "shell", "d")])).assert(200);
    assert_eq!(workspace.events().len(), 4);
    post_spans(otlp.port, &json!([execute(5, "shell", "e"), inference(6, "shell", "e")])).assert(200);
    assert_eq!(workspace.events().len(), 5);
}

#[test]
fn a_call_below_another_agent_is_its_own_whatever_its_tool_is_called() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let mut agent = tool_span(2, "");
    agent["attributes"] =
        json!([text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.agent.name", "sub")]);
    agent["parentSpanId"] = json!(format!("{:016x}", 2));
    let mut inner = tool_span(3, "search");
    inner["attributes"] = json!([text("openinference.span.kind", "TOOL"), text("tool.name", "search")]);
    inner["parentSpanId"] = json!(format!("{:016x}", 3));
    post_spans(otlp.port, &json!([tool_span(1, "search"), agent, inner])).assert(200);
    assert_eq!(workspace.tools(), ["search", "search"]);
}

#[test]
fn a_backend_that_keeps_nothing_claims_no_call() {
    for backend in ["null", "memory"] {
        let workspace = Workspace::new();
        let state = workspace.path().join("state");
        let mut command = workspace.audit(["--backend", backend, "otlp", "--listen", "127.0.0.1:0"]);
        command.env("XDG_STATE_HOME", &state);
        let otlp = Otlp::run(command);
        post_records(otlp.port, &[codex(0, "call_1", "{}")]).assert(200);
        assert_eq!(otlp.end().code, Some(0));
        assert!(
            !state.join("audit/recent_calls").exists() && !workspace.path().join("recent_calls").exists()
        );
        let event = json!({
            "hook_event_name": "PostToolUse", "session_id": "s", "tool_use_id": "t", "tool_name": "Bash",
            "tool_input": {}, "tool_response": "", "cwd": workspace.path(),
        });
        let mut hook = workspace.audit(["--backend", backend, "hook", "claude"]);
        hook.env("XDG_STATE_HOME", &state);
        assert!(run_with_input(hook, event.to_string()).status.success());
        let left: Vec<_> = fs::read_dir(state.join("audit")).into_iter().flatten().collect();
        assert!(left.iter().flatten().all(|entry| entry.file_name() != "recent_calls"), "{left:?}");
    }
}
