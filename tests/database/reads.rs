//! Reads while lines move from the spool into the database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use audit_host::{Filter, Order};
use audit_testbed::{Cluster, Proxy};

use crate::client::{assert_balanced, database, spools};
use crate::common::{read_all, start};
use crate::events::all_numbered;
use crate::writer::options;

const EVENTS: usize = 3_000;

#[test]
fn a_read_gives_each_event_once_while_another_instance_drains() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    // A way of its own for each, so that only the drain is slow.
    let (proxy, other) = (Proxy::to(cluster.port()), Proxy::to(cluster.port()));
    let mut writer = start(&options(folder.path(), &proxy.url(&url)).batch_size(25));
    let mut reader = start(&options(folder.path(), &other.url(&url)));
    proxy.refuse();
    let events = all_numbered("read", 0..EVENTS as u64);
    for batch in events.chunks(100) {
        writer.write_batch(batch).unwrap();
    }
    let mut expected: Vec<&str> = events.iter().map(|event| event.req_id.as_str()).collect();
    expected.sort_unstable();

    let drained = AtomicBool::new(false);
    let mut in_between = 0;
    thread::scope(|scope| {
        let drained = &drained;
        let (proxy, writer) = (&proxy, &mut writer);
        scope.spawn(move || {
            proxy.pass();
            proxy.delay(Duration::from_millis(5));
            while writer.status().unwrap().counts.spooled > 0 {
                writer.flush().unwrap();
                assert_balanced(&writer.status().unwrap().counts);
            }
            drained.store(true, Ordering::Relaxed);
        });
        let mut reads = [Order::OldestFirst, Order::NewestFirst]
            .into_iter()
            .cycle()
            .zip([0, 400, 170].into_iter().cycle());
        loop {
            let last = drained.load(Ordering::Relaxed);
            let before = crate::table::count(cluster, &url);
            let (order, limit) = reads.next().expect("it has no end");
            let (entries, skipped) = read_all(&mut reader, &Filter::default(), order, limit);
            let mut found: Vec<&str> = entries.iter().map(|entry| entry.event.req_id.as_str()).collect();
            let ascending = |pair: &[audit_host::Entry]| {
                (&pair[0].event.ts, &pair[0].id) < (&pair[1].event.ts, &pair[1].id)
            };
            let ordered = |pair: &[audit_host::Entry]| ascending(pair) == (order == Order::OldestFirst);
            assert!(entries.windows(2).all(ordered), "{order:?}, {limit}");
            found.sort_unstable();
            assert_eq!((found.len(), skipped), (EVENTS, 0), "{order:?}, {limit}");
            assert_eq!(found, expected, "{order:?}, {limit}");
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
