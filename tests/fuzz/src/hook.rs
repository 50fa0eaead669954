//! What agents say to their hooks.

use std::collections::BTreeMap;
use std::io::{self, Read};

use audit_cli::inputs;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::event::assert_recordable;
use crate::next_byte;

/// The arguments of a call, wherever an agent has them.
const ARGUMENTS: [&[&str]; 9] = [
    &["tool_input"],
    &["toolArgs"],
    &["tool_result", "input"],
    &["tool_call", "input"],
    &["preToolUse", "parameters"],
    &["postToolUse", "parameters"],
    &["tool_info"],
    &["tool_info", "mcp_tool_arguments"],
    &["args"],
];

/// The first byte names the agent, or none. The rest is what it says.
///
/// Whatever it says, there is a call that can be recorded, or a reason why there is none. It is the same in whatever pieces it
/// comes, and what follows a whole object changes nothing. Of what is JSON, no object goes unseen, and the hash of the
/// arguments is that of one of them.
pub fn hooks(mut input: &[u8]) {
    let agents = inputs::agents();
    let agent = usize::from(next_byte(&mut input)).checked_sub(1).map(|n| agents[n % agents.len()].as_str());
    let told = inputs::hook(agent, input);
    match &told {
        Ok((event, _)) => {
            assert!(!event.tool.is_empty() && !event.action.is_empty(), "a call without a tool: {event:?}");
            assert_recordable(event);
        }
        Err(why) => assert!(!why.is_empty()),
    }
    for piece in [1, 2, 5] {
        assert_eq!(inputs::hook(agent, Pieces { rest: input, piece }), told, "in pieces of {piece}");
    }
    let text = input.strip_prefix("\u{feff}".as_bytes()).unwrap_or(input);
    let Ok(json) = serde_json::from_slice::<Value>(text) else { return };
    if !json.is_object() {
        assert!(told.is_err(), "what is no object tells of a call");
        return;
    }
    assert_ne!(told.as_ref().err().map(String::as_str), Some("stdin has no JSON object"));
    assert_eq!(inputs::hook(agent, &[input, b"\0{"].concat()[..]), told, "with something behind it");
    if let Ok((event, _)) = &told
        && !event.input_hash.is_empty()
    {
        let text = std::str::from_utf8(text).expect("JSON is UTF-8");
        let found = ARGUMENTS.iter().filter_map(|path| at(text, path));
        let mut hashes = found.map(|json| inputs::arguments(json.as_bytes()).0);
        assert!(hashes.any(|hash| hash == event.input_hash), "the arguments have another hash");
    }
}

/// The value at this path, as it came.
fn at<'t>(text: &'t str, path: &[&str]) -> Option<&'t str> {
    let Some((key, rest)) = path.split_first() else { return Some(text) };
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    at(members.get(*key)?.get(), rest)
}

/// Bytes of which a read gives few.
struct Pieces<'b> {
    rest: &'b [u8],
    piece: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.piece.min(buffer.len());
        self.rest.read(&mut buffer[..len])
    }
}
