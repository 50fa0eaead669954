//! A server that answers, but more slowly than events come.

use std::thread;
use std::time::{Duration, Instant};

use audit_fixtures::{all_numbered, assert_balanced, assert_chains, assert_same_events, start};
use audit_testbed::{DATABASE_BACKENDS, NEVER, age_spools};

use crate::client::{Client, WAYS};
use crate::hangs::{open_connected, write};
use crate::site::Site;

#[test]
fn a_slow_server_gets_every_event() {
    for backend in DATABASE_BACKENDS {
        for way in WAYS {
            let site = Site::new();
            let mut client = Client::open(way, site.options(backend).flush_interval(NEVER));
            site.proxy.delay(Duration::from_millis(50));
            let events = all_numbered("slow", 0..400);
            for batch in events.chunks(37) {
                client.write_batch(batch).unwrap();
                assert_eq!(client.status().counts.spooled, 0, "a server that is slow is not away");
            }
            client.flush().unwrap();
            assert_eq!(client.status().counts.stored, 400);
            let rows = site.rows();
            assert_chains(&rows, &[]);
            assert_same_events(&rows, &events);
        }
    }
}

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use super::*;

    #[test]
    fn what_a_slow_server_does_not_take_in_time_goes_through_the_spool() {
        let site = Site::new();
        let store = open_connected(site.options("auto").queue(40_000, 64 << 20));
        site.cluster.slow_inserts(&site.url, 0.2);
        // With 50 rows in each statement, the server takes a seventh of these events. It is too slow to get more.
        let sent = write(&store, 10_000, Duration::from_secs(6)).len() as u64 + 1;
        let status = store.status().unwrap();
        assert_balanced(&status.counts);
        assert_eq!((status.counts.received, status.counts.dropped.queue_full), (sent, 0));
        let error = status.last_error.unwrap();
        assert!(error.contains("does not take events as fast as they come"), "{error}");

        site.cluster.slow_inserts(&site.url, 0.0);
        let counts = Client::Store(store).settle();
        assert_eq!((counts.stored, site.stored()), (sent, sent));
        assert_eq!(site.cluster.out_of_order(&site.url), 0);
    }

    #[test]
    fn a_slow_server_holds_up_neither_the_status_nor_the_end_of_a_store() {
        for backend in DATABASE_BACKENDS {
            let site = Site::new();
            let store = open_connected(site.options(backend));
            site.cluster.slow_inserts(&site.url, 0.3);
            let all = all_numbered("slow", 0..6_000);
            all.iter().for_each(|event| store.write(event.clone()));
            thread::sleep(Duration::from_millis(500));
            let asked = Instant::now();
            let counts = store.status().unwrap().counts;
            // With 50 rows in each statement, the server would take 36 s for all events.
            assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
            assert_balanced(&counts);
            assert_eq!(counts.received, 6_001);
            if backend == "postgres" {
                site.cluster.slow_inserts(&site.url, 0.0);
            }
            let counts = store.close().unwrap().counts;
            assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
            assert_balanced(&counts);
            assert_eq!((counts.received, counts.stored + counts.spooled), (6_001, 6_001));
        }
    }

    #[test]
    fn short_lived_instances_drain_what_a_dead_one_has_left() {
        let site = Site::new();
        let mut dead = start(&site.options("auto"));
        let all = all_numbered("left", 0..6_000);
        dead.write_batch(&all[..1_000]).unwrap();
        dead.flush().unwrap();
        site.proxy.disconnect();
        all[1_000..].chunks(1_000).for_each(|events| drop(dead.write_batch(events).unwrap()));
        drop(dead);
        site.proxy.pass();
        let mut before = age_spools(site.folder());
        // A statement of the drain has up to 500 rows.
        site.cluster.slow_inserts(&site.url, 0.4);
        while before > 0 {
            // On a busy machine an instance may have too little time to drain a file.
            let mut attempts = (0..5).map(|_| {
                let mut instance = start(&site.options("auto"));
                instance.flush().unwrap();
                instance.close().unwrap();
                age_spools(site.folder())
            });
            let left = attempts.find(|left| *left < before);
            before = left.unwrap_or_else(|| panic!("{before} files are left"));
        }
        assert_same_events(&site.rows(), &all);
    }
}
