//! Messages in, calls out: pairs requests with what became of them. Knows nothing of streams, and takes the time from outside.

mod answers;
mod ends;
mod pending;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::time::{Instant, SystemTime};

use audit_format::time::Timestamp;
use sha2::{Digest as _, Sha256};

pub(crate) use self::ends::{Closed, Gone};
use self::pending::{Cancelled, Pending, Purpose};
use super::message::{Id, Message, Notification, Page, Peer, Request};
use crate::call::{Call, Outcome, hex};

/// The most requests that wait for their answers. Beyond, the oldest is recorded as `unknown`.
const MAX_PENDING: usize = 10_000;

/// The most sessions that are known at a time.
const MAX_SESSIONS: usize = 10_000;

/// What holds for all calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// `stdio` or `http`.
    pub(crate) mode: &'static str,
    /// Every request is recorded, not only calls of tools.
    pub(crate) all: bool,
    /// A call is also recorded when it begins.
    pub(crate) starts: bool,
    /// The session of calls that belong to none: an identifier of this run.
    pub(crate) run: String,
    /// For calls whose client does not say who it is.
    pub(crate) agent: String,
    pub(crate) workspace: String,
    pub(crate) user: String,
    /// The server, until it says who it is.
    pub(crate) server: String,
}

/// A time by both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) wall: SystemTime,
    pub(crate) at: Instant,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { wall: SystemTime::now(), at: Instant::now() }
    }
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sender {
    Client,
    Server,
}

/// Within what an identifier of a request means one request: a process, a session, or else one exchange over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Channel(u64);

/// Where a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) channel: Channel,
    /// The exchange over HTTP; over stdio, all is one.
    pub(crate) exchange: u64,
}

/// The longest identifier of a session that is kept, in bytes. Of a longer one, the hash is.
const MAX_SESSION: usize = 256;

/// What stands for a session.
fn kept(id: &str) -> Cow<'_, str> {
    if id.len() <= MAX_SESSION {
        return id.into();
    }
    format!("sha256:{}", hex(&Sha256::digest(id.as_bytes()))).into()
}

/// What messages tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Call(Box<Call>),
    /// The server says who it is, for the first time or anew.
    Server(Peer),
    /// A server describes its tools.
    Tools {
        server: Peer,
        page: Page,
    },
}

#[derive(Debug, Default)]
struct ChannelState {
    session: String,
    /// Outlives the exchange that began it.
    is_session: bool,
    /// The server has answered something in this session, and not with an error.
    is_accepted: bool,
    client: String,
}

#[derive(Debug)]
pub(crate) struct Tracker {
    settings: Settings,
    server: Peer,
    /// The server has said itself who it is.
    is_introduced: bool,
    /// The client that began without a session; empty if several did.
    lone_client: Option<String>,
    channels: HashMap<Channel, ChannelState>,
    sessions: HashMap<String, Channel>,
    pending: HashMap<(Channel, Sender, Id), VecDeque<Pending>>,
    /// How many are pending.
    waiting: usize,
    /// Calls for which the server wants input.
    inputs: Vec<Pending>,
    /// Calls that became tasks.
    tasks: HashMap<String, Pending>,
    /// The exchanges whose answer has begun with a status that makes clients ignore a result.
    unsuccessful: HashMap<u64, Closed>,
    /// How many channels there were, and how many requests.
    channel_count: u64,
    request_count: u64,
    found: Vec<Found>,
}

