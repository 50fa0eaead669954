//! Puts the sightings of one call together, so that it becomes one event: within an export, within a short time, and, by a
//! bounded memory of the calls that were recorded, also after that.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::export::{Export, Names};
use super::lineage::{Ancestors, Lineage, Passed};
use super::sighting::{Sighting, Vantage};
use super::traits::{Traits, differ};

/// How many recorded calls are remembered. What is seen of one of them later is no new event.
const MAX_RECORDED: usize = 65_536;

/// How many decisions are remembered until their call ends.
const MAX_ALLOWED: usize = 4096;

/// By how many links a call can be found, if a long chain of spans above it comes bit by bit.
const MAX_LINKS: usize = 128;

/// A request that waits until its calls are recorded.
pub(super) type Ticket = u64;

/// All sightings of one call.
pub(super) type GroupId = u64;

#[derive(Debug)]
struct Group {
    /// Where it is found.
    links: Vec<u64>,
    /// From where the call was seen, and by which span or log record.
    seen: Vec<(Vantage, u64)>,
    traits: Traits,
    /// The ancestor that was not exported yet, which may be of the same call.
    above: Option<u64>,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting {
        sightings: Vec<Sighting>,
        tickets: Vec<Ticket>,
        due: Instant,
    },
    /// It is being written, and these wait for that.
    Writing(Vec<Ticket>),
    Recorded,
}

/// What an export was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// The calls that its answer waits for.
    pub(super) waits_for: usize,
    /// How many sightings were of a call that was recorded before.
    pub(super) known: u64,
}

#[derive(Debug)]
pub(super) struct Collator {
    /// How long a call waits for who saw it from farther outside.
    wait: Duration,
    names: Names,
    lineage: Lineage,
    groups: HashMap<GroupId, Group>,
    links: HashMap<u64, GroupId>,
    due: BTreeSet<(Instant, GroupId)>,
    /// The recorded ones, oldest first.
    recorded: VecDeque<GroupId>,
    /// Decisions and their sources, by the link of their call.
    allowed: HashMap<u64, (Arc<str>, Arc<str>)>,
    allowed_order: VecDeque<u64>,
    next: GroupId,
}

/// What a sighting can be found by.
struct Links {
    traits: Traits,
    /// Identifiers of the call. The first ones are of a call with these arguments alone.
    ids: Vec<u64>,
    /// The span that was the call.
    span: Option<u64>,
    /// The spans above.
    ancestors: Vec<u64>,
    /// The ancestor that was not exported yet.
    above: Option<u64>,
}

impl Collator {
    pub(super) fn new(wait: Duration, names: Names) -> Self {
        Self {
            wait,
            names,
            lineage: Lineage::default(),
            groups: HashMap::new(),
            links: HashMap::new(),
            due: BTreeSet::new(),
            recorded: VecDeque::new(),
            allowed: HashMap::new(),
            allowed_order: VecDeque::new(),
            next: 0,
        }
    }

    /// Takes what an export told. Its request has this ticket.
    pub(super) fn take(&mut self, export: Export, ticket: Ticket, now: Instant) -> Taken {
        for span in export.spans {
            let Passed { name, parent, is_agent, .. } = span;
            self.lineage.add(span);
            self.look_higher(name, parent, is_agent);
        }
        for sighting in export.allowed {
            self.allow(&sighting);
        }
        let mut taken = Taken::default();
        let mut waits_for = BTreeSet::new();
        let mut calls = export.calls;
        // What is below looks for what is above.
        calls.sort_by_cached_key(|sighting| self.ancestors(sighting).names.len());
        for sighting in calls {
            match self.see(sighting, ticket, now) {
                Some(group) => drop(waits_for.insert(group)),
                None => taken.known += 1,
            }
        }
        taken.waits_for = waits_for.len();
        taken
    }

