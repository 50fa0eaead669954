//! The attributes that tell of a call, and how their values come: those of payloads stay as they came until somebody wants
//! them, and are then hashed or measured, and forgotten.

use std::borrow::Cow;

use super::read::Nested;
use super::says_error::says_error;
use crate::call::input::{Hasher, Input, MAX_CANONICAL};

/// The most bytes of a text that are kept; the store cuts it further.
const MAX_TEXT: usize = 4096;

/// The longest JSON object that is taken apart for one of its members, in bytes.
const MAX_LOOKED_INTO: usize = 1 << 20;

macro_rules! keys {
    ($($key:ident $name:literal)*) => {
        /// An attribute that is known.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Key {
            $(#[doc = $name] $key,)*
        }

        impl Key {
            /// The key of this name. None: nothing here needs it.
            pub(super) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$key),)*
                    _ => None,
                }
            }
        }
    };
}

keys! {
    // Semantic conventions of OpenTelemetry.
    Operation "gen_ai.operation.name"
    ToolName "gen_ai.tool.name"
    CallId "gen_ai.tool.call.id"
    Arguments "gen_ai.tool.call.arguments"
    CallResult "gen_ai.tool.call.result"
    AgentName "gen_ai.agent.name"
    AgentId "gen_ai.agent.id"
    Conversation "gen_ai.conversation.id"
    Model "gen_ai.request.model"
    ErrorType "error.type"
    McpMethod "mcp.method.name"
    McpSession "mcp.session.id"
    McpServer "mcp.server.name"
    RequestId "jsonrpc.request.id"
    RpcStatus "rpc.response.status_code"
    ServerAddress "server.address"
    EventName "event.name"
    Session "session.id"
    UserId "user.id"
    UserEmail "user.email"
    EndUser "enduser.id"
    ServiceName "service.name"
    ServiceVersion "service.version"
    AppVersion "app.version"
    WorkspaceId "workspace.id"
    WorkspaceName "workspace.name"
    Workspace "workspace"
    Repository "vcs.repository.name"
    // OpenInference.
    InferenceKind "openinference.span.kind"
    InferenceTool "tool.name"
    InferenceId "tool.id"
    InferenceInput "input.value"
    InferenceOutput "output.value"
    InferenceAgent "agent.name"
    // OpenLLMetry.
    TraceloopKind "traceloop.span.kind"
    TraceloopName "traceloop.entity.name"
    TraceloopInput "traceloop.entity.input"
    TraceloopOutput "traceloop.entity.output"
    TraceloopSession "traceloop.association.properties.session_id"
    TraceloopUser "traceloop.association.properties.user_id"
    // LangSmith.
    LangSmithKind "langsmith.span.kind"
    LangSmithName "langsmith.trace.name"
    LangSmithThread "langsmith.metadata.thread_id"
    LangSmithSession "langsmith.metadata.session_id"
    Prompt "gen_ai.prompt"
    Completion "gen_ai.completion"
    // Gemini CLI.
    GeminiCallId "gen_ai.tool.call_id"
    FunctionName "function_name"
    FunctionArgs "function_args"
    ContentLength "content_length"
    McpServerName "mcp_server_name"
    GeminiPrompt "prompt_id"
    Status "status"
    // Claude Code and Codex.
    LogTool "tool_name"
    ToolUseId "tool_use_id"
    LogCallId "call_id"
    Success "success"
    DurationMs "duration_ms"
    LogErrorType "error_type"
    Decision "decision"
    DecisionType "decision_type"
    DecisionSource "decision_source"
    Source "source"
    InputSize "tool_input_size_bytes"
    ResultSize "tool_result_size_bytes"
    ToolInput "tool_input"
    ToolParameters "tool_parameters"
    ClaudePrompt "prompt.id"
    Sequence "event.sequence"
    LogArguments "arguments"
    LogOutput "output"
    LogServer "mcp_server"
    CodexConversation "conversation.id"
    CodexAccount "user.account_id"
    CodexModel "model"
    PermissionMode "permission_mode"
}

/// A value as it came.
#[derive(Clone, Debug)]
pub(super) enum Raw<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Integer(i64),
    Real(f64),
    /// An array, an object or bytes.
    Nested(Nested<'a>),
}

/// The attributes of a resource, a span or a log record that are known, each of them once.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a>(Vec<(Key, Raw<'a>)>);

