//! How fast the component is in this host, on files: `cargo xtask bench` runs it. Prints one figure a line, the median
//! of several rounds. With the path of another build of the component as its argument, it measures that.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use audit_host::{Component, Event, Filter, Instance, Options, Order, PageRequest};

const EVENTS: u32 = 100_000;
const SINGLES: u32 = 20_000;
const BATCH: usize = 1_000;
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let options = Options::new().dir(folder.path().join("audit")).no_call_limit();
    let other = std::env::args_os().nth(1).map(fs::read).transpose()?;
    let load = || match &other {
        Some(binary) => Component::compile(binary, &options),
        None => Component::load(&options),
    };
    // The first fills the cache.
    drop(load()?);
    let component = load()?;
    let events: Vec<Event> = (0..EVENTS).map(event).collect();
    let lines = lines(&events);

    report("component from the cache, ms", || Ok(millis(&|| load().map(drop))?))?;
    report("instance, ms", || Ok(millis(&|| Instance::start(&component, &options).map(drop))?))?;
    let empty = || -> Result<Instance, Box<dyn std::error::Error>> {
        let _ = fs::remove_dir_all(folder.path().join("audit"));
        Ok(Instance::start(&component, &options)?)
    };
    report("write, one by one, events/s", || {
        let mut instance = empty()?;
        let began = Instant::now();
        events.iter().take(SINGLES as usize).try_for_each(|event| instance.write(event))?;
        Ok(f64::from(SINGLES) / began.elapsed().as_secs_f64())
    })?;
    report("write-jsonl, batches of 1000, events/s", || {
        let mut instance = empty()?;
        let began = Instant::now();
        lines.iter().try_for_each(|lines| instance.write_jsonl(lines).map(drop))?;
        Ok(f64::from(EVENTS) / began.elapsed().as_secs_f64())
    })?;
    report("write-batch, batches of 1000, events/s", || {
        let mut instance = empty()?;
        let began = Instant::now();
        events.chunks(BATCH).try_for_each(|events| instance.write_batch(events).map(drop))?;
        Ok(f64::from(EVENTS) / began.elapsed().as_secs_f64())
    })?;

    let mut instance = Instance::start(&component, &options)?;
    let rare = Filter { tool: Some("tool 7".into()), ..Filter::default() };
    report("read, by tool (1 of 1000 matches), lines/s", || {
        let began = Instant::now();
        let found = read(&mut instance, &rare, 0)?;
        assert_eq!(found, EVENTS / 1000);
        Ok(f64::from(EVENTS) / began.elapsed().as_secs_f64())
    })?;
    report("read-jsonl, everything, events/s", || {
        let began = Instant::now();
        assert_eq!(read(&mut instance, &Filter::default(), 0)?, EVENTS);
        Ok(f64::from(EVENTS) / began.elapsed().as_secs_f64())
    })?;
    report("read, everything as records, events/s", || {
        let began = Instant::now();
        let mut request = PageRequest { order: Order::OldestFirst, limit: 10_000, cursor: None };
        let mut found = 0;
        loop {
            let page = instance.read(&Filter::default(), &request)?;
            found += page.entries.len();
            request.cursor = page.next;
            if request.cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, EVENTS as usize);
        Ok(f64::from(EVENTS) / began.elapsed().as_secs_f64())
    })
}

/// How many entries there are, read as lines in pages of this limit.
fn read(instance: &mut Instance, filter: &Filter, limit: u32) -> Result<u32, audit_host::Error> {
    let mut request = PageRequest { order: Order::OldestFirst, limit, cursor: None };
    let mut found = 0;
    loop {
        let page = instance.read_jsonl(filter, &request)?;
        found += page.count;
        request.cursor = page.next;
        if request.cursor.is_none() {
            return Ok(found);
        }
    }
}

fn millis(work: &dyn Fn() -> Result<(), audit_host::Error>) -> Result<f64, audit_host::Error> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

/// Prints the median, after a round that does not count.
fn report(
    what: &str,
    mut round: impl FnMut() -> Result<f64, Box<dyn std::error::Error>>,
) -> Result<(), Box<dyn std::error::Error>> {
    round()?;
    let mut figures = (0..ROUNDS).map(|_| round()).collect::<Result<Vec<_>, _>>()?;
    figures.sort_by(f64::total_cmp);
    println!("{what:<48} {:>12.2}", figures[ROUNDS / 2]);
    Ok(())
}

/// Events of one day, 100 ms apart, of about 560 bytes.
fn event(n: u32) -> Event {
    let at = Duration::from_millis(u64::from(n) * 100).as_secs();
    let (hour, minute, second) = (at / 3600, at / 60 % 60, at % 60);
    Event {
        ts: format!("2026-11-23T{hour:02}:{minute:02}:{second:02}.{}00000Z", n % 10),
        req_id: format!("req-{n:08}"),
        workspace_id: format!("ws-{}", n % 50),
        user_id: format!("user-{}", n % 500),
        agent_id: format!("agent-{}", n % 5),
        tool: format!("tool {}", n % 1000),
        action: "call".into(),
        status: "ok".into(),
        duration_ms: u64::from(n % 5_000),
        in_size: u64::from(n % 10_000),
        out_size: u64::from(n % 100_000),
        input_hash: format!("{n:064x}"),
        ..Event::default()
    }
}

/// The same as JSON lines, in batches.
fn lines(events: &[Event]) -> Vec<String> {
    let line = |text: &mut String, event: &Event| {
        let _ = writeln!(
            text,
            "{{\"ts\":\"{}\",\"req_id\":\"{}\",\"workspace_id\":\"{}\",\"user_id\":\"{}\",\"agent_id\":\"{}\",\
             \"tool\":\"{}\",\"action\":\"call\",\"status\":\"ok\",\"duration_ms\":{},\"in_size\":{},\"out_size\":{},\
             \"input_hash\":\"{}\"}}",
            event.ts,
            event.req_id,
            event.workspace_id,
            event.user_id,
            event.agent_id,
            event.tool,
            event.duration_ms,
            event.in_size,
            event.out_size,
            event.input_hash,
        );
    };
    let batch = |events: &[Event]| {
        let mut text = String::new();
        events.iter().for_each(|event| line(&mut text, event));
        text
    };
    events.chunks(BATCH).map(batch).collect()
}
