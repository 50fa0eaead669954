//! The limit on the component's time counts the time in which it computes, not the time in which it waits for the
//! database.

use std::time::{Duration, Instant};

use audit_fixtures::all_numbered;
use audit_host::{Active, Error, Event, Filter, Instance, PageRequest};
use audit_testbed::DATABASE_BACKENDS;

use crate::client::Client;
use crate::site::Site;

const LIMIT: Duration = Duration::from_millis(200);

#[test]
fn a_call_that_waits_for_the_database_is_not_stopped_for_it() {
    for backend in DATABASE_BACKENDS {
        let site = Site::new();
        let options = site.options(backend).call_limit(LIMIT).database_timeout(4 * LIMIT);
        // The limit is set in the component as well, so that this test cannot share one with the others.
        let mut store = Instance::open(&options).unwrap();
        store.write_batch(&all_numbered("limit", 0..10)).unwrap();
        site.proxy.hang();
        let begin = Instant::now();
        let flushed = store.flush();
        assert!(begin.elapsed() > 3 * LIMIT, "the call did not wait for the database");
        match backend {
            "postgres" => assert!(matches!(flushed, Err(Error::Unavailable(_))), "{flushed:?}"),
            _ => assert_eq!((flushed, store.status().unwrap().backend), (Ok(()), Active::Spool)),
        }
        let read = store.read(&Filter::default(), &PageRequest::default());
        assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
        site.proxy.pass();
        assert_eq!(Client::Instance(Box::new(store)).settle().stored, 10);
    }
}

#[test]
fn a_call_that_computes_too_long_is_stopped() {
    let site = Site::new();
    let mut store = Instance::open(&site.options("postgres").call_limit(LIMIT)).unwrap();
    store.write_batch(&all_numbered("limit", 0..100)).unwrap();
    // So many empty lines take the component several times the limit.
    match store.write_jsonl(&"\n".repeat(60 << 20)) {
        Err(Error::Trap(reason)) => assert!(reason.contains("took longer than its limit"), "{reason}"),
        answer => panic!("{answer:?}"),
    }
    let stopped = store.write(&Event::default());
    assert!(matches!(stopped, Err(Error::Trap(_))), "{stopped:?}");
}
