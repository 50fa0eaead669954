//! The transcripts of Claude Code: a JSON object a line, whose messages are those of Anthropic's Messages API. The form is not
//! documented and differs by version, so that each line is taken for what it has.

use std::path::Path as FilePath;

use serde_json::Value;

use super::transcript::{Calls, End, Transcript, Unread, first_text, text, time};
use crate::call::sketch::{Path, Sketch, Want, Wanted};
use crate::call::{Call, Outcome};
use crate::hook::tool_and_action;

const WANTED: &[Wanted] = &[
    (&["message", "content", "*", "input"], Want::Input),
    (&["message", "content", "*", "content"], Want::Size),
];

const KEPT: &[Path] = &[
    &["type"],
    &["timestamp"],
    &["sessionId"],
    &["agentId"],
    &["cwd"],
    &["promptId"],
    &["version"],
    &["message", "model"],
    &["message", "content", "*", "type"],
    &["message", "content", "*", "id"],
    &["message", "content", "*", "name"],
    &["message", "content", "*", "server_name"],
    &["message", "content", "*", "tool_use_id"],
    &["message", "content", "*", "is_error"],
    &["message", "content", "*", "text"],
    &["message", "content", "*", "content"],
    &["toolUseResult", "interrupted"],
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

/// How results begin that say that the user did not allow the call. What the user said may follow.
const REJECTIONS: [&str; 2] = [
    "The user doesn't want to proceed with this tool use. The tool use was rejected",
    "The user doesn't want to take this action right now. STOP what you are doing",
];

/// Whether a result is one with which Claude Code itself says that the call was not allowed. The error of a tool may begin in
/// the same way.
fn is_denial(result: &str) -> bool {
    let of_mode = || result.starts_with("Permission for this action has been denied");
    let of_rule = || {
        let (_, rest) = result.strip_prefix("Permission to use ")?.split_once(' ')?;
        Some(
            rest.starts_with("has been denied")
                || (rest.starts_with("with ") && rest.contains(" has been denied")),
        )
    };
    let of_request = || {
        let rest = result.strip_prefix("Claude requested permissions to ")?;
        Some(rest.trim_end().ends_with(", but you haven't granted it yet."))
    };
    let of_hook = || {
        let (_, rest) = result.strip_prefix("PreToolUse:")?.split_once(' ')?;
        Some(rest.starts_with("hook error:") || rest.starts_with("hook blocking error"))
    };
    let of_hook_alone = || {
        let (_, rest) = result.strip_prefix("Hook PreToolUse:")?.split_once(' ')?;
        Some(rest.trim_end() == "denied this tool")
    };
    REJECTIONS.iter().any(|start| result.starts_with(start))
        || of_mode()
        || [of_rule(), of_request(), of_hook(), of_hook_alone()].contains(&Some(true))
}

const INTERRUPTION: &str = "[Request interrupted by user";

pub(super) struct Claude {
    /// The session of lines that tell none: the name of the file.
    session: String,
}

impl Claude {
    pub(super) fn new(path: &FilePath) -> Self {
        Self { session: path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default() }
    }

    fn call(&self, line: &Sketch, number: usize, part: &Value) -> Call {
        let session = Some(line.text("/sessionId")).filter(|session| !session.is_empty());
        let (tool, action) = match (text(part, "server_name"), text(part, "name")) {
            ("", name) => tool_and_action(name),
            of_server => of_server,
        };
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

    fn kept(&self) -> &'static [Path] {
        KEPT
    }

    fn take(&mut self, line: &Sketch, calls: &mut Calls) -> Result<(), Unread> {
        match line.text("/type") {
            "assistant" | "user" => {}
            kind if OTHER_KINDS.contains(&kind) => return Ok(()),
            _ => return Err(Unread::UnknownKind),
        }
        let parts = match line.value.pointer("/message/content") {
            Some(Value::Array(parts)) => parts,
            Some(Value::String(text)) => {
                if text.starts_with(INTERRUPTION) {
                    calls.interrupted(time(line, "/timestamp"));
                }
                return Ok(());
            }
            None | Some(Value::Null) => return Ok(()),
            Some(_) => return Err(Unread::UnknownKind),
        };
        let mut answer = Ok(());
        for (number, part) in parts.iter().enumerate() {
            match text(part, "type") {
                kind if is_call(kind) && text(part, "id").is_empty() => answer = Err(Unread::NoId),
                kind if is_call(kind) => calls.began(self.call(line, number, part), line.text("/cwd")),
                kind if is_result(kind) && text(part, "tool_use_id").is_empty() => answer = Err(Unread::NoId),
                kind if is_result(kind) => calls.ended(text(part, "tool_use_id"), end(line, number, part)),
                "text" if text(part, "text").starts_with(INTERRUPTION) => {
                    calls.interrupted(time(line, "/timestamp"))
                }
                _ => {}
            }
        }
        answer
    }
}

/// Whether a part is a call: of a tool of the agent, or of one of the provider or of a server that the provider asks
/// (`server_tool_use`, `mcp_tool_use`).
fn is_call(kind: &str) -> bool {
    kind == "tool_use" || kind.ends_with("_tool_use")
}

/// Whether a part is a result, such as `tool_result` and `web_search_tool_result`.
fn is_result(kind: &str) -> bool {
    kind == "tool_result" || kind.ends_with("_tool_result")
}

fn end(line: &Sketch, number: usize, part: &Value) -> End {
    let result = first_text(part.get("content").unwrap_or(&Value::Null)).trim_start();
    let of_provider = part.pointer("/content/type").and_then(Value::as_str).unwrap_or_default();
    let is_error =
        part.get("is_error").and_then(Value::as_bool).unwrap_or_default() || of_provider.ends_with("_error");
    let is_interrupted = line.value.pointer("/toolUseResult/interrupted").and_then(Value::as_bool);
    let was_rejected = line.text("/toolUseResult") == "User rejected tool use";
    let (outcome, error_type) = match is_error {
        true if was_rejected || is_denial(result) => (Outcome::Denied, ""),
        true if result.starts_with(INTERRUPTION) => (Outcome::Cancelled, ""),
        true if result.starts_with("<tool_use_error>") => (Outcome::Error, "tool_use_error"),
        true => (Outcome::Error, ""),
        false if is_interrupted == Some(true) => (Outcome::Cancelled, ""),
        false => (Outcome::Ok, ""),
    };
    let size = line.measured(&format!("/message/content/{number}/content")).map_or(0, |found| found.size);
    End { at: time(line, "/timestamp"), outcome, out_size: size, error_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_claude_code_itself_says_is_a_denial() {
        for denial in [
            "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit)",
            "The user doesn't want to take this action right now. STOP what you are doing and wait",
            "Permission to use Bash with command rm\n-rf / has been denied.",
            "Permission to use WebFetch has been denied. IMPORTANT: You may try",
            "Permission for this action has been denied. Reason: it is risky",
            "Claude requested permissions to write to /etc/passwd, but you haven't granted it yet.",
            "PreToolUse:Bash hook error: [guard]: not here",
            "Hook PreToolUse:Bash denied this tool",
        ] {
            assert!(is_denial(denial), "{denial}");
        }
        for error in [
            "Permission to use port 80 is missing: bind failed",
            "Permission for this file is 0600",
            "Claude requested permissions to be set",
            "PreToolUse: no such file",
            "PreToolUse:Bash is no file",
            "The user doesn't want to proceed with this tool use",
            "Exit code 1\nPermission to use Bash has been denied.",
            "Permission to use ",
            "",
        ] {
            assert!(!is_denial(error), "{error}");
        }
    }
}