impl Tracker {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            server: Peer { name: settings.server.clone(), version: String::new() },
            settings,
            is_introduced: false,
            lone_client: None,
            channels: HashMap::new(),
            sessions: HashMap::new(),
            pending: HashMap::new(),
            waiting: 0,
            inputs: Vec::new(),
            tasks: HashMap::new(),
            unsuccessful: HashMap::new(),
            channel_count: 0,
            request_count: 0,
            found: Vec::new(),
        }
    }

    /// What was found since the last call.
    pub(crate) fn take(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.found)
    }

    /// A channel for one process, or for one exchange over HTTP without a session.
    pub(crate) fn channel(&mut self) -> Channel {
        let session = self.settings.run.clone();
        self.add_channel(ChannelState { session, ..ChannelState::default() })
    }

    /// The channel of a session over HTTP.
    pub(crate) fn session(&mut self, id: &str) -> Channel {
        let id = &*kept(id);
        if let Some(channel) = self.sessions.get(id) {
            return *channel;
        }
        if self.sessions.len() >= MAX_SESSIONS {
            self.forget_sessions();
        }
        let channel =
            self.add_channel(ChannelState { session: id.to_owned(), is_session: true, ..Default::default() });
        self.sessions.insert(id.to_owned(), channel);
        channel
    }

    /// The answer to what was asked in `channel` began a session.
    pub(crate) fn begin_session(&mut self, channel: Channel, id: &str) {
        let client = self.channels.get(&channel).map(|state| state.client.clone()).unwrap_or_default();
        let session = self.session(id);
        self.accept_session(session);
        if let Some(state) = self.channels.get_mut(&session).filter(|_| !client.is_empty()) {
            state.client = client;
        }
    }

    /// The server knows the session.
    pub(crate) fn accept_session(&mut self, channel: Channel) {
        if let Some(state) = self.channels.get_mut(&channel) {
            state.is_accepted = true;
        }
    }

    fn add_channel(&mut self, state: ChannelState) -> Channel {
        self.channel_count += 1;
        let channel = Channel(self.channel_count);
        self.channels.insert(channel, state);
        channel
    }

    /// Takes a message.
    pub(crate) fn message(&mut self, place: Place, sender: Sender, message: Message, now: Moment) {
        match message {
            Message::Request(request) => self.request(place, sender, request, now),
            Message::Response(response) => self.response(place, sender, response, now),
            Message::Notification(Notification::Cancelled { id: Some(id), is_timeout }) => {
                let outcome = if is_timeout { Outcome::Timeout } else { Outcome::Cancelled };
                let pending = self.pending.get_mut(&(place.channel, sender, id));
                if let Some(pending) = pending.and_then(|all| all.back_mut()) {
                    pending.cancelled.get_or_insert(Cancelled { at: now.at, outcome });
                }
            }
            Message::Notification(Notification::Task(task)) => self.task_is(task, now),
            Message::Notification(_) => {}
        }
    }

    fn request(&mut self, place: Place, sender: Sender, request: Request, now: Moment) {
        if sender == Sender::Client && request.method == "initialize" {
            self.client_is(place.channel, &request.client.to_string());
        }
        let purpose = Purpose::of(&request);
        let is_call = purpose == Purpose::Call && sender == Sender::Client;
        let is_recorded = is_call || self.settings.all;
        if !is_recorded && purpose == Purpose::Other {
            return;
        }
        let resumed = if is_call { self.take_input(&request) } else { None };
        let is_new = resumed.is_none();
        let mut pending = resumed.unwrap_or_else(|| self.begin(place, sender, &request, now));
        (pending.exchange, pending.purpose) = (place.exchange, purpose);
        pending.is_recorded = is_recorded;
        if is_new && is_recorded && self.settings.starts {
            let started = Call { outcome: Outcome::Started, ..pending.call.clone() };
            self.record(started);
        }
        let Some(id) = request.id else {
            // Nothing ever tells how it ended.
            self.finish(pending, Outcome::Unknown, "", 0, now);
            return;
        };
        self.make_room(now);
        self.pending.entry((place.channel, sender, id)).or_default().push_back(pending);
        self.waiting += 1;
    }

    fn client_is(&mut self, channel: Channel, client: &str) {
        let Some(state) = self.channels.get_mut(&channel) else { return };
        state.client = client.to_owned();
        if !state.is_session {
            let is_other = |known: &String| known != client;
            let several = self.lone_client.as_ref().is_some_and(is_other);
            self.lone_client = Some(if several { String::new() } else { client.to_owned() });
        }
    }

    /// A request that begins a call.
    fn begin(&mut self, place: Place, sender: Sender, request: &Request, now: Moment) -> Pending {
        self.request_count += 1;
        let state = self.channels.get(&place.channel);
        let session = state.map(|state| state.session.clone()).unwrap_or_default();
        let known = state.map(|state| state.client.as_str()).unwrap_or_default();
        let lone = self.lone_client.as_deref().unwrap_or_default();
        let said = request.client.to_string();
        let agents = [said.as_str(), known, lone, self.settings.agent.as_str()];
        let agent = agents.into_iter().find(|agent| !agent.is_empty()).unwrap_or_default();
        let is_call = request.method == "tools/call";
        let (trace, span) = request.trace.clone().unwrap_or_default();
        let id = request.id.as_ref().map_or("", Id::json);
        let call = Call {
            began: Some(Timestamp::from(now.wall)),
            // An identifier may be used again, once it was answered.
            id: format!("{session}/{}/{id}", self.request_count),
            session,
            agent: agent.to_owned(),
            workspace: self.settings.workspace.clone(),
            user: self.settings.user.clone(),
            tool: if is_call { &request.name } else { &request.method }.clone(),
            action: request.method.clone(),
            input: request.input.clone(),
            attributes: vec![
                ("source", "mcp".into()),
                ("mode", self.settings.mode.into()),
                ("sender", if sender == Sender::Server { "server".into() } else { String::new() }),
                ("trace_id", trace),
                ("span_id", span),
            ],
            ..Call::default()
        };
        Pending::new(call, request, self.request_count, now)
    }

    /// What holds for an event that is no call.
    pub(crate) fn no_call(&self) -> Call {
        Call {
            session: self.settings.run.clone(),
            workspace: self.settings.workspace.clone(),
            user: self.settings.user.clone(),
            ..Call::default()
        }
    }

    fn record(&mut self, mut call: Call) {
        call.attributes.push(("server", self.server.to_string()));
        self.found.push(Found::Call(Box::new(call)));
    }

    /// Records how a call ended.
    fn finish(&mut self, pending: Pending, outcome: Outcome, error: &str, out_size: u64, now: Moment) {
        if !pending.is_recorded {
            return;
        }
        let mut call = pending.call;
        call.outcome = outcome;
        call.duration = Some(now.at.saturating_duration_since(pending.began));
        call.out_size = out_size;
        call.attributes.push(("error_type", error.to_owned()));
        call.attributes.push(("http_status", pending.http_status));
        self.record(call);
    }

    fn make_room(&mut self, now: Moment) {
        if self.waiting < MAX_PENDING {
            return;
        }
        let number = |(_, all): &(_, &VecDeque<Pending>)| all.front().map(|pending| pending.number);
        let oldest = self.pending.iter().min_by_key(number).map(|(key, _)| key.clone());
        if let Some(pending) = oldest.and_then(|key| self.pop(&key, 0)) {
            self.finish(pending, Outcome::Unknown, "too_many", 0, now);
        }
    }

    /// The request with this identifier that waits in this exchange; else in one that has ended, and which another resumes; else
    /// the first.
    fn pop(&mut self, key: &(Channel, Sender, Id), exchange: u64) -> Option<Pending> {
        let all = self.pending.get_mut(key)?;
        let is_of = |pending: &Pending| exchange != 0 && pending.exchange == exchange;
        let has_ended = |pending: &Pending| exchange != 0 && pending.settled.is_some();
        let at = all.iter().position(is_of).or_else(|| all.iter().position(has_ended)).unwrap_or(0);
        let pending = all.remove(at);
        if all.is_empty() {
            self.pending.remove(key);
        }
        self.waiting -= usize::from(pending.is_some());
        pending
    }
}
