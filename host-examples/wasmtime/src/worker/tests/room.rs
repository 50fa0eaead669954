//! Writers that wait for room in the queue.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;

use tokio::runtime::Builder;

use super::*;

const WRITERS: usize = 8;

/// Events of each writer: together many times what the queue holds.
const EVENTS: usize = 500;

/// A store whose queue holds few events.
fn small(folder: &Path) -> AuditStore {
    AuditStore::open(options(folder).queue(50, 1 << 20)).unwrap()
}

/// Checks that each event is stored, those of each writer in their order.
fn assert_all_stored(store: AuditStore) {
    let mut next = [0; WRITERS];
    for tool in tools(&store) {
        let (writer, n) = tool.split_once(' ').unwrap();
        let next = &mut next[writer.parse::<usize>().unwrap()];
        assert_eq!(n.parse::<usize>().unwrap(), *next);
        *next += 1;
    }
    assert_eq!(next, [EVENTS; WRITERS]);
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!(counts.stored, (WRITERS * EVENTS) as u64);
}

/// The `n`-th event of a writer. Events of one writer have different times, so that a read keeps their order.
fn numbered(writer: usize, n: usize) -> Event {
    Event { ts: format!("2026-11-23T06:30:00.{n:06}Z"), ..event(format!("{writer} {n}")) }
}

#[test]
fn threads_that_wait_for_room_lose_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let store = small(folder.path());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                (0..EVENTS).for_each(|n| store.write_when_room(numbered(writer, n)).unwrap());
            });
        }
    });
    assert_all_stored(store);
}

#[test]
fn tasks_that_wait_for_room_lose_no_event_on_either_runtime() {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let folder = tempfile::tempdir().unwrap();
        let store = small(folder.path());
        builder.worker_threads(4).build().unwrap().block_on(async {
            let tasks: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let handle = store.handle();
                    tokio::spawn(async move {
                        for n in 0..EVENTS {
                            handle.write_when_room_async(numbered(writer, n)).await.unwrap();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_all_stored(store);
    }
}

/// Polls the future once.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Puts this many events into a queue that has room for them.
fn fill(store: &AuditStore, events: usize) {
    for _ in 0..events {
        assert_eq!(poll(&mut store.write_when_room_async(event("fills"))), Poll::Ready(Ok(())));
    }
}

#[test]
fn those_who_wait_are_served_in_their_order_and_before_events_that_do_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let store = small(folder.path());
    let release = hold(&store);
    fill(&store, 50);
    let mut waiting: Vec<_> =
        (0..3).map(|n| store.write_when_room_async(event(format!("waits {n}")))).collect();
    // The first poll is what takes a place, so the second of them comes first.
    for n in [1, 0, 2] {
        assert_eq!(poll(&mut waiting[n]), Poll::Pending);
    }
    store.write(event("dropped"));
    assert_balanced(&store.queue().status().unwrap().counts);
    drop(release);
    for mut waits in waiting {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(poll_fn(|context| pin!(&mut waits).poll(context))).unwrap();
    }
    let entries = store.entries(Filter::default(), Order::OldestFirst);
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>().unwrap();
    entries.sort_by_key(|entry| entry.seq);
    let tools: Vec<&str> = entries[50..].iter().map(|entry| entry.event.tool.as_str()).collect();
    assert_eq!(tools, ["waits 1", "waits 0", "waits 2"]);
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.stored, counts.dropped.queue_full), (54, 53, 1));
}

#[test]
fn a_future_that_is_dropped_leaves_nothing_behind_and_lets_those_behind_it_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path()).queue(50, 10_000)).unwrap();
    let release = hold(&store);
    fill(&store, 10);
    let mut large = store.write_when_room_async(event("x".repeat(9_900)));
    let mut behind = store.write_when_room_async(event("behind"));
    assert_eq!((poll(&mut large), poll(&mut behind)), (Poll::Pending, Poll::Pending));
    drop(store.write_when_room_async(event("never polled")));
    drop(large);
    assert_eq!(poll(&mut behind), Poll::Ready(Ok(())));
    drop(release);
    assert_eq!(tools(&store).len(), 11);
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.stored), (11, 11));
}

#[test]
fn closing_ends_all_who_wait_and_each_event_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = small(folder.path());
    let release = hold(&store);
    fill(&store, 50);
    let mut polled: Vec<_> = (0..5).map(|_| store.write_when_room_async(event("waits"))).collect();
    assert!(polled.iter_mut().all(|waits| poll(waits) == Poll::Pending));
    let (handle, last) = (store.handle(), polled.pop());
    let threads: Vec<_> = (0..WRITERS)
        .map(|_| {
            let handle = store.handle();
            thread::spawn(move || handle.write_when_room(event("waits")))
        })
        .collect();
    // The threads may be late, and are refused then too.
    thread::sleep(Duration::from_millis(100));
    let closing = thread::spawn(move || store.close());
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Err(Error::Closed));
    }
    assert!(polled.iter_mut().all(|waits| poll(waits) == Poll::Ready(Err(Error::Closed))));
    drop(last);
    drop(release);
    closing.join().unwrap().unwrap();
    assert_eq!(handle.write_when_room(event("late")), Err(Error::Closed));
    let counts = handle.status().unwrap().counts;
    assert_balanced(&counts);
    // 50 events, 5 futures, the threads, and the late one.
    assert_eq!((counts.received, counts.stored, counts.dropped.unwritable), (64, 50, 14));
}

#[test]
fn a_worker_that_panics_ends_all_who_wait() {
    let folder = tempfile::tempdir().unwrap();
    let store = small(folder.path());
    let release = hold(&store);
    fill(&store, 50);
    let request = Box::new(|_: &mut super::super::Worker| panic!("on purpose"));
    assert!(store.queue().ask(request).is_ok());
    let handle = store.handle();
    let waits = thread::spawn(move || (0..200).try_for_each(|_| handle.write_when_room(event("waits"))));
    drop(release);
    assert_eq!(waits.join().unwrap(), Err(Error::Closed));
    assert_eq!(store.close(), Err(Error::Closed));
}

#[test]
fn an_event_that_is_larger_than_the_queue_goes_into_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = AuditStore::open(options(folder.path()).queue(50, 1000)).unwrap();
    for n in 0..10 {
        store.write_when_room(event(format!("{n} {}", "x".repeat(5000)))).unwrap();
        store.write_when_room(event(n.to_string())).unwrap();
    }
    store.write(event("x".repeat(5000)));
    let counts = store.close().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.stored, counts.dropped.queue_full), (20, 1));
}
