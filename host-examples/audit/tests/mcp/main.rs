//! `audit mcp` passes on all that an MCP client and its server say to each other, and records the calls of tools.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod client;
mod closed;
mod ends;
mod gate;
mod hidden;
mod http;
mod peers;
mod stdio;
mod strict;
mod tls;
mod tools;
mod web;
mod wrap;

use serde_json::Value;

/// Each event in short: `tool status error_type`.
fn short(events: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let short = |event: &Value| {
        let parts = [text(&event["tool"]), text(&event["status"]), text(&event["attributes"]["error_type"])];
        parts.join(" ").trim().to_owned()
    };
    events.iter().map(short).collect()
}
