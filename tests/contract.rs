//! The contract, as data: the cases in `tests/contract/` hold on every backend of the built component, however the
//! events are written and read.

mod common;

use audit_fixtures::{
    assert_balanced, component, event_from_json, everything, filter_from_json, open, read_all, req_ids,
    stored,
};
use audit_format::time::Timestamp;
use audit_host::{Backend, Error, Event, Filter, Instance, Options, Order, PageRequest};
use audit_testbed::{ANSWER, Cluster};
use common::local_component;
use serde_json::{Value, json};
use std::time::SystemTime;

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("the cases are JSON")
}

/// How the events of a case reach the store.
#[derive(Clone, Copy, Debug)]
enum Way {
    Each,
    Batch,
    Jsonl,
}

fn write(store: &mut Instance, events: &[Value], way: Way) -> Result<(), Error> {
    match way {
        Way::Each => events.iter().try_for_each(|one| store.write(&event_from_json(one))),
        Way::Batch => store.write_batch(&events.iter().map(event_from_json).collect::<Vec<_>>()).map(drop),
        Way::Jsonl => {
            let lines: String = events.iter().map(|one| format!("{one}\n")).collect();
            store.write_jsonl(&lines).map(drop)
        }
    }
}

/// Runs a test on a store of every backend, for every way to write, in both components.
fn each_store(mut run: impl FnMut(Backend, Way, &mut Instance)) {
    // All stores share one database, because each database takes some megabytes of the temporary folder.
    let database = Cluster::shared().database();
    for kind in Backend::ALL {
        for way in [Way::Each, Way::Batch, Way::Jsonl] {
            for component in [component(), local_component()] {
                let folder = tempfile::tempdir().unwrap();
                let mut options = Options::new().backend(kind.name()).dir(folder.path()).warnings(|_| ());
                if kind.needs_database() {
                    if std::ptr::eq(component, local_component()) {
                        continue;
                    }
                    options = options.database_url(&database).database_timeout(ANSWER);
                    Cluster::shared().execute(&database, "DROP TABLE IF EXISTS tool_audit_events");
                }
                let mut store = Instance::start(component, &options).unwrap();
                run(kind, way, &mut store);
                assert_balanced(&store.status().unwrap().counts);
            }
        }
    }
}

