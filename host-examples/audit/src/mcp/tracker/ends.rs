//! The ends of calls that no answer tells: refused, cancelled for good, lost with their exchange, their session or a peer.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::pending::{Cancelled, Pending, Settled};
use super::{Channel, ChannelState, Id, Moment, Place, Sender, Tracker, kept};
use crate::call::Outcome;

/// How long an answer may still come to a call that was cancelled, and to an exchange that a client may resume.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// How long a client may take to fetch a result that is there, or that is lost with its exchange.
const FETCH_WAIT: Duration = Duration::from_secs(60);

/// How long a person may take to give the input that a server wants.
const INPUT_WAIT: Duration = Duration::from_secs(24 * 3600);

/// How many sessions make room at a time.
const FORGOTTEN_AT_ONCE: usize = 100;

/// Why no more answers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Server,
    Client,
}

/// How an exchange over HTTP ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The server has said all that it had to say.
    ByServer,
    /// The client did not wait for the rest.
    ByClient,
    /// The connection broke, or never was.
    Broken,
    /// The server answered with this status, which is no success.
    Status(u16),
    /// The server has taken the request, and answers elsewhere (the status 202).
    Accepted,
}

impl Tracker {
    /// Does what is due. To be called every few seconds.
    pub(crate) fn tick(&mut self, now: Moment) {
        let late = |since: Instant, wait: Duration| now.at.saturating_duration_since(since) >= wait;
        let is_over = |pending: &Pending| {
            pending.cancelled.is_some_and(|cancelled| late(cancelled.at, ANSWER_WAIT))
                || pending.settled.as_ref().is_some_and(|settled| late(settled.at, FETCH_WAIT))
        };
        for pending in self.take_pending(|_, pending| is_over(pending)) {
            self.end(pending, Outcome::Lost, "", now);
        }
        let ids: Vec<String> =
            self.tasks.iter().filter(|(_, task)| is_over(task)).map(|(id, _)| id.clone()).collect();
        for task in ids.iter().filter_map(|id| self.tasks.remove(id)).collect::<Vec<_>>() {
            self.end(task, Outcome::Unknown, "task", now);
        }
        let is_left = |pending: &mut Pending| {
            pending.settled.as_ref().is_some_and(|settled| late(settled.at, INPUT_WAIT))
        };
        for pending in self.inputs.extract_if(.., is_left).collect::<Vec<_>>() {
            self.end(pending, Outcome::Unknown, "input_required", now);
        }
    }

    /// Something that was sent in a channel could not be observed.
    pub(crate) fn missed(&mut self, channel: Channel) {
        for ((of, ..), all) in &mut self.pending {
            if *of == channel {
                all.iter_mut().for_each(|pending| pending.may_be_answered = true);
            }
        }
    }

    /// Whether any request waits for its answer.
    #[cfg(test)]
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// All has ended.
    pub(crate) fn end_all(&mut self, gone: Gone, now: Moment) {
        let error = gone.error();
        for pending in self.take_pending(|_, _| true) {
            self.end(pending, Outcome::Lost, error, now);
        }
        for (_, task) in std::mem::take(&mut self.tasks) {
            match gone {
                Gone::Server => self.end(task, Outcome::Lost, error, now),
                Gone::Client => self.end(task, Outcome::Unknown, "task", now),
            }
        }
        for pending in std::mem::take(&mut self.inputs) {
            self.end(pending, Outcome::Unknown, "input_required", now);
        }
    }

    /// The answer of an exchange over HTTP begins with a status by which it will end so.
    pub(crate) fn answer_begins(&mut self, place: Place, closed: Closed) {
        self.unsuccessful.insert(place.exchange, closed);
    }

    /// An exchange over HTTP has ended.
    pub(crate) fn end_exchange(&mut self, place: Place, closed: Closed, now: Moment) {
        self.unsuccessful.remove(&place.exchange);
        let is_of = |pending: &Pending| pending.exchange == place.exchange;
        // In a session, the answer may still come in another exchange, which resumes this one.
        let resumes =
            self.channels.get(&place.channel).is_some_and(|state| state.is_session && state.is_accepted)
                && matches!(closed, Closed::ByServer | Closed::ByClient | Closed::Accepted);
        if resumes {
            for pending in self.pending.values_mut().flatten().filter(|pending| is_of(pending)) {
                pending.settled = Some(Settled { at: now.at, outcome: Outcome::Lost, error: closed.error() });
            }
            return;
        }
        for mut pending in self.take_pending(|_, pending| is_of(pending)) {
            let outcome = match closed {
                Closed::ByClient if pending.is_modern => Outcome::Cancelled,
                Closed::ByClient | Closed::ByServer => Outcome::Lost,
                Closed::Status(408 | 504) => Outcome::Timeout,
                Closed::Broken | Closed::Status(_) => Outcome::Error,
                Closed::Accepted => Outcome::Unknown,
            };
            if let Closed::Status(status) = closed {
                pending.http_status = status.to_string();
            }
            let error = if outcome == Outcome::Cancelled { "" } else { closed.error() };
            self.end(pending, outcome, error, now);
        }
        self.forget_unless_accepted(place.channel);
    }

