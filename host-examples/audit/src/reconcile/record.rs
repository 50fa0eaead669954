//! What of the calls is in the record.
//!
//! Of each event that is the end of a call, a few numbers are kept in memory, so that memory grows with the number of events
//! and not with their size.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use audit_format::event::Event;
use audit_format::line::{Parsed, known_by};
use audit_format::query;
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use audit_host::{Error, Filter, Instance, Order, PageRequest};

use super::agents::Agent;
use super::names::Name;
use super::period::Within;

/// How many events are read at once.
const PAGE: u32 = 50_000;

/// An identifier whose last part has so many bytes is made by a provider for this call alone, so that a session that has it
/// too may be a copy. `functions.Bash:0` is the first call of any answer, and `call_0` too.
const UNIQUE_ID: usize = 16;

fn is_unique(id: &str) -> bool {
    id.rsplit([':', '.']).next().is_some_and(|last| last.len() >= UNIQUE_ID)
}

/// A hash. Two that differ by accident only are equal in one of 2^128 pairs.
type Key = u128;

#[derive(Default)]
struct Keys(RandomState, RandomState);

impl Keys {
    fn of(&self, parts: &[&str]) -> Key {
        (Key::from(self.0.hash_one(parts)) << 64) | Key::from(self.1.hash_one(parts))
    }

    /// The key of all calls with an identifier: of the session too, unless it is unique.
    fn of_id(&self, session: &str, id: &str) -> Key {
        let session = if is_unique(id) { "" } else { session };
        self.of(&[&known_by(session), &known_by(id)])
    }

    fn of_arguments(&self, session: &str, hash: &str) -> Key {
        self.of(&["arguments", &known_by(session), hash])
    }

    /// The key of a call: of two that differ in it, none is a copy of the other.
    fn of_call(&self, call: &Event<'_>) -> Key {
        let session = if is_unique(&call.req_id) { "" } else { session(call) };
        let texts = [session, &call.req_id, &call.tool, &call.action, &call.input_hash].map(known_by);
        self.of(&texts.each_ref().map(|text| &**text))
    }
}

fn session<'e>(event: &'e Event<'_>) -> &'e str {
    event.graph_run_id.as_deref().unwrap_or_default()
}

/// No event.
const NONE: u32 = u32::MAX;

/// An event that is the end of a call.
#[derive(Clone, Copy, Default)]
struct Recorded {
    /// The identifier of the entry; all zero: it has none. As bytes, which need no padding.
    entry: [u8; 16],
    /// Of its arguments; 0: they are not known.
    arguments: u64,
    at: Option<Timestamp>,
    session: u32,
    name: u32,
    /// Another event with the same key of the identifier, or none.
    next: u32,
    /// Whether it counts where no transcript has it: it is one of the agent's, and of the period.
    counts: bool,
    has_id: bool,
    /// A transcript has told it: it was added by this program.
    is_told: bool,
    /// A transcript has it.
    is_found: bool,
    /// It is the event of one call, and of no other one.
    is_taken: bool,
}

#[derive(Default)]
pub(super) struct Record {
    keys: Keys,
    events: Vec<Recorded>,
    /// By the identifier the last event that has it.
    by_id: HashMap<Key, u32>,
    /// By the arguments, for agents that tell no identifiers.
    by_arguments: HashMap<Key, Vec<u32>>,
    /// The numbers of sessions, by what their names are known by.
    sessions: HashMap<String, u32>,
    session_names: Vec<String>,
    names: Names,
    /// Calls that transcripts have told already.
    told: HashSet<Key>,
    /// The identifiers in their sessions that transcripts have told already.
    told_ids: HashSet<Key>,
    pub(super) skipped: u64,
}

/// The names of tools, of which there are few.
#[derive(Default)]
struct Names {
    numbers: HashMap<Name, u32>,
    names: Vec<Name>,
}

impl Names {
    fn number(&mut self, name: Name) -> u32 {
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            next
        })
    }

    fn get(&self, number: u32) -> Option<&Name> {
        self.names.get(number as usize)
    }
}

/// How a call stands in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Recorded,
    Missing,
    /// Another line or transcript has told it before.
    Repeated,
}

/// How sure it is that an event with the identifier of a call is the event of that call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// The session that it has is another one, of which that of the call is a copy.
    Copy,
    /// The identifier is unique in the session, but the arguments are others: a hook may change them.
    OtherArguments,
    UnknownArguments,
    Same,
}

