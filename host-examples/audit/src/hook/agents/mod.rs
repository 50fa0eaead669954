//! What the hooks of each agent say. Formats move, so they are read leniently: a field that is missing or has another type is
//! empty, and unknown fields do no harm.

mod claude;
mod cline;
mod copilot;
mod cursor;
mod gemini;
mod goose;
mod kiro;
mod opencode;
mod windsurf;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use serde_json::Value;

use crate::call::sketch::{self, Measured, Sketch, Want, Wanted, number};
use crate::call::{Call, Outcome};

/// An agent whose hooks are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Agent {
    /// Claude Code
    Claude,
    /// Codex CLI
    Codex,
    /// Cursor
    Cursor,
    /// Gemini CLI
    Gemini,
    /// GitHub Copilot CLI and cloud agent
    Copilot,
    /// Kiro CLI
    Kiro,
    /// Windsurf
    Windsurf,
    /// Goose
    Goose,
    /// Cline
    Cline,
    /// OpenCode, through a plugin of ours
    #[value(name = "opencode")]
    OpenCode,
}

/// What a hook tells of a call.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    /// It begins.
    Began(Call),
    /// It has ended.
    Ended(Call),
    /// Nothing of a call: another event, whose name this is.
    Other(String),
}

/// The values that are measured, of all agents.
pub(crate) const WANTED: &[Wanted] = &[
    (&["tool_input"], Want::Input),
    (&["tool_response"], Want::Size),
    (&["tool_output"], Want::Size),
    (&["error"], Want::Size),
    (&["error_message"], Want::Size),
    (&["toolArgs"], Want::Input),
    (&["toolResult", "textResultForLlm"], Want::Size),
    (&["tool_result", "text_result_for_llm"], Want::Size),
    (&["tool_result", "input"], Want::Input),
    (&["tool_result", "output"], Want::Size),
    (&["tool_result", "error"], Want::Size),
    (&["tool_call", "input"], Want::Input),
    (&["preToolUse", "parameters"], Want::Input),
    (&["postToolUse", "parameters"], Want::Input),
    (&["postToolUse", "result"], Want::Size),
    (&["tool_info"], Want::Input),
    (&["tool_info", "mcp_tool_arguments"], Want::Input),
    (&["tool_info", "mcp_result"], Want::Size),
    (&["args"], Want::Input),
    (&["output"], Want::Size),
];

/// The values that are read, of all agents. What an agent's model makes large is beside them, and leaves them alone.
pub(crate) const KEPT: &[sketch::Path] = &[
    // Who, where and what.
    &["source"],
    &["hook_event_name"],
    &["hookEventName"],
    &["hookName"],
    &["event"],
    &["agent_action_name"],
    &["timestamp"],
    &["transcript_path"],
    &["session_id"],
    &["sessionId"],
    &["sessionID"],
    &["conversation_id"],
    &["trajectory_id"],
    &["taskId"],
    &["prompt_id"],
    &["turn_id"],
    &["generation_id"],
    &["execution_id"],
    &["agent_id"],
    &["agent_type"],
    &["userId"],
    &["user_email"],
    &["cwd"],
    &["working_dir"],
    &["directory"],
    &["workspace_roots"],
    &["workspaceRoots"],
    &["cursor_version"],
    &["clineVersion"],
    &["permission_mode"],
    &["model"],
    &["model_name"],
    &["mcp_server", "name"],
    &["mcp_context", "server_name"],
    &["mcp_context", "tool_name"],
    // The call.
    &["tool_name"],
    &["toolName"],
    &["tool"],
    &["tool_use_id"],
    &["tool_call_id"],
    &["toolCallId"],
    &["callID"],
    &["toolArgs"],
    &["preToolUse", "toolName"],
    &["preToolUse", "tool"],
    &["tool_call", "id"],
    &["tool_call", "name"],
    &["tool_info", "cwd"],
    &["tool_info", "mcp_server_name"],
    &["tool_info", "mcp_tool_name"],
    // How it ended.
    &["duration"],
    &["duration_ms"],
    &["error"],
    &["failure_type"],
    &["is_interrupt"],
    &["decision"],
    &["blocked_by"],
    &["tool_output"],
    &["tool_response", "success"],
    &["tool_response", "interrupted"],
    &["tool_response", "is_error"],
    &["tool_response", "isError"],
    &["tool_response", "error", "type"],
    &["toolResult", "resultType"],
    &["tool_result", "result_type"],
    &["tool_result", "id"],
    &["tool_result", "name"],
    &["tool_result", "error"],
    &["tool_result", "durationMs"],
    &["postToolUse", "toolName"],
    &["postToolUse", "tool"],
    &["postToolUse", "success"],
    &["postToolUse", "executionTimeMs"],
];

