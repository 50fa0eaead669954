//! The process of the host is killed, and another goes on in its folder.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use audit_host::{Entry, Event};
use audit_testbed::{Cluster, Proxy, Rng, seed};

use crate::client::{PATIENCE, age, database, spools};
use crate::common::start;
use crate::events::{numbered, stored};
use crate::table::{assert_sound, count, rows};
use crate::writer::{Writer, options};

const ROUNDS: u64 = 12;

/// How much the spool holds before it is drained: it takes a while.
const SPOOLED: u64 = 2_000;

#[test]
fn what_was_flushed_before_a_kill_in_an_outage_is_there_once_and_in_order() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    for _ in 0..ROUNDS {
        let (before, within) = (rng.u64(..300), rng.u64(..150));
        round(|writer, proxy, _| {
            writer.wait_for(before);
            proxy.refuse();
            proxy.cut();
            thread::sleep(Duration::from_millis(within));
        });
    }
}

#[test]
fn what_was_flushed_before_a_kill_during_a_drain_is_there_once_and_in_order() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let mut half_drained = 0;
    for n in 0..ROUNDS {
        let within = rng.u64(..150);
        let drained = round(|writer, proxy, inserted| {
            proxy.refuse();
            writer.wait_for(SPOOLED);
            proxy.pass();
            if n % 2 == 0 {
                proxy.delay(Duration::from_millis(2));
                thread::sleep(Duration::from_millis(within));
            } else {
                // However fast the machine is, this is in the middle.
                proxy.delay(Duration::from_millis(100));
                let begin = Instant::now();
                while inserted() == 0 {
                    assert!(begin.elapsed() < PATIENCE, "nothing is drained");
                }
            }
        });
        half_drained += u64::from((1..SPOOLED).contains(&drained));
    }
    println!("{half_drained} of {ROUNDS} in the middle");
    assert!(half_drained > 0, "no writer was killed in the middle of a drain");
}

/// Kills a writer after what `meanwhile` does, which can ask for the number of rows, and has another instance go on;
/// how many there were in between.
fn round(meanwhile: impl FnOnce(&Writer, &Proxy, &dyn Fn() -> u64)) -> u64 {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    let proxy = Proxy::to(cluster.port());
    let writer = Writer::spawn("killed", folder.path(), &proxy.url(&url));
    let inserted = || count(cluster, &url);
    meanwhile(&writer, &proxy, &inserted);
    let flushed = writer.kill();
    let before = inserted();
    proxy.pass();
    drain_after(folder.path(), &proxy.url(&url));

    let rows = rows(cluster, &url);
    assert_sound(&rows, &[]);
    assert_holds(&rows, &flushed);
    assert!(rows.iter().all(|row| is_of("killed", row)), "a row that nobody has written");
    before
}

/// Takes over what the killed one has left.
fn drain_after(folder: &Path, url: &str) {
    let mut next = start(&options(folder, url));
    let begin = Instant::now();
    while !spools(folder).is_empty() {
        next.flush().expect("the database answers");
        let status = next.status().unwrap();
        if status.spooled_by_others == 0 {
            // Inserted, but too young to be taken over.
            age(&spools(folder));
        }
        assert!(begin.elapsed() < PATIENCE, "{status:?}");
    }
    let counts = next.status().unwrap().counts;
    assert_eq!((counts.received, counts.dropped.unwritable), (0, 0), "what is others' is not counted");
}

/// Checks that the events are there, with every value.
#[track_caller]
pub fn assert_holds(rows: &[Entry], events: &[Event]) {
    let found: std::collections::BTreeMap<&str, &Event> =
        rows.iter().map(|row| (row.event.req_id.as_str(), &row.event)).collect();
    for event in events {
        assert_eq!(found.get(event.req_id.as_str()), Some(&&stored(event)), "{} is lost", event.req_id);
    }
}

/// Whether the row is an event of that writer.
pub fn is_of(writer: &str, row: &Entry) -> bool {
    let n = row.event.req_id.strip_prefix(writer).and_then(|rest| rest.strip_prefix('-')?.parse().ok());
    n.is_some_and(|n| row.event == stored(&numbered(writer, n)))
}
