//! While a server hangs, writers are not held up and memory is bounded.

use std::iter;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use audit_fixtures::{
    assert_balanced, assert_chains, component, database_options, database_with_table, event,
};
use audit_host::{Active, AuditStore, Error, Filter, Handle, Options, PageRequest};
use audit_testbed::{Cluster, NEVER, spools, wait_until};

use crate::client::Client;
use crate::site::Site;

/// The default of `database_timeout`.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long the tests write while the server hangs. It is longer than the timeout and several intervals of flushing.
const WRITTEN: Duration = Duration::from_secs(5);

const EVENTS_A_SECOND: u32 = 20_000;

/// How long all but one of a hundred writes may take. It is about a hundred times what they take on an idle machine,
/// because other tests run at the same time.
const P99: Duration = Duration::from_millis(1);

fn open(options: Options) -> AuditStore {
    AuditStore::open_with(component(), options).unwrap()
}

/// Opens a store and waits until its first event is stored.
pub fn open_connected(options: Options) -> AuditStore {
    let store = open(options);
    store.write(event(0));
    store.flush().unwrap();
    store
}

#[test]
fn a_store_that_ends_waits_only_once_for_a_server_that_hangs() {
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://audit@{}/audit", hung.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let options = database_options("auto", folder.path(), &url).batch_size(10).flush_interval(NEVER);
    let store = open(options.database_timeout(Duration::from_millis(300)));
    (0..10).for_each(|n| store.write(event(n)));
    wait_until("ten events are in the spool", || store.status().unwrap().counts.spooled == 10);
    let status = store.close().unwrap();
    assert_eq!((status.counts.spooled, status.backend), (10, Active::Spool));
    hung.set_nonblocking(true).unwrap();
    assert_eq!(iter::from_fn(|| hung.accept().ok()).count(), 1);
}

fn read(handle: &Handle) -> Result<usize, Error> {
    let page = PageRequest { limit: 10, ..PageRequest::default() };
    handle.read(&Filter::default(), page).map(|page| page.entries.len())
}

#[test]
fn a_store_that_is_closed_after_a_hang_stores_what_its_full_queue_had_kept_out() {
    let site = Site::new();
    let store = open(site.options("postgres").queue_limit(100).flush_interval(NEVER));
    site.proxy.hang();
    (0..1_000).for_each(|n| store.write(event(n)));
    assert_eq!(store.status().unwrap().counts.pending, 1_000);
    site.proxy.pass();
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.stored, site.stored()), (1_000, 1_000));
}

/// Writes at a steady rate, and returns how long each call took.
pub fn write(handle: &Handle, events_a_second: u32, time: Duration) -> Vec<Duration> {
    let begin = Instant::now();
    let mut latencies = Vec::new();
    while begin.elapsed() < time {
        let due = begin.elapsed().as_secs_f64() * f64::from(events_a_second);
        while (latencies.len() as f64) < due {
            let event = event(latencies.len() as u64 + 1);
            let called = Instant::now();
            handle.write(event);
            latencies.push(called.elapsed());
        }
        thread::sleep(Duration::from_millis(1));
    }
    latencies
}

/// Asks for the status all the time, and returns how long each answer took.
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
fn a_hung_server_fills_the_queues_of_postgres_only_up_to_their_limits() {
    let site = Site::new();
    let options = site.options("postgres").queue(3_000, 8 << 20).queue_limit(1_000).flush_interval(NEVER);
    let store = open_connected(options);
    site.proxy.hang();
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

    site.proxy.pass();
    let mut client = Client::Store(store);
    let after = client.settle();
    assert_eq!((after.stored, after.dropped), (1 + counts.pending, counts.dropped));
    let rows = site.rows();
    assert_chains(&rows, &[]);
    assert_eq!(rows.len() as u64, after.stored);
}

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use super::*;

    #[test]
    fn writers_are_neither_refused_nor_held_up_while_the_server_hangs() {
        let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
        let url = database_with_table(&cluster);
        let options = database_options("auto", folder.path(), &url).batch_size(500);
        let store = open_connected(options.flush_interval(Duration::from_millis(500)));

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
        // After a second attempt, the last error would be another one and somebody would have waited for a second time.
        let error = status.last_error.unwrap();
        assert!(
            error.contains("does not answer within 2 s") && error.contains("events go to the spool"),
            "{error}"
        );
        if cfg!(not(debug_assertions)) {
            assert!(waits.iter().filter(|wait| **wait > TIMEOUT / 2).count() <= 1, "{waits:?}");
        }

        // The drain takes several calls. Events that are written meanwhile have to wait for their turn.
        cluster.resume();
        let writer = thread::spawn(move || write(&handle, EVENTS_A_SECOND, WRITTEN / 4).len() as u64);
        store.flush().unwrap();
        let sent = sent + writer.join().unwrap();
        let counts = Client::Store(store).settle();
        assert_eq!((counts.stored, cluster.stored(&url)), (sent, sent));
        assert_eq!(cluster.out_of_order(&url), 0);
        assert_eq!(spools(folder.path()).len(), 0);
    }

    #[test]
    fn reads_hold_up_no_writer_while_the_server_hangs() {
        let (cluster, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
        let url = database_with_table(&cluster);
        let store = open_connected(database_options("auto", folder.path(), &url));
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
            // The eight readers do not wait one after the other.
            assert!(waited < 5 * TIMEOUT, "{waited:?}");
        }
        let counts = store.status().unwrap().counts;
        assert_balanced(&counts);
        assert_eq!((counts.received, counts.dropped.queue_full), (sent, 0));

        cluster.resume();
        let counts = Client::Store(store).settle();
        assert_eq!((counts.stored, cluster.stored(&url)), (sent, sent));
        assert_eq!(cluster.out_of_order(&url), 0);
    }
}
