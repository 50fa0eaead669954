//! The promises of the store, on the real component with faults put in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use audit_testbed::{Cluster, Proxy};

use crate::instance::Fault;
use crate::types::{Counts, Dropped};
use crate::{AuditStore, Error, Event, Filter, Handle, Options, Order, Status};

/// Nothing happens by itself in a test that does not wait for it.
const NEVER: Duration = Duration::from_secs(3600);

/// Longer than a database takes, or a worker, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn options(folder: &Path) -> Options {
    Options::new().dir(folder).flush_interval(NEVER).database_timeout(PATIENCE).warnings(|_| {})
}

fn event(tool: impl Into<String>) -> Event {
    Event { tool: tool.into(), ..Event::default() }
}

fn invalid() -> Event {
    event("line\nbreak")
}

fn tools(handle: &Handle) -> Vec<String> {
    let entries = handle.entries(Filter::default(), Order::OldestFirst);
    entries.map(|entry| entry.unwrap().event.tool).collect()
}

#[track_caller]
fn assert_balanced(counts: &Counts) {
    let Dropped { invalid, queue_full, unwritable } = counts.dropped;
    let parts = counts.stored + counts.spooled + counts.pending + counts.rejected;
    assert_eq!(counts.received, parts + invalid + queue_full + unwritable, "{counts:?}");
}

fn wait_until(store: &AuditStore, what: impl Fn(&Status) -> bool) -> Status {
    let end = Instant::now() + PATIENCE;
    loop {
        let status = store.status().unwrap();
        assert_balanced(&status.counts);
        if what(&status) {
            return status;
        }
        assert!(Instant::now() < end, "{status:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Holds the worker up until the sender is dropped.
fn hold(handle: &Handle) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (holding, held) = mpsc::channel();
    let request = Box::new(move |_: &mut super::Worker| {
        holding.send(()).unwrap();
        let _ = released.recv();
    });
    assert!(handle.queue().ask(request).is_ok());
    held.recv().unwrap();
    release
}

#[test]
fn a_write_is_seen_by_the_next_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path())).unwrap();
    for n in 0..3 {
        store.write(event(n.to_string()));
        assert_eq!(tools(&store).len(), n + 1);
    }
}

#[test]
fn an_invalid_event_does_not_cost_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path())).unwrap();
    let release = hold(&store);
    for tool in ["a", "b"] {
        store.write(event(tool));
    }
    store.write(invalid());
    store.write(event("c"));
    store.write(invalid());
    store.write(invalid());
    store.write(event("d"));
    drop(release);
    assert_eq!(tools(&store), ["a", "b", "c", "d"]);
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.stored, counts.rejected, counts.dropped.invalid), (7, 4, 0, 3));
}

#[test]
fn writing_never_waits_and_what_finds_the_queue_full_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let warned = Arc::new(Mutex::new(Vec::new()));
    let warnings = Arc::clone(&warned);
    let sink = move |line: &str| warnings.lock().unwrap().push(line.to_owned());
    let store = AuditStore::open(options(folder.path()).queue(100, 1 << 20).warnings(sink)).unwrap();
    let release = hold(&store);
    for n in 0..1000 {
        store.write(event(n.to_string()));
    }
    store.write(event("x".repeat(2 << 20)));
    drop(release);
    assert_eq!(tools(&store).len(), 100);
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.stored, counts.dropped.queue_full), (1001, 100, 901));
    assert_eq!(
        *warned.lock().unwrap(),
        ["audit-store: the queue is full; 901 events were not recorded so far"]
    );
}

#[test]
fn the_queue_is_bounded_in_bytes_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path()).queue(100, 10_000)).unwrap();
    let release = hold(&store);
    for _ in 0..10 {
        store.write(event("x".repeat(2000)));
    }
    drop(release);
    let counts = store.close().unwrap().counts;
    assert_eq!((counts.stored, counts.dropped.queue_full), (4, 6));
}

#[test]
fn closing_drains_and_what_comes_later_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path()).durability("buffered")).unwrap();
    let handle = store.handle();
    for n in 0..5000 {
        handle.write(event(n.to_string()));
    }
    let status = store.close().unwrap();
    assert_eq!((status.counts.received, status.counts.stored), (5000, 5000));
    handle.write(event("late"));
    let counts = handle.status().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.dropped.unwritable), (5001, 1));
    assert_eq!(handle.flush(), Err(Error::Closed));
    assert_eq!(handle.write_batch(vec![event("late")]), Err(Error::Closed));

    let store = AuditStore::open(options(folder.path())).unwrap();
    assert_eq!(tools(&store).len(), 5000);
    store.write(event("dropped"));
    drop(store);
    let store = AuditStore::open(options(folder.path())).unwrap();
    assert_eq!(tools(&store).len(), 5001);
}

