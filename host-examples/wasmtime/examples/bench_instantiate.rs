//! How long it takes to start an instance and to drop it again, as a program does that starts one for each request: with a
//! pool of instances and without, with a folder and without, and with one event written. `cargo xtask bench` runs it, several
//! times.

use std::error::Error;
use std::time::{Duration, Instant};

use audit_host::{Component, Event, Instance, Options};
use xtask::figures;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TIMES: usize = 2_000;
const ROUNDS: usize = 2;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let event =
        Event { tool: "search".into(), action: "query".into(), status: "ok".into(), ..Event::default() };
    let (memory, files) = (Options::new().backend("memory"), Options::new().dir(folder.path()));
    let pooled = Component::load(&Options::new().pool(10))?;
    let unpooled = Component::load(&Options::new())?;
    let mut rows = Vec::new();
    for (allocator, component) in [("pool", &pooled), ("no pool", &unpooled)] {
        for (what, options, writes) in [
            ("start and drop, configured by a call", &memory, false),
            ("start and drop, configured by variables, a folder", &files, false),
            ("the same, and write an event to a file", &files, true),
        ] {
            rows.push((format!("{what} ({allocator})"), component, options, writes, Vec::new()));
        }
    }
    // All in turn, so that what else the machine does weighs on each of them alike. The first round does not count.
    for round in 0..=ROUNDS {
        for (_, component, options, writes, times) in &mut rows {
            for _ in 0..TIMES {
                let took = once(component, options, writes.then_some(&event))?;
                if round > 0 {
                    times.push(took);
                }
            }
        }
    }
    for (what, .., mut times) in rows {
        times.sort();
        figures::print(&what, times[times.len() / 2].as_secs_f64() * 1e6);
    }
    Ok(())
}

fn once(component: &Component, options: &Options, event: Option<&Event>) -> Result<Duration> {
    let began = Instant::now();
    let mut instance = Instance::start(component, options)?;
    if let Some(event) = event {
        instance.write(event)?;
    }
    drop(instance);
    Ok(began.elapsed())
}
