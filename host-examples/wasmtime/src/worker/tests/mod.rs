//! The promises of the store, tested with the real component and with injected faults.

mod database;
mod disk;
mod queue;
mod room;
mod stops;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use audit_testbed::{Cluster, Proxy};

use crate::faults::Fault;
use crate::types::{Active, Counts, Dropped};
use crate::{AuditStore, Error, Event, Filter, Handle, Options, Order, Status};

/// A flush interval that no test reaches, so that nothing is flushed by itself.
const NEVER: Duration = Duration::from_secs(3600);

/// Longer than a database or a worker takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn options(folder: &Path) -> Options {
    Options::new().dir(folder).flush_interval(NEVER).database_timeout(PATIENCE).warnings(|_| {})
}

fn event(tool: impl Into<String>) -> Event {
    Event { tool: tool.into(), ..Event::default() }
}

/// An event that a batch is refused for.
fn invalid(tool: impl Into<String>) -> Event {
    Event { ts: "yesterday".into(), ..event(tool) }
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

/// Holds the worker up until the sender is dropped, so that writes go into one batch.
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

/// Writes six events in three batches. A fault stops the component at one of them, and each event is stored
/// once.
fn write_three_batches(store: AuditStore, context: &str) -> Status {
    for tools in [["a", "b"], ["c", "d"], ["e", "f"]] {
        let release = hold(&store);
        for tool in tools {
            store.write(event(tool));
        }
        drop(release);
        // Waits until the batch is written. Reading would flush it too.
        store.status().unwrap();
    }
    assert_eq!(tools(&store), ["a", "b", "c", "d", "e", "f"], "{context}");
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.stored, status.restarts), (6, 6, 1));
    status
}
