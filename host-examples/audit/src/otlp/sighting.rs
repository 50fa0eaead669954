//! A sighting: what one span or log record tells of a call. Several of them can be of the same call, and become one event.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use audit_format::time::Timestamp;

use super::read::{SpanId, TraceId};
use crate::call::input::Input;
use crate::call::recent::Key;
use crate::call::{Call, Outcome, hex};

/// From where a call was seen. What stands first saw it from farther outside, and knows more of its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Vantage {
    /// A span of `execute_tool`.
    Execute,
    OpenInference,
    Traceloop,
    LangSmith,
    GeminiSpan,
    /// The log record of a result.
    Log,
    /// The log record of a decision.
    Decision,
    McpClient,
    McpServer,
}

impl Vantage {
    pub(super) fn is_mcp(self) -> bool {
        matches!(self, Self::McpClient | Self::McpServer)
    }
}

/// What one span or log record tells. A text that it does not tell is empty.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) vantage: Vantage,
    /// What tells this span or log record from all others.
    pub(super) own: u64,
    pub(super) trace: Option<TraceId>,
    /// Of a log record: the span that was open.
    pub(super) span: Option<SpanId>,
    pub(super) parent: Option<SpanId>,
    /// In nanoseconds since 1970; 0 is none.
    pub(super) time: u64,
    pub(super) duration: Option<Duration>,
    pub(super) outcome: Outcome,
    pub(super) input: Option<Input>,
    pub(super) out_size: Option<u64>,
    pub(super) texts: Texts,
}

/// Texts of which each is in memory once: what a resource tells is told of each of its calls.
#[derive(Debug, Default)]
pub(super) struct Shared {
    texts: HashSet<Arc<str>>,
    /// The bytes of all of them.
    pub(super) len: usize,
}

impl Shared {
    fn share(&mut self, text: &mut Arc<str>) {
        if text.is_empty() {
            return;
        }
        match self.texts.get(&**text) {
            Some(shared) => *text = Arc::clone(shared),
            None => {
                self.len += text.len();
                self.texts.insert(Arc::clone(text));
            }
        }
    }
}

