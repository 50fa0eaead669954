//! Which spans and log records tell of a call of a tool, and what they tell. The sources are those of `docs/otlp.md`.

use std::time::Duration;

use super::attributes::{Attributes, Key};
use super::read::{Kind, Record, Span, Status};
use super::sighting::{Sighting, Texts, Vantage, outcome_of_error};
use crate::call::Outcome;
use crate::call::input::{Hasher, Input};

const TOOLS_CALL: &str = "tools/call";

/// Where each of the sources has a call's arguments and result.
const ARGUMENTS: &[Key] = &[Key::Arguments, Key::InferenceInput, Key::TraceloopInput, Key::Prompt];
const RESULTS: &[Key] = &[Key::CallResult, Key::InferenceOutput, Key::TraceloopOutput, Key::Completion];

const CONVERSATIONS: &[Key] = &[
    Key::Conversation,
    Key::Session,
    Key::TraceloopSession,
    Key::LangSmithThread,
    Key::LangSmithSession,
    Key::CodexConversation,
];

const USERS: &[Key] = &[Key::UserEmail, Key::UserId, Key::EndUser, Key::TraceloopUser, Key::CodexAccount];

/// Whether the method of MCP is the one that calls a tool.
fn is_tools_call(attributes: &Attributes<'_>) -> bool {
    attributes.is(Key::McpMethod, TOOLS_CALL)
}

/// From where the span saw a call. None: it is of something else.
fn vantage(span: &Span<'_>) -> Option<Vantage> {
    let attributes = &span.attributes;
    let executes = attributes.is(Key::Operation, "execute_tool");
    if is_tools_call(attributes) {
        return Some(match span.kind {
            Kind::Server => Vantage::McpServer,
            Kind::Client => Vantage::McpClient,
            // An instrumentation of MCP adds its attributes to a span that is there already.
            Kind::Other if executes => Vantage::Execute,
            Kind::Other => Vantage::McpClient,
        });
    }
    if executes {
        Some(Vantage::Execute)
    } else if attributes.is(Key::InferenceKind, "TOOL") {
        Some(Vantage::OpenInference)
    } else if attributes.is(Key::TraceloopKind, "tool") {
        Some(Vantage::Traceloop)
    } else if attributes.is(Key::LangSmithKind, "tool") {
        Some(Vantage::LangSmith)
    } else if attributes.is(Key::Operation, "tool_call") {
        Some(Vantage::GeminiSpan)
    } else {
        None
    }
}

/// What the span tells of a call. None: it is of something else.
pub(super) fn span(resource: &Attributes<'_>, span: &Span<'_>, hasher: &Hasher) -> Option<Sighting> {
    let vantage = vantage(span)?;
    let attributes = &span.attributes;
    let result = attributes.result(RESULTS);
    let mut texts = texts(resource, attributes);
    texts.tool =
        attributes.first(&[Key::ToolName, Key::InferenceTool, Key::TraceloopName, Key::LangSmithName]).into();
    if texts.tool.is_empty() {
        texts.tool = tool_of_name(&span.name).into();
    }
    if is_tools_call(attributes) {
        texts.method = TOOLS_CALL.into();
    }
    texts.call_id = attributes.first(&[Key::CallId, Key::GeminiCallId, Key::InferenceId]).into();
    texts.request_id = attributes.text(Key::RequestId).into();
    texts.mcp_session = attributes.text(Key::McpSession).into();
    texts.server = attributes.first(&[Key::McpServer, Key::ServerAddress]).into();
    let rpc = attributes.text(Key::RpcStatus);
    // A code is that of an error, unless it says that there was none.
    if texts.error_type.is_empty() && !["", "0", "OK"].contains(&rpc.trim()) {
        texts.error_type = rpc.into();
    }
    let failed = result.is_some_and(|result| result.is_error);
    if texts.error_type.is_empty() && failed {
        texts.error_type = "tool_error".into();
    }
    let outcome = match span.status {
        _ if !texts.error_type.is_empty() => outcome_of_error(&texts.error_type),
        Status::Error => Outcome::Error,
        Status::Ok => Outcome::Ok,
        // It is left unset where nothing went wrong. An exception may have been handled, or not.
        Status::Unset if span.has_exception || span.end == 0 => Outcome::Unknown,
        Status::Unset => Outcome::Ok,
    };
    let duration = (span.start > 0).then(|| span.end.checked_sub(span.start)).flatten();
    Some(Sighting {
        trace: span.trace,
        span: span.id,
        parent: span.parent,
        time: span.start,
        duration: duration.map(Duration::from_nanos),
        outcome,
        input: attributes.arguments(ARGUMENTS, hasher),
        out_size: result.map(|result| result.size),
        texts,
        ..Sighting::new(vantage)
    })
}

