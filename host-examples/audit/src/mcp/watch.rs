//! What is done with messages, whichever way they came: they are tracked, and what they tell is recorded.

use std::sync::{Mutex, MutexGuard, PoisonError};

use audit_format::time::Timestamp;

use super::message::{Id, Message, Messages, Page, Peer, sketcher};
use super::recorder::Recorder;
use super::strict::{self, Checked};
use super::tools::{Compared, Definitions};
use super::tracker::{Found, Moment, Place, Sender, Tracker};
use crate::call::input::{Hasher, Input};
use crate::call::sketch::{NotJson, Sketch, Sketcher};
use crate::call::{Call, Outcome};
use crate::mask::masked;
use crate::message::{shortened, warn};

/// The JSON-RPC code of a request that was refused, because it could not be recorded. It is none of those that JSON-RPC
/// or MCP reserve.
const NOT_RECORDED: i32 = -31_000;

/// The JSON-RPC code of what is no JSON.
const PARSE_ERROR: i32 = -32_700;

/// How much of a name that a peer has chosen a warning shows, in bytes.
const MAX_TOLD: usize = 200;

pub(super) struct Watch {
    tracker: Mutex<Tracker>,
    recorder: Recorder,
    /// None: there is no folder to keep them in.
    definitions: Option<Definitions>,
    hasher: Hasher,
    all: bool,
    mode: &'static str,
}

