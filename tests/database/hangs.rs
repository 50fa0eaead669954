//! A server that hangs: writers are not held up, and memory is bounded.

use std::iter;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use audit_host::{Active, AuditStore, Error, Event, Filter, Handle, Options, PageRequest};
use audit_testbed::{Cluster, Proxy};

use crate::client::{Client, NEVER, assert_balanced, database, spools};
use crate::common::component;
use crate::table::{assert_sound, count, out_of_order, rows};

/// The default of `database_timeout`.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long is written while the server hangs: longer than the timeout, and than some intervals of flushing.
const WRITTEN: Duration = Duration::from_secs(5);

const EVENTS_A_SECOND: u32 = 20_000;

/// About a hundred times what is measured: other tests run beside.
const P99: Duration = Duration::from_millis(1);

#[test]
fn writers_are_neither_refused_nor_held_up_while_the_server_hangs() {
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    let url = database(&cluster);
    let options = Options::new().backend("auto").dir(folder.path()).database_url(&url).warnings(|_| ());
    let options = options.flush_interval(Duration::from_millis(500)).batch_size(500);
    let store = AuditStore::open_with(component(), options).unwrap();
    store.write(event(0));
    store.flush().unwrap();

    cluster.pause();
    let handle = store.handle();
    let asker = thread::spawn({
        let handle = handle.clone();
        move || ask(&handle)
    });
    let mut latencies = write(&handle, EVENTS_A_SECOND, WRITTEN);
    let waits = asker.join().unwrap();
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!("write: p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}", at(0.5), at(0.99), at(0.999), at(1.0));
    println!("status: {:?} longest", waits.iter().max());
    assert!(at(0.99) < P99, "p99 is {:?}", at(0.99));

    let status = store.status().unwrap();
    assert_balanced(&status.counts);
    let sent = latencies.len() as u64 + 1;
    assert_eq!((status.counts.received, status.counts.dropped.queue_full), (sent, 0));
    assert_eq!(status.backend, Active::Spool);
    // A second try would have left another error, and made somebody wait a second time.
    let error = status.last_error.unwrap();
    assert!(
        error.contains("does not answer within 2 s") && error.contains("events go to the spool"),
        "{error}"
    );
    if cfg!(not(debug_assertions)) {
        assert!(waits.iter().filter(|wait| **wait > TIMEOUT / 2).count() <= 1, "{waits:?}");
    }

    // The drain takes several calls. What is written meanwhile has to wait for its turn.
    cluster.resume();
    let writer = thread::spawn(move || write(&handle, EVENTS_A_SECOND, WRITTEN / 4).len() as u64);
    store.flush().unwrap();
    let sent = sent + writer.join().unwrap();
    let counts = Client::Store(store).settle();
    assert_eq!((counts.stored, count(&cluster, &url)), (sent, sent));
    assert_eq!(out_of_order(&cluster, &url), 0);
    assert_eq!(spools(folder.path()).len(), 0);
}

#[test]
fn a_store_that_ends_does_not_wait_twice_for_a_server_that_hangs() {
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://audit@{}/audit", hung.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new().backend("auto").dir(folder.path()).database_url(&url).warnings(|_| ());
    let options = options.batch_size(10).flush_interval(NEVER).database_timeout(Duration::from_millis(300));
    let store = AuditStore::open_with(component(), options).unwrap();
    (0..10).for_each(|n| store.write(event(n)));
    let end = Instant::now() + Duration::from_secs(20);
    while store.status().unwrap().counts.spooled < 10 {
        assert!(Instant::now() < end);
        thread::sleep(Duration::from_millis(10));
    }
    let status = store.close().unwrap();
    assert_eq!((status.counts.spooled, status.backend), (10, Active::Spool));
    hung.set_nonblocking(true).unwrap();
    assert_eq!(iter::from_fn(|| hung.accept().ok()).count(), 1);
}