/// Writes six events in three batches, over one of which the component is stopped: each is stored once.
fn write_three_batches(store: AuditStore, context: &str) -> Status {
    for tools in [["a", "b"], ["c", "d"], ["e", "f"]] {
        let release = hold(&store);
        for tool in tools {
            store.write(event(tool));
        }
        drop(release);
        // Does not flush, unlike reading.
        store.status().unwrap();
    }
    assert_eq!(tools(&store), ["a", "b", "c", "d", "e", "f"], "{context}");
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.stored, status.restarts), (6, 6, 1));
    status
}

#[test]
fn a_stopped_component_is_replaced_and_nothing_is_lost_or_doubled() {
    for fault in [Fault::Before, Fault::After] {
        for durability in ["buffered", "written"] {
            let folder = tempfile::tempdir().unwrap();
            let options = options(folder.path()).durability(durability);
            options.faults.lock().unwrap().extend([Fault::No, fault]);
            let store = AuditStore::open(options).unwrap();
            let status = write_three_batches(store, &format!("{fault:?} {durability}"));
            assert!(status.last_error.is_some_and(|error| error.contains("the component stopped")));
        }
    }
}

#[test]
fn an_event_that_stops_the_component_each_time_is_dropped_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path()).guest_memory(4 << 20)).unwrap();
    let release = hold(&store);
    for tool in ["a", "b"] {
        store.write(event(tool));
    }
    store.write(event("x".repeat(8 << 20)));
    store.write(event("c"));
    drop(release);
    assert_eq!(tools(&store), ["a", "b", "c"]);
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.stored, status.counts.dropped.unwritable), (4, 3, 1));
    assert!(status.restarts > 0);
}

#[test]
fn a_component_that_stops_over_everything_keeps_the_rest_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    options.faults.lock().unwrap().extend([Fault::Before; 5]);
    let store = AuditStore::open(options).unwrap();
    let release = hold(&store);
    for n in 0..10 {
        store.write(event(n.to_string()));
    }
    drop(release);
    // Twice together, then three alone.
    let counts = store.status().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.pending, counts.dropped.unwritable), (10, 7, 3));
    assert_eq!(store.flush(), Ok(()));
    assert_eq!(tools(&store), ["3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn a_call_that_takes_too_long_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path()).call_limit(Duration::from_millis(5));
    // On a busy machine the start alone can take longer than that.
    let store = (0..100).find_map(|_| AuditStore::open(options.clone()).ok()).unwrap();
    let lines = "{\"tool\":\"t\"}\n".repeat(200_000);
    let Err(Error::Trap(text)) = store.write_jsonl(lines) else { panic!("it was fast enough") };
    assert!(text.contains("longer than its limit of 5ms"), "{text}");
    let status = store.status().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.rejected, status.restarts), (200_000, 200_000, 1));
}

#[test]
fn a_batch_that_stops_the_component_says_how_much_of_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    options.faults.lock().unwrap().extend([Fault::Before, Fault::After]);
    let store = AuditStore::open(options).unwrap();
    for stored in [0, 2] {
        let Err(Error::Trap(text)) = store.write_batch(vec![event("a"), event("b")]) else { panic!() };
        assert!(text.ends_with(&format!("of 2 events {stored} are stored")), "{text}");
    }
    assert_eq!(store.write_batch(vec![event("c")]).unwrap().accepted, 1);
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.stored, counts.rejected), (5, 3, 2));
}

#[test]
fn what_cannot_be_stored_now_waits_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "a file where the folder has to be").unwrap();
    let tick = Duration::from_millis(20);
    let store = AuditStore::open(options(&blocked.join("audit")).flush_interval(tick)).unwrap();
    for n in 0..5 {
        store.write(event(n.to_string()));
    }
    let Err(Error::Access(text)) = store.flush() else { panic!() };
    assert!(text.contains("cannot create"), "{text}");
    let counts = wait_until(&store, |status| status.last_error.is_some()).counts;
    assert_eq!((counts.received, counts.pending), (5, 5));
    assert!(matches!(store.write_batch(vec![event("refused")]), Err(Error::Access(_))));

    fs::remove_file(&blocked).unwrap();
    let status = wait_until(&store, |status| status.counts.pending == 0);
    assert_eq!((status.counts.received, status.counts.stored, status.counts.rejected), (6, 5, 1));
    assert_eq!(tools(&store), ["0", "1", "2", "3", "4"]);
}

