//! How fast the Rust library is as a program uses it, through its handle: on files, and with `DATABASE_URL` on a database too.
//! It is one round, of which `cargo xtask bench` runs several: `bench_handle [EVENTS]`.

use std::env;
use std::error::Error;
use std::time::Instant;

use audit_host::{AuditStore, Event, Filter, Options, Order, PageRequest};
use xtask::figures;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// How many events a call of `write_batch` and `write_jsonl` has.
const BATCH: usize = 1_000;

/// How many rows a statement inserts.
const ROWS: u64 = 500;

fn main() -> Result {
    let events = env::args().nth(1).map_or(Ok(200_000), |events| events.parse())?;
    singles(events)?;
    batches(events)?;
    match env::var("DATABASE_URL") {
        Ok(url) => rows(events / 4, &url),
        Err(_) => Ok(()),
    }
}

/// A call of a tool, from texts that a program has.
fn event(n: usize) -> Event {
    Event {
        req_id: "01a21dfd-9a33-7f0e-8c57-2f2c9d1e0b44".into(),
        workspace_id: "workspace".into(),
        user_id: "user".into(),
        agent_id: "planner".into(),
        tool: "search".into(),
        action: "query".into(),
        status: "ok".into(),
        duration_ms: n as u64,
        in_size: 120,
        out_size: 4800,
        input_hash: "28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f".into(),
        ..Event::default()
    }
}

/// Each event by a call of its own, which does not wait, and all of them read.
fn singles(events: usize) -> Result {
    let folder = tempfile::tempdir()?;
    // Here nothing is to be dropped.
    let store = AuditStore::open(Options::new().dir(folder.path()).queue(events + 1, 1 << 32))?;
    let began = Instant::now();
    for n in 0..events {
        store.write(event(n));
    }
    rate("write, handed over", events, began);
    store.flush()?;
    rate("write, stored", events, began);
    expect("stored", store.status()?.counts.stored, events)?;

    let began = Instant::now();
    let mut read = 0;
    for entry in store.entries(Filter::default(), Order::OldestFirst) {
        entry?;
        read += 1;
    }
    rate("read", events, began);
    expect("read", read, events)?;

    let began = Instant::now();
    let (mut read, mut request) = (0, PageRequest::default());
    loop {
        let page = store.read_jsonl(&Filter::default(), request.clone())?;
        read += u64::from(page.count);
        request.cursor = page.next;
        if request.cursor.is_none() {
            break;
        }
    }
    rate("read-jsonl", events, began);
    expect("read", read, events)?;
    store.close()?;
    Ok(())
}

/// Calls with many events each, which wait until these are in the file.
fn batches(events: usize) -> Result {
    let folder = tempfile::tempdir()?;
    let store = AuditStore::open(Options::new().dir(folder.path()))?;
    let began = Instant::now();
    for first in (0..events).step_by(BATCH) {
        store.write_batch((first..events.min(first + BATCH)).map(event).collect())?;
    }
    rate("write-batch", events, began);

    let line = |n| Ok(serde_json::to_string(&event(n))? + "\n");
    let lines = (0..BATCH.min(events)).map(line).collect::<Result<String>>()?;
    let calls = events / BATCH;
    let began = Instant::now();
    for _ in 0..calls {
        store.write_jsonl(lines.clone())?;
    }
    rate("write-jsonl", calls * BATCH, began);
    expect("stored", store.close()?.counts.stored, events + calls * BATCH)
}

fn rows(events: usize, url: &str) -> Result {
    let options = Options::new().backend("postgres").batch_size(ROWS).database_url(url);
    let store = AuditStore::open(options)?;
    // The first event makes the table.
    store.write_batch(vec![event(0)])?;
    store.flush()?;
    let began = Instant::now();
    for first in (0..events).step_by(BATCH) {
        store.write_batch((first..events.min(first + BATCH)).map(event).collect())?;
    }
    store.flush()?;
    rate("postgres", events, began);
    expect("stored", store.close()?.counts.stored, events + 1)
}

/// Prints how many events a second that was.
fn rate(what: &str, events: usize, began: Instant) {
    figures::print(what, events as f64 / began.elapsed().as_secs_f64());
}

fn expect(what: &str, count: u64, events: usize) -> Result {
    if count == events as u64 { Ok(()) } else { Err(format!("{count} of {events} events are {what}").into()) }
}
