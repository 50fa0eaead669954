//! A server that answers, but not as fast as events come.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use audit_host::{AuditStore, Options};
use audit_testbed::{Cluster, Proxy};

use crate::client::{self, BACKENDS, Client, NEVER, WAYS, assert_balanced, database, spools};
use crate::common::{component, start};
use crate::events::all_numbered;
use crate::hangs::write;
use crate::table::{assert_same, assert_sound, count, out_of_order, rows};

/// Has each statement that inserts take so much longer, in seconds.
fn slow_down(cluster: &Cluster, url: &str, seconds: f64) {
    cluster.execute(
        url,
        &format!(
            "CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END';
             CREATE OR REPLACE TRIGGER slow BEFORE INSERT ON tool_audit_events EXECUTE FUNCTION slow()"
        ),
    );
}

#[test]
fn what_a_slow_server_does_not_take_in_time_goes_through_the_spool() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    let options = Options::new().backend("auto").dir(folder.path()).database_url(&url).warnings(|_| ());
    let store = AuditStore::open_with(component(), options.queue(40_000, 64 << 20)).unwrap();
    store.write(Default::default());
    store.flush().unwrap();
    slow_down(cluster, &url, 0.02);
    // By 50 rows a statement, it takes a quarter of that.
    let sent = write(&store, 10_000, Duration::from_secs(6)).len() as u64 + 1;
    let status = store.status().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.dropped.queue_full), (sent, 0));
    let error = status.last_error.unwrap();
    assert!(error.contains("does not take events as fast as they come"), "{error}");

    slow_down(cluster, &url, 0.0);
    let counts = Client::Store(store).settle();
    assert_eq!((counts.stored, count(cluster, &url)), (sent, sent));
    assert_eq!(out_of_order(cluster, &url), 0);
}

#[test]
fn a_slow_server_holds_up_neither_the_status_nor_the_end() {
    for backend in BACKENDS {
        let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
        let url = database(cluster);
        let options = Options::new().backend(backend).dir(folder.path()).database_url(&url);
        let store = AuditStore::open_with(component(), options.warnings(|_| ())).unwrap();
        store.write(Default::default());
        store.flush().unwrap();
        slow_down(cluster, &url, 0.3);
        let all = all_numbered("slow", 0..6_000);
        all.iter().for_each(|event| store.write(event.clone()));
        thread::sleep(Duration::from_millis(500));
        let asked = Instant::now();
        let counts = store.status().unwrap().counts;
        // By 50 rows a statement, all of it takes 36 s.
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        assert_balanced(&counts);
        assert_eq!(counts.received, 6_001);
        if backend == "postgres" {
            slow_down(cluster, &url, 0.0);
        }
        let counts = store.close().unwrap().counts;
        assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
        assert_balanced(&counts);
        assert_eq!((counts.received, counts.stored + counts.spooled), (6_001, 6_001));
    }
}

#[test]
fn short_lived_instances_get_on_with_what_a_dead_one_has_left() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    let proxy = Proxy::to(cluster.port());
    let options = Options::new().backend("auto").dir(folder.path()).warnings(|_| ());
    let mut dead = start(&options.clone().database_url(proxy.url(&url)));
    let all = all_numbered("left", 0..6_000);
    dead.write_batch(&all[..1_000]).unwrap();
    dead.flush().unwrap();
    proxy.refuse();
    proxy.cut();
    all[1_000..].chunks(1_000).for_each(|events| drop(dead.write_batch(events).unwrap()));
    drop(dead);
    let mut before = age(folder.path());
    // One of 500 rows.
    slow_down(cluster, &url, 0.4);
    while before > 0 {
        // A busy machine may leave one of them too little time.
        let mut attempts = (0..5).map(|_| {
            start(&options.clone().database_url(&url)).close().unwrap();
            age(folder.path())
        });
        let left = attempts.find(|left| *left < before);
        before = left.unwrap_or_else(|| panic!("{before} files are left"));
    }
    assert_same(&rows(cluster, &url), &all);
}

/// Makes the spool old; how many files it has.
fn age(folder: &Path) -> usize {
    let spools = spools(folder);
    client::age(&spools);
    spools.len()
}

#[test]
fn a_slow_server_gets_everything() {
    for backend in BACKENDS {
        for way in WAYS {
            let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
            let url = database(cluster);
            let proxy = Proxy::to(cluster.port());
            let options = Options::new().backend(backend).dir(folder.path()).database_url(proxy.url(&url));
            let mut client = Client::open(way, options.flush_interval(NEVER).warnings(|_| ()));
            proxy.delay(Duration::from_millis(50));
            let events = all_numbered("slow", 0..400);
            for batch in events.chunks(37) {
                client.write_batch(batch).unwrap();
                assert_eq!(client.status().counts.spooled, 0, "slow is not down");
            }
            client.flush().unwrap();
            assert_eq!(client.status().counts.stored, 400);
            let rows = rows(cluster, &url);
            assert_sound(&rows, &[]);
            assert_same(&rows, &events);
        }
    }
}
