//! A component that stops and is replaced.

use super::*;

#[test]
fn a_stopped_component_is_replaced_and_each_event_is_stored_once() {
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
fn only_the_event_that_stops_the_component_each_time_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    // The first call, the same batch again, and then each event by itself.
    options.faults.lock().unwrap().extend([
        Fault::Before,
        Fault::Before,
        Fault::No,
        Fault::No,
        Fault::Before,
    ]);
    let store = AuditStore::open(options).unwrap();
    let release = hold(&store);
    for tool in ["a", "b", "stops", "c"] {
        store.write(event(tool));
    }
    drop(release);
    assert_eq!(tools(&store), ["a", "b", "c"]);
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.stored, status.counts.dropped.invalid), (4, 3, 1));
    assert!(status.restarts > 0);
}

#[test]
fn after_three_events_in_a_row_that_stop_the_component_the_others_wait() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    options.faults.lock().unwrap().extend([Fault::Before; 5]);
    let store = AuditStore::open(options).unwrap();
    let release = hold(&store);
    for n in 0..10 {
        store.write(event(n.to_string()));
    }
    drop(release);
    // The component stops twice at the whole batch, then at three events by themselves.
    let counts = store.status().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.pending, counts.dropped.invalid), (10, 7, 3));
    assert_eq!(store.flush(), Ok(()));
    assert_eq!(tools(&store), ["3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn a_call_that_takes_too_long_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path()).call_limit(Duration::from_millis(5));
    // On a busy machine, the start itself can take longer than that.
    let store = (0..100).find_map(|_| AuditStore::open(options.clone()).ok()).unwrap();
    let lines = "{\"tool\":\"t\"}\n".repeat(80_000);
    let Err(Error::Trap(text)) = store.write_jsonl(lines) else { panic!("it was fast enough") };
    assert!(text.contains("longer than its limit of 5ms"), "{text}");
    let status = store.status().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.rejected, status.restarts), (80_000, 80_000, 1));
}

#[test]
fn the_error_of_a_batch_that_stops_the_component_says_how_many_events_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    options.faults.lock().unwrap().extend([Fault::Before, Fault::After]);
    let store = AuditStore::open(options).unwrap();
    for stored in [0, 2] {
        let Err(Error::Trap(text)) = store.write_batch(vec![event("a"), event("b")]) else { panic!() };
        assert!(text.ends_with(&format!("{stored} of 2 events were stored")), "{text}");
    }
    assert_eq!(store.write_batch(vec![event("c")]).unwrap().accepted, 1);
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.stored, counts.rejected), (5, 3, 2));
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
                            invalid(written.to_string())
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
