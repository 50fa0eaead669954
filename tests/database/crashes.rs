//! The process of the host is killed, and another one goes on in its folder.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use audit_fixtures::{assert_chains, numbered, start, stored};
use audit_host::{Entry, Event};
use audit_testbed::{Rng, age_spools, seed, wait_for, wait_until};

use crate::site::Site;
use crate::writer::{NamedWriter, options};

const ROUNDS: u64 = 12;

/// How many events are in the spool before it is drained. Draining so many takes a while.
const SPOOLED: u64 = 2_000;

#[test]
fn what_was_flushed_before_a_kill_in_an_outage_is_stored_once_and_in_order() {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..ROUNDS {
        let (before, within) = (rng.u64(..300), rng.u64(..150));
        round(|writer, site| {
            writer.wait_for(before);
            site.proxy.disconnect();
            thread::sleep(Duration::from_millis(within));
        });
    }
}

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use super::*;

    #[test]
    fn what_was_flushed_before_a_kill_during_a_drain_is_stored_once_and_in_order() {
        let mut rng = Rng::with_seed(seed());
        let mut half_drained = 0;
        for n in 0..ROUNDS {
            let within = rng.u64(..150);
            let drained = round(|writer, site| {
                site.proxy.refuse();
                writer.wait_for(SPOOLED);
                site.proxy.pass();
                if n % 2 == 0 {
                    site.proxy.delay(Duration::from_millis(2));
                    thread::sleep(Duration::from_millis(within));
                } else {
                    // However fast the machine is, the drain has begun and has not ended when the writer is killed.
                    site.proxy.delay(Duration::from_millis(100));
                    wait_until("something is drained", || site.stored() > 0);
                }
            });
            half_drained += u64::from((1..SPOOLED).contains(&drained));
        }
        println!("{half_drained} of {ROUNDS} writers were killed in the middle of a drain");
        assert!(half_drained > 0, "no writer was killed in the middle of a drain");
    }
}

/// Starts a writer, kills it after `meanwhile`, and lets another instance go on. Returns how many rows there were in
/// between.
fn round(meanwhile: impl FnOnce(&NamedWriter, &Site)) -> u64 {
    let site = Site::new();
    let writer = NamedWriter::spawn("killed", &site);
    meanwhile(&writer, &site);
    let flushed = writer.kill();
    let before = site.stored();
    site.proxy.pass();
    drain_after(&site);

    let rows = site.rows();
    assert_chains(&rows, &[]);
    assert_holds(&rows, &flushed);
    assert!(rows.iter().all(|row| is_of("killed", row)), "nobody has written one of the rows");
    before
}

/// Takes over what the killed writer has left.
fn drain_after(site: &Site) {
    let mut next = start(&options(site));
    wait_for(|| {
        next.flush().expect("the database answers");
        let status = next.status().unwrap();
        if status.spooled_by_others == 0 {
            // The spool's events are stored, but its files are too young to be taken over.
            age_spools(site.folder());
        }
        if site.spools() == 0 { Ok(()) } else { Err(format!("{status:?}")) }
    });
    let counts = next.status().unwrap().counts;
    assert_eq!((counts.received, counts.dropped.unwritable), (0, 0), "events of others are not counted");
}

/// Checks that the rows hold these events, with every value.
#[track_caller]
pub fn assert_holds(rows: &[Entry], events: &[Event]) {
    let found: BTreeMap<&str, &Event> =
        rows.iter().map(|row| (row.event.req_id.as_str(), &row.event)).collect();
    for event in events {
        assert_eq!(found.get(event.req_id.as_str()), Some(&&stored(event)), "{} is lost", event.req_id);
    }
}

/// Whether the row is an event of the writer of this name.
pub fn is_of(writer: &str, row: &Entry) -> bool {
    let n = row.event.req_id.strip_prefix(writer).and_then(|rest| rest.strip_prefix('-')?.parse().ok());
    n.is_some_and(|n| row.event == stored(&numbered(writer, n)))
}
