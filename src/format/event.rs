//! The event: what a caller may send, and the type that only checked events have.

use crate::Invalid;
use crate::time::Timestamp;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;

/// A tool call as its caller describes it. The fields are those of the WIT record `event`, in the order of
/// the JSON line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Event<'a> {
    pub ts: Cow<'a, str>,
    pub req_id: Cow<'a, str>,
    pub workspace_id: Cow<'a, str>,
    pub user_id: Cow<'a, str>,
    pub agent_id: Cow<'a, str>,
    pub tool: Cow<'a, str>,
    pub action: Cow<'a, str>,
    pub status: Cow<'a, str>,
    pub duration_ms: u64,
    pub in_size: u64,
    pub out_size: u64,
    pub input_hash: Cow<'a, str>,
    pub graph_run_id: Option<Cow<'a, str>>,
    pub graph_node: Option<Cow<'a, str>>,
    pub job_id: Option<Cow<'a, str>>,
}

/// A field of an event that holds text, apart from `ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TextField {
    ReqId,
    WorkspaceId,
    UserId,
    AgentId,
    Tool,
    Action,
    Status,
    InputHash,
    GraphRunId,
    GraphNode,
    JobId,
}

impl TextField {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ReqId,
        Self::WorkspaceId,
        Self::UserId,
        Self::AgentId,
        Self::Tool,
        Self::Action,
        Self::Status,
        Self::InputHash,
        Self::GraphRunId,
        Self::GraphNode,
        Self::JobId,
    ];

    /// The name in the JSON line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReqId => "req_id",
            Self::WorkspaceId => "workspace_id",
            Self::UserId => "user_id",
            Self::AgentId => "agent_id",
            Self::Tool => "tool",
            Self::Action => "action",
            Self::Status => "status",
            Self::InputHash => "input_hash",
            Self::GraphRunId => "graph_run_id",
            Self::GraphNode => "graph_node",
            Self::JobId => "job_id",
        }
    }

    /// The event's text in this field.
    pub fn of<'e>(self, event: &'e Event<'_>) -> Option<&'e str> {
        match self {
            Self::ReqId => Some(&event.req_id),
            Self::WorkspaceId => Some(&event.workspace_id),
            Self::UserId => Some(&event.user_id),
            Self::AgentId => Some(&event.agent_id),
            Self::Tool => Some(&event.tool),
            Self::Action => Some(&event.action),
            Self::Status => Some(&event.status),
            Self::InputHash => Some(&event.input_hash),
            Self::GraphRunId => event.graph_run_id.as_deref(),
            Self::GraphNode => event.graph_node.as_deref(),
            Self::JobId => event.job_id.as_deref(),
        }
    }
}

/// An event with its instant: its `ts` is the stored text. Its texts are checked when it is encoded.
#[derive(Clone, Debug)]
pub struct Dated<'a> {
    at: Timestamp,
    event: Event<'a>,
}

impl<'a> Dated<'a> {
    /// Reads the event's `ts`; an empty one becomes `now`.
    pub fn new(mut event: Event<'a>, now: Timestamp) -> Result<Self, Invalid> {
        let stored = Timestamp::parse_stored(event.ts.as_bytes());
        let at = match stored {
            Some(at) => at,
            None if event.ts.is_empty() => now,
            None => Timestamp::parse(&event.ts).map_err(|e| Invalid::new("ts", e.to_string()))?,
        };
        if stored.is_none() {
            event.ts = Cow::Owned(at.to_string());
        }
        Ok(Self { at, event })
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The event, with `ts` as it is stored.
    pub fn event(&self) -> &Event<'a> {
        &self.event
    }
}

/// Names the first text with a control character.
pub fn check_texts(event: &Event<'_>) -> Result<(), Invalid> {
    for field in TextField::ALL {
        if let Some(control) = field.of(event).and_then(|text| text.chars().find(|c| c.is_control())) {
            let reason = format!(
                "control character U+{:04X}; accepted is text without control characters",
                control as u32
            );
            return Err(Invalid::new(field.name(), reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn check(event: Event<'_>) -> Result<Dated<'_>, Invalid> {
        let event = Dated::new(event, Timestamp::clamped(0))?;
        line::encode(&event, Uuid::nil(), Uuid::nil(), 0, &mut Vec::new()).map(|()| event)
    }

    #[test]
    fn an_empty_ts_is_the_clock() {
        let checked = check(Event::default()).unwrap();
        assert_eq!(checked.event().ts, "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_wrong_ts_names_the_field() {
        let error = check(Event { ts: "yesterday".into(), ..Event::default() }).unwrap_err();
        assert_eq!(error.field, "ts");
        assert!(error.reason.contains("\"yesterday\""), "{}", error.reason);
    }

    proptest! {
        #[test]
        fn a_control_character_in_any_field_is_invalid_and_named(
            which in 0..TextField::ALL.len(),
            before in "\\PC{0,9}",
            control in "\\p{Cc}",
        ) {
            let field = TextField::ALL[which];
            let text: Cow<'_, str> = format!("{before}{control}").into();
            let mut event = Event::default();
            match field {
                TextField::ReqId => event.req_id = text,
                TextField::WorkspaceId => event.workspace_id = text,
                TextField::UserId => event.user_id = text,
                TextField::AgentId => event.agent_id = text,
                TextField::Tool => event.tool = text,
                TextField::Action => event.action = text,
                TextField::Status => event.status = text,
                TextField::InputHash => event.input_hash = text,
                TextField::GraphRunId => event.graph_run_id = Some(text),
                TextField::GraphNode => event.graph_node = Some(text),
                TextField::JobId => event.job_id = Some(text),
            }
            prop_assert_eq!(check(event).unwrap_err().field, field.name());
        }

        #[test]
        fn other_text_is_accepted(tool in "\\PC{0,40}") {
            let event = Event { tool: tool.into(), ..Event::default() };
            prop_assert!(check(event).is_ok());
        }
    }
}
