//! The limit on the component's time counts what it computes, and not what the database takes.

use std::time::{Duration, Instant};

use audit_host::{Active, Error, Event, Filter, Instance, Options, PageRequest};
use audit_testbed::{Cluster, Proxy};

use crate::client::{BACKENDS, Client, database};
use crate::events::all_numbered;

const LIMIT: Duration = Duration::from_millis(200);

#[test]
fn a_call_that_waits_for_the_database_is_not_stopped_for_it() {
    for backend in BACKENDS {
        let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
        let proxy = Proxy::to(cluster.port());
        let url = proxy.url(&database(cluster));
        let options = Options::new().backend(backend).dir(folder.path()).database_url(url).warnings(|_| ());
        let options = options.call_limit(LIMIT).database_timeout(4 * LIMIT);
        // The limit is that of the component too, which is shared in the other tests.
        let mut store = Instance::open(&options).unwrap();
        store.write_batch(&all_numbered("limit", 0..10)).unwrap();
        proxy.hang();
        let begin = Instant::now();
        let flushed = store.flush();
        assert!(begin.elapsed() > 3 * LIMIT, "it has waited");
        match backend {
            "postgres" => assert!(matches!(flushed, Err(Error::Unavailable(_))), "{flushed:?}"),
            _ => assert_eq!((flushed, store.status().unwrap().backend), (Ok(()), Active::Spool)),
        }
        let read = store.read(&Filter::default(), &PageRequest::default());
        assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
        proxy.pass();
        assert_eq!(Client::Instance(Box::new(store)).settle().stored, 10);
    }
}

#[test]
fn a_call_that_computes_too_long_is_stopped_where_there_is_a_database_too() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    let options = Options::new().backend("postgres").dir(folder.path()).database_url(url).warnings(|_| ());
    let mut store = Instance::open(&options.call_limit(LIMIT)).unwrap();
    store.write_batch(&all_numbered("limit", 0..100)).unwrap();
    // So many empty lines take several times the limit.
    match store.write_jsonl(&"\n".repeat(150 << 20)) {
        Err(Error::Trap(reason)) => assert!(reason.contains("took longer than its limit"), "{reason}"),
        answer => panic!("{answer:?}"),
    }
    let stopped = store.write(&Event::default());
    assert!(matches!(stopped, Err(Error::Trap(_))), "{stopped:?}");
}
