//! Of a batch with a row that the database refuses, only that row is not stored.

use std::fs;
use std::sync::{Arc, Mutex};

use audit_fixtures::{all_numbered, assert_balanced, assert_chains, assert_same_events, start};
use audit_host::Event;
use audit_testbed::{ANSWER, NEVER, age_spools, refused};

use crate::client::{Client, WAYS, Way};
use crate::site::Site;
use crate::writer::options;

/// The event that the database refuses, of 400.
const POISONED: usize = 237;

fn events() -> Vec<Event> {
    let mut events = all_numbered("poison", 0..400);
    events[POISONED].tool = "poison".into();
    events
}

/// How the database does not store the event.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Constraint,
    /// A trigger drops the row, and the statement succeeds.
    Trigger,
}

struct Case {
    backend: &'static str,
    way: Way,
    spooled: bool,
    refusal: Refusal,
}

#[test]
fn under_postgres_a_refused_row_alone_is_dropped_with_a_warning() {
    for way in WAYS {
        run(&Case { backend: "postgres", way, spooled: false, refusal: Refusal::Constraint });
    }
}

#[test]
fn a_row_that_a_trigger_drops_is_a_refused_row_in_both_backends() {
    for (backend, spooled) in [("postgres", false), ("auto", false), ("auto", true)] {
        run(&Case { backend, way: WAYS[0], spooled, refusal: Refusal::Trigger });
    }
}

#[test]
fn under_auto_a_refused_row_is_kept_in_a_file_whether_it_was_in_the_spool_or_not() {
    for way in WAYS {
        for spooled in [false, true] {
            run(&Case { backend: "auto", way, spooled, refusal: Refusal::Constraint });
        }
    }
}

fn run(Case { backend, way, spooled, refusal }: &Case) {
    let context = format!("{backend}, {way:?}, spooled: {spooled}, {refusal:?}");
    let site = Site::new();
    match refusal {
        Refusal::Constraint => site.cluster.refuse_tool(&site.url, "poison"),
        Refusal::Trigger => site.cluster.drop_tool(&site.url, "poison"),
    }
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&warnings);
    let options = site.options(backend).flush_interval(NEVER).database_timeout(ANSWER);
    let mut client =
        Client::open(*way, options.warnings(move |line| sink.lock().unwrap().push(line.to_owned())));
    if *spooled {
        site.proxy.refuse();
    }
    let mut events = events();
    client.write_batch(&events).unwrap();
    client.flush().unwrap();
    if *spooled {
        assert_eq!(client.status().counts.spooled, 400, "{context}");
        site.proxy.pass();
    }
    let counts = client.settle();
    assert_eq!((counts.received, counts.stored, counts.dropped.unwritable), (400, 399, 1), "{context}");

    let poisoned = events.remove(POISONED);
    let rows = site.rows();
    assert_chains(&rows, &[POISONED as u64]);
    assert_same_events(&rows, &events);
    let refusals = warnings.lock().unwrap().iter().filter(|line| line.contains("refuses an event")).count();
    assert_eq!(refusals, 1, "{context}: {warnings:?}");

    let refused = refused(site.folder());
    assert_eq!(refused.len(), usize::from(*backend == "auto"), "{context}");
    if let [path] = &refused[..] {
        let chain = client.status().chain;
        assert!(path.ends_with(format!("refused_{chain}.jsonl")), "{path:?}");
        let text = fs::read_to_string(path).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).expect("the file has one line");
        assert_eq!((line["req_id"].as_str(), line["seq"].as_u64()), (Some(&*poisoned.req_id), Some(237)));
        assert!(!text.contains("poison-236") && text.ends_with("\"}\n"), "{text}");
    }
    assert_eq!(site.spools(), 0, "{context}");
}

#[test]
fn a_refused_row_at_the_end_of_a_file_that_another_instance_takes_over_is_the_only_one_counted_as_lost() {
    let site = Site::new();
    site.cluster.refuse_tool(&site.url, "poison");
    let mut owner = start(&options(&site));
    let mut other = start(&options(&site).database_url(&site.url));
    site.proxy.refuse();
    owner.write_batch(&events()[..=POISONED]).unwrap();
    owner.flush().unwrap();
    age_spools(site.folder());
    other.flush().unwrap();
    assert_eq!(site.spools(), 0);
    assert_eq!(refused(site.folder()).len(), 1);

    site.proxy.pass();
    owner.flush().unwrap();
    let counts = owner.status().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!(site.stored(), POISONED as u64);
    assert_eq!((counts.stored, counts.dropped.unwritable), (POISONED as u64, 1));
}