impl Agent {
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The product: the beginning of `agent_id`.
    pub(crate) fn product(self) -> &'static str {
        match self {
            Self::Claude => "claude-code",
            Self::Codex => "codex",
            Self::Cursor => "cursor",
            Self::Gemini => "gemini-cli",
            Self::Copilot => "copilot",
            Self::Kiro => "kiro",
            Self::Windsurf => "windsurf",
            Self::Goose => "goose",
            Self::Cline => "cline",
            Self::OpenCode => "opencode",
        }
    }

    /// The agent that has sent this hook: the one that is named, unless it can only be from another one. Cursor and Copilot also
    /// run the hooks of Claude Code's settings.
    pub(crate) fn of(named: Option<Self>, hook: &Value) -> Option<Self> {
        Self::unmistakable(hook).or(named).or_else(|| Self::likely(hook))
    }

    fn unmistakable(hook: &Value) -> Option<Self> {
        let has = |name: &str| hook.get(name).is_some();
        let text = |name: &str| hook.get(name).and_then(Value::as_str).unwrap_or_default();
        let event = text("hook_event_name");
        if text("source") == opencode::SOURCE {
            Some(Self::OpenCode)
        } else if has("agent_action_name") {
            Some(Self::Windsurf)
        } else if has("hookName") {
            Some(Self::Cline)
        } else if has("conversation_id")
            && ["generation_id", "cursor_version", "workspace_roots"].into_iter().any(has)
        {
            Some(Self::Cursor)
        } else if ["BeforeTool", "AfterTool"].contains(&event) {
            Some(Self::Gemini)
        } else if has("hookEventName")
            || has("sessionId") && has("toolName")
            || has("tool_result")
            // Of Claude Code's names, without the transcript that each of its hooks names.
            || event.ends_with("ToolUse") && has("timestamp") && !has("transcript_path")
        {
            Some(Self::Copilot)
        } else if has("turn_id") && has("model") {
            Some(Self::Codex)
        } else {
            None
        }
    }

    fn likely(hook: &Value) -> Option<Self> {
        let has = |name: &str| hook.get(name).is_some();
        let event = hook.get("hook_event_name").and_then(Value::as_str).unwrap_or_default();
        if has("event") && has("session_id") {
            Some(Self::Goose)
        } else if event.starts_with(char::is_lowercase) {
            Some(Self::Kiro)
        } else if !event.is_empty() {
            Some(Self::Claude)
        } else {
            None
        }
    }

    /// Reads a hook of this agent.
    pub(crate) fn told(self, sketch: &Sketch) -> Told {
        let hook = Hook { agent: self, sketch };
        let told = match self {
            Self::Claude | Self::Codex => claude::told(hook),
            Self::Cursor => cursor::told(hook),
            Self::Gemini => gemini::told(hook),
            Self::Copilot => copilot::told(hook),
            Self::Kiro => kiro::told(hook),
            Self::Windsurf => windsurf::told(hook),
            Self::Goose => goose::told(hook),
            Self::Cline => cline::told(hook),
            Self::OpenCode => opencode::told(hook),
        };
        match told {
            Told::Began(call) | Told::Ended(call) if call.tool.is_empty() => {
                Told::Other("without a tool".to_owned())
            }
            told => told,
        }
    }
}

/// A hook's object.
#[derive(Clone, Copy)]
struct Hook<'s> {
    agent: Agent,
    sketch: &'s Sketch,
}

impl<'s> Hook<'s> {
    /// The first of these texts that is there and not empty.
    fn text(self, pointers: &[&str]) -> &'s str {
        let texts = pointers.iter().map(|pointer| self.sketch.text(pointer));
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }

    fn value(self, pointer: &str) -> Option<&'s Value> {
        self.sketch.value.pointer(pointer).filter(|value| !value.is_null())
    }

    /// Whether the value is there, and is none of null, false, 0 and empty.
    fn is_set(self, pointer: &str) -> bool {
        self.value(pointer).is_some_and(|value| match value {
            Value::Bool(flag) => *flag,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            other => number(other) != Some(0.0),
        })
    }

    /// A duration in milliseconds.
    fn duration(self, pointers: &[&str]) -> Option<Duration> {
        let millis = pointers.iter().find_map(|pointer| number(self.value(pointer)?))?;
        Duration::try_from_secs_f64(millis / 1000.0).ok()
    }

    /// Whether an answer says that it is an error, as those of MCP servers do.
    fn is_error(self) -> bool {
        self.is_set("/tool_response/isError") || self.is_set("/tool_response/is_error")
    }

    fn size(self, pointers: &[&str]) -> u64 {
        self.measured(pointers).map_or(0, |measured| measured.size)
    }

    fn measured(self, pointers: &[&str]) -> Option<&'s Measured> {
        pointers.iter().find_map(|pointer| self.sketch.measured(pointer))
    }

    /// A call of `tool`, with what the hook tells of its arguments, and what all of them have.
    fn call(self, tool: &str, input: &[&str]) -> Call {
        let (tool, action) = tool_and_action(tool);
        let server = if action == NO_ACTION { "" } else { tool };
        Call {
            agent: self.agent.product().to_owned(),
            tool: tool.to_owned(),
            action: action.to_owned(),
            input: self.measured(input).and_then(|measured| measured.input.clone()),
            attributes: vec![("source", "hook".to_owned()), ("server", server.to_owned())],
            ..Call::default()
        }
    }
}

/// The action of a tool that does one thing.
const NO_ACTION: &str = "call";

/// The tool and the action of a tool's name: of a tool of an MCP server, the server and its tool.
pub(crate) fn tool_and_action(name: &str) -> (&str, &str) {
    let of_server = match (name.strip_prefix("mcp__"), name.strip_prefix('@')) {
        (Some(rest), _) => rest.split_once("__"),
        (None, Some(rest)) => rest.split_once('/'),
        (None, None) => None,
    };
    match of_server {
        Some((server, tool)) if !server.is_empty() && !tool.is_empty() => (server, tool),
        _ => (name, NO_ACTION),
    }
}

/// The folder that the agent works in, if its hook says so.
pub(crate) fn folder(sketch: &Sketch) -> Option<PathBuf> {
    let pointers =
        ["/cwd", "/working_dir", "/workspace_roots/0", "/workspaceRoots/0", "/tool_info/cwd", "/directory"];
    let folders = pointers.iter().map(|pointer| Path::new(sketch.text(pointer)));
    folders.into_iter().find(|path| path.is_absolute()).map(Path::to_owned)
}