impl Record {
    /// Reads what the record has of the period.
    pub(super) fn read(from: &mut Instance, agent: Agent, within: &Within) -> Result<Self, Error> {
        let mut record = Self::default();
        record.skipped = each(from, &within.with_slack(), |parsed| record.add(parsed, agent, within))?;
        Ok(record)
    }

    fn add(&mut self, Parsed { event, stamp }: &Parsed<'_>, agent: Agent, within: &Within) {
        let session = session(event);
        if event.status == "started" || session.is_empty() {
            return;
        }
        let has_source =
            |source: &str| event.attributes.iter().any(|pair| pair.key == "source" && pair.value == source);
        // A proxy between an agent and a server sees only some calls, and knows them by other identifiers.
        let of_agent = agent.is_named(&event.agent_id) && !has_source("mcp");
        let at = Timestamp::parse(&event.ts).ok();
        let number = u32::try_from(self.events.len()).unwrap_or(NONE);
        let id = (!event.req_id.is_empty()).then(|| self.keys.of_id(session, &event.req_id));
        let mut recorded = Recorded {
            entry: stamp.as_ref().map_or([0; 16], |stamp| stamp.id.into_bytes()),
            arguments: self.arguments(&event.input_hash),
            at,
            session: self.session(session),
            name: self.names.number(Name::new(&event.tool, &event.action)),
            next: NONE,
            counts: of_agent && at.is_some_and(|at| within.has(at)),
            has_id: id.is_some(),
            is_told: has_source("transcript"),
            is_found: false,
            is_taken: false,
        };
        if let Some(id) = id {
            if self.is_known(id, &recorded) {
                return;
            }
            recorded.next = self.by_id.insert(id, number).unwrap_or(NONE);
        }
        if agent.lacks_ids() && of_agent && !recorded.is_told {
            let arguments = self.keys.of_arguments(session, &event.input_hash);
            self.by_arguments.entry(arguments).or_default().push(number);
        }
        self.events.push(recorded);
    }

    /// Whether another source has recorded the call of this event too.
    fn is_known(&mut self, id: Key, recorded: &Recorded) -> bool {
        let known = self.with_id(id).find(|number| {
            self.event(*number).is_some_and(|other| {
                let is_unknown = other.arguments == 0 || recorded.arguments == 0;
                other.session == recorded.session
                    && self.have_one_name(other.name, recorded.name)
                    && (other.arguments == recorded.arguments
                        || is_unknown && !other.is_told && !recorded.is_told)
            })
        });
        let Some(known) = known.and_then(|number| self.events.get_mut(number as usize)) else { return false };
        if known.arguments == 0 {
            known.arguments = recorded.arguments;
        }
        true
    }

    fn arguments(&self, hash: &str) -> u64 {
        if hash.is_empty() { 0 } else { self.keys.0.hash_one(hash).max(1) }
    }

    fn event(&self, number: u32) -> Option<&Recorded> {
        self.events.get(number as usize)
    }

    /// The events with this key of the identifier.
    fn with_id(&self, id: Key) -> impl Iterator<Item = u32> {
        let first = self.by_id.get(&id).copied();
        std::iter::successors(first, |number| Some(self.event(*number)?.next).filter(|next| *next != NONE))
    }

    fn have_one_name(&self, one: u32, other: u32) -> bool {
        let names = self.names.get(one).zip(self.names.get(other));
        one == other || names.is_some_and(|(one, other)| one.may_be(other))
    }

    fn session(&mut self, name: &str) -> u32 {
        let known = known_by(name);
        if let Some(number) = self.sessions.get(&*known) {
            return *number;
        }
        let number = u32::try_from(self.session_names.len()).unwrap_or(u32::MAX);
        self.session_names.push(name.to_owned());
        self.sessions.insert(known.into_owned(), number);
        number
    }

    /// How a call of a transcript stands. It is told as the event that a store keeps of it.
    pub(super) fn find(&mut self, agent: Agent, call: &Event<'_>) -> Standing {
        if !self.told.insert(self.keys.of_call(call)) {
            return Standing::Repeated;
        }
        let name = self.names.number(Name::new(&call.tool, &call.action));
        let found = self
            .find_by_id(call, name)
            .or_else(|| agent.lacks_ids().then(|| self.find_by_arguments(call, name)).flatten());
        let Some(event) = found.and_then(|number| self.events.get_mut(number as usize)) else {
            return Standing::Missing;
        };
        (event.is_found, event.is_taken) = (true, true);
        Standing::Recorded
    }