macro_rules! texts {
    ($($(#[$about:meta])* $name:ident,)*) => {
        /// The texts of a sighting.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(super) struct Texts {
            $($(#[$about])* pub(super) $name: Arc<str>,)*
        }

        impl Texts {
            /// Takes over what it does not have.
            pub(super) fn complete(&mut self, other: Self) {
                $(if self.$name.is_empty() {
                    self.$name = other.$name;
                })*
            }

            /// Lets equal texts be the same one in memory.
            pub(super) fn share(&mut self, shared: &mut Shared) {
                $(shared.share(&mut self.$name);)*
            }

            /// How many bytes they have.
            pub(super) fn len(&self) -> usize {
                0 $(+ self.$name.len())*
            }
        }
    };
}

texts! {
    tool,
    /// The method of MCP.
    method,
    call_id,
    /// The identifier of the request in its session of MCP.
    request_id,
    mcp_session,
    conversation,
    agent_id,
    agent_name,
    /// The name of the program.
    service,
    version,
    user,
    workspace,
    /// The turn or prompt.
    turn,
    error_type,
    model,
    server,
    decision,
    decision_source,
    mode,
}

/// What is recorded where no span or log record tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) workspace: String,
    pub(super) agent: String,
    pub(super) user: String,
}

impl Sighting {
    pub(super) fn new(vantage: Vantage) -> Self {
        Self {
            vantage,
            own: 0,
            trace: None,
            span: None,
            parent: None,
            time: 0,
            duration: None,
            outcome: Outcome::Unknown,
            input: None,
            out_size: None,
            texts: Texts::default(),
        }
    }

    /// Whether it is a span, and no log record.
    pub(super) fn is_span(&self) -> bool {
        !matches!(self.vantage, Vantage::Log | Vantage::Decision)
    }

    /// What the call is found by for others that record the calls of an agent, such as its hooks: they know the session and the
    /// identifier that its log records have. An identifier can be used again: what the log record tells makes it another call.
    /// None: nobody else sees it.
    pub(super) fn key(sightings: &[Self]) -> Option<Key> {
        let known = |sighting: &&Self| {
            let texts = &sighting.texts;
            !sighting.is_span() && !texts.conversation.is_empty() && !texts.call_id.is_empty()
        };
        let log = sightings.iter().filter(known).min_by_key(|sighting| sighting.vantage)?;
        let Self { texts, time, duration, input, .. } = log;
        let (time, duration) = (time.to_string(), duration.unwrap_or_default().as_nanos().to_string());
        let hash = input.as_ref().map_or("", |input| &input.hash);
        let key = Key::of_call(&texts.conversation, &texts.call_id, false);
        Some(key.with_contents(&[&texts.tool, &time, &duration, hash]))
    }

    /// The call of these sightings, which are of the same one. None: there is none.
    pub(super) fn call(mut sightings: Vec<Self>, defaults: &Defaults) -> Option<Call> {
        sightings.sort_by_key(|sighting| sighting.vantage);
        // The times of a span are those of the call. A log record is written when the call has ended.
        let timed = sightings.iter().find(|sighting| sighting.is_span() && sighting.time > 0);
        let timed = timed.or_else(|| sightings.iter().find(|sighting| sighting.time > 0));
        let began = timed.map(|sighting| at(sighting.time));
        let duration = timed
            .and_then(|sighting| sighting.duration)
            .or_else(|| sightings.iter().find_map(|sighting| sighting.duration));
        let outcome =
            sightings.iter().map(|sighting| sighting.outcome).max_by_key(|outcome| weight(*outcome));
        let mut sightings = sightings.into_iter();
        let mut all = sightings.next()?;
        for next in sightings {
            all.trace = all.trace.or(next.trace);
            if all.span.is_none() {
                (all.span, all.parent) = (next.span, next.parent);
            }
            // A size alone gives way to a hash.
            if all.input.as_ref().is_none_or(|input| input.hash.is_empty()) {
                all.input = next.input.filter(|input| !input.hash.is_empty()).or(all.input);
            }
            all.out_size = all.out_size.or(next.out_size);
            all.texts.complete(next.texts);
        }
        Some(Call { began, duration, outcome: outcome.unwrap_or_default(), ..all.described(defaults) })
    }

    fn described(self, defaults: &Defaults) -> Call {
        let trace = self.trace.map(|id| hex(&id)).unwrap_or_default();
        let span = self.span.map(|id| hex(&id)).unwrap_or_default();
        let parent = self.parent.map(|id| hex(&id)).unwrap_or_default();
        let texts = self.texts;
        let agent = first([&texts.agent_id, &texts.agent_name, &defaults.agent, &texts.service]);
        Call {
            began: None,
            duration: None,
            session: first([&texts.conversation, &texts.mcp_session, &trace]),
            id: first([&texts.call_id, &span, &texts.request_id]),
            agent,
            node: texts.agent_name.to_string(),
            turn: first([&texts.turn, &parent]),
            workspace: first([&texts.workspace, &defaults.workspace]),
            user: first([&texts.user, &defaults.user]),
            tool: texts.tool.to_string(),
            action: if texts.method.is_empty() { "call".into() } else { texts.method.to_string() },
            outcome: self.outcome,
            input: self.input,
            out_size: self.out_size.unwrap_or_default(),
            attributes: vec![
                ("source", "otlp".into()),
                ("source_version", texts.version.to_string()),
                ("mode", texts.mode.to_string()),
                ("decision", texts.decision.to_string()),
                ("decision_source", texts.decision_source.to_string()),
                ("error_type", texts.error_type.to_string()),
                ("model", texts.model.to_string()),
                ("server", texts.server.to_string()),
                ("trace_id", trace),
                ("span_id", span),
            ],
        }
    }
}

/// Of two sightings that tell something else, the one that tells of the greater trouble is right: what failed is never `ok`.
fn weight(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Denied => 6,
        Outcome::Cancelled => 5,
        Outcome::Timeout => 4,
        Outcome::Error => 3,
        Outcome::Ok => 2,
        _ => 1,
    }
}

/// The outcome that an error of this type is. Instrumentations name errors as their languages do, such as `TimeoutError`.
pub(super) fn outcome_of_error(error_type: &str) -> Outcome {
    let plain: String = error_type.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| plain.contains(part));
    if has(&["timeout", "timedout", "deadlineexceeded"]) {
        Outcome::Timeout
    } else if has(&["cancel"])
        || ["aborterror", "aborted", "interrupted", "keyboardinterrupt"].contains(&plain.as_str())
    {
        Outcome::Cancelled
    } else if ["permissiondenied", "denied", "rejected", "toolrejected", "userrejected"]
        .contains(&plain.as_str())
    {
        Outcome::Denied
    } else {
        Outcome::Error
    }
}