/// The tool in the name of a span, such as `execute_tool search` or `tools/call search`.
fn tool_of_name(name: &str) -> &str {
    let starts = ["execute_tool ", "tools/call "];
    starts.iter().find_map(|start| name.strip_prefix(start)).unwrap_or(name)
}

/// Whether the span is the work of an agent.
pub(super) fn is_agent(attributes: &Attributes<'_>) -> bool {
    attributes.is(Key::Operation, "invoke_agent")
        || attributes.is(Key::InferenceKind, "AGENT")
        || attributes.is(Key::TraceloopKind, "agent")
}

/// What a span that is no call tells of those below it.
pub(super) fn context(attributes: &Attributes<'_>) -> Texts {
    Texts {
        conversation: attributes.first(CONVERSATIONS).into(),
        agent_id: attributes.text(Key::AgentId).into(),
        agent_name: attributes.first(&[Key::AgentName, Key::InferenceAgent]).into(),
        user: attributes.first(USERS).into(),
        ..Texts::default()
    }
}

/// What all sources tell under the same names.
fn texts(resource: &Attributes<'_>, attributes: &Attributes<'_>) -> Texts {
    let mut texts = context(attributes);
    texts.error_type = attributes.first(&[Key::ErrorType, Key::LogErrorType]).into();
    if texts.error_type.is_empty() && attributes.is_nested(Key::ErrorType) {
        // The conventions' own value for an error that has no name.
        texts.error_type = "_OTHER".into();
    }
    texts.model = attributes.first(&[Key::Model, Key::CodexModel]).into();
    texts.version = attributes.text(Key::AppVersion).into();
    texts.mode = attributes.text(Key::PermissionMode).into();
    texts.workspace = workspace(attributes).into();
    texts.complete(Texts {
        service: resource.text(Key::ServiceName).into(),
        version: resource.first(&[Key::ServiceVersion, Key::AppVersion]).into(),
        workspace: workspace(resource).into(),
        ..context(resource)
    });
    texts
}

fn workspace(attributes: &Attributes<'_>) -> String {
    attributes.first(&[Key::WorkspaceId, Key::WorkspaceName, Key::Workspace, Key::Repository])
}

/// A log record of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    ClaudeResult,
    ClaudeDecision,
    CodexResult,
    CodexDecision,
    GeminiCall,
}

/// Which event of an agent the record is. None: another one.
fn event(resource: &Attributes<'_>, record: &Record<'_>) -> Option<Event> {
    let name = record.attributes.text(Key::EventName);
    // Claude Code has the short name as an attribute, and the full one as the body.
    let full = [&name, &record.event_name, &record.body].into_iter().find_map(|name| match name.as_str() {
        "claude_code.tool_result" => Some(Event::ClaudeResult),
        "claude_code.tool_decision" => Some(Event::ClaudeDecision),
        "codex.tool_result" => Some(Event::CodexResult),
        "codex.tool_decision" => Some(Event::CodexDecision),
        "gemini_cli.tool_call" => Some(Event::GeminiCall),
        _ => None,
    });
    full.or_else(|| match name.as_str() {
        "tool_result" if resource.is(Key::ServiceName, "claude-code") => Some(Event::ClaudeResult),
        "tool_decision" if resource.is(Key::ServiceName, "claude-code") => Some(Event::ClaudeDecision),
        _ => None,
    })
}

/// What a log record tells.
#[derive(Debug)]
pub(super) enum Told {
    /// Of a call that has ended, or was not let happen.
    Call(Box<Sighting>),
    /// A call was allowed. How it ends comes later.
    Allowed(Box<Sighting>),
    Nothing,
}