#[test]
fn what_waits_for_the_disk_is_part_of_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "a file where the folder has to be").unwrap();
    let store = AuditStore::open(options(&blocked.join("audit")).queue(5, 1 << 20)).unwrap();
    for n in 0..8 {
        store.write(event(n.to_string()));
        assert!(store.flush().is_err());
    }
    let counts = store.status().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.pending, counts.dropped.queue_full), (8, 5, 3));
}

#[test]
fn what_can_never_be_stored_is_counted_when_the_store_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "a file where the folder has to be").unwrap();
    let store = AuditStore::open(options(&blocked.join("audit"))).unwrap();
    for n in 0..5 {
        store.write(event(n.to_string()));
    }
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.dropped.unwritable), (5, 5));
    assert!(status.last_error.is_some_and(|error| error.contains("5 events were not recorded")));
}

#[test]
fn a_folder_that_is_removed_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit");
    let store = AuditStore::open(options(&audit)).unwrap();
    store.write(event("before"));
    store.flush().unwrap();
    fs::remove_dir_all(&audit).unwrap();
    store.write(event("after"));
    assert_eq!(store.flush(), Ok(()));
    assert_eq!(tools(&store), ["after"]);
    fs::remove_dir_all(&audit).unwrap();
    store.write_batch(vec![event("again")]).unwrap();
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.stored, status.counts.rejected), (3, 3, 0));
}

#[test]
fn any_mix_of_calls_and_faults_stores_each_event_once_and_balances() {
    let mut random = Random(42);
    for round in 0..30 {
        let folder = tempfile::tempdir().unwrap();
        let durability = ["buffered", "written"][round % 2];
        let options = options(folder.path()).durability(durability).queue(50, 1 << 20);
        let faults: Vec<_> =
            (0..40).map(|_| random.pick([Fault::No, Fault::No, Fault::Before, Fault::After])).collect();
        options.faults.lock().unwrap().extend(faults);
        let store = AuditStore::open(options).unwrap();
        let mut written = 0;
        for _ in 0..40 {
            match random.below(6) {
                0 => drop(store.flush()),
                1 => assert_balanced(&store.status().unwrap().counts),
                2 => {
                    written += 3;
                    drop(store.write_batch((0..3).map(|n| event(format!("{}", written - n))).collect()));
                }
                _ => {
                    let release = hold(&store);
                    for _ in 0..random.below(20) {
                        written += 1;
                        store.write(if random.below(10) == 0 {
                            invalid()
                        } else {
                            event(written.to_string())
                        });
                    }
                    drop(release);
                }
            }
        }
        drop(store.flush());
        let mut times = BTreeMap::new();
        for tool in tools(&store) {
            *times.entry(tool).or_insert(0) += 1;
        }
        assert!(times.values().all(|times| *times == 1), "{times:?}");
        let status = store.close().unwrap();
        assert_balanced(&status.counts);
        assert_eq!(status.counts.received, written, "{status:?}");
        assert_eq!(status.counts.stored, times.len() as u64, "{status:?}");
    }
}

/// A linear congruential generator (Knuth's constants): the same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn pick<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[self.below(N as u64) as usize]
    }
}

#[test]
fn a_component_that_stops_beside_a_database_loses_and_doubles_nothing() {
    for backend in ["postgres", "auto"] {
        for (fault, batch) in [(Fault::Before, 1), (Fault::After, 1), (Fault::After, 100)] {
            let folder = tempfile::tempdir().unwrap();
            let options = options(folder.path()).backend(backend).batch_size(batch);
            let options = options.database_url(Cluster::shared().database());
            options.faults.lock().unwrap().extend([Fault::No, fault]);
            let store = AuditStore::open(options).unwrap();
            write_three_batches(store, &format!("{backend} {fault:?} {batch}"));
        }
    }
}

#[test]
fn what_a_stopped_component_had_spooled_is_drained_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::shared();
    let proxy = Proxy::to(cluster.port());
    let options = options(folder.path()).backend("auto").batch_size(1);
    let options = options.database_url(proxy.url(&cluster.database()));
    options.faults.lock().unwrap().extend([Fault::No, Fault::Before]);
    let store = AuditStore::open(options).unwrap();
    store.flush().unwrap();
    proxy.refuse();
    store.write_batch(vec![event("a"), event("b")]).unwrap();
    let status = store.status().unwrap();
    assert_eq!((status.backend.as_str(), status.counts.spooled), ("spool", 2));
    assert!(store.write_batch(vec![event("c")]).is_err());
    let status = store.status().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.restarts, status.counts.spooled), (1, 2));
    proxy.pass();
    store.flush().unwrap();
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.stored, status.counts.spooled, status.counts.rejected), (2, 0, 1));
}

