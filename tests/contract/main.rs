//! The contract, as data: the cases beside this file hold in every host, on every backend that works there, however the
//! events are written and read.

#[path = "../common/mod.rs"]
mod common;
mod hosts;
#[path = "../common/node.rs"]
mod node_package;
mod refused;

use audit_fixtures::{assert_balanced, assert_leaf_hash, event_from_json, req_ids, stored};
use audit_format::time::Timestamp;
use audit_host::{Backend, Error, Event, Filter, Order, PageRequest};
use audit_testbed::Cluster;
use hosts::{Host, LOCAL, Opening, Store, read_all};
use serde_json::{Value, json};
use std::time::SystemTime;

/// Makes the tests of each host, and [`HOSTS`] of all of them.
macro_rules! hosts {
    ($($module:ident: $folder:literal, $backends:expr, $start:path;)*) => {
        /// Every host.
        const HOSTS: &[Host] = &[$($module::HOST),*];

        $(mod $module {
            use super::*;

            pub const HOST: Host = Host { folder: $folder, backends: $backends, start: $start };

            #[test]
            fn entries_are_read_in_the_order_of_their_times() {
                assert_reads(&HOST, include_str!("order.json"));
            }

            #[test]
            fn a_filter_selects_the_entries_that_match_all_of_it() {
                assert_reads(&HOST, include_str!("filters.json"));
            }

            #[test]
            fn an_invalid_field_is_named_and_nothing_of_its_batch_is_stored() {
                assert_invalid(&HOST);
            }

            #[test]
            fn no_event_is_refused_for_its_content() {
                assert_mended(&HOST);
            }

            #[test]
            fn a_line_of_4096_bytes_is_kept_and_a_longer_one_is_cut() {
                assert_lengths(&HOST);
            }

            #[test]
            fn an_event_without_a_ts_gets_the_current_time() {
                assert_now(&HOST);
            }

            #[test]
            fn a_refused_event_counts_as_dropped_once_the_hole_that_it_leaves_is_explained() {
                refused::assert_refused(&HOST);
            }
        })*
    };
}

hosts! {
    rust_instance: "wasmtime", &Backend::ALL, hosts::rust::full;
    rust_instance_of_the_world_local: "wasmtime", LOCAL, hosts::rust::local;
    rust_handle: "wasmtime", &Backend::ALL, hosts::rust::handle;
    python: "python", &Backend::ALL, hosts::python::start;
    node: "node", &Backend::ALL, hosts::node::node;
    browser: "node", &[Backend::Memory, Backend::Null], hosts::node::browser;
    spin: "spin", &[Backend::Postgres, Backend::Memory, Backend::Null], hosts::spin::start;
}

/// What is in `host-examples/` and has no store that could be read.
const NO_HOSTS: [&str; 2] = ["audit", "composed"];

#[test]
fn every_host_is_on_the_list() {
    let folders = std::fs::read_dir(xtask::root().join("host-examples")).unwrap();
    for folder in folders {
        let name = folder.unwrap().file_name().into_string().unwrap();
        let is_known = NO_HOSTS.contains(&&*name) || HOSTS.iter().any(|host| host.folder == name);
        assert!(is_known, "the contract is not run in host-examples/{name}");
    }
}

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

fn write(store: &mut dyn Store, events: &[Value], way: Way) -> Result<(), Error> {
    match way {
        Way::Each => {
            for event in events {
                store.write(event);
            }
            Ok(())
        }
        Way::Batch => store.write_batch(events),
        Way::Jsonl => {
            let lines: String = events.iter().map(|one| format!("{one}\n")).collect();
            store.write_jsonl(&lines)
        }
    }
}

/// Has the next store make its tables anew.
fn new_table(url: &str) {
    Cluster::shared().execute(url, "DROP TABLE IF EXISTS tool_audit_events, tool_audit_refused");
}

/// Runs a test on a store of every backend that works in the host, for every way to write.
fn each_store(host: &Host, mut run: impl FnMut(&str, Backend, Way, &mut dyn Store)) {
    let mut opener = (host.start)();
    // All stores of a test share one database, because each database takes some megabytes of the temporary folder.
    let needs_database = host.backends.iter().any(|backend| backend.needs_database());
    let database = needs_database.then(|| Cluster::shared().database());
    for &backend in host.backends {
        for way in [Way::Each, Way::Batch, Way::Jsonl] {
            let folder = tempfile::tempdir().unwrap();
            let database_url = database.as_deref().filter(|_| backend.needs_database());
            if let Some(url) = database_url {
                new_table(url);
            }
            let opening = Opening { backend, dir: folder.path(), database_url };
            let mut store = opener.open(&opening);
            let context = format!("{}, {backend:?}, {way:?}", host.folder);
            run(&context, backend, way, &mut *store);
            assert_balanced(&store.status().counts);
        }
    }
}