/// What the log record tells of a call.
pub(super) fn record(resource: &Attributes<'_>, record: &Record<'_>, hasher: &Hasher) -> Told {
    let Some(event) = event(resource, record) else { return Told::Nothing };
    let attributes = &record.attributes;
    let is_decision = matches!(event, Event::ClaudeDecision | Event::CodexDecision);
    let mut sighting = Sighting {
        trace: record.trace,
        span: record.span,
        time: if record.time > 0 { record.time } else { record.observed },
        duration: attributes
            .number(Key::DurationMs)
            .map(|ms| Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()),
        texts: texts(resource, attributes),
        ..Sighting::new(if is_decision { Vantage::Decision } else { Vantage::Log })
    };
    let texts = &mut sighting.texts;
    texts.tool = attributes.first(&[Key::LogTool, Key::FunctionName]).into();
    texts.call_id = attributes.first(&[Key::ToolUseId, Key::LogCallId]).into();
    texts.turn = attributes.first(&[Key::ClaudePrompt, Key::GeminiPrompt]).into();
    texts.server = attributes.first(&[Key::LogServer, Key::McpServerName]).into();
    texts.decision = attributes.first(&[Key::Decision, Key::DecisionType]).into();
    texts.decision_source = attributes.first(&[Key::DecisionSource, Key::Source]).into();
    match event {
        Event::ClaudeResult => claude_result(attributes, hasher, &mut sighting),
        Event::CodexResult => {
            sighting.input = attributes.arguments(&[Key::LogArguments], hasher);
            sighting.out_size = attributes.text_size(Key::LogOutput);
        }
        Event::GeminiCall => {
            sighting.input = attributes.arguments(&[Key::FunctionArgs], hasher);
            sighting.out_size = attributes.number(Key::ContentLength).map(|size| size as u64);
        }
        Event::ClaudeDecision | Event::CodexDecision => {}
    }
    sighting.outcome = outcome(event, attributes, &sighting.texts);
    let is_allowed = is_decision && sighting.outcome != Outcome::Denied;
    if is_allowed { Told::Allowed(sighting.into()) } else { Told::Call(sighting.into()) }
}

fn claude_result(attributes: &Attributes<'_>, hasher: &Hasher, sighting: &mut Sighting) {
    let texts = &mut sighting.texts;
    let server = attributes.member(Key::ToolParameters, "mcp_server_name");
    if !server.is_empty() {
        texts.server = server.into();
    }
    // The tools of servers that a user has set up all have this name, unless their details are exported.
    if &*texts.tool == "mcp_tool" {
        let tool = attributes.member(Key::ToolParameters, "mcp_tool_name");
        if !tool.is_empty() {
            texts.tool = tool.into();
        }
    }
    let size = attributes.number(Key::InputSize).map(|size| size as u64);
    // The export cuts long arguments, and a hash of a part would be no hash of the arguments.
    let is_whole = size.is_some() && attributes.text_size(Key::ToolInput) == size;
    let whole = if is_whole { attributes.arguments(&[Key::ToolInput], hasher) } else { None };
    sighting.input = whole.or_else(|| size.map(|size| Input { size, ..Input::default() }));
    sighting.out_size = attributes.number(Key::ResultSize).map(|size| size as u64);
}

fn outcome(event: Event, attributes: &Attributes<'_>, texts: &Texts) -> Outcome {
    let is_denial = ["reject", "rejected", "deny", "denied", "abort", "timed_out", "timedout"]
        .iter()
        .any(|word| texts.decision.eq_ignore_ascii_case(word));
    match event {
        Event::ClaudeDecision | Event::CodexDecision if is_denial => Outcome::Denied,
        Event::ClaudeDecision | Event::CodexDecision => Outcome::Unknown,
        _ => match attributes.truth(Key::Success) {
            _ if is_denial => Outcome::Denied,
            Some(true) => Outcome::Ok,
            _ if attributes.is(Key::Status, "cancelled") => Outcome::Cancelled,
            Some(false) => outcome_of_error(&texts.error_type),
            None if !texts.error_type.is_empty() => outcome_of_error(&texts.error_type),
            None => Outcome::Unknown,
        },
    }
}
