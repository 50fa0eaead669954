//! How fast the component is in this host, on files: one round, of which `cargo xtask bench` runs several. With the path of
//! another build of the component as its argument, it measures that.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use audit_fixtures::{event, every_page};
use audit_host::{Component, Event, Filter, Instance, Options, Order, PageRequest};
use xtask::figures;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const EVENTS: usize = 100_000;
const SINGLES: usize = 20_000;
const BATCH: usize = 1_000;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let record = folder.path().join("audit");
    let options = Options::new().dir(&record).no_call_limit();
    let other = std::env::args_os().nth(1).map(fs::read).transpose()?;
    let load = || match &other {
        Some(binary) => Component::compile(binary, &options),
        None => Component::load(&options),
    };
    let component = load()?;
    let events: Vec<Event> = (0..EVENTS as u64).map(event).collect();
    let lines: Vec<String> = events.chunks(BATCH).map(lines).collect::<Result<_>>()?;

    // The first of all loads compiles the component where it is not in the cache.
    figures::print("component, from the cache", millis(|| Ok(load()?))?.1);
    let (mut instance, millis) = millis(|| empty(&component, &options, &record))?;
    figures::print("instance", millis);
    rate("write, one by one", SINGLES, || {
        Ok(events[..SINGLES].iter().try_for_each(|event| instance.write(event))?)
    })?;
    let mut instance = empty(&component, &options, &record)?;
    rate("write-batch, 1000 events each", EVENTS, || {
        Ok(events.chunks(BATCH).try_for_each(|events| instance.write_batch(events).map(drop))?)
    })?;
    let mut instance = empty(&component, &options, &record)?;
    rate("write-jsonl, 1000 events each", EVENTS, || {
        Ok(lines.iter().try_for_each(|lines| instance.write_jsonl(lines).map(drop))?)
    })?;

    let rare = Filter { tool: Some("tool 7".into()), ..Filter::default() };
    rate("read-jsonl, by tool: 1 event of 1000", EVENTS, || {
        found(read_jsonl(&mut instance, &rare)?, EVENTS / 1_000)
    })?;
    rate("read-jsonl, every event", EVENTS, || {
        found(read_jsonl(&mut instance, &Filter::default())?, EVENTS)
    })?;
    rate("read, every event", EVENTS, || found(read(&mut instance)?, EVENTS))
}

/// An instance whose folder is empty.
fn empty(component: &Component, options: &Options, record: &Path) -> Result<Instance> {
    let _ = fs::remove_dir_all(record);
    Ok(Instance::start(component, options)?)
}

/// The events as lines of JSON.
fn lines(events: &[Event]) -> Result<String> {
    let line = |event| Ok(serde_json::to_string(event)? + "\n");
    events.iter().map(line).collect()
}

/// How many entries match, read as lines.
fn read_jsonl(instance: &mut Instance, filter: &Filter) -> Result<usize> {
    let mut request = PageRequest::default();
    let mut count = 0;
    loop {
        let page = instance.read_jsonl(filter, &request)?;
        count += page.count as usize;
        request.cursor = page.next;
        if request.cursor.is_none() {
            return Ok(count);
        }
    }
}

/// How many entries there are, read as records.
fn read(instance: &mut Instance) -> Result<usize> {
    let page = |request: &PageRequest| instance.read(&Filter::default(), request).expect("a read succeeds");
    let pages = every_page(Order::OldestFirst, 10_000, page);
    Ok(pages.iter().map(|page| page.entries.len()).sum())
}

fn found(count: usize, expected: usize) -> Result<()> {
    if count == expected { Ok(()) } else { Err(format!("{count} entries were found, not {expected}").into()) }
}

/// The result of the work, and how many milliseconds it takes.
fn millis<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let began = Instant::now();
    let value = work()?;
    Ok((value, began.elapsed().as_secs_f64() * 1_000.0))
}

/// Prints how many events a second the work does.
fn rate(what: &str, events: usize, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let ((), millis) = millis(work)?;
    figures::print(what, events as f64 * 1_000.0 / millis);
    Ok(())
}
