//! Stores that share a folder and a table, through an outage and a drain that they do at once.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use audit_host::{Event, Instance};
use audit_testbed::{Cluster, Proxy, Rng, seed};

use crate::client::{age, assert_balanced, database, spools};
use crate::common::start;
use crate::crashes::{assert_holds, is_of};
use crate::events::all_numbered;
use crate::table::{assert_same, assert_sound, rows};
use crate::writer::{Writer, options};

const ROUNDS: usize = 6;

#[test]
fn two_processes_drain_at_once_and_one_is_killed_over_it() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    for _ in 0..ROUNDS {
        let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
        let url = database(cluster);
        let proxy = Proxy::to(cluster.port());
        let through = proxy.url(&url);
        let writers = ["killed", "living"].map(|name| Writer::spawn(name, folder.path(), &through));
        writers.iter().for_each(|writer| writer.wait_for(rng.u64(1..300)));
        proxy.refuse();
        proxy.cut();
        writers.iter().for_each(|writer| writer.wait_for(writer.acknowledged() + rng.u64(500..2_000)));
        proxy.pass();
        proxy.delay(Duration::from_millis(1));
        thread::sleep(Duration::from_millis(rng.u64(..200)));
        let [killed, living] = writers;
        let flushed = killed.kill();
        proxy.pass();
        age(&spools(folder.path()));
        let all = living.end();

        // What the living one has left of the other, as too young, is there all the same.
        let (mut rows, begin) = (rows(cluster, &url), Instant::now());
        assert_sound(&rows, &[]);
        assert_holds(&rows, &flushed);
        let mut next = start(&options(folder.path(), &through));
        while !spools(folder.path()).is_empty() {
            age(&spools(folder.path()));
            next.flush().expect("the database answers");
            assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", next.status());
        }
        rows.retain(|row| !is_of("killed", row));
        assert_same(&rows, &all);
    }
}

#[test]
fn two_instances_that_drain_at_once_store_each_event_once() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    let proxy = Proxy::to(cluster.port());
    let through = proxy.url(&url);
    // Batches of different sizes begin and end in different lines of a file.
    let writers = [("one", 7), ("other", 30)]
        .map(|(name, batch_size)| (name, move |options: audit_host::Options| options.batch_size(batch_size)));
    let barrier = Barrier::new(writers.len() + 1);
    let sent: Vec<Event> = thread::scope(|scope| {
        let threads = writers.map(|(name, sized)| {
            let (barrier, options) = (&barrier, sized(options(folder.path(), &through)));
            scope.spawn(move || share(name, &mut start(&options), barrier))
        });
        for round in 0..5 {
            barrier.wait();
            proxy.refuse();
            proxy.cut();
            // Both write into the outage, then the files are old enough to be taken over.
            barrier.wait();
            barrier.wait();
            if round % 2 == 1 {
                age(&spools(folder.path()));
            }
            proxy.pass();
            barrier.wait();
        }
        threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
    });
    let rows = rows(cluster, &url);
    assert_sound(&rows, &[]);
    assert_same(&rows, &sent);
    let mut next = start(&options(folder.path(), &through));
    next.flush().unwrap();
    age(&spools(folder.path()));
    next.flush().unwrap();
    assert_eq!(spools(folder.path()).len(), 0);
}

/// Writes before, in and after each of five outages, and drains when all do.
fn share(name: &str, store: &mut Instance, barrier: &Barrier) -> Vec<Event> {
    let mut sent = Vec::new();
    let mut write = |store: &mut Instance, count: u64| {
        let from = sent.len() as u64;
        for n in (from..from + count).step_by(23) {
            let events = all_numbered(name, n..(n + 23).min(from + count));
            store.write_batch(&events).expect("there is room");
            sent.extend(events);
            assert_balanced(&store.status().unwrap().counts);
        }
    };
    for _ in 0..5 {
        write(store, 100);
        barrier.wait();
        barrier.wait();
        write(store, 600);
        store.flush().expect("the spool takes it");
        assert!(store.status().unwrap().counts.spooled >= 600);
        barrier.wait();
        barrier.wait();
        let begin = Instant::now();
        while store.status().unwrap().counts.spooled > 0 {
            store.flush().expect("nothing waits in memory");
            assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", store.status());
        }
        write(store, 50);
        store.flush().unwrap();
    }
    let counts = store.status().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.stored, counts.received), (sent.len() as u64, sent.len() as u64));
    sent
}
