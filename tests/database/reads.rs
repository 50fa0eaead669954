//! Reads while lines move from the spool into the database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use audit_fixtures::{all_numbered, assert_balanced, assert_same_events, read_all, start};
use audit_host::{Entry, Event, Filter, Instance, Order};
use audit_testbed::{age_spools, wait_until};

use crate::SetOnDrop;
use crate::site::Site;
use crate::writer::options;

/// The shortest interval after which a store tries the database again.
const INTERVAL: Duration = Duration::from_secs(1);

/// Each instance has a file in the spool. There are so many that every read meets some that are removed or renamed.
const INSTANCES: usize = 40;

/// So many of the instances have ended.
const ENDED: usize = 10;

const EVENTS: usize = 3_000;

#[test]
fn a_read_gives_each_event_once_while_others_drain_the_spool() {
    let site = Site::new();
    let options = options(&site).recovery_interval(INTERVAL);
    site.proxy.refuse();
    let events = all_numbered("read", 0..EVENTS as u64);
    let mut writers: Vec<Instance> = Vec::new();
    for part in events.chunks(EVENTS / INSTANCES) {
        let mut writer = start(&options.clone().batch_size(25));
        writer.write_batch(part).unwrap();
        writers.push(writer);
    }
    writers.truncate(INSTANCES - ENDED);
    thread::sleep(INTERVAL);
    age_spools(site.folder());

    // The reader does without the proxy, so that only the drain is slow.
    let mut reader = start(&options.database_url(&site.url));
    let drained = AtomicBool::new(false);
    let mut in_between = 0;
    thread::scope(|scope| {
        let (drained, site) = (&drained, &site);
        scope.spawn(move || {
            let _drained = SetOnDrop(drained);
            site.proxy.pass();
            site.proxy.delay(Duration::from_millis(10));
            drain(writers, site);
        });
        let orders = [Order::OldestFirst, Order::NewestFirst].into_iter().cycle();
        for (order, limit) in orders.zip([0, 400, 170].into_iter().cycle()) {
            let last = drained.load(Ordering::Relaxed);
            let before = site.stored();
            assert_reads(&mut reader, order, limit, &events);
            in_between += u32::from((1..EVENTS as u64).contains(&before));
            if last {
                break;
            }
        }
    });
    println!("{in_between} reads were in the middle of the drain");
    assert!(in_between > 0, "no read was in the middle of the drain");
    assert_eq!(site.spools(), 0);
}

/// Each instance drains its own file with the next event that it gets. The first one also drains the files of those that
/// have ended.
fn drain(mut writers: Vec<Instance>, site: &Site) {
    for writer in &mut writers {
        writer.write(&Event::default()).unwrap();
        // On a busy machine the attempt with this event can come too late, so that a flush has to try again.
        wait_until("the instance has drained its file", || {
            let drained = writer.status().unwrap().counts.spooled == 0;
            if !drained {
                writer.flush().unwrap();
            }
            drained
        });
        assert_balanced(&writer.status().unwrap().counts);
    }
    wait_until("the spool is empty", || {
        writers[0].flush().unwrap();
        site.spools() == 0
    });
}

fn assert_reads(reader: &mut Instance, order: Order, limit: u32, events: &[Event]) {
    let (mut entries, skipped) = read_all(reader, &Filter::default(), order, limit);
    entries.retain(|entry| !entry.event.req_id.is_empty());
    let ascends = |pair: &[Entry]| (&pair[0].event.ts, &pair[0].id) < (&pair[1].event.ts, &pair[1].id);
    let ordered = entries.windows(2).all(|pair| ascends(pair) == (order == Order::OldestFirst));
    assert!(ordered, "{order:?}, {limit}");
    assert_eq!(skipped, 0);
    assert_same_events(&entries, events);
}