fn first<const N: usize>(texts: [&str; N]) -> String {
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned()
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH.checked_add(Duration::from_nanos(nanos)).unwrap_or_else(SystemTime::now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(vantage: Vantage, outcome: Outcome) -> Sighting {
        Sighting { outcome, ..Sighting::new(vantage) }
    }

    fn call(sightings: Vec<Sighting>) -> Call {
        Sighting::call(sightings, &Defaults::default()).unwrap()
    }

    #[test]
    fn what_failed_for_one_who_saw_it_is_never_ok() {
        use Outcome::{Cancelled, Denied, Error, Ok, Timeout, Unknown};
        for (one, other, expected) in [
            (Ok, Error, Error),
            (Unknown, Ok, Ok),
            (Error, Timeout, Timeout),
            (Ok, Cancelled, Cancelled),
            (Denied, Error, Denied),
            (Unknown, Unknown, Unknown),
        ] {
            for [one, other] in [[one, other], [other, one]] {
                let both = vec![seen(Vantage::McpServer, one), seen(Vantage::Execute, other)];
                assert_eq!(call(both).outcome, expected, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn the_outermost_span_says_when_and_who_and_others_what_it_does_not_say() {
        let mut execute = seen(Vantage::Execute, Outcome::Ok);
        execute.time = 1_000_000_000;
        execute.duration = Some(Duration::from_millis(50));
        execute.texts.agent_name = "planner".into();
        execute.input = Some(Input { size: 7, ..Input::default() });
        let mut server = seen(Vantage::McpServer, Outcome::Ok);
        server.time = 1_010_000_000;
        server.duration = Some(Duration::from_millis(30));
        server.texts.agent_name = "server".into();
        server.texts.method = "tools/call".into();
        server.input = Some(Input { size: 5, hash: "ab".into(), is_raw: false });
        server.out_size = Some(9);
        let mut log = seen(Vantage::Log, Outcome::Ok);
        log.time = 1_060_000_000;
        log.texts.user = "ann@example.org".into();
        let call = call(vec![log, server.clone(), execute]);
        assert_eq!(call.began.map(|began| began.to_string()).as_deref(), Some("1970-01-01T00:00:01.000000Z"));
        assert_eq!(call.duration, Some(Duration::from_millis(50)));
        assert_eq!((call.agent.as_str(), call.action.as_str()), ("planner", "tools/call"));
        assert_eq!((call.user.as_str(), call.out_size), ("ann@example.org", 9));
        assert_eq!(call.input, server.input);
    }

    #[test]
    fn errors_are_told_apart_by_their_type() {
        for (error_type, expected) in [
            ("timeout", Outcome::Timeout),
            ("java.net.SocketTimeoutException", Outcome::Timeout),
            ("DEADLINE_EXCEEDED", Outcome::Timeout),
            ("asyncio.CancelledError", Outcome::Cancelled),
            ("AbortError", Outcome::Cancelled),
            ("permission_denied", Outcome::Denied),
            // The tool was let run, and then may not open a file.
            ("PermissionError", Outcome::Error),
            ("tool_error", Outcome::Error),
            ("_OTHER", Outcome::Error),
        ] {
            assert_eq!(outcome_of_error(error_type), expected, "{error_type}");
        }
    }
}