impl Watch {
    pub(super) fn new(
        tracker: Tracker,
        recorder: Recorder,
        definitions: Option<Definitions>,
        hasher: Hasher,
        (mode, all): (&'static str, bool),
    ) -> Self {
        Self { tracker: Mutex::new(tracker), recorder, definitions, hasher, all, mode }
    }

    pub(super) fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sketcher(&self) -> Sketcher {
        sketcher(&self.hasher, self.all)
    }

    /// Takes a text that was sent. False: it is no JSON.
    pub(super) fn text(
        &self,
        place: Place,
        sender: Sender,
        text: Result<Sketch, NotJson>,
        now: Moment,
    ) -> bool {
        let Ok(messages) = Messages::of(text) else { return false };
        if messages.left_out > 0 {
            warn(format_args!("a batch was too long: {} messages were not observed", messages.left_out));
        }
        self.track(|tracker| {
            for message in messages.all {
                tracker.message(place, sender, message, now);
            }
            if messages.left_out > 0 {
                tracker.missed(place.channel);
            }
        });
        true
    }

    /// Has the tracker do something, and records what it then found.
    pub(super) fn track(&self, work: impl FnOnce(&mut Tracker)) {
        let found = {
            let mut tracker = self.tracker();
            work(&mut tracker);
            tracker.take()
        };
        found.into_iter().for_each(|found| self.found(found));
    }

    fn found(&self, found: Found) {
        match found {
            Found::Call(call) => self.recorder.record(*call),
            Found::Server(server) => self.introduced(&server),
            Found::Tools { server, page } => self.listed(&server, &page),
        }
    }

    /// Writes what is known of the server's tools, if that is due.
    pub(super) fn remember(&self) {
        if let Some(Err(error)) = self.definitions.as_ref().map(Definitions::flush) {
            warn(format_args!("what is known of the server's tools cannot be kept: {error}"));
        }
    }

    fn introduced(&self, server: &Peer) {
        let Some(before) = self.definitions.as_ref().and_then(|known| known.introduced(&server.name)) else {
            return;
        };
        warn(format_args!("the server calls itself {}, and called itself {before} before", server.name));
        self.changed(
            server,
            "initialize",
            server.name.clone(),
            Input::default(),
            ("previous_server", before),
        );
    }

    fn listed(&self, server: &Peer, page: &Page) {
        let Some(definitions) = &self.definitions else { return };
        let Compared { changes, problems } = definitions.listed(page);
        for problem in problems {
            warn(format_args!("the tools of {server}: {problem}"));
        }
        for change in changes {
            let what =
                if change.before.is_empty() { "is new" } else { "has changed since it was last listed" };
            let (name, of) = (shortened(&change.tool, MAX_TOLD), server.to_string());
            warn(format_args!("the tool {name} of {} {what}", shortened(&of, MAX_TOLD)));
            let hash = Input { hash: change.hash, ..Input::default() };
            self.changed(server, "tools/list", change.tool, hash, ("previous_hash", change.before));
        }
    }

    /// Records that a server is not what it was.
    fn changed(
        &self,
        server: &Peer,
        action: &str,
        tool: String,
        hash: Input,
        before: (&'static str, String),
    ) {
        self.recorder.record(Call {
            tool,
            action: action.into(),
            outcome: Outcome::Changed,
            input: (!hash.hash.is_empty()).then_some(hash),
            attributes: vec![
                ("source", "mcp".into()),
                ("mode", self.mode.into()),
                ("server", server.to_string()),
                before,
            ],
            ..self.tracker().no_call()
        });
    }

    /// Records what a text of the client begins, before it may go on to the server. Else the answer for the client, which
    /// is empty if it waits for none. `whole` is the text, unless it is too long to be held.
    pub(super) fn admit(
        &self,
        place: Place,
        text: Result<Sketch, NotJson>,
        whole: Option<&[u8]>,
        problem: Option<&str>,
        now: Moment,
    ) -> Result<(), Vec<u8>> {
        let checked = whole.map_or_else(|| Ok(Checked::default()), strict::check);
        let (Ok(messages), Ok(checked)) = (Messages::of(text), checked) else {
            self.refused_whole(whole, now);
            warn("a message of the client was not passed on: it is no JSON");
            return Err(error("null", PARSE_ERROR, "the message is no JSON, and cannot be recorded"));
        };
        let known: Vec<Id> = messages.all.iter().filter_map(request).cloned().collect();
        let is_batch = messages.is_batch;
        let too_long = (messages.left_out > 0).then_some("there are too many messages in the batch");
        let (starts, found) = self.begin(place, messages, now);
        let is_nameless = starts.is_empty();
        let recorded = match problem.or(checked.problem.as_deref()).or(too_long) {
            Some(problem) => Err(problem.to_owned()),
            None => self.recorder.record_first(starts).map_err(|failure| failure.into_text()),
        };
        found.into_iter().for_each(|found| self.found(found));
        let Err(reason) = recorded else { return Ok(()) };
        let reason = format!("the call was not made, because it could not be recorded: {}", masked(&reason));
        warn(&reason);
        self.track(|tracker| known.iter().for_each(|id| tracker.refuse(place, id, now)));
        if is_nameless {
            self.refused_whole(whole, now);
        }
        let requests = if whole.is_some() {
            checked.requests
        } else {
            known.iter().map(|id| id.json().to_owned()).collect()
        };
        Err(answers(&requests, is_batch, &reason))
    }

    /// Has the tracker take the messages. Returns the calls that begin, and what else was found.
    fn begin(&self, place: Place, messages: Messages, now: Moment) -> (Vec<Call>, Vec<Found>) {
        let mut tracker = self.tracker();
        for message in messages.all {
            tracker.message(place, Sender::Client, message, now);
        }
        let mut starts = Vec::new();
        let mut found = tracker.take();
        found.retain(|found| match found {
            Found::Call(call) if call.outcome == Outcome::Started => {
                starts.push(call.as_ref().clone());
                false
            }
            _ => true,
        });
        (starts, found)
    }

    /// Records that a text was refused of which nobody can say what it calls.
    fn refused_whole(&self, whole: Option<&[u8]>, now: Moment) {
        self.recorder.record(Call {
            began: Some(Timestamp::from(now.wall)),
            outcome: Outcome::Denied,
            input: whole.map(|whole| self.hasher.input(whole)),
            attributes: vec![
                ("source", "mcp".into()),
                ("mode", self.mode.into()),
                ("error_type", "not_understood".into()),
            ],
            ..self.tracker().no_call()
        });
    }
}

/// The identifier of a request that waits for an answer.
fn request(message: &Message) -> Option<&Id> {
    match message {
        Message::Request(request) => request.id.as_ref(),
        _ => None,
    }
}

/// The answers to requests that were refused, by their identifiers as they came.
fn answers(requests: &[String], is_batch: bool, reason: &str) -> Vec<u8> {
    let all: Vec<Vec<u8>> = requests.iter().map(|id| error(id, NOT_RECORDED, reason)).collect();
    if is_batch && !all.is_empty() { [b"[", &all.join(&b","[..])[..], b"]"].concat() } else { all.concat() }
}

/// The answer to a request that was refused.
fn error(id: &str, code: i32, text: &str) -> Vec<u8> {
    let text = serde_json::Value::from(text);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{text}}}}}"#).into_bytes()
}