    /// When the next call is to be recorded.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The calls that are to be recorded now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(GroupId, Vec<Sighting>)> {
        let mut calls = Vec::new();
        while let Some((due, id)) = self.due.pop_first() {
            if due > now {
                self.due.insert((due, id));
                break;
            }
            let Some(group) = self.groups.get_mut(&id) else { continue };
            if let State::Waiting { sightings, tickets, .. } = &mut group.state {
                let (sightings, tickets) = (std::mem::take(sightings), std::mem::take(tickets));
                group.state = State::Writing(tickets);
                calls.push((id, sightings));
            }
        }
        calls
    }

    /// Lets no call wait any longer.
    pub(super) fn hurry(&mut self, now: Instant) {
        for (_, id) in std::mem::take(&mut self.due) {
            self.make_due(id, now);
        }
    }

    /// The call is recorded, and remembered for a while. Returns who has waited for it.
    pub(super) fn recorded(&mut self, id: GroupId) -> Vec<Ticket> {
        let Some(group) = self.groups.get_mut(&id) else { return Vec::new() };
        let state = std::mem::replace(&mut group.state, State::Recorded);
        self.recorded.push_back(id);
        if self.recorded.len() > MAX_RECORDED
            && let Some(oldest) = self.recorded.pop_front()
        {
            self.forget(oldest);
        }
        tickets(state)
    }

    /// The call could not be recorded: it is as if it had not been seen. Returns who has waited for it.
    pub(super) fn failed(&mut self, id: GroupId) -> Vec<Ticket> {
        self.forget(id).map(|group| tickets(group.state)).unwrap_or_default()
    }

    fn forget(&mut self, id: GroupId) -> Option<Group> {
        let group = self.groups.remove(&id)?;
        for link in &group.links {
            // Another call may be found by it meanwhile.
            if self.links.get(link) == Some(&id) {
                self.links.remove(link);
            }
        }
        Some(group)
    }

    /// Puts a sighting to the others of its call. None: the call was recorded before.
    fn see(&mut self, mut sighting: Sighting, ticket: Ticket, now: Instant) -> Option<GroupId> {
        let links = self.complete(&mut sighting);
        let id = match self.find(&sighting, &links) {
            Some(id) => id,
            None => self.begin(now),
        };
        let wait = links.above.is_some() && sighting.vantage.is_mcp() && sighting.texts.call_id.is_empty();
        let is_known = |group: &Group| group.seen.iter().any(|(_, own)| *own == sighting.own);
        let is_new = !self.groups.get(&id).is_some_and(is_known);
        // What comes again adds nothing, whatever it tells then.
        if is_new {
            self.link(id, sighting.own, &links);
        }
        let group = self.groups.get_mut(&id)?;
        if is_new {
            group.traits.add(links.traits);
            group.seen.push((sighting.vantage, sighting.own));
        }
        let State::Waiting { sightings, tickets, .. } = &mut group.state else { return None };
        if tickets.last() != Some(&ticket) {
            tickets.push(ticket);
        }
        if is_new {
            sightings.push(sighting);
        }
        if !wait {
            self.make_due(id, now);
        }
        Some(id)
    }

    /// The spans above. The span of a log record is one of them, and may be that of the call.
    fn ancestors(&self, sighting: &Sighting) -> Ancestors {
        let above = if sighting.is_span() { sighting.parent } else { sighting.span };
        let above = sighting.trace.zip(above);
        self.lineage.ancestors(above.map(|(trace, span)| self.names.of_span(trace, span)))
    }

    /// Adds what ancestors and decisions tell, and says by what the call can be found.
    fn complete(&mut self, sighting: &mut Sighting) -> Links {
        let Sighting { trace, span, .. } = *sighting;
        let span = if sighting.is_span() { trace.zip(span) } else { None };
        let span = span.map(|(trace, span)| self.names.of_span(trace, span));
        let ancestors = self.ancestors(sighting);
        self.lineage.complete(&ancestors, &mut sighting.texts);
        let above = ancestors.unknown();
        let traits = Traits::of(sighting, &self.names);
        let texts = &sighting.texts;
        let mut ids = Vec::new();
        if !texts.call_id.is_empty() {
            if !texts.conversation.is_empty() {
                ids.push(self.names.of(("call", &texts.conversation, &texts.call_id)));
            }
            if let Some(trace) = trace {
                ids.push(self.names.of(("call of trace", trace, &texts.call_id)));
            }
        }
        if !texts.mcp_session.is_empty() && !texts.request_id.is_empty() {
            ids.push(self.names.of(("request", &texts.mcp_session, &texts.request_id)));
        }
        if let Some(input) = traits.input {
            let exact = ids.iter().map(|id| self.names.of(("with arguments", *id, input)));
            ids = exact.chain(ids.iter().copied()).collect();
        }
        if sighting.vantage == Vantage::Log
            && let Some((decision, source)) = ids.iter().find_map(|id| self.allowed.get(id))
        {
            for (text, decided) in
                [(&mut sighting.texts.decision, decision), (&mut sighting.texts.decision_source, source)]
            {
                if text.is_empty() {
                    text.clone_from(decided);
                }
            }
        }
        Links { traits, ids, span, ancestors: ancestors.within().to_vec(), above }
    }

    /// The group of the sighting's call.
    fn find(&self, sighting: &Sighting, links: &Links) -> Option<GroupId> {
        let found = |link: &u64| self.links.get(link).copied();
        let group = |id: &GroupId| self.groups.get(id);
        let again = found(&sighting.own).filter(|id| group(id).is_some());
        let may_be = |id: &GroupId| {
            group(id).is_some_and(|group| group.may_be(sighting) && group.traits.agree(&links.traits))
        };
        // Some products use an identifier again.
        let has_input =
            |id: &GroupId| group(id).is_some_and(|group| !differ(group.traits.input, links.traits.input));
        let by_id = || links.ids.iter().filter_map(found).find(|id| may_be(id) && has_input(id));
        // A span above may be of another call, such as that of an agent that is a tool.
        let by_span = || {
            // What is below came first, and waits for its span; or a span above was the call.
            let below = links.span.map(|span| self.below(span));
            links.span.iter().chain(&below).chain(&links.ancestors).filter_map(found).find(may_be)
        };
        again.or_else(by_id).or_else(by_span)
    }

    /// By what a call can be found that is below this span, which was not exported yet.
    fn below(&self, span: u64) -> u64 {
        self.names.of(("below", span))
    }

    fn begin(&mut self, now: Instant) -> GroupId {
        let id = self.next;
        self.next += 1;
        let due = now + self.wait;
        let group = Group {
            links: Vec::new(),
            seen: Vec::new(),
            traits: Traits::default(),
            above: None,
            state: State::Waiting { sightings: Vec::new(), tickets: Vec::new(), due },
        };
        self.groups.insert(id, group);
        self.due.insert((due, id));
        id
    }

    /// Lets the group be found by all of this.
    fn link(&mut self, id: GroupId, own: u64, links: &Links) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let above = links.above.map(|above| self.names.of(("below", above)));
        for link in links.ids.iter().chain(&links.span).chain(&above).chain([&own]) {
            self.links.insert(*link, id);
            if !group.links.contains(link) {
                group.links.push(*link);
            }
        }
        group.above = links.above.or(group.above);
    }

    /// A span has come of which a call waited to learn what is above it.
    fn look_higher(&mut self, name: u64, parent: Option<u64>, is_agent: bool) {
        let Some(id) = self.links.get(&self.below(name)).copied() else { return };
        let Some(group) = self.groups.get_mut(&id).filter(|group| group.above == Some(name)) else { return };
        let ancestors = self.lineage.ancestors(parent);
        group.above = ancestors.unknown().filter(|_| !is_agent && group.links.len() < MAX_LINKS);
        if let Some(above) = group.above {
            let link = self.names.of(("below", above));
            self.links.insert(link, id);
            if !group.links.contains(&link) {
                group.links.push(link);
            }
        }
    }

    fn make_due(&mut self, id: GroupId, now: Instant) {
        if let Some(Group { state: State::Waiting { due, .. }, .. }) = self.groups.get_mut(&id) {
            self.due.remove(&(*due, id));
            *due = now.min(*due);
            self.due.insert((*due, id));
        }
    }

    /// Remembers a decision until its call ends.
    fn allow(&mut self, sighting: &Sighting) {
        let mut sighting = sighting.clone();
        let links = self.complete(&mut sighting);
        for id in links.ids {
            let decided = (sighting.texts.decision.clone(), sighting.texts.decision_source.clone());
            if self.allowed.insert(id, decided).is_none() {
                self.allowed_order.push_back(id);
            }
            if self.allowed_order.len() > MAX_ALLOWED
                && let Some(oldest) = self.allowed_order.pop_front()
            {
                self.allowed.remove(&oldest);
            }
        }
    }
}

impl Group {
    /// Whether the sighting can be of the same call: nobody sees a call twice from the same place.
    fn may_be(&self, sighting: &Sighting) -> bool {
        !self.seen.iter().any(|(vantage, own)| *vantage == sighting.vantage && *own != sighting.own)
    }
}

fn tickets(state: State) -> Vec<Ticket> {
    match state {
        State::Waiting { tickets, .. } | State::Writing(tickets) => tickets,
        State::Recorded => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
