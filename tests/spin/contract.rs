//! The cases of the contract, on the backends that Spin can have.

use audit_fixtures::{event_from_json, filter_from_json};
use audit_host::{Backend, Error, Event, Order, PageRequest};
use audit_spin_host::{Settings, SpinStore};
use audit_testbed::{Cluster, TABLE};
use serde_json::Value;

use crate::site::{postgres, start};

const BACKENDS: [Backend; 3] = [Backend::Postgres, Backend::Memory, Backend::Null];

/// Runs a test for each case, on a fresh store of each backend.
fn each(cases: &str, mut run: impl FnMut(&Value, Backend, &mut SpinStore)) {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    for case in &cases {
        for backend in BACKENDS {
            cluster.execute(&url, &format!("DROP TABLE IF EXISTS {TABLE}"));
            let settings = match backend {
                Backend::Postgres => postgres(&url, cluster.port()),
                other => Settings::default().env("AUDIT_BACKEND", other.name()),
            };
            let mut store = start(&settings);
            run(case, backend, &mut store);
            audit_fixtures::assert_balanced(&store.status().unwrap().counts);
            store.close().unwrap();
        }
    }
}

fn events(case: &Value) -> Vec<Event> {
    case["write"].as_array().unwrap().iter().map(event_from_json).collect()
}

fn assert_reads(cases: &str) {
    each(cases, |case, backend, store| {
        store.write_batch(&events(case)).unwrap();
        store.flush().unwrap();
        for read in case["reads"].as_array().unwrap() {
            let order = match read["newest"].as_bool() {
                Some(true) => Order::NewestFirst,
                _ => Order::OldestFirst,
            };
            let limit = read["limit"].as_u64().unwrap_or(0) as u32;
            let mut request = PageRequest { order, limit, cursor: None };
            let mut found = Vec::new();
            loop {
                let page = store.read(&filter_from_json(&read["filter"]), &request).unwrap();
                assert!(limit == 0 || page.entries.len() <= limit as usize);
                found.extend(page.entries.into_iter().map(|entry| entry.event.req_id));
                match page.next {
                    Some(cursor) => request.cursor = Some(cursor),
                    None => break,
                }
            }
            let expected = read["expect"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
            let expected: Vec<&str> = expected.filter(|_| !matches!(backend, Backend::Null)).collect();
            assert_eq!(found, expected, "{}, {backend:?}: {read}", case["name"]);
        }
    });
}

#[test]
fn entries_are_read_in_the_order_of_their_times() {
    assert_reads(include_str!("../contract/order.json"));
}

#[test]
fn a_filter_selects_the_entries_that_match_all_of_it() {
    assert_reads(include_str!("../contract/filters.json"));
}

#[test]
fn an_invalid_field_is_named() {
    each(include_str!("../contract/invalid.json"), |case, backend, store| {
        let result = match case.get("read") {
            Some(wrong) => store.read(&filter_from_json(wrong), &PageRequest::default()).map(drop),
            None => store.write_batch(&events(case)).map(drop),
        };
        match result {
            Err(Error::Invalid(invalid)) => assert_eq!(invalid.field, case["invalid"].as_str().unwrap()),
            result => panic!("{}, {backend:?}: {result:?}", case["name"]),
        }
    });
}

#[test]
fn no_event_is_refused_for_its_content() {
    each(include_str!("../contract/mended.json"), |case, backend, store| {
        let lines = format!("{}\n", case["write"]);
        store.write_jsonl(&lines).unwrap();
        store.flush().unwrap();
        let mended = u64::from(case["mended"].as_bool().unwrap());
        assert_eq!(store.status().unwrap().mended, mended, "{}, {backend:?}", case["name"]);
        let page = store.read(&Default::default(), &PageRequest::default()).unwrap();
        assert_eq!(page.entries.len(), usize::from(!matches!(backend, Backend::Null)));
        for entry in page.entries {
            let expected = event_from_json(&case["stored"]);
            let ts = if expected.ts.is_empty() { entry.event.ts.clone() } else { expected.ts.clone() };
            assert_eq!(entry.event, Event { ts, ..expected }, "{}, {backend:?}", case["name"]);
        }
    });
}
