//! A call of a tool as a source tells of it (a hook, an MCP message, a span, a transcript), and the event that it becomes.

pub(crate) mod input;
pub(crate) mod place;
pub(crate) mod recent;
pub(crate) mod sketch;

use std::time::{Duration, SystemTime};

use audit_format::attributes::Attribute;
use audit_format::event;
use audit_format::time::Timestamp;

use self::input::Input;

/// How a call ended, or that it did not: the `status` of its event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Error,
    /// Somebody or something did not let it happen.
    Denied,
    Cancelled,
    Timeout,
    /// It has begun. Another event says how it ended.
    Started,
    /// Its end never came, and never will.
    Lost,
    /// A tool is not the one that was there before. No call at all.
    Changed,
    /// The source does not tell.
    #[default]
    Unknown,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::Started => "started",
            Self::Lost => "lost",
            Self::Changed => "changed",
            Self::Unknown => "unknown",
        }
    }
}

/// A call. A text that the source does not tell is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// When it began. None: when it is recorded, less its duration.
    pub(crate) began: Option<Timestamp>,
    pub(crate) duration: Option<Duration>,
    /// The session or conversation that it belongs to: `graph_run_id`.
    pub(crate) session: String,
    /// What tells it from all others of its session: `req_id`.
    pub(crate) id: String,
    /// The product, followed by `:` and the agent's name or type where there is one: `agent_id`.
    pub(crate) agent: String,
    /// The type of the agent, or its node in a graph: `graph_node`.
    pub(crate) node: String,
    /// The turn, prompt or parent span: `job_id`.
    pub(crate) turn: String,
    pub(crate) workspace: String,
    pub(crate) user: String,
    pub(crate) tool: String,
    pub(crate) action: String,
    pub(crate) outcome: Outcome,
    /// None: the source does not tell.
    pub(crate) input: Option<Input>,
    /// In bytes.
    pub(crate) out_size: u64,
    /// Of the documented keys, such as `error_type`. Those with an empty value are left out.
    pub(crate) attributes: Vec<(&'static str, String)>,
}

impl Call {
    /// The event of a call that is recorded at `now`.
    pub(crate) fn into_event(self, now: SystemTime) -> event::Event<'static> {
        let duration = self.duration.unwrap_or_default().min(A_YEAR);
        let began = self.began.unwrap_or_else(|| Timestamp::from(now - duration));
        let input = self.input.unwrap_or_default();
        let optional = |text: String| (!text.is_empty()).then(|| text.into());
        let form = if input.is_raw { "raw" } else { "" };
        let attributes = self.attributes.into_iter().chain([("input_form", form.to_owned())]);
        event::Event {
            ts: began.to_string().into(),
            req_id: self.id.into(),
            workspace_id: self.workspace.into(),
            user_id: self.user.into(),
            agent_id: self.agent.into(),
            tool: self.tool.into(),
            action: self.action.into(),
            status: self.outcome.name().into(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            in_size: input.size,
            out_size: self.out_size,
            input_hash: input.hash.into(),
            graph_run_id: optional(self.session),
            graph_node: optional(self.node),
            job_id: optional(self.turn),
            attributes: attributes
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| Attribute::new(key, value))
                .collect(),
        }
    }
}

/// Bytes in hexadecimal, in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// No call takes longer, whatever a source says.
const A_YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_a_time_began_its_duration_before_it_is_recorded() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let call = Call { duration: Some(Duration::from_millis(1500)), ..Call::default() };
        let event = call.clone().into_event(now);
        assert_eq!((event.ts.as_ref(), event.duration_ms), ("2027-01-15T07:59:58.500000Z", 1500));
        let forever = Call { duration: Some(Duration::MAX), ..call }.into_event(now);
        assert_eq!(
            (forever.ts.as_ref(), forever.duration_ms),
            ("2026-01-14T08:00:00.000000Z", 366 * 24 * 3600 * 1000)
        );
    }

    #[test]
    fn what_a_source_does_not_tell_is_absent() {
        let attributes = vec![("model", String::new()), ("mode", "plan".to_owned())];
        let event = Call { attributes, ..Call::default() }.into_event(SystemTime::now());
        assert_eq!((event.graph_run_id, event.job_id, event.status.as_ref()), (None, None, "unknown"));
        assert_eq!(event.attributes, [Attribute::new("mode", "plan")]);
    }
}
