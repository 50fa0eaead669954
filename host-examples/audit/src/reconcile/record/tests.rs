use std::collections::HashSet;
use std::time::SystemTime;

use audit_format::attributes::Attribute;
use audit_format::line::{Parsed, Stamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::args::Period;
use crate::call::Call;
use crate::call::input::Input;

fn always() -> Within {
    Within::new(&Period::default(), None).ok().unwrap()
}

fn call(session: u8, id: u8, arguments: u8) -> Call {
    let input = Input { hash: format!("hash {arguments}"), ..Input::default() };
    Call { session: format!("s{session}"), id: format!("c{id}"), input: Some(input), ..Call::default() }
}

/// The event that the agent's hook makes of the call.
fn event(agent: Agent, call: &Call, status: &'static str) -> Event<'static> {
    Event {
        ts: "2026-11-23T06:30:00.000000Z".into(),
        agent_id: agent.product().into(),
        req_id: if agent.lacks_ids() { "".into() } else { call.id.clone().into() },
        graph_run_id: Some(call.session.clone().into()),
        input_hash: call.input.as_ref().map_or_else(String::new, |input| input.hash.clone()).into(),
        status: status.into(),
        ..Event::default()
    }
}

fn record(agent: Agent, events: Vec<Event<'static>>) -> Record {
    let mut record = Record::default();
    for (number, event) in (1..).zip(events) {
        let (id, chain) = (Uuid::from_u128(number), Uuid::from_u128(1));
        let stamp = Stamp { id, chain, seq: 0, hash: "".into() };
        record.add(&Parsed { event, stamp: Some(stamp) }, agent, &always());
    }
    record
}

fn find(record: &mut Record, agent: Agent, call: &Call) -> Standing {
    record.find(agent, &call.clone().into_event(SystemTime::UNIX_EPOCH))
}

fn only_recorded(record: &Record) -> u64 {
    record.only_recorded().values().sum()
}

#[test]
fn two_sessions_may_use_one_short_identifier() {
    let recorded = event(Agent::Claude, &call(1, 1, 0), "ok");
    let mut record = record(Agent::Claude, vec![recorded]);
    assert_eq!(find(&mut record, Agent::Claude, &call(2, 1, 0)), Standing::Missing);
    assert_eq!(find(&mut record, Agent::Claude, &call(1, 1, 0)), Standing::Recorded);
    assert_eq!(find(&mut record, Agent::Claude, &call(1, 1, 0)), Standing::Repeated);
}

#[test]
fn a_copy_of_a_session_has_the_calls_of_the_first() {
    let long = |session: u8| Call { id: "toolu_01AAAAAAAAAAAAAAAAAAAAAA".into(), ..call(session, 0, 0) };
    let mut record = record(Agent::Claude, vec![event(Agent::Claude, &long(1), "ok")]);
    assert_eq!(find(&mut record, Agent::Claude, &long(2)), Standing::Recorded);
    assert_eq!(find(&mut record, Agent::Claude, &long(1)), Standing::Repeated);
    assert_eq!(only_recorded(&record), 0);
}

#[test]
fn events_of_other_agents_are_not_missing_from_transcripts() {
    let mut other = event(Agent::Claude, &call(1, 1, 0), "ok");
    other.agent_id = "planner".into();
    let of_codex = event(Agent::Codex, &call(2, 1, 0), "ok");
    // A client of a proxy has the agent's name, and its calls the identifiers of the protocol.
    let mut of_proxy = event(Agent::Claude, &call(3, 1, 0), "ok");
    of_proxy.attributes = vec![Attribute::new("source", "mcp")];
    let record = record(Agent::Claude, vec![other, of_codex, of_proxy]);
    assert_eq!(only_recorded(&record), 0);
}

proptest! {
    #[test]
    fn each_call_is_found_if_and_only_if_its_event_is_there(
        told in proptest::collection::hash_set((0..3_u8, 0..12_u8), 0..30),
        recorded in proptest::collection::hash_set((0..3_u8, 0..12_u8), 0..30),
        started in proptest::collection::hash_set((0..3_u8, 0..12_u8), 0..30),
    ) {
        let agent = Agent::Codex;
        let mut events: Vec<_> =
            recorded.iter().map(|(session, id)| event(agent, &call(*session, *id, 0), "unknown")).collect();
        events.extend(started.iter().map(|(session, id)| event(agent, &call(*session, *id, 0), "started")));
        // Two sources have recorded it.
        events.extend(events.first().cloned());
        let mut record = record(agent, events);
        let found: HashSet<(u8, u8)> = told
            .iter()
            .filter(|(session, id)| find(&mut record, agent, &call(*session, *id, 0)) == Standing::Recorded)
            .copied()
            .collect();
        prop_assert_eq!(&found, &told.intersection(&recorded).copied().collect());
        prop_assert_eq!(only_recorded(&record), recorded.difference(&told).count() as u64);
    }

    #[test]
    fn without_identifiers_as_many_calls_are_found_as_there_are_events_with_their_arguments(
        told in proptest::collection::vec((0..2_u8, 0..3_u8), 0..20),
        recorded in proptest::collection::vec((0..2_u8, 0..3_u8), 0..20),
    ) {
        let agent = Agent::Gemini;
        let events =
            recorded.iter().map(|(session, arguments)| event(agent, &call(*session, 0, *arguments), "ok")).collect();
        let mut record = record(agent, events);
        let count = |of: &[(u8, u8)], which: (u8, u8)| of.iter().filter(|call| **call == which).count();
        let mut found = Vec::new();
        for ((session, arguments), id) in told.iter().zip(0..) {
            if find(&mut record, agent, &call(*session, id, *arguments)) == Standing::Recorded {
                found.push((*session, *arguments));
            }
        }
        for session in 0..2 {
            for arguments in 0..3 {
                let which = (session, arguments);
                prop_assert_eq!(count(&found, which), count(&told, which).min(count(&recorded, which)));
            }
        }
        prop_assert_eq!(only_recorded(&record), (recorded.len() - found.len()) as u64);
    }
}
