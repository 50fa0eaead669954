//! The transcripts of Claude Code: a JSON object a line, whose messages are those of Anthropic's Messages API. The form is not
//! documented and differs by version, so that each line is taken for what it has.

use std::path::Path;

use serde_json::Value;

use super::transcript::{Calls, End, Transcript, Unread, first_text, text, time};
use crate::call::sketch::{Sketch, Want, Wanted};
use crate::call::{Call, Outcome};
use crate::hook::tool_and_action;

const WANTED: &[Wanted] = &[
    (&["message", "content", "*", "input"], Want::Input),
    (&["message", "content", "*", "content"], Want::Size),
];

/// The kinds of lines that have no calls.
const OTHER_KINDS: [&str; 14] = [
    "system",
    "summary",
    "progress",
    "attachment",
    "file-history-snapshot",
    "queue-operation",
    "custom-title",
    "ai-title",
    "agent-name",
    "agent-setting",
    "last-prompt",
    "pr-link",
    "mode",
    "permission-mode",
];

/// How results begin that say that the call was not allowed.
const DENIALS: [&str; 7] = [
    "The user doesn't want to proceed with this tool use",
    "The user doesn't want to take this action right now",
    "Permission to use ",
    "Permission for this ",
    "Claude requested permissions to ",
    "PreToolUse:",
    "Hook PreToolUse:",
];

const INTERRUPTION: &str = "[Request interrupted by user";

pub(super) struct Claude {
    /// The session of lines that tell none: the name of the file.
    session: String,
}

impl Claude {
    pub(super) fn new(path: &Path) -> Self {
        Self { session: path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default() }
    }

    fn call(&self, line: &Sketch, number: usize, part: &Value) -> Call {
        let session = Some(line.text("/sessionId")).filter(|session| !session.is_empty());
        let (tool, action) = tool_and_action(text(part, "name"));
        let agent = match line.text("/agentId") {
            "" => "claude-code".to_owned(),
            id => format!("claude-code:{id}"),
        };
        Call {
            began: time(line, "/timestamp"),
            session: session.unwrap_or(&self.session).to_owned(),
            id: text(part, "id").to_owned(),
            agent,
            turn: line.text("/promptId").to_owned(),
            tool: tool.to_owned(),
            action: action.to_owned(),
            input: line
                .measured(&format!("/message/content/{number}/input"))
                .and_then(|found| found.input.clone()),
            attributes: vec![
                ("source", "transcript".into()),
                ("source_version", line.text("/version").into()),
                ("model", line.text("/message/model").into()),
            ],
            ..Call::default()
        }
    }
}

impl Transcript for Claude {
    fn wanted(&self) -> &'static [Wanted] {
        WANTED
    }

    fn take(&mut self, line: &Sketch, calls: &mut Calls) -> Result<(), Unread> {
        match line.text("/type") {
            "assistant" | "user" => {}
            kind if OTHER_KINDS.contains(&kind) => return Ok(()),
            _ => return Err(Unread::UnknownKind),
        }
        let content = line.value.pointer("/message/content").unwrap_or(&Value::Null);
        let Some(parts) = content.as_array() else {
            if line.text("/message/content").starts_with(INTERRUPTION) {
                calls.interrupted(time(line, "/timestamp"));
            }
            return Ok(());
        };
        let mut answer = Ok(());
        for (number, part) in parts.iter().enumerate() {
            match text(part, "type") {
                "tool_use" if text(part, "id").is_empty() => answer = Err(Unread::NoId),
                "tool_use" => calls.began(self.call(line, number, part), line.text("/cwd")),
                "tool_result" if text(part, "tool_use_id").is_empty() => answer = Err(Unread::NoId),
                "tool_result" => calls.ended(text(part, "tool_use_id"), end(line, number, part)),
                "text" if text(part, "text").starts_with(INTERRUPTION) => {
                    calls.interrupted(time(line, "/timestamp"))
                }
                _ => {}
            }
        }
        answer
    }
}

fn end(line: &Sketch, number: usize, part: &Value) -> End {
    let result = first_text(part.get("content").unwrap_or(&Value::Null)).trim_start();
    let is_error = part.get("is_error").and_then(Value::as_bool).unwrap_or_default();
    let is_interrupted = line.value.pointer("/toolUseResult/interrupted").and_then(Value::as_bool);
    let was_rejected = line.text("/toolUseResult") == "User rejected tool use";
    let (outcome, error_type) = match is_error {
        true if was_rejected || DENIALS.iter().any(|denial| result.starts_with(denial)) => {
            (Outcome::Denied, "")
        }
        true if result.starts_with(INTERRUPTION) => (Outcome::Cancelled, ""),
        true if result.starts_with("<tool_use_error>") => (Outcome::Error, "tool_use_error"),
        true => (Outcome::Error, ""),
        false if is_interrupted == Some(true) => (Outcome::Cancelled, ""),
        false => (Outcome::Ok, ""),
    };
    let size = line.measured(&format!("/message/content/{number}/content")).map_or(0, |found| found.size);
    End { at: time(line, "/timestamp"), outcome, out_size: size, error_type }
}