#[test]
fn those_who_read_while_the_server_hangs_hold_up_no_writer() {
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    let url = database(&cluster);
    let options = Options::new().backend("auto").dir(folder.path()).database_url(&url).warnings(|_| ());
    let store = AuditStore::open_with(component(), options).unwrap();
    store.write(event(0));
    store.flush().unwrap();
    assert_eq!(read(&store).unwrap(), 1);

    cluster.pause();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let handle = store.handle();
            thread::spawn(move || {
                let asked = Instant::now();
                (read(&handle), asked.elapsed())
            })
        })
        .collect();
    let sent = write(&store, EVENTS_A_SECOND, WRITTEN).len() as u64 + 1;
    for reader in readers {
        let (answer, waited) = reader.join().unwrap();
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
        // Not one timeout for each of them.
        assert!(waited < 5 * TIMEOUT, "{waited:?}");
    }
    let counts = store.status().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.dropped.queue_full), (sent, 0));

    cluster.resume();
    let counts = Client::Store(store).settle();
    assert_eq!((counts.stored, count(&cluster, &url)), (sent, sent));
    assert_eq!(out_of_order(&cluster, &url), 0);
}

fn read(handle: &Handle) -> Result<usize, Error> {
    let page = PageRequest { limit: 10, ..PageRequest::default() };
    handle.read(&Filter::default(), page).map(|page| page.entries.len())
}

#[test]
fn a_store_that_is_closed_after_a_hang_hands_over_what_its_full_queue_had_kept_out() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    let proxy = Proxy::to(cluster.port());
    let options = Options::new().backend("postgres").dir(folder.path()).database_url(proxy.url(&url));
    let options = options.warnings(|_| ());
    let store = AuditStore::open_with(component(), options.queue_limit(100).flush_interval(NEVER)).unwrap();
    proxy.hang();
    (0..1_000).for_each(|n| store.write(event(n)));
    assert!(store.status().unwrap().counts.pending == 1_000);
    proxy.pass();
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.stored, count(cluster, &url)), (1_000, 1_000));
}

fn event(n: u32) -> Event {
    let ts = format!("2026-11-23T12:00:00.{:06}Z", n % 1_000_000);
    let text = || "a text of some length".to_owned();
    Event { ts, req_id: n.to_string(), agent_id: text(), tool: text(), action: text(), ..Event::default() }
}

/// Writes at a steady rate; how long each call took.
pub fn write(handle: &Handle, events_a_second: u32, time: Duration) -> Vec<Duration> {
    let begin = Instant::now();
    let mut latencies = Vec::new();
    while begin.elapsed() < time {
        let due = begin.elapsed().as_secs_f64() * f64::from(events_a_second);
        while (latencies.len() as f64) < due {
            let event = event(latencies.len() as u32 + 1);
            let called = Instant::now();
            handle.write(event);
            latencies.push(called.elapsed());
        }
        thread::sleep(Duration::from_millis(1));
    }
    latencies
}

/// Asks for the status all the time; how long each answer took.
fn ask(handle: &Handle) -> Vec<Duration> {
    let begin = Instant::now();
    let mut waits = Vec::new();
    while begin.elapsed() < WRITTEN {
        let asked = Instant::now();
        assert_balanced(&handle.status().unwrap().counts);
        waits.push(asked.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
    waits
}

#[test]
fn a_hung_server_fills_the_queues_of_postgres_to_their_limits_and_no_further() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    let proxy = Proxy::to(cluster.port());
    let options = Options::new().backend("postgres").dir(folder.path()).database_url(proxy.url(&url));
    let options = options.warnings(|_| ());
    let options = options.queue(3_000, 8 << 20).queue_limit(1_000).flush_interval(NEVER);
    let store = AuditStore::open_with(component(), options).unwrap();
    store.write(event(0));
    store.flush().unwrap();
    proxy.hang();
    for n in 1..20_000 {
        store.write(event(n));
        if n % 1_000 == 0 {
            let counts = store.status().unwrap().counts;
            assert_balanced(&counts);
            assert!(counts.pending <= 4_100, "{counts:?}");
        }
    }
    let counts = store.status().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.stored), (20_000, 1));
    assert_eq!(counts.pending + counts.dropped.queue_full, 19_999);
    assert!((3_000..=4_100).contains(&counts.pending), "{counts:?}");

    proxy.pass();
    let mut client = Client::Store(store);
    let after = client.settle();
    assert_eq!((after.stored, after.dropped), (1 + counts.pending, counts.dropped));
    let rows = rows(cluster, &url);
    assert_sound(&rows, &[]);
    assert_eq!(rows.len() as u64, after.stored);
}