impl<'a> Attributes<'a> {
    pub(super) fn has(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// Of several values of one key, the first counts.
    pub(super) fn put(&mut self, key: Key, value: Raw<'a>) {
        if !self.has(key) {
            self.0.push((key, value));
        }
    }

    fn get(&self, key: Key) -> Option<&Raw<'a>> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// The value as a text; empty if there is none.
    pub(super) fn text(&self, key: Key) -> String {
        match self.get(key) {
            Some(Raw::Text(text)) => kept(text).to_owned(),
            Some(Raw::Bool(value)) => value.to_string(),
            Some(Raw::Integer(value)) => value.to_string(),
            Some(Raw::Real(value)) => value.to_string(),
            Some(Raw::Nested(_)) | None => String::new(),
        }
    }

    /// The first of these that has a text.
    pub(super) fn first(&self, keys: &[Key]) -> String {
        keys.iter().map(|key| self.text(*key)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// Whether there is a value that is an array, an object or bytes.
    pub(super) fn is_nested(&self, key: Key) -> bool {
        matches!(self.get(key), Some(Raw::Nested(_)))
    }

    /// Whether the value is this text, in whatever case.
    pub(super) fn is(&self, key: Key, text: &str) -> bool {
        matches!(self.get(key), Some(Raw::Text(value)) if value.eq_ignore_ascii_case(text))
    }

    /// A number, whether it came as one or as a text. No count of milliseconds or bytes is negative.
    pub(super) fn number(&self, key: Key) -> Option<f64> {
        let number = match self.get(key)? {
            Raw::Integer(value) => *value as f64,
            Raw::Real(value) => *value,
            Raw::Text(text) => text.trim().parse().ok()?,
            Raw::Bool(_) | Raw::Nested(_) => return None,
        };
        (number.is_finite() && number >= 0.0).then_some(number)
    }

    /// True or false, whether it came as such or as a text.
    pub(super) fn truth(&self, key: Key) -> Option<bool> {
        match self.get(key)? {
            Raw::Bool(value) => Some(*value),
            Raw::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Raw::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// How many bytes the text has.
    pub(super) fn text_size(&self, key: Key) -> Option<u64> {
        match self.get(key)? {
            Raw::Text(text) => Some(text.len() as u64),
            _ => None,
        }
    }

    /// The first of these values that is there, as the arguments of a call. An empty text tells nothing.
    pub(super) fn arguments(&self, keys: &[Key], hasher: &Hasher) -> Option<Input> {
        Some(match keys.iter().find_map(|key| self.get(*key))? {
            Raw::Text(text) if text.is_empty() => return None,
            Raw::Text(text) if text.len() > MAX_CANONICAL => hasher.input(text.as_bytes()),
            Raw::Text(text) => hasher.input(&serde_json::to_vec(text).unwrap_or_default()),
            Raw::Bool(value) => hasher.input(value.to_string().as_bytes()),
            Raw::Integer(value) => hasher.input(value.to_string().as_bytes()),
            Raw::Real(value) => hasher.input(value.to_string().as_bytes()),
            Raw::Nested(nested) => hasher.input(&nested.json()),
        })
    }

    /// The first of these values that is there, as the result of a call.
    pub(super) fn result(&self, keys: &[Key]) -> Option<Output> {
        Some(match keys.iter().find_map(|key| self.get(*key))? {
            Raw::Text(text) => Output::of(text.as_bytes()),
            Raw::Bool(value) => Output::of(value.to_string().as_bytes()),
            Raw::Integer(value) => Output::of(value.to_string().as_bytes()),
            Raw::Real(value) => Output::of(value.to_string().as_bytes()),
            Raw::Nested(nested) => Output::of(&nested.json()),
        })
    }

    /// The text that a JSON object in a text has as this member; empty if there is none, or if the object is large.
    pub(super) fn member(&self, key: Key, name: &str) -> String {
        let Some(Raw::Text(text)) = self.get(key) else { return String::new() };
        if text.len() > MAX_LOOKED_INTO {
            return String::new();
        }
        let object: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        object
            .get(name)
            .and_then(serde_json::Value::as_str)
            .map(|text| kept(text).to_owned())
            .unwrap_or_default()
    }
}

/// The first characters of a text.
pub(super) fn kept(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// What is kept of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Output {
    /// In bytes.
    pub(super) size: u64,
    /// It is a result of MCP that says that the call failed.
    pub(super) is_error: bool,
}

impl Output {
    fn of(result: &[u8]) -> Self {
        Self { size: result.len() as u64, is_error: says_error(result) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(values: &[(Key, &'static str)]) -> Attributes<'static> {
        let mut attributes = Attributes::default();
        values.iter().for_each(|(key, text)| attributes.put(*key, Raw::Text((*text).into())));
        attributes
    }

    #[test]
    fn arguments_hash_the_same_as_a_text_and_as_an_object() {
        let hasher = Hasher::default();
        let text = attributes(&[(Key::Arguments, r#"{ "b": 1, "a": "x" }"#)]);
        let expected = hasher.input(br#"{"a":"x","b":1}"#);
        assert_eq!(text.arguments(&[Key::LogArguments, Key::Arguments], &hasher), Some(expected));
        assert_eq!(attributes(&[(Key::Arguments, "")]).arguments(&[Key::Arguments], &hasher), None);
        let plain = attributes(&[(Key::Arguments, "*** Begin Patch")]);
        let expected = hasher.input(br#""*** Begin Patch""#);
        assert_eq!(plain.arguments(&[Key::Arguments], &hasher), Some(expected));
    }

    #[test]
    fn a_result_of_mcp_that_says_so_failed() {
        let output = |text| attributes(&[(Key::CallResult, text)]).result(&[Key::CallResult]).unwrap();
        assert!(output(r#"{"content":[],"isError":true}"#).is_error);
        assert!(!output(r#"{"content":[],"isError":false}"#).is_error);
        assert!(!output(r#"{"isError":"true"}"#).is_error);
        let large = format!(r#"{{"content":"{}","isError":true}}"#, "x".repeat(2 << 20));
        assert!(output(large.leak()).is_error);
        assert_eq!(output("isError ä"), Output { size: 10, is_error: false });
    }

    #[test]
    fn numbers_and_truth_come_as_such_or_as_texts() {
        let mut values =
            attributes(&[(Key::DurationMs, " 12.5 "), (Key::Success, "FALSE"), (Key::InputSize, "-1")]);
        values.put(Key::ResultSize, Raw::Integer(7));
        values.put(Key::ResultSize, Raw::Integer(8));
        assert_eq!((values.number(Key::DurationMs), values.number(Key::ResultSize)), (Some(12.5), Some(7.0)));
        assert_eq!((values.truth(Key::Success), values.number(Key::InputSize)), (Some(false), None));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(kept(&"ä".repeat(MAX_TEXT)).len(), MAX_TEXT);
        assert_eq!(kept(&format!("a{}", "ä".repeat(MAX_TEXT))).len(), MAX_TEXT - 1);
    }
}
