//! Those who read meanwhile: by cursors, the newest events, and `audit read --follow`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use audit_fixtures::component;
use audit_format::read::parse_row;
use audit_host::{Entry, Error, Filter, Instance, Order, PageRequest};
use audit_testbed::{Rng, wait_until};

use crate::ledger::{Found, Told, number};
use crate::processes::Running;
use crate::record::Record;
use crate::site::{Site, lock};
use crate::writers::write_first;

/// How many events the newest are.
const NEWEST: u32 = 50;

/// A follower that has shown nothing for so long has shown all. It looks several times a second.
const BEHIND: Duration = Duration::from_secs(2);

/// Reads a record by one instance, again and again.
pub fn read(site: &Site, n: usize, mut rng: Rng) {
    let record = &site.records[n];
    let mut reader = Instance::start(component(), &record.options().read_only(true)).expect("a reader opens");
    while !site.is_over() {
        site.sleep(Duration::from_millis(rng.u64(200..1_500)));
        let read = match rng.bool() {
            true => newest(&mut reader),
            false => of_a_writer(site, n, record, &mut reader, &mut rng),
        };
        match read {
            Ok(()) => site.count("reads", 1),
            Err(Error::Unavailable(_)) if record.urls.is_some() => site.count("reads without a database", 1),
            Err(error) => panic!("{}: {error:?}", record.name),
        }
    }
}

/// The newest events are in order.
fn newest(reader: &mut Instance) -> Result<(), Error> {
    let request = PageRequest { order: Order::NewestFirst, limit: NEWEST, cursor: None };
    let page = reader.read(&Filter::default(), &request)?;
    let key = |entry: &Entry| (entry.event.ts.clone(), entry.id.clone());
    assert!(page.entries.iter().rev().is_sorted_by_key(key), "a page is not in order");
    Ok(())
}

/// The events of a writer, page by page: what was acknowledged before is there, and nothing twice.
fn of_a_writer(
    site: &Site,
    n: usize,
    record: &Record,
    reader: &mut Instance,
    rng: &mut Rng,
) -> Result<(), Error> {
    let Some((writer, told)) = site.ledger.any(n, rng).filter(|_| record.archive.is_none()) else {
        return Ok(());
    };
    let filter = Filter { workspace_id: Some(writer.clone()), ..Filter::default() };
    let order = if rng.bool() { Order::OldestFirst } else { Order::NewestFirst };
    let mut request = PageRequest { order, limit: rng.u32(20..500), cursor: None };
    let mut found = Found::default();
    loop {
        let page = reader.read(&filter, &request)?;
        for entry in page.entries {
            let (of, n) = number(&entry.event.req_id).expect("a writer has written it");
            assert_eq!(of, writer);
            found.add(n);
        }
        request.cursor = page.next;
        if request.cursor.is_none() {
            break;
        }
    }
    if let Some(problem) = found.problem(&writer, told) {
        panic!("a read of {}: {problem}", record.name);
    }
    Ok(())
}

/// `audit read --follow` on the files of a record, from the beginning of the run to its end. Everything comes, once.
pub struct Follower {
    running: Running,
    n: usize,
    shown: PathBuf,
}

impl Follower {
    pub fn start(site: &Site, n: usize) -> Self {
        let shown = site.folder.path().join("followed");
        // The first event of all. Its writer also leaves the compiled component in the cache for all others.
        let writer = site.name("first");
        write_first(site, &site.records[n], &writer);
        site.ledger.note(n, writer, Told { acknowledged: 1, absent_from: Some(1) });
        let mut command = site.audit(&site.records[n], "jsonl", "read --follow --format jsonl");
        command.stdout(File::create(&shown).expect("the folder can be written"));
        let running = Running(command.spawn().expect("the program runs"));
        site.memory.add("the follower".into(), running.id());
        wait_until("the follower shows the first event", || {
            fs::metadata(&shown).is_ok_and(|shown| shown.len() > 0)
        });
        Self { running, n, shown }
    }

    /// Lets it show what is still to come. Nobody writes any more.
    pub fn end(mut self, site: &Site) {
        site.memory.remove(self.running.id());
        let length = |path: &Path| fs::metadata(path).expect("it is there").len();
        let (mut before, mut since) = (length(&self.shown), Instant::now());
        while since.elapsed() < BEHIND {
            thread::sleep(BEHIND / 20);
            let now = length(&self.shown);
            if now != before {
                (before, since) = (now, Instant::now());
            }
        }
        assert_eq!(self.running.has_ended(), None, "the follower has ended");
        self.running.terminate();
        self.running.end("the follower");
        site.count("events that were followed", check_followed(site, self.n, &self.shown));
    }
}

/// Checks what a follower has shown. Returns how many events that is.
fn check_followed(site: &Site, n: usize, path: &Path) -> u64 {
    let mut writers = BTreeMap::<String, Found>::new();
    let mut events = 0;
    for line in BufReader::new(File::open(path).expect("it is there")).lines() {
        let line = line.expect("the output is text");
        let (parsed, _) = parse_row(&line).unwrap_or_else(|_| panic!("the follower shows {line}"));
        let (writer, n) = number(&parsed.event.req_id).expect("a writer has written it");
        writers.entry(writer.to_owned()).or_default().add(n);
        events += 1;
    }
    let nothing = Found::default();
    for (writer, told) in site.ledger.of(n) {
        let told = Told { absent_from: None, ..told };
        if let Some(problem) = writers.get(&writer).unwrap_or(&nothing).problem(&writer, told) {
            lock(&site.wrong).push(format!("the follower: {problem}"));
        }
    }
    events
}
