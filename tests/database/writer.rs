//! A process of its own that writes under `auto`, and says which events it may not lose any more. Other tests kill it.

use std::env;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use audit_fixtures::{Writer, acknowledge, all_numbered, assert_balanced, database_options, start};
use audit_host::{Event, Options};
use audit_testbed::{ANSWER, NEVER, Rng, wait_for};

use crate::site::Site;

const DIR: &str = "TEST_DATABASE_DIR";
const URL: &str = "TEST_DATABASE_URL";
const NAME: &str = "TEST_DATABASE_NAME";

/// The options of a store under `auto` that tries the database again only when it is flushed.
pub fn options(site: &Site) -> Options {
    only_flushed(site.options("auto"))
}

fn only_flushed(options: Options) -> Options {
    options.flush_interval(NEVER).database_timeout(ANSWER)
}

/// This is no test: the tests run it as a process of its own. It acknowledges the events of each flush that succeeds,
/// and goes on until its input ends. Then it drains what is left.
#[test]
fn writer_process() {
    let Ok(dir) = env::var(DIR) else { return };
    let (url, name) = (env::var(URL).expect(URL), env::var(NAME).expect(NAME));
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        end.store(true, Ordering::Relaxed);
    });
    let mut store = start(&only_flushed(database_options("auto", Path::new(&dir), url)));
    let mut rng = Rng::new();
    let mut done = 0;
    while !ended.load(Ordering::Relaxed) {
        let count = rng.u64(1..80);
        store.write_batch(&all_numbered(&name, done..done + count)).expect("there is room");
        done += count;
        if store.flush().is_ok() {
            acknowledge(done);
        }
        assert_balanced(&store.status().expect("a status").counts);
    }
    wait_for(|| {
        let flushed = store.flush();
        let status = store.status().expect("a status");
        assert_balanced(&status.counts);
        let drained = status.counts.stored == done && status.spooled_by_others == 0;
        if drained { Ok(()) } else { Err(format!("{flushed:?}, {status:?}")) }
    });
    acknowledge(done);
}

/// A writer process whose events bear its name.
pub struct NamedWriter {
    name: String,
    writer: Writer,
}

impl NamedWriter {
    pub fn spawn(name: &str, site: &Site) -> Self {
        let mut command = Writer::command("writer::writer_process");
        command.env(DIR, site.folder()).env(URL, site.proxied()).env(NAME, name);
        let writer = Writer::spawn(&mut command);
        Self { name: name.to_owned(), writer }
    }

    /// Waits until it has acknowledged so many events.
    #[track_caller]
    pub fn wait_for(&self, events: u64) {
        self.writer.wait_for(events);
    }

    /// Waits until it has acknowledged so many events more.
    #[track_caller]
    pub fn wait_for_more(&self, events: u64) {
        self.writer.wait_for(self.writer.acknowledged() + events);
    }

    /// Kills it, and returns the events that it may not have lost.
    pub fn kill(self) -> Vec<Event> {
        all_numbered(&self.name, 0..self.writer.kill())
    }

    /// Lets it drain and end, and returns all events that it has written.
    #[track_caller]
    pub fn end(self) -> Vec<Event> {
        all_numbered(&self.name, 0..self.writer.end().0)
    }
}
