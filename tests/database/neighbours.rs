//! Stores that share a folder and a table, in an outage and when all of them drain the spool at once.

use std::thread;
use std::time::Duration;

use audit_fixtures::{all_numbered, assert_balanced, assert_chains, assert_same_events, start};
use audit_host::{Event, Instance};
use audit_testbed::{Rng, age_spools, refused, seed, wait_for, wait_until};

use crate::crashes::{assert_holds, is_of};
use crate::site::Site;
use crate::writer::{NamedWriter, options};

const ROUNDS: usize = 6;

#[test]
fn two_instances_that_drain_at_once_store_each_event_once() {
    let site = Site::new();
    // Batches of different sizes begin and end at different lines of a file.
    let mut sharers = [("one", 7), ("other", 30)].map(|(name, batch_size)| {
        let options = options(&site).batch_size(batch_size);
        Sharer { name, store: start(&options), sent: Vec::new() }
    });
    for round in 0..5 {
        sharers.iter_mut().for_each(|sharer| sharer.write(100));
        site.proxy.disconnect();
        for sharer in &mut sharers {
            sharer.write(600);
            sharer.store.flush().expect("the spool takes it");
            assert!(sharer.store.status().unwrap().counts.spooled >= 600);
        }
        if round % 2 == 1 {
            // Each may now take over files of the other, which is still alive.
            age_spools(site.folder());
        }
        site.proxy.pass();
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
    let rows = site.rows();
    assert_chains(&rows, &[]);
    assert_same_events(&rows, sharers.iter().flat_map(|sharer| &sharer.sent));
    // Each may still have to remove a file that it took over.
    wait_until("the spool is empty", || {
        sharers.iter_mut().for_each(Sharer::drain);
        site.spools() == 0
    });
    assert_eq!(refused(site.folder()).len(), 0, "a line that is stored already was refused");
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

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use super::*;

    #[test]
    fn two_processes_drain_at_once_and_nothing_is_lost_when_one_of_them_is_killed() {
        let mut rng = Rng::with_seed(seed());
        for _ in 0..ROUNDS {
            let site = Site::new();
            let writers = ["killed", "living"].map(|name| NamedWriter::spawn(name, &site));
            writers.iter().for_each(|writer| writer.wait_for(rng.u64(1..300)));
            site.proxy.disconnect();
            writers.iter().for_each(|writer| writer.wait_for_more(rng.u64(500..2_000)));
            site.proxy.pass();
            site.proxy.delay(Duration::from_millis(1));
            thread::sleep(Duration::from_millis(rng.u64(..200)));
            let [killed, living] = writers;
            let flushed = killed.kill();
            site.proxy.pass();
            age_spools(site.folder());
            let all = living.end();

            // The living one may have left young files of the other, but their events are stored.
            let mut rows = site.rows();
            assert_chains(&rows, &[]);
            assert_holds(&rows, &flushed);
            let mut next = start(&options(&site));
            wait_until("the spool is drained", || {
                age_spools(site.folder());
                next.flush().expect("the database answers");
                site.spools() == 0
            });
            rows.retain(|row| !is_of("killed", row));
            assert_same_events(&rows, &all);
            assert_eq!(refused(site.folder()).len(), 0, "a line that is stored already was refused");
        }
    }
}
