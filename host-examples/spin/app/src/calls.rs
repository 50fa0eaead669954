//! Calls of tools as a request brings them, and what is recorded of them: sizes and a hash, but neither input nor output.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::tools::{self, Failure};
use crate::types::{Attribute, Event};

/// The most calls of one request.
pub const MAX_CALLS: usize = 100;

/// On whose behalf a request comes: the headers of it. In production, whatever authenticates requests sets them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// `x-workspace-id`: the tenant.
    pub workspace: String,
    /// `x-user-id`.
    pub user: String,
    /// `x-agent-id`.
    pub agent: String,
    /// `x-request-id`.
    pub request: String,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// What it is given.
    pub input: String,
}

/// What became of a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the caller gets to know.
    pub json: Value,
    /// What is recorded.
    pub event: Event,
}

/// The calls of a request with several: a JSON array of objects with `tool` and `input`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(body: &str) -> Result<Vec<Call>, String> {
    let accepted = "accepted is a JSON array of objects with the texts tool and input";
    let json: Value = serde_json::from_str(body).map_err(|error| format!("{error}; {accepted}"))?;
    let items = json.as_array().ok_or_else(|| accepted.to_string())?;
    if items.len() > MAX_CALLS {
        return Err(format!("{} calls; accepted are {MAX_CALLS} at most", items.len()));
    }
    let call = |(place, item): (usize, &Value)| {
        let text = |name: &str| item.get(name).and_then(Value::as_str).map(String::from);
        let call = text("tool").and_then(|tool| Some(Call { tool, input: text("input")? }));
        call.ok_or_else(|| format!("call {}: {accepted}", place + 1))
    };
    items.iter().enumerate().map(call).collect()
}

/// Makes the call. `clock` counts nanoseconds.
pub fn make(call: &Call, caller: &Caller, clock: impl Fn() -> u64) -> Answer {
    let began = clock();
    let output = tools::call(&call.tool, &call.input);
    let duration_ms = clock().saturating_sub(began) / 1_000_000;
    let (status, text, error_type) = match &output {
        Ok(text) => ("ok", text.clone(), None),
        Err(Failure::Unknown) => {
            let names = tools::NAMES.join(", ");
            ("error", format!("there is no such tool; there are {names}"), Some("unknown_tool"))
        }
        Err(Failure::Input(why)) => ("error", why.clone(), Some("invalid_input")),
    };
    let out_size = output.as_ref().map_or(0, String::len) as u64;
    let field = if output.is_ok() { "output" } else { "error" };
    let event = Event {
        duration_ms,
        out_size,
        in_size: call.input.len() as u64,
        input_hash: hex(&Sha256::digest(call.input.as_bytes())),
        ..event(caller, &call.tool, status, error_type)
    };
    let json = serde_json::json!({ "tool": call.tool, "status": status, field: text });
    Answer { json, event }
}

/// What is recorded of a request that is refused before a tool is called.
pub fn refused(caller: &Caller, tool: &str, error_type: &str) -> Event {
    event(caller, tool, "denied", Some(error_type))
}

fn event(caller: &Caller, tool: &str, status: &str, error_type: Option<&str>) -> Event {
    let attribute = |value: &str| Attribute { key: "error_type".into(), value: value.into() };
    Event {
        // The store's clock.
        ts: String::new(),
        req_id: caller.request.clone(),
        workspace_id: caller.workspace.clone(),
        user_id: caller.user.clone(),
        agent_id: caller.agent.clone(),
        tool: tool.into(),
        action: "call".into(),
        status: status.into(),
        duration_ms: 0,
        in_size: 0,
        out_size: 0,
        input_hash: String::new(),
        graph_run_id: None,
        graph_node: None,
        job_id: None,
        attributes: error_type.map(attribute).into_iter().collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller { workspace: "acme".into(), user: "u".into(), agent: "a".into(), request: "r".into() }
    }

    #[test]
    fn an_event_has_sizes_and_a_hash_and_no_payload() {
        let call = Call { tool: "reverse".into(), input: "s3cret input".into() };
        let Answer { json, event } = make(&call, &caller(), || 5);
        assert_eq!(json["output"], "tupni terc3s");
        let shown = format!("{event:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("terc3s"), "{shown}");
        assert_eq!((event.in_size, event.out_size, event.status.as_str()), (12, 12, "ok"));
        assert_eq!(event.input_hash, hex(&Sha256::digest("s3cret input")));
        assert_eq!((event.workspace_id.as_str(), event.agent_id.as_str()), ("acme", "a"));
    }

    #[test]
    fn a_call_that_fails_is_an_event_too() {
        for (tool, error_type) in [("rm", "unknown_tool"), ("sum", "invalid_input")] {
            let call = Call { tool: tool.into(), input: "x".into() };
            let Answer { json, event } = make(&call, &caller(), || 5);
            assert!(json["error"].is_string());
            assert_eq!((event.status.as_str(), event.attributes[0].value.as_str()), ("error", error_type));
        }
    }

    #[test]
    fn several_calls_are_parsed_or_the_wrong_one_is_named() {
        let calls = parse(r#"[{"tool":"sum","input":"1"},{"tool":"x","input":""}]"#).unwrap();
        assert_eq!(calls.len(), 2);
        for (body, says) in [
            ("{}", "accepted is a JSON array"),
            ("[", "accepted is a JSON array"),
            (r#"[{"tool":"sum","input":"1"},{"tool":"sum"}]"#, "call 2: "),
            (r#"[{"tool":1,"input":"1"}]"#, "call 1: "),
        ] {
            let error = parse(body).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let many = format!("[{}]", ["{}"; 101].join(","));
        assert!(parse(&many).unwrap_err().starts_with("101 calls; "));
    }
}
