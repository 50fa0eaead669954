//! The messages of the Model Context Protocol, in both directions.

use audit_cli::inputs::mcp::{Piece, Request, calls, checked, requests};
use audit_format::read::parse_sent;
use audit_host::Event;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{SEPARATOR, next_byte};

/// The action of a call of a tool.
const CALL: &str = "tools/call";

/// The longest name that is kept as it is.
const MAX_NAME: usize = 128;

/// If the first byte is odd, the server speaks in server-sent events. The rest are pieces, each by a byte that is even for the
/// client and odd for the server.
///
/// Each request of the client to call a tool is an event in the end, whatever the server says, and no other message is; and
/// both are the same in whatever pieces the streams come.
pub fn mcp_messages(mut input: &[u8]) {
    let events = next_byte(&mut input) & 1 == 1;
    let pieces: Vec<Piece<'_>> = input
        .split(|byte| *byte == SEPARATOR)
        .filter_map(|piece| piece.split_first())
        .map(|(side, bytes)| Piece { is_of_client: side & 1 == 0, bytes })
        .collect();
    let found = calls(&pieces, events);
    let small: Vec<Piece<'_>> = pieces
        .iter()
        .flat_map(|piece| piece.bytes.chunks(3).map(|bytes| Piece { bytes, ..*piece }))
        .collect();
    assert_eq!(timeless(&found), timeless(&calls(&small, events)), "in other pieces");

    let client: Vec<u8> =
        pieces.iter().filter(|piece| piece.is_of_client).flat_map(|piece| piece.bytes).copied().collect();
    let lines = client.split(|byte| *byte == b'\n').filter_map(requests).flatten();
    let is_new = |request: &Request| request.method == CALL && !request.answers_input;
    let asked: Vec<Request> = lines.filter(is_new).collect();
    let recorded: Vec<&Event> = found.iter().filter(|event| event.action == CALL).collect();
    assert!(recorded.len() >= asked.len(), "calls are lost: {asked:?} {recorded:?}");
    for Request { name, .. } in asked.iter().filter(|request| request.name.len() <= MAX_NAME) {
        assert!(recorded.iter().any(|event| event.tool == *name), "the call of {name:?} is lost");
    }
    for event in &found {
        assert!(
            !event.status.is_empty() && parse_sent(&format!("{{\"ts\":{:?}}}", event.ts)).is_ok(),
            "{event:?}"
        );
    }
}

/// The events without what the clock says.
fn timeless(events: &[Event]) -> Vec<Event> {
    let events = events.iter().cloned();
    let mut events: Vec<Event> =
        events.map(|event| Event { ts: String::new(), duration_ms: 0, ..event }).collect();
    // Those that end at once are in any order.
    events.sort_by(|a, b| a.req_id.cmp(&b.req_id));
    events
}

/// A message of the client that must not pass without a record.
///
/// A parser of JSON says what is JSON, and what can be understood in one way only is understood as that parser does it.
pub fn mcp_strict(input: &[u8]) {
    let is_json =
        std::str::from_utf8(input).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    let checked = checked(input);
    // What is beyond JSON alone may be no JSON here: the depth to which it is looked at by name.
    assert!(is_json || checked.is_none(), "what is no JSON is passed on");
    let Some((problem, ids)) = checked else { return };
    let understood = requests(input).expect("what is JSON is understood");
    if problem.is_some() {
        return;
    }
    let Ok(value) = serde_json::from_slice::<Value>(input) else { return };
    let messages = match &value {
        Value::Array(items) => items.iter().collect(),
        item => vec![item],
    };
    let is_set = |message: &&&Value, key: &str| message.get(key).is_some_and(|value| !value.is_null());
    let has = |message: &&&Value, key: &str| message.get(key).is_some();
    let waiting = messages
        .iter()
        .filter(|message| is_set(message, "id") && !has(message, "result") && !has(message, "error"));
    assert_eq!(waiting.count(), ids.len(), "requests that wait for an answer");
    let expected: Vec<(&str, &str)> = messages
        .iter()
        .filter(|message| {
            let method = message["method"].as_str().unwrap_or_default();
            !method.is_empty() && !method.starts_with("notifications/")
        })
        .map(|message| {
            (
                message["method"].as_str().unwrap_or_default(),
                message["params"]["name"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    let is_short = |text: &str| text.len() <= 4096;
    if messages.len() <= 1024 && expected.iter().all(|(method, name)| is_short(method) && is_short(name)) {
        let found = understood.iter().filter(|request| !request.method.starts_with("notifications/"));
        let found: Vec<(&str, &str)> = found.map(|request| (&*request.method, &*request.name)).collect();
        assert_eq!(found, expected);
    }
}