#[test]
fn a_component_that_stops_in_an_outage_doubles_nothing_either() {
    for batch in [1, 100] {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Cluster::shared();
        let proxy = Proxy::to(cluster.port());
        let options = options(folder.path()).backend("auto").batch_size(batch);
        let options = options.database_url(proxy.url(&cluster.database()));
        options.faults.lock().unwrap().extend([Fault::No, Fault::After, Fault::Before]);
        let store = AuditStore::open(options).unwrap();
        store.flush().unwrap();
        proxy.refuse();
        proxy.cut();
        store.write(event("a"));
        store.flush().unwrap();
        assert_eq!(store.status().unwrap().counts.spooled, 1);
        for tools in [["b", "c"], ["d", "e"]] {
            let release = hold(&store);
            tools.into_iter().for_each(|tool| store.write(event(tool)));
            drop(release);
            let status = store.status().unwrap();
            assert_balanced(&status.counts);
        }
        let status = store.status().unwrap();
        let Counts { received, spooled, pending, .. } = status.counts;
        assert_eq!((status.restarts, received, spooled + pending), (2, 5, 5), "{status:?}");
        proxy.pass();
        store.flush().unwrap();
        assert_eq!(tools(&store), ["a", "b", "c", "d", "e"]);
        let counts = store.close().unwrap().counts;
        assert_balanced(&counts);
        assert_eq!((counts.received, counts.stored), (5, 5));
    }
}

#[test]
fn a_database_that_did_not_answer_is_tried_again_by_its_interval_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::shared();
    let proxy = Proxy::to(cluster.port());
    let options = options(folder.path()).backend("auto").batch_size(1);
    let options = options.database_url(proxy.url(&cluster.database()));
    let store = AuditStore::open(options.recovery_interval(Duration::from_secs(1))).unwrap();
    proxy.refuse();
    store.write(event("a"));
    wait_until(&store, |status| status.counts.spooled == 1);
    proxy.pass();
    let status = wait_until(&store, |status| status.counts.stored == 1);
    assert_eq!(status.backend, "postgres");
    assert!(status.last_error.is_some_and(|error| error.contains("events go to the spool")));
    store.close().unwrap();
}

#[test]
fn a_store_for_reading_writes_nothing_and_drains_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::shared();
    let (url, proxy) = (cluster.database(), Proxy::to(cluster.port()));
    let options = options(folder.path()).backend("auto").batch_size(1);
    let store = AuditStore::open(options.clone().database_url(proxy.url(&url))).unwrap();
    store.write_batch(vec![event("a")]).unwrap();
    proxy.refuse();
    proxy.cut();
    store.write_batch(vec![event("b")]).unwrap();
    assert_eq!(store.close().unwrap().counts.spooled, 1);

    let store = AuditStore::open(options.database_url(&url).read_only(true)).unwrap();
    assert_eq!(tools(&store), ["a", "b"]);
    assert!(store.flush().is_ok());
    store.write(event("c"));
    assert!(store.flush().is_err());
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.stored, status.counts.dropped.unwritable), (0, 1));
    assert_eq!(cluster.sql(&url, "SELECT tool FROM tool_audit_events"), [[Some("a".to_owned())]]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn in_an_outage_too_a_folder_that_is_removed_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit");
    let cluster = Cluster::shared();
    let proxy = Proxy::to(cluster.port());
    let options = options(&audit).backend("auto").batch_size(1).database_url(proxy.url(&cluster.database()));
    let store = AuditStore::open(options).unwrap();
    proxy.refuse();
    store.write_batch(vec![event("a"), event("b")]).unwrap();
    fs::remove_dir_all(&audit).unwrap();
    store.write(event("c"));
    assert_eq!(store.flush(), Ok(()));
    let status = store.status().unwrap();
    assert_balanced(&status.counts);
    // Two went with the folder.
    assert_eq!((status.counts.spooled, status.counts.dropped.unwritable), (1, 2), "{status:?}");
    proxy.pass();
    assert_eq!(store.flush(), Ok(()));
    assert_eq!(tools(&store), ["c"]);
    assert_balanced(&store.close().unwrap().counts);
}

#[cfg(unix)]
#[test]
fn what_only_has_the_name_of_a_spool_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let name = |last| folder.path().join(format!("spool_01934c5e-7b1a-7000-8000-00000000000{last}_0.jsonl"));
    fs::create_dir(name(1)).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(name(2)).status().unwrap().success());
    fs::write(name(3), "x".repeat(3 << 20)).unwrap();
    let url = Cluster::shared().database();
    let store = AuditStore::open(options(folder.path()).backend("auto").database_url(url)).unwrap();
    store.write(event("a"));
    assert_eq!(store.flush(), Ok(()));
    assert_eq!(tools(&store), ["a"]);
    assert_eq!(store.close().unwrap().restarts, 0);
}
