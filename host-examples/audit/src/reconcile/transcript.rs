//! What the lines of a transcript say of calls: that one began, or how it ended.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use audit_format::time::Timestamp;
use serde_json::Value;

use crate::call::sketch::{Path, Sketch, Wanted};
use crate::call::{Call, Outcome};

/// How many calls of a transcript may be open at once. Of more, the oldest count as without an end.
const MOST_OPEN: usize = 10_000;

/// Reads the lines of a transcript.
pub(super) trait Transcript {
    /// What is measured of a line.
    fn wanted(&self) -> &'static [Wanted];

    /// What is read of a line. All else may be large, and leaves it alone.
    fn kept(&self) -> &'static [Path];

    /// Takes a line.
    fn take(&mut self, line: &Sketch, calls: &mut Calls) -> Result<(), Unread>;
}

/// Why a line was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unread {
    NotJson,
    /// Another version of the agent may know it.
    UnknownKind,
    /// A call, or the result of one, without an identifier.
    NoId,
    /// There is more in it than is kept of a line. What was kept is taken.
    Cut,
}

impl Unread {
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::NotJson => "no JSON",
            Self::UnknownKind => "of a kind that is not known",
            Self::NoId => "a call without an identifier",
            Self::Cut => "too large, so that calls in it may be left out",
        }
    }
}

/// A call as a transcript tells it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) call: Call,
    /// The folder in which the agent worked. Empty: it is not told.
    pub(super) cwd: String,
    /// When its result came.
    pub(super) ended: Option<Timestamp>,
    /// It has no result, and nothing says that it never will.
    pub(super) is_open: bool,
}

impl Told {
    /// No result came. What another line told of its end is kept.
    fn give_up(&mut self) {
        match self.call.outcome {
            Outcome::Unknown => self.call.outcome = Outcome::Lost,
            _ => {
                self.tell_duration();
                self.is_open = false;
            }
        }
    }

    fn tell_duration(&mut self) {
        if let (None, Some(began), Some(ended)) = (self.call.duration, self.call.began, self.ended) {
            let micros = ended.micros().saturating_sub(began.micros());
            self.call.duration = Some(Duration::from_micros(u64::try_from(micros).unwrap_or_default()));
        }
    }
}

/// How a call ended.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) at: Option<Timestamp>,
    pub(super) outcome: Outcome,
    pub(super) out_size: u64,
    pub(super) error_type: &'static str,
}

/// The calls of a transcript, while its lines come.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: BTreeMap<u64, Told>,
    /// Those that are open with an identifier, the latest last: some providers count in each answer anew.
    numbers: HashMap<String, Vec<u64>>,
    next: u64,
    done: Vec<Told>,
}

impl Calls {
    /// A call began. What a transcript repeats, with the same arguments, is passed over.
    pub(super) fn began(&mut self, call: Call, cwd: &str) {
        let of_id = self.numbers.entry(call.id.clone()).or_default();
        let is_same = |other: &Call| {
            (&other.session, &other.tool, &other.action, &other.input)
                == (&call.session, &call.tool, &call.action, &call.input)
        };
        if of_id.iter().filter_map(|number| self.open.get(number)).any(|told| is_same(&told.call)) {
            return;
        }
        of_id.push(self.next);
        self.open.insert(self.next, Told { call, cwd: cwd.to_owned(), ended: None, is_open: true });
        self.next += 1;
        if self.open.len() > MOST_OPEN
            && let Some((number, mut told)) = self.open.pop_first()
        {
            self.forget(&told.call.id, number);
            told.give_up();
            told.is_open = false;
            self.done.push(told);
        }
    }

    fn forget(&mut self, id: &str, number: u64) {
        if let Some(of_id) = self.numbers.get_mut(id) {
            of_id.retain(|other| *other != number);
            if of_id.is_empty() {
                self.numbers.remove(id);
            }
        }
    }

    /// The latest call with this identifier that is open.
    fn latest(&self, id: &str) -> Option<u64> {
        self.numbers.get(id)?.last().copied()
    }

    /// The result of a call. That of one that never began is passed over.
    pub(super) fn ended(&mut self, id: &str, end: End) {
        if let Some(number) = self.latest(id) {
            self.end(number, end);
        }
    }

    fn end(&mut self, number: u64, end: End) {
        let Some(mut told) = self.open.remove(&number) else { return };
        self.forget(&told.call.id, number);
        let call = &mut told.call;
        // What another line said before is more exact.
        if call.outcome == Outcome::Unknown {
            call.outcome = end.outcome;
        }
        call.out_size = end.out_size;
        call.attributes.push(("error_type", end.error_type.to_owned()));
        told.ended = end.at.or(told.ended);
        told.tell_duration();
        told.is_open = false;
        self.done.push(told);
    }