    fn find_by_id(&mut self, call: &Event<'_>, name: u32) -> Option<u32> {
        let (session, is_unique) = (session(call), is_unique(&call.req_id));
        let is_new =
            self.told_ids.insert(self.keys.of(&["told", &known_by(session), &known_by(&call.req_id)]));
        let (arguments, number) =
            (self.arguments(&call.input_hash), self.sessions.get(&*known_by(session)).copied());
        let likeness = |event: &Recorded| {
            let has_name = self.have_one_name(event.name, name);
            let has_arguments = event.arguments == arguments && arguments != 0;
            match Some(event.session) == number {
                true if has_name && event.arguments == arguments => Some(Likeness::Same),
                true if event.is_taken => None,
                true if has_name && (arguments == 0 || event.arguments == 0) => {
                    Some(Likeness::UnknownArguments)
                }
                // One that was used for other arguments before is not unique.
                true => (is_unique && is_new).then_some(Likeness::OtherArguments),
                false => (is_unique && has_name && has_arguments).then_some(Likeness::Copy),
            }
        };
        let id = self.keys.of_id(session, &call.req_id);
        let with_id: Vec<u32> = self.with_id(id).collect();
        let like = |found: &u32| self.event(*found).and_then(likeness);
        let (_, found) = with_id.iter().filter_map(|found| Some((like(found)?, *found))).max()?;
        if is_unique {
            for other in with_id {
                let of_session = self.event(found).map(|event| event.session);
                if let Some(event) = self.events.get_mut(other as usize)
                    && Some(event.session) == of_session
                {
                    event.is_found = true;
                }
            }
        }
        Some(found)
    }

    /// The event with the arguments of a call, preferably one of no other identifier, and then the nearest in time. Two tools
    /// may have the same arguments, above all none.
    fn find_by_arguments(&mut self, call: &Event<'_>, name: u32) -> Option<u32> {
        let key = self.keys.of_arguments(session(call), &call.input_hash);
        let at = Timestamp::parse(&call.ts).ok();
        let (events, names) = (&self.events, &self.names);
        let candidates = self.by_arguments.get_mut(&key)?;
        candidates.retain(|number| events.get(*number as usize).is_some_and(|event| !event.is_taken));
        let rank = |event: &Recorded| {
            let may_be =
                names.get(event.name).zip(names.get(name)).is_some_and(|(one, other)| one.may_be(other));
            let away = at.zip(event.at).map_or(u64::MAX, |(at, event)| at.micros().abs_diff(event.micros()));
            may_be.then_some((event.name != name, event.has_id, away))
        };
        let ranked =
            candidates.iter().filter_map(|number| Some((rank(events.get(*number as usize)?)?, *number)));
        ranked.min().map(|(_, number)| number)
    }

    /// How many events of each session no transcript has.
    pub(super) fn only_recorded(&self) -> HashMap<&str, u64> {
        let mut counts = HashMap::new();
        for event in self.events.iter().filter(|event| event.counts && !event.is_found) {
            if let Some(name) = self.session_names.get(event.session as usize) {
                *counts.entry(name.as_str()).or_default() += 1;
            }
        }
        counts
    }

    /// Shows the events that no transcript has, at most so many. Of a line of another writer only the number is known.
    pub(super) fn each_only_recorded(
        &self,
        from: &mut Instance,
        within: &Within,
        most: usize,
        mut show: impl FnMut(&Event<'_>),
    ) -> Result<(), Error> {
        let only =
            self.events.iter().filter(|event| event.counts && !event.is_found && event.entry != [0; 16]);
        let mut only: HashSet<[u8; 16]> = only.take(most).map(|event| event.entry).collect();
        if only.is_empty() {
            return Ok(());
        }
        each(from, &within.with_slack(), |parsed| {
            if parsed.stamp.as_ref().is_some_and(|stamp| only.remove(stamp.id.as_bytes())) {
                show(&parsed.event);
            }
        })?;
        Ok(())
    }
}

/// Reads all events that match, and returns how many lines were passed over.
fn each(
    from: &mut Instance,
    filter: &query::Filter,
    mut take: impl FnMut(&Parsed<'_>),
) -> Result<u64, Error> {
    let filter = Filter::from(filter.clone());
    let mut request = PageRequest { order: Order::OldestFirst, limit: PAGE, cursor: None };
    let mut skipped = 0;
    loop {
        let page = from.read_jsonl(&filter, &request)?;
        skipped += page.skipped;
        page.lines.lines().filter_map(|line| parse_stored(line).ok()).for_each(|parsed| take(&parsed));
        request.cursor = page.next;
        if request.cursor.is_none() {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests;
