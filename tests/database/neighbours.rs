//! Stores that share a folder and a table, through an outage and a drain that they do at once.

use std::thread;
use std::time::{Duration, Instant};

use audit_host::{Event, Instance};
use audit_testbed::{Cluster, Proxy, Rng, seed};

use crate::client::{age, assert_balanced, database, files, spools};
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
        assert_eq!(files(folder.path(), "refused_").len(), 0, "a line that is stored already is not refused");
    }
}

#[test]
fn two_instances_that_drain_at_once_store_each_event_once() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    let proxy = Proxy::to(cluster.port());
    let through = proxy.url(&url);
    // Batches of different sizes begin and end in different lines of a file.
    let mut sharers = [("one", 7), ("other", 30)].map(|(name, batch_size)| {
        let options = options(folder.path(), &through).batch_size(batch_size);
        Sharer { name, store: start(&options), sent: Vec::new() }
    });
    for round in 0..5 {
        sharers.iter_mut().for_each(|sharer| sharer.write(100));
        proxy.refuse();
        proxy.cut();
        for sharer in &mut sharers {
            sharer.write(600);
            sharer.store.flush().expect("the spool takes it");
            assert!(sharer.store.status().unwrap().counts.spooled >= 600);
        }
        if round % 2 == 1 {
            // They may be taken over from an instance that lives.
            age(&spools(folder.path()));
        }
        proxy.pass();
        if round == 3 {
            // One sleeps while the other takes its file over, and goes on with it.
            sharers[1].drain();
            sharers[0].write(50);
        }
        thread::scope(|scope| {
            for sharer in &mut sharers {
                scope.spawn(|| sharer.drain());
            }
        });
        sharers.iter_mut().for_each(|sharer| sharer.write(50));
    }
    for sharer in &mut sharers {
        sharer.drain();
        let (counts, sent) = (sharer.store.status().unwrap().counts, sharer.sent.len() as u64);
        assert_eq!((counts.stored, counts.received), (sent, sent));
    }
    let rows = rows(cluster, &url);
    assert_sound(&rows, &[]);
    assert_same(&rows, sharers.iter().flat_map(|sharer| &sharer.sent));
    // Each may have been about to remove a file that it took over.
    let begin = Instant::now();
    while !spools(folder.path()).is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", spools(folder.path()));
        sharers.iter_mut().for_each(Sharer::drain);
    }
    assert_eq!(files(folder.path(), "refused_").len(), 0, "a line that is stored already is not refused");
}

/// One of several on a folder.
struct Sharer {
    name: &'static str,
    store: Instance,
    sent: Vec<Event>,
}

impl Sharer {
    fn write(&mut self, count: u64) {
        let from = self.sent.len() as u64;
        for n in (from..from + count).step_by(23) {
            let events = all_numbered(self.name, n..(n + 23).min(from + count));
            self.store.write_batch(&events).expect("there is room");
            self.sent.extend(events);
            assert_balanced(&self.store.status().unwrap().counts);
        }
    }

    fn drain(&mut self) {
        let begin = Instant::now();
        loop {
            self.store.flush().expect("nothing waits in memory");
            let counts = self.store.status().unwrap().counts;
            assert_balanced(&counts);
            if counts.spooled == 0 {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{counts:?}");
        }
    }
}
