//! A fault at each message between the host and the server: the connection is cut there, the message comes too late, or the
//! server executes what it was sent and the host never hears. Whatever the message is, what the store says of its events is
//! true, and once the server is reachable again each event is there once.
//!
//! Which messages there are is found out by a run without a fault. A test run takes some of the cases, at random;
//! with `AUDIT_TESTBED_MESSAGES=all` it takes all of them.

mod administration;
mod place;
mod scenarios;
mod writer;

use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use audit_testbed::{Aftermath, Fault, Rng, Seen, Side, Strike, seed};

use place::Place;

/// Takes all cases rather than some.
const ALL: &str = "AUDIT_TESTBED_MESSAGES";

/// How many cases a scenario has in a run that does not take all of them. Those in which something comes late take a second
/// each, and hardly any processor time.
const AT_ONCE: usize = 12;
const LATE: usize = 4;

/// How many cases run at once. Each has a database of its own.
const WORKERS: usize = 12;

/// How late a message comes. The host has given up by then, and the statement that it tried to cancel too.
const DELAY: Duration = Duration::from_millis(1_300);

const FAULTS: [Fault; 5] =
    [Fault::CutBefore, Fault::CutWithin, Fault::CutAfter, Fault::LoseAnswer, Fault::Delay(DELAY)];

/// Does it, in a place that fails.
type Run = fn(&Place, &Variant);

/// What a host does with a database.
#[derive(Clone, Copy)]
pub struct Scenario {
    name: &'static str,
    /// The backend of the store in it.
    backend: &'static str,
    run: Run,
}

/// What can differ between two runs of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    backend: &'static str,
    /// Whether the store is dropped after the fault, as if its process were killed, so that another one goes on.
    killed: bool,
}

struct Case {
    scenario: Scenario,
    strike: Strike,
    killed: bool,
    /// The message that the fault is expected at.
    message: Seen,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario: Scenario { name, backend, .. }, strike, killed, message } = self;
        let (n, fault, aftermath) = (strike.after + 1, strike.fault, strike.aftermath);
        let then = if *killed { ", and the store is killed" } else { "" };
        write!(
            f,
            "{name}, {backend}, message {n} of its side, {message}: {fault:?}, then {aftermath:?}{then}"
        )
    }
}

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use super::*;

    #[test]
    fn a_fault_at_any_message_neither_loses_nor_doubles_nor_misreports_an_event() {
        let mut rng = Rng::with_seed(seed());
        let all = match env::var(ALL).as_deref() {
            Ok("all") => true,
            Ok("") | Err(_) => false,
            Ok(other) => panic!("{ALL}: {other} is unknown; accepted is all"),
        };
        let place = Place::new();
        let mut cases = Vec::new();
        for scenario in scenarios::all().into_iter().chain(administration::all()) {
            let messages = place.messages(&scenario);
            assert!(!messages.is_empty(), "{} does not use the database", scenario.name);
            if all {
                cases.extend(every_case(scenario, &messages));
            } else {
                cases.extend(some_cases(scenario, &messages, &mut rng));
            }
        }
        rng.shuffle(&mut cases);
        let struck = run_all(place, &cases);
        println!("{} cases, of which {struck} met their message", cases.len());
        assert!(struck > cases.len() / 2, "most cases have met no message");
    }
}

/// All cases of a scenario.
fn every_case(scenario: Scenario, messages: &[Seen]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (side, after, message) in positions(messages) {
        for fault in FAULTS {
            for aftermath in [Aftermath::Reachable, Aftermath::Away] {
                for killed in [false, true] {
                    let strike = Strike { side, after, fault, aftermath };
                    cases.push(Case { scenario, strike, killed, message });
                }
            }
        }
    }
    cases
}

/// Some cases of a scenario, at random, of messages that differ from the one before.
fn some_cases(scenario: Scenario, messages: &[Seen], rng: &mut Rng) -> Vec<Case> {
    let mut last = [None; 2];
    let differs = |(side, _, message): &(Side, usize, Seen)| {
        last[*side as usize].replace(message.name) != Some(message.name)
    };
    let mut cases = Vec::new();
    for (side, after, message) in positions(messages).filter(differs) {
        for fault in FAULTS {
            let aftermath = if rng.bool() { Aftermath::Reachable } else { Aftermath::Away };
            let strike = Strike { side, after, fault, aftermath };
            cases.push(Case { scenario, strike, killed: rng.bool(), message });
        }
    }
    rng.shuffle(&mut cases);
    let is_late = |case: &Case| matches!(case.strike.fault, Fault::Delay(_));
    let (mut late, mut at_once): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(is_late);
    late.truncate(LATE);
    at_once.truncate(AT_ONCE);
    at_once.extend(late);
    at_once
}

/// Each message with its side, and how many of that side come before it.
fn positions(messages: &[Seen]) -> impl Iterator<Item = (Side, usize, Seen)> + '_ {
    let mut counts = [0; 2];
    messages.iter().map(move |message| {
        let count = &mut counts[message.side as usize];
        *count += 1;
        (message.side, *count - 1, *message)
    })
}

/// Runs the cases, several at a time. Returns in how many of them the fault has happened.
fn run_all(first: Place, cases: &[Case]) -> usize {
    let (next, struck) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures = Mutex::new(BTreeSet::new());
    let work = |mut place: Place| {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            match panic::catch_unwind(AssertUnwindSafe(|| place.run(case))) {
                Ok(met) => drop(struck.fetch_add(usize::from(met), Ordering::Relaxed)),
                Err(payload) => {
                    let text = payload.downcast_ref::<String>().cloned();
                    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                    let failure = format!("{case}: {}", text.unwrap_or_default());
                    failures.lock().expect("no thread panics with it").insert(failure);
                    place = Place::new();
                }
            }
        }
    };
    thread::scope(|scope| {
        let work = &work;
        scope.spawn(move || work(first));
        for _ in 1..WORKERS {
            scope.spawn(move || work(Place::new()));
        }
    });
    let failures = failures.into_inner().expect("no thread panics with it");
    let texts: Vec<&str> = failures.iter().map(String::as_str).collect();
    assert!(texts.is_empty(), "{} of {} cases failed:\n{}", texts.len(), cases.len(), texts.join("\n"));
    struck.into_inner()
}
