//! What of the calls is in the record.
//!
//! Of each event that is the end of a call, a few numbers are kept in memory, so that memory grows with the number of events
//! and not with their size.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use audit_format::event::Event;
use audit_format::line::Parsed;
use audit_format::query;
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use audit_host::{Error, Filter, Instance, Order, PageRequest};

use super::agents::Agent;
use super::period::Within;
use crate::call::Call;

/// How many events are read at once.
const PAGE: u32 = 50_000;

/// An identifier with so many bytes is made by a provider for this call alone, so that a session that has it too is a copy.
const UNIQUE_ID: usize = 16;

/// A hash. Two that differ by accident only are equal in one of 2^128 pairs.
type Key = u128;

#[derive(Default)]
struct Keys(RandomState, RandomState);

impl Keys {
    fn of(&self, parts: &[&str]) -> Key {
        (Key::from(self.0.hash_one(parts)) << 64) | Key::from(self.1.hash_one(parts))
    }

    /// The key of a call: of its identifier alone, where that is unique.
    fn of_call(&self, session: &str, id: &str) -> Key {
        if id.len() >= UNIQUE_ID { self.of(&[id]) } else { self.of(&[session, id]) }
    }
}

/// An event that is the end of a call.
#[derive(Clone, Copy, Default)]
struct Recorded {
    /// The identifier of the entry; all zero: it has none. As bytes, which need no padding.
    entry: [u8; 16],
    session: u32,
    /// Whether it counts where no transcript has it: it is one of the agent's, and of the period.
    counts: bool,
    is_found: bool,
}

#[derive(Default)]
pub(super) struct Record {
    keys: Keys,
    events: Vec<Recorded>,
    by_id: HashMap<Key, u32>,
    /// By the arguments, for agents that tell no identifiers.
    by_arguments: HashMap<Key, VecDeque<u32>>,
    sessions: HashMap<String, u32>,
    /// Calls that transcripts have told already.
    told: HashSet<Key>,
    pub(super) skipped: u64,
}

/// How a call stands in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Recorded,
    Missing,
    /// Another line or transcript has told it before.
    Repeated,
}

impl Record {
    /// Reads what the record has of the period.
    pub(super) fn read(from: &mut Instance, agent: Agent, within: &Within) -> Result<Self, Error> {
        let mut record = Self::default();
        record.skipped = each(from, &within.with_slack(), |parsed| record.add(parsed, agent, within))?;
        Ok(record)
    }

    fn add(&mut self, Parsed { event, stamp }: &Parsed<'_>, agent: Agent, within: &Within) {
        let session = event.graph_run_id.as_deref().unwrap_or_default();
        if event.status == "started" || session.is_empty() {
            return;
        }
        let of_agent = agent.is_named(&event.agent_id);
        let is_in_period = Timestamp::parse(&event.ts).is_ok_and(|at| within.has(at));
        let number = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        let id = (!event.req_id.is_empty()).then(|| self.keys.of_call(session, &event.req_id));
        // Two sources may have recorded one call.
        if id.is_some_and(|id| self.by_id.contains_key(&id)) {
            return;
        }
        if let Some(id) = id {
            self.by_id.insert(id, number);
        }
        if agent.lacks_ids() && of_agent {
            let arguments = self.keys.of(&["arguments", session, &event.input_hash]);
            self.by_arguments.entry(arguments).or_default().push_back(number);
        }
        let session = self.session(session);
        let entry = stamp.as_ref().map_or([0; 16], |stamp| stamp.id.into_bytes());
        self.events.push(Recorded { entry, session, counts: of_agent && is_in_period, is_found: false });
    }

    fn session(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
        match self.sessions.get(name) {
            Some(number) => *number,
            None => *self.sessions.entry(name.to_owned()).or_insert(next),
        }
    }

    /// How a call of a transcript stands.
    pub(super) fn find(&mut self, agent: Agent, call: &Call) -> Standing {
        let key = self.keys.of_call(&call.session, &call.id);
        if !self.told.insert(key) {
            return Standing::Repeated;
        }
        let arguments = agent.lacks_ids().then(|| {
            let hash = call.input.as_ref().map_or("", |input| &input.hash);
            self.keys.of(&["arguments", &call.session, hash])
        });
        let by_id = self.by_id.get(&key).copied();
        let found = by_id.or_else(|| {
            self.by_arguments.get_mut(&arguments?).and_then(|events| {
                while let Some(number) = events.pop_front() {
                    if self.events.get(number as usize).is_some_and(|event| !event.is_found) {
                        return Some(number);
                    }
                }
                None
            })
        });
        self.mark(found);
        if found.is_some() { Standing::Recorded } else { Standing::Missing }
    }

    fn mark(&mut self, number: Option<u32>) {
        if let Some(event) = number.and_then(|number| self.events.get_mut(number as usize)) {
            event.is_found = true;
        }
    }

    /// How many events of each session no transcript has.
    pub(super) fn only_recorded(&self) -> HashMap<&str, u64> {
        let names: HashMap<u32, &str> =
            self.sessions.iter().map(|(name, number)| (*number, name.as_str())).collect();
        let mut counts = HashMap::new();
        for event in self.events.iter().filter(|event| event.counts && !event.is_found) {
            if let Some(name) = names.get(&event.session) {
                *counts.entry(*name).or_default() += 1;
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
