//! Reads while lines move from the spool into the database.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audit_host::{Entry, Event, Filter, Instance, Order};
use audit_testbed::{Cluster, Proxy};

use crate::client::{age, assert_balanced, database, spools};
use crate::common::{read_all, start};
use crate::events::all_numbered;
use crate::table::{assert_same, count};
use crate::writer::options;

/// The shortest interval after which a database is tried again.
const INTERVAL: Duration = Duration::from_secs(1);

/// As many files of the spool as instances: each read meets some that are removed or renamed.
const INSTANCES: usize = 40;

/// Of them, so many have ended.
const ENDED: usize = 10;

const EVENTS: usize = 3_000;

#[test]
fn a_read_gives_each_event_once_while_others_drain() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    // A way of its own for each, so that only the drain is slow.
    let (proxy, other) = (Proxy::to(cluster.port()), Proxy::to(cluster.port()));
    let options = |proxy: &Proxy| options(folder.path(), &proxy.url(&url)).recovery_interval(INTERVAL);
    proxy.refuse();
    let events = all_numbered("read", 0..EVENTS as u64);
    let mut writers: Vec<Instance> = Vec::new();
    for part in events.chunks(EVENTS / INSTANCES) {
        let mut writer = start(&options(&proxy).batch_size(25));
        writer.write_batch(part).unwrap();
        writers.push(writer);
    }
    writers.truncate(INSTANCES - ENDED);
    thread::sleep(INTERVAL);
    age(&spools(folder.path()));

    let mut reader = start(&options(&other));
    let drained = AtomicBool::new(false);
    let mut in_between = 0;
    thread::scope(|scope| {
        let (drained, proxy, folder) = (&drained, &proxy, folder.path());
        scope.spawn(move || {
            let _drained = Set(drained);
            proxy.pass();
            proxy.delay(Duration::from_millis(10));
            drain(writers, folder);
        });
        let orders = [Order::OldestFirst, Order::NewestFirst].into_iter().cycle();
        for (order, limit) in orders.zip([0, 400, 170].into_iter().cycle()) {
            let last = drained.load(Ordering::Relaxed);
            let before = count(cluster, &url);
            assert_reads(&mut reader, order, limit, &events);
            in_between += u32::from((1..EVENTS as u64).contains(&before));
            if last {
                break;
            }
        }
    });
    println!("{in_between} reads in the middle");
    assert!(in_between > 0, "no read was in the middle of the drain");
    assert_eq!(spools(folder.path()).len(), 0);
}

/// Has each drain its own file, with the next event that it gets, and one of them those of the dead.
fn drain(mut writers: Vec<Instance>, folder: &Path) {
    let begin = Instant::now();
    for writer in &mut writers {
        writer.write(&Event::default()).unwrap();
        // On a busy machine the first try can come too late.
        while writer.status().unwrap().counts.spooled > 0 {
            writer.flush().unwrap();
            assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", writer.status());
        }
        assert_balanced(&writer.status().unwrap().counts);
    }
    while !spools(folder).is_empty() {
        writers[0].flush().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", writers[0].status());
    }
}

fn assert_reads(reader: &mut Instance, order: Order, limit: u32, events: &[Event]) {
    let (mut entries, skipped) = read_all(reader, &Filter::default(), order, limit);
    entries.retain(|entry| !entry.event.req_id.is_empty());
    let ascends = |pair: &[Entry]| (&pair[0].event.ts, &pair[0].id) < (&pair[1].event.ts, &pair[1].id);
    let ordered = entries.windows(2).all(|pair| ascends(pair) == (order == Order::OldestFirst));
    assert!(ordered, "{order:?}, {limit}");
    assert_eq!(skipped, 0);
    assert_same(&entries, events);
}

/// Sets it at the end, also where a thread panics.
struct Set<'s>(&'s AtomicBool);

impl Drop for Set<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