/// Checks the reads of each case.
fn assert_reads(host: &Host, text: &str) {
    for case in cases(text) {
        let name = case["name"].as_str().unwrap();
        each_store(host, |context, kind, way, store| {
            let events = case["write"].as_array().unwrap();
            write(store, events, way).unwrap();
            store.flush().unwrap();
            let counts = store.status().counts;
            assert_eq!(
                (counts.received, counts.stored),
                (events.len() as u64, events.len() as u64),
                "{context}"
            );
            for read in case["reads"].as_array().unwrap() {
                let context = format!("{name}, {context}: {read}");
                let order = match read["newest"].as_bool() {
                    Some(true) => Order::NewestFirst,
                    _ => Order::OldestFirst,
                };
                let limit = read["limit"].as_u64().unwrap_or(0) as u32;
                let filter = &read["filter"];
                let (entries, skipped) = read_all(store, filter, order, limit);
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
                let page = store.read_jsonl(filter, &request).unwrap();
                let hashes: Vec<&str> = page.lines.lines().map(assert_leaf_hash).collect();
                assert_eq!(hashes, entries.iter().map(|entry| &entry.hash).collect::<Vec<_>>(), "{context}");
                let ids: Vec<String> = page.lines.lines().map(req_id).collect();
                assert_eq!(ids, expected, "{context}");
                assert_eq!((page.count as usize, page.next), (expected.len(), None), "{context}");
            }
        });
    }
}

fn req_id(line: &str) -> String {
    let line: Value = serde_json::from_str(line).expect("a line is JSON");
    line["req_id"].as_str().unwrap().to_string()
}

fn assert_invalid(host: &Host) {
    for case in cases(include_str!("invalid.json")) {
        let name = &case["name"];
        each_store(host, |context, _, way, store| {
            let events = case["write"].as_array().unwrap();
            let result = match case.get("read") {
                Some(wrong) => store.read(wrong, &PageRequest::default()).map(drop),
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
                (Ok(()), None) => assert_eq!(store.status().mended, 1, "{name}, {context}"),
                (Err(Error::Invalid(invalid)), Some(index)) => {
                    assert_eq!((invalid.index, invalid.field.as_str()), (index, field), "{name}, {context}");
                    assert!(invalid.reason.contains("accepted is"), "{name}, {context}: {}", invalid.reason);
                    let (entries, _) = everything(store);
                    assert!(entries.is_empty(), "{name}, {context}");
                }
                (result, _) => panic!("{name}, {context}: {result:?}"),
            }
        });
    }
}

fn everything(store: &mut dyn Store) -> (Vec<audit_host::Entry>, u64) {
    read_all(store, &Value::Null, Order::OldestFirst, 0)
}

fn assert_mended(host: &Host) {
    for case in cases(include_str!("mended.json")) {
        let name = &case["name"];
        each_store(host, |context, kind, way, store| {
            write(store, std::slice::from_ref(&case["write"]), way).unwrap();
            let mended = u64::from(case["mended"].as_bool().unwrap());
            assert_eq!(store.status().mended, mended, "{name}, {context}");
            let (entries, _) = everything(store);
            assert_eq!(entries.len(), usize::from(kind != Backend::Null), "{name}, {context}");
            for entry in entries {
                let expected = event_from_json(&case["stored"]);
                let ts = if expected.ts.is_empty() { entry.event.ts.clone() } else { expected.ts.clone() };
                assert_eq!(entry.event, Event { ts, ..expected }, "{name}, {context}");
            }
        });
    }
}

/// How long a line is whose texts are empty.
fn shortest() -> usize {
    let folder = tempfile::tempdir().unwrap();
    let mut store = audit_fixtures::open(Backend::Memory, folder.path());
    store.write(&Event { ts: "2026-11-23T12:00:00Z".into(), ..Event::default() }).unwrap();
    store.read_jsonl(&Filter::default(), &PageRequest::default()).unwrap().lines.len()
}

fn assert_lengths(host: &Host) {
    let everything = Value::Null;
    let shortest = shortest();
    each_store(host, |context, kind, way, store| {
        let noon = json!({"ts": "2026-11-23T12:00:00Z"});
        let text = |len: usize| "x".repeat(len - shortest);
        for len in [4095, 4096, 4097, 200_000] {
            let mut event = noon.clone();
            event["input_hash"] = text(len).into();
            write(store, &[event], way).unwrap();
        }
        assert_eq!(store.status().mended, 2, "{context}");
        let lines = store.read_jsonl(&everything, &PageRequest::default()).unwrap().lines;
        let lengths: Vec<_> = lines.split_inclusive('\n').map(str::len).collect();
        let cut = shortest + 2048;
        assert_eq!(
            lengths,
            if kind == Backend::Null { vec![] } else { vec![4095, 4096, cut, cut] },
            "{context}"
        );
        // What can be filtered by is found by the whole text, and is cut earlier.
        for len in [2600, 2601, 200_000] {
            let text = "x".repeat(len);
            write(store, &[json!({"ts": "2026-11-23T12:00:01Z", "graph_node": text})], way).unwrap();
            let filter = json!({"graph_node": text});
            let found = store.read(&filter, &PageRequest::default()).unwrap().entries.len();
            assert_eq!(found, usize::from(kind != Backend::Null), "{context}, {len}");
        }
    });
}

fn assert_now(host: &Host) {
    each_store(host, |context, kind, way, store| {
        let before = Timestamp::from(SystemTime::now());
        write(store, &[json!({"req_id": "now"})], way).unwrap();
        let (entries, _) = everything(store);
        let after = Timestamp::from(SystemTime::now());
        assert_eq!(entries.len(), usize::from(kind != Backend::Null), "{context}");
        for entry in entries {
            let at = Timestamp::parse(&entry.event.ts).unwrap();
            assert!((before..=after).contains(&at), "{context}: {} is not now", entry.event.ts);
        }
    });
}
