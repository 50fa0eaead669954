//! Calls that have begun and have no end: events with the status `started`, where no event of another status has the same
//! session and the same request.
//!
//! One pass goes through the record from the first possible beginning on, in the order of the times. Memory holds the calls that
//! are open at that point, and the ends of the last minute.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use audit_format::event::{Event, Field};
use audit_format::query::{self, Query};
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use audit_host::{Error, Instance, Order, PageRequest};

/// How much earlier than its beginning the end of a call may be dated, in microseconds: the time of an end is computed from
/// a duration, by another process and maybe by another clock.
const EARLY: i64 = 60_000_000;

/// How many ends are remembered for beginnings that come behind them.
const MOST_EARLY: usize = 1 << 20;

/// How many events are read at once.
const PAGE: u32 = 50_000;

pub(super) struct Found {
    /// The oldest first.
    pub(super) lines: Vec<String>,
    pub(super) skipped: u64,
}

pub(super) fn find(
    from: &mut Instance,
    filter: &query::Filter,
    mut searched: impl FnMut(&str),
) -> Result<Found, Error> {
    let request = query::PageRequest::default();
    let query =
        Query::new(filter.clone(), &request).map_err(|invalid| Error::Invalid(invalid_value(invalid)))?;
    // An end has the session and the request of its beginning, and may lack all else.
    let shared = |field: &Field| matches!(field, Field::GraphRunId | Field::ReqId);
    let texts = filter.texts.iter().filter(|(field, _)| shared(field)).cloned().collect();
    let first = filter.from_ts.is_some().then(|| Timestamp::clamped(query.from.micros() - EARLY).to_string());
    let everything = query::Filter { from_ts: first, texts, ..query::Filter::default() }.into();
    let mut page = PageRequest { order: Order::OldestFirst, limit: PAGE, cursor: None };
    let (mut open, mut skipped) = (Open::default(), 0);
    loop {
        let read = from.read_jsonl(&everything, &page)?;
        skipped += read.skipped;
        for line in read.lines.split_inclusive('\n') {
            if let Ok(parsed) = parse_stored(line) {
                open.take(&parsed.event, line, |event, at| {
                    (query.from..=query.to).contains(&at) && query.texts_match(event)
                });
            }
        }
        page.cursor = read.next;
        match &page.cursor {
            Some(cursor) => searched(cursor),
            None => return Ok(Found { lines: open.into_lines(), skipped }),
        }
    }
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
    /// By the number of the event, which has their order.
    lines: BTreeMap<u64, String>,
    numbers: HashMap<Key, Vec<u64>>,
    next: u64,
    /// The ends of the last minute, the oldest first.
    ends: VecDeque<(Timestamp, Key)>,
    ended: HashSet<Key>,
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
        self.forget_ends_before(at);
        let has_ended = key.is_some_and(|key| self.ended.contains(&key));
        if has_ended || !is_wanted(event, at) {
            return;
        }
        self.lines.insert(self.next, line.to_owned());
        if let Some(key) = key {
            self.numbers.entry(key).or_default().push(self.next);
        }
        self.next += 1;
    }

    fn end(&mut self, at: Timestamp, key: Key) {
        for number in self.numbers.remove(&key).unwrap_or_default() {
            self.lines.remove(&number);
        }
        self.forget_ends_before(at);
        if self.ended.insert(key) {
            self.ends.push_back((at, key));
        }
    }

    fn forget_ends_before(&mut self, at: Timestamp) {
        while let Some((ended, key)) = self.ends.front() {
            let is_late = ended.micros() < at.micros().saturating_sub(EARLY);
            if !is_late && self.ends.len() < MOST_EARLY {
                return;
            }
            self.ended.remove(key);
            self.ends.pop_front();
        }
    }

    fn into_lines(self) -> Vec<String> {
        self.lines.into_values().collect()
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