    /// A session over HTTP has ended.
    pub(crate) fn end_session(&mut self, id: &str, now: Moment) {
        let Some(channel) = self.sessions.remove(&*kept(id)) else { return };
        for pending in self.take_pending(|of, _| of == channel) {
            self.end(pending, Outcome::Lost, Gone::Client.error(), now);
        }
        self.channels.remove(&channel);
    }

    /// A request that was taken may not happen: nothing was sent to the server.
    pub(crate) fn refuse(&mut self, place: Place, id: &Id, now: Moment) {
        let key = (place.channel, Sender::Client, id.clone());
        let Some(all) = self.pending.get_mut(&key) else { return };
        let Some(pending) = all.pop_back() else { return };
        self.waiting -= 1;
        if all.is_empty() {
            self.pending.remove(&key);
        }
        self.finish(pending, Outcome::Denied, "not_recorded", 0, now);
    }

    /// An exchange has ended, in what is no session, or in one that the server does not know: anybody may send any identifier.
    fn forget_unless_accepted(&mut self, channel: Channel) {
        let is_over = |state: &&ChannelState| !(state.is_session && state.is_accepted);
        let Some(state) = self.channels.get(&channel).filter(is_over) else { return };
        if self.sessions.get(&state.session) == Some(&channel) {
            self.sessions.remove(&state.session);
        }
        self.channels.remove(&channel);
    }

    /// The sessions that began the longest ago, and in which nothing waits, make room for others.
    pub(super) fn forget_sessions(&mut self) {
        let waiting: HashSet<Channel> = self.pending.keys().map(|(of, ..)| *of).collect();
        let idle = self.sessions.iter().filter(|(_, channel)| !waiting.contains(channel));
        let mut idle: Vec<(Channel, String)> = idle.map(|(id, channel)| (*channel, id.clone())).collect();
        // Several at once, so that not every new session has to look at all.
        let number = idle.len().min(FORGOTTEN_AT_ONCE);
        if number < idle.len() {
            idle.select_nth_unstable_by_key(number, |(channel, _)| channel.0);
        }
        for (channel, id) in idle.into_iter().take(number) {
            self.sessions.remove(&id);
            self.channels.remove(&channel);
        }
    }

    /// Ends a call without an answer: in the way that is known, else as said.
    fn end(&mut self, pending: Pending, otherwise: Outcome, error: &str, now: Moment) {
        if let Some(Cancelled { at, outcome }) = pending.cancelled {
            self.finish(pending, outcome, "", 0, Moment { at, ..now });
        } else if let Some(Settled { at, outcome, error }) = pending.settled.clone() {
            self.finish(pending, outcome, error, 0, Moment { at, ..now });
        } else if pending.may_be_answered {
            self.finish(pending, Outcome::Unknown, "not_observed", 0, now);
        } else {
            self.finish(pending, otherwise, error, 0, now);
        }
    }

    /// Takes the requests out that are chosen, the oldest first.
    fn take_pending(&mut self, is_chosen: impl Fn(Channel, &Pending) -> bool) -> Vec<Pending> {
        let mut taken = Vec::new();
        for ((channel, ..), all) in &mut self.pending {
            if !all.iter().any(|pending| is_chosen(*channel, pending)) {
                continue;
            }
            let (chosen, left): (Vec<_>, Vec<_>) =
                all.drain(..).partition(|pending| is_chosen(*channel, pending));
            all.extend(left);
            taken.extend(chosen);
        }
        self.pending.retain(|_, all| !all.is_empty());
        self.waiting -= taken.len();
        taken.sort_by_key(|pending| pending.number);
        taken
    }
}

impl Gone {
    fn error(self) -> &'static str {
        match self {
            Self::Server => "server_ended",
            Self::Client => "client_left",
        }
    }
}

impl Closed {
    fn error(self) -> &'static str {
        match self {
            Self::ByServer => "server_ended",
            Self::ByClient => "client_left",
            Self::Broken | Self::Status(_) => "transport",
            Self::Accepted => "answered_elsewhere",
        }
    }
}