/// Checks the reads of each case.
fn assert_reads(text: &str) {
    for case in cases(text) {
        let name = case["name"].as_str().unwrap();
        each_store(|kind, way, store| {
            let events = case["write"].as_array().unwrap();
            write(store, events, way).unwrap();
            store.flush().unwrap();
            let counts = store.status().unwrap().counts;
            assert_eq!((counts.received, counts.stored), (events.len() as u64, events.len() as u64));
            for read in case["reads"].as_array().unwrap() {
                let context = format!("{name}, {kind:?}, {way:?}: {read}");
                let order = match read["newest"].as_bool() {
                    Some(true) => Order::NewestFirst,
                    _ => Order::OldestFirst,
                };
                let limit = read["limit"].as_u64().unwrap_or(0) as u32;
                let selected = filter_from_json(&read["filter"]);
                let (entries, skipped) = read_all(store, &selected, order, limit);
                let expected: Vec<_> = match kind {
                    Backend::Null => Vec::new(),
                    _ => read["expect"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect(),
                };
                assert_eq!(req_ids(&entries), expected, "{context}");
                assert_eq!(skipped, 0, "{context}");
                for entry in &entries {
                    let sent = events.iter().find(|one| one["req_id"] == entry.event.req_id).unwrap();
                    let mut sent = event_from_json(sent);
                    if sent.ts.is_empty() {
                        sent.ts.clone_from(&entry.event.ts);
                    }
                    assert_eq!(entry.event, stored(&sent), "{context}");
                }
                let request = PageRequest { order, limit: 0, cursor: None };
                let lines = store.read_jsonl(&selected, &request).unwrap();
                let ids: Vec<String> = lines.lines.lines().map(req_id).collect();
                assert_eq!(ids, expected, "{context}");
                assert_eq!((lines.count as usize, lines.next), (expected.len(), None), "{context}");
            }
        });
    }
}

fn req_id(line: &str) -> String {
    let line: Value = serde_json::from_str(line).expect("a line is JSON");
    line["req_id"].as_str().unwrap().to_string()
}

#[test]
fn entries_are_read_in_the_order_of_their_times() {
    assert_reads(include_str!("contract/order.json"));
}

#[test]
fn a_filter_selects_the_entries_that_match_all_of_it() {
    assert_reads(include_str!("contract/filters.json"));
}

#[test]
fn an_invalid_field_is_named_and_nothing_of_its_batch_is_stored() {
    for case in cases(include_str!("contract/invalid.json")) {
        let context = &case["name"];
        each_store(|kind, way, store| {
            let events = case["write"].as_array().unwrap();
            let result = match case.get("read") {
                Some(wrong) => store.read(&filter_from_json(wrong), &PageRequest::default()).map(drop),
                None => write(store, events, way),
            };
            let field = case["invalid"].as_str().unwrap();
            let wrong = |one: &Value| one.get(field).is_some();
            let expected = match (way, events.is_empty()) {
                (Way::Each, false) => None,
                _ => Some(events.iter().position(wrong).unwrap_or(0) as u64),
            };
            match (result, expected) {
                // `write` takes the clock's time.
                (Ok(()), None) => assert_eq!(store.status().unwrap().mended, 1, "{context}"),
                (Err(Error::Invalid(invalid)), Some(index)) => {
                    assert_eq!(
                        (invalid.index, invalid.field.as_str()),
                        (index, field),
                        "{context}, {kind:?}"
                    );
                    assert!(invalid.reason.contains("accepted is"), "{context}: {}", invalid.reason);
                    let (entries, _) = everything(store);
                    assert!(entries.is_empty(), "{context}, {kind:?}");
                }
                (result, _) => panic!("{context}, {kind:?}, {way:?}: {result:?}"),
            }
        });
    }
}

#[test]
fn no_event_is_refused_for_its_content() {
    for case in cases(include_str!("contract/mended.json")) {
        let context = &case["name"];
        each_store(|kind, way, store| {
            write(store, std::slice::from_ref(&case["write"]), way).unwrap();
            let mended = u64::from(case["mended"].as_bool().unwrap());
            assert_eq!(store.status().unwrap().mended, mended, "{context}, {kind:?}, {way:?}");
            let (entries, _) = everything(store);
            assert_eq!(entries.len(), usize::from(kind != Backend::Null), "{context}, {kind:?}");
            for entry in entries {
                let expected = event_from_json(&case["stored"]);
                let ts = if expected.ts.is_empty() { entry.event.ts.clone() } else { expected.ts.clone() };
                assert_eq!(entry.event, Event { ts, ..expected }, "{context}, {kind:?}, {way:?}");
            }
        });
    }
}

#[test]
fn a_line_of_4096_bytes_is_kept_and_a_longer_one_is_cut() {
    each_store(|kind, way, store| {
        let shortest = {
            let folder = tempfile::tempdir().unwrap();
            let mut other = open(Backend::Memory, folder.path());
            write(&mut other, &[json!({"ts": "2026-11-23T12:00:00Z"})], Way::Batch).unwrap();
            other.read_jsonl(&Filter::default(), &PageRequest::default()).unwrap().lines.len()
        };
        let text = |len: usize| "x".repeat(len - shortest);
        for len in [4095, 4096, 4097, 200_000] {
            write(store, &[json!({"ts": "2026-11-23T12:00:00Z", "input_hash": text(len)})], way).unwrap();
        }
        assert_eq!(store.status().unwrap().mended, 2, "{kind:?}, {way:?}");
        let lines = store.read_jsonl(&Filter::default(), &PageRequest::default()).unwrap().lines;
        let lengths: Vec<_> = lines.split_inclusive('\n').map(str::len).collect();
        let cut = shortest + 2048;
        assert_eq!(lengths, if kind == Backend::Null { vec![] } else { vec![4095, 4096, cut, cut] });
        // What can be filtered by is found by the whole text, and is cut earlier.
        for len in [2600, 2601, 200_000] {
            let text = "x".repeat(len);
            write(store, &[json!({"ts": "2026-11-23T12:00:01Z", "graph_node": text})], way).unwrap();
            let filter = Filter { graph_node: Some(text), ..Filter::default() };
            let found = store.read(&filter, &PageRequest::default()).unwrap().entries.len();
            assert_eq!(found, usize::from(kind != Backend::Null), "{kind:?}, {way:?}, {len}");
        }
    });
}

#[test]
fn an_event_without_a_ts_gets_the_current_time() {
    each_store(|kind, way, store| {
        let before = Timestamp::from(SystemTime::now());
        write(store, &[json!({"req_id": "now"})], way).unwrap();
        let after = Timestamp::from(SystemTime::now());
        let (entries, _) = everything(store);
        assert_eq!(entries.len(), usize::from(kind != Backend::Null));
        for entry in entries {
            let at = Timestamp::parse(&entry.event.ts).unwrap();
            assert!((before..=after).contains(&at), "{} is not now", entry.event.ts);
        }
    });
}
