//! Calls that have begun and have no end: events with the status `started`, for which there is no event of another status with
//! the same session and the same request.
//!
//! A request may be used again: each end is that of one beginning, the latest before it that is open. One pass goes through the record from the first possible beginning on, in the order of the times. Memory holds the calls that
//! are open at that point, and the ends of the last minute.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use audit_format::event::{Event, Field};
use audit_format::query::{self, Query};
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use audit_host::{Error, Instance, Order};

use super::Stop;
use super::ahead::Ahead;
use super::pages::Pages;

/// How much earlier than its beginning the end of a call may be dated, in microseconds: the time of an end is computed from
/// a duration, by another process and maybe by another clock.
const EARLY: i64 = 60_000_000;

/// How many ends are remembered for beginnings that come behind them.
const MOST_EARLY: usize = 1 << 20;

pub(super) struct Found {
    /// The oldest first.
    pub(super) lines: Vec<String>,
    pub(super) skipped: u64,
}

pub(super) fn find(
    from: Instance,
    filter: &query::Filter,
    mut searched: impl FnMut(&str),
) -> Result<Found, Stop> {
    let request = query::PageRequest::default();
    let query =
        Query::new(filter.clone(), &request).map_err(|invalid| Error::Invalid(invalid_value(invalid)))?;
    // An end has the session and the request of its beginning, and may lack all else.
    let shared = |field: &Field| matches!(field, Field::GraphRunId | Field::ReqId);
    let texts = filter.texts.iter().filter(|(field, _)| shared(field)).cloned().collect();
    let first = filter.from_ts.is_some().then(|| Timestamp::clamped(query.from.micros() - EARLY).to_string());
    let everything = query::Filter { from_ts: first, texts, ..query::Filter::default() };
    let read = Ahead::start(Pages::new(everything, false, Order::OldestFirst, None, None), from)?;
    let mut open = Open::default();
    while let Some(page) = read.next() {
        for line in page.lines.split_inclusive('\n') {
            if let Ok(parsed) = parse_stored(line) {
                open.take(&parsed.event, line, |event, at| {
                    (query.from..=query.to).contains(&at) && query.texts_match(event)
                });
            }
        }
        if let Some(cursor) = page.searched {
            searched(&cursor);
        }
    }
    Ok(Found { lines: open.into_lines(), skipped: read.end()?.skipped() })
}

fn invalid_value(invalid: audit_format::Invalid) -> audit_host::InvalidValue {
    audit_host::InvalidValue { index: 0, field: invalid.field, reason: invalid.reason }
}

/// What tells a call from others: a hash of its session and its request.
type Key = u64;

/// The calls that are open, while events come in the order of their times.
#[derive(Default)]
struct Open {
    hasher: RandomState,
    /// By the number of the event, which has their order. None: it is not wanted, but may have an end.
    lines: BTreeMap<u64, Option<String>>,
    /// Those with a key, the latest last.
    numbers: HashMap<Key, Vec<u64>>,
    next: u64,
    early: Early,
}

/// The ends of the last minute that no beginning had yet.
#[derive(Default)]
struct Early {
    /// The oldest first, by their numbers.
    ends: BTreeMap<u64, (Timestamp, Key)>,
    numbers: HashMap<Key, VecDeque<u64>>,
    next: u64,
}

impl Open {
    fn take(&mut self, event: &Event<'_>, line: &str, is_wanted: impl Fn(&Event<'_>, Timestamp) -> bool) {
        let Ok(at) = Timestamp::parse(&event.ts) else { return };
        let key = (!event.req_id.is_empty()).then(|| {
            self.hasher.hash_one((event.graph_run_id.as_deref().unwrap_or_default(), &*event.req_id))
        });
        if event.status != "started" {
            if let Some(key) = key {
                self.end(at, key);
            }
            return;
        }
        self.early.forget_before(at);
        if key.is_some_and(|key| self.early.take(key)) {
            return;
        }
        let line = is_wanted(event, at).then(|| line.to_owned());
        match key {
            Some(key) => self.numbers.entry(key).or_default().push(self.next),
            // It can have no end.
            None if line.is_none() => return,
            None => {}
        }
        self.lines.insert(self.next, line);
        self.next += 1;
    }

    /// An end closes the latest beginning that is open, and no other one.
    fn end(&mut self, at: Timestamp, key: Key) {
        self.early.forget_before(at);
        let Some(of_key) = self.numbers.get_mut(&key) else { return self.early.add(at, key) };
        if let Some(number) = of_key.pop() {
            self.lines.remove(&number);
        }
        if of_key.is_empty() {
            self.numbers.remove(&key);
        }
    }

    fn into_lines(self) -> Vec<String> {
        self.lines.into_values().flatten().collect()
    }
}