    /// What a line beside the result says of how a call ended.
    pub(super) fn told(
        &mut self,
        id: &str,
        at: Option<Timestamp>,
        outcome: Outcome,
        duration: Option<Duration>,
    ) {
        if let Some(told) = self.latest(id).and_then(|number| self.open.get_mut(&number)) {
            told.call.outcome = outcome;
            told.call.duration = duration.or(told.call.duration);
            told.ended = at;
        }
    }

    /// All calls that are open were broken off.
    pub(super) fn interrupted(&mut self, at: Option<Timestamp>) {
        let open: Vec<u64> = self.open.keys().copied().collect();
        for number in open {
            self.end(number, End { at, outcome: Outcome::Cancelled, ..End::default() });
        }
    }

    /// The calls that have ended since the last time, in the order of their ends.
    pub(super) fn done(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.done)
    }

    /// The calls that are open at the end of the transcript.
    pub(super) fn rest(self) -> impl Iterator<Item = Told> {
        self.open.into_values().map(|mut told| {
            told.give_up();
            told
        })
    }
}

/// The time at this JSON pointer.
pub(super) fn time(line: &Sketch, pointer: &str) -> Option<Timestamp> {
    Timestamp::parse(line.text(pointer)).ok()
}

/// The text of a member.
pub(super) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The first text of a result: the result itself, or a part of it.
pub(super) fn first_text(result: &Value) -> &str {
    match result {
        Value::String(text) => text,
        Value::Array(parts) => {
            parts.iter().map(|part| text(part, "text")).find(|text| !text.is_empty()).unwrap_or_default()
        }
        Value::Object(_) => text(result, "content"),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(id: impl Into<String>) -> Call {
        Call { id: id.into(), ..Call::default() }
    }

    #[test]
    fn a_call_that_is_told_twice_is_one() {
        let mut calls = Calls::default();
        calls.began(call("a"), "");
        calls.began(call("a"), "");
        calls.ended("a", End { outcome: Outcome::Ok, ..End::default() });
        calls.ended("a", End { outcome: Outcome::Error, ..End::default() });
        assert_eq!(calls.done().iter().map(|told| told.call.outcome).collect::<Vec<_>>(), [Outcome::Ok]);
        assert_eq!(calls.rest().count(), 0);
    }

    #[test]
    fn an_identifier_that_is_used_again_with_other_arguments_is_another_call() {
        let of = |tool: &str| Call { tool: tool.into(), ..call("call_0") };
        let mut calls = Calls::default();
        for (tool, outcome) in [("ls", Outcome::Ok), ("rm", Outcome::Error)] {
            calls.began(of(tool), "");
            calls.ended("call_0", End { outcome, ..End::default() });
        }
        calls.began(of("lost"), "");
        calls.began(of("last"), "");
        calls.ended("call_0", End { outcome: Outcome::Denied, ..End::default() });
        let done: Vec<_> = calls.done().into_iter().map(|told| (told.call.tool, told.call.outcome)).collect();
        let expected = [("ls", Outcome::Ok), ("rm", Outcome::Error), ("last", Outcome::Denied)];
        assert_eq!(done, expected.map(|(tool, outcome)| (tool.to_owned(), outcome)));
        assert_eq!(calls.rest().map(|told| told.call.tool).collect::<Vec<_>>(), ["lost"]);
    }

    #[test]
    fn open_calls_are_bounded_and_none_is_lost_from_sight() {
        let mut calls = Calls::default();
        (0..MOST_OPEN + 5).for_each(|n| calls.began(call(n.to_string()), ""));
        let done = calls.done();
        assert_eq!(
            done.iter().map(|told| told.call.id.as_str()).collect::<Vec<_>>(),
            ["0", "1", "2", "3", "4"]
        );
        assert_eq!(calls.rest().count(), MOST_OPEN);
    }

    proptest! {
        #[test]
        fn each_call_comes_out_once(steps in proptest::collection::vec((0..12_u8, 0..4_u8), 0..80)) {
            let mut calls = Calls::default();
            let (mut began, mut came) = (0, Vec::new());
            let mut open = std::collections::HashSet::new();
            for (id, step) in steps {
                match step {
                    0 | 1 => { began += u64::from(open.insert(id)); calls.began(call(id.to_string()), ""); }
                    2 => { open.remove(&id); calls.ended(&id.to_string(), End::default()); }
                    _ => { open.clear(); calls.interrupted(None); }
                }
                came.extend(calls.done());
            }
            let still_open: Vec<Told> = calls.rest().collect();
            prop_assert_eq!(still_open.len(), open.len());
            prop_assert_eq!((came.len() + still_open.len()) as u64, began);
        }
    }
}
