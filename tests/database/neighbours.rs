//! Stores that share a folder and a table, in an outage and when all of them drain the spool at once.

use std::thread;
use std::time::Duration;

use audit_fixtures::{
    all_numbered, assert_balanced, assert_chains, assert_same_events, database_with_table, rows, start,
};
use audit_host::{Event, Instance};
use audit_testbed::{Cluster, Proxy, Rng, age_spools, refused, seed, spools, wait_for, wait_until};

use crate::crashes::{assert_holds, is_of};
use crate::writer::{NamedWriter, options};

const ROUNDS: usize = 6;

#[test]
fn two_instances_that_drain_at_once_store_each_event_once() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database_with_table(cluster);
    let proxy = Proxy::to(cluster.port());
    let through = proxy.url(&url);
    // Batches of different sizes begin and end at different lines of a file.
    let mut sharers = [("one", 7), ("other", 30)].map(|(name, batch_size)| {
        let options = options(folder.path(), &through).batch_size(batch_size);
        Sharer { name, store: start(&options), sent: Vec::new() }
    });
    for round in 0..5 {
        sharers.iter_mut().for_each(|sharer| sharer.write(100));
        proxy.disconnect();
        for sharer in &mut sharers {
            sharer.write(600);
            sharer.store.flush().expect("the spool takes it");
            assert!(sharer.store.status().unwrap().counts.spooled >= 600);
        }
        if round % 2 == 1 {
            // Each may now take over files of the other, which is still alive.
            age_spools(folder.path());
        }
        proxy.pass();
        if round == 3 {
            // One does nothing while the other takes its file over, and writes only then.
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
    assert_chains(&rows, &[]);
    assert_same_events(&rows, sharers.iter().flat_map(|sharer| &sharer.sent));
    // Each may still have to remove a file that it took over.
    wait_until("the spool is empty", || {
        sharers.iter_mut().for_each(Sharer::drain);
        spools(folder.path()).is_empty()
    });
    assert_eq!(refused(folder.path()).len(), 0, "a line that is stored already was refused");
}

/// One of several stores that share a folder.
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
        wait_for(|| {
            self.store.flush().expect("nothing waits in memory");
            let counts = self.store.status().unwrap().counts;
            assert_balanced(&counts);
            if counts.spooled == 0 { Ok(()) } else { Err(format!("{counts:?}")) }
        });
    }
}

mod slow {
    use super::*;

    #[test]
    fn two_processes_drain_at_once_and_nothing_is_lost_when_one_of_them_is_killed() {
        let mut rng = Rng::with_seed(seed());
        for _ in 0..ROUNDS {
            let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
            let url = database_with_table(cluster);
            let proxy = Proxy::to(cluster.port());
            let through = proxy.url(&url);
            let writers = ["killed", "living"].map(|name| NamedWriter::spawn(name, folder.path(), &through));
            writers.iter().for_each(|writer| writer.wait_for(rng.u64(1..300)));
            proxy.disconnect();
            writers.iter().for_each(|writer| writer.wait_for_more(rng.u64(500..2_000)));
            proxy.pass();
            proxy.delay(Duration::from_millis(1));
            thread::sleep(Duration::from_millis(rng.u64(..200)));
            let [killed, living] = writers;
            let flushed = killed.kill();
            proxy.pass();
            age_spools(folder.path());
            let all = living.end();

            // The living one may have left files of the other because they are too young. Their events are stored all the same.
            let mut rows = rows(cluster, &url);
            assert_chains(&rows, &[]);
            assert_holds(&rows, &flushed);
            let mut next = start(&options(folder.path(), &through));
            wait_until("the spool is drained", || {
                age_spools(folder.path());
                next.flush().expect("the database answers");
                spools(folder.path()).is_empty()
            });
            rows.retain(|row| !is_of("killed", row));
            assert_same_events(&rows, &all);
            assert_eq!(refused(folder.path()).len(), 0, "a line that is stored already was refused");
        }
    }
}