impl Early {
    fn add(&mut self, at: Timestamp, key: Key) {
        self.ends.insert(self.next, (at, key));
        self.numbers.entry(key).or_default().push_back(self.next);
        self.next += 1;
    }

    /// Whether there was an end with this key. It is that of one beginning.
    fn take(&mut self, key: Key) -> bool {
        let number = self.numbers.get_mut(&key).and_then(VecDeque::pop_front);
        if let Some(number) = number {
            self.ends.remove(&number);
            self.forget_empty(key);
        }
        number.is_some()
    }

    fn forget_before(&mut self, at: Timestamp) {
        while let Some((_, (ended, key))) = self.ends.first_key_value() {
            let is_late = ended.micros() < at.micros().saturating_sub(EARLY);
            if !is_late && self.ends.len() < MOST_EARLY {
                return;
            }
            self.take(*key);
        }
    }

    fn forget_empty(&mut self, key: Key) {
        if self.numbers.get(&key).is_some_and(VecDeque::is_empty) {
            self.numbers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The requests that are open after these events: each has the second of its time, its status and its request.
    fn open(events: &[(u64, &str, String)]) -> Vec<String> {
        let mut open = Open::default();
        for (second, status, request) in events {
            let event = Event {
                ts: format!("2026-11-23T06:{:02}:{:02}Z", second / 60, second % 60).into(),
                status: (*status).into(),
                req_id: request.into(),
                graph_run_id: Some("s".into()),
                ..Event::default()
            };
            open.take(&event, request, |_, _| true);
        }
        open.into_lines()
    }

    #[test]
    fn an_end_may_be_dated_a_little_before_its_beginning() {
        let event = |second, status: &'static str| (second, status, "r".to_owned());
        assert_eq!(open(&[event(0, "ok"), event(59, "started")]), [""; 0]);
        assert_eq!(open(&[event(0, "ok"), event(61, "started")]), ["r"]);
    }

    #[test]
    fn a_beginning_without_a_request_can_have_no_end() {
        assert_eq!(open(&[(0, "started", String::new()), (1, "ok", String::new())]), [""]);
    }

    #[test]
    fn each_end_is_that_of_one_beginning() {
        let event = |second, status: &'static str| (second, status, "r".to_owned());
        let (begins, ends) = (|second| event(second, "started"), |second| event(second, "ok"));
        assert_eq!(open(&[begins(0), ends(1), begins(2)]), ["r"]);
        assert_eq!(open(&[begins(0), ends(1), begins(2), ends(3)]), [""; 0]);
        assert_eq!(open(&[begins(0), begins(1), ends(2)]), ["r"]);
        // The second end is dated early.
        assert_eq!(open(&[begins(0), ends(1), ends(2), begins(3)]), [""; 0]);
        assert_eq!(open(&[begins(0), ends(1), ends(2), begins(3), begins(4)]), ["r"]);
        let mut open = Open::default();
        for (second, status, tool) in [
            (0, "started", "unwanted"),
            (1, "ok", ""),
            (2, "started", "wanted"),
            (3, "started", "unwanted"),
            (4, "ok", ""),
        ] {
            let event = Event {
                ts: format!("2026-11-23T06:00:0{second}Z").into(),
                status: status.into(),
                tool: tool.into(),
                req_id: "r".into(),
                ..Event::default()
            };
            open.take(&event, tool, |event, _| event.tool == "wanted");
        }
        assert_eq!(open.into_lines(), ["wanted"]);
    }

    proptest! {
        #[test]
        fn what_began_and_never_ended_is_found(calls in proptest::collection::vec((any::<bool>(), any::<bool>()), 0..60)) {
            let mut events = Vec::new();
            for (n, (is_started, is_ended)) in calls.iter().enumerate() {
                if *is_started {
                    events.push((n as u64, "started", n.to_string()));
                }
                if *is_ended {
                    events.push((n as u64 * 2 + 1, "error", n.to_string()));
                }
            }
            events.sort_by_key(|(second, ..)| *second);
            let expected: Vec<String> = calls.iter().enumerate()
                .filter(|(_, call)| **call == (true, false)).map(|(n, _)| n.to_string()).collect();
            prop_assert_eq!(open(&events), expected);
        }
    }
}
