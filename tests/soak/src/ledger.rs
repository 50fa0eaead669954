//! What each writer was told of its events, and whether the records say the same.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Mutex;

use audit_fixtures::{event, start};
use audit_format::line::Parsed;
use audit_format::read::parse_row;
use audit_host::{Event, Filter, Instance, PageRequest};
use audit_testbed::{Rng, age_spools, refused, spools, wait_for};

use crate::record::Record;
use crate::site::{Site, lock};
use crate::writers::HOOK;

/// What a writer was told.
#[derive(Clone, Copy, Default)]
pub struct Told {
    /// So many of its first events are recorded.
    pub acknowledged: u64,
    /// From this event on, none is recorded.
    pub absent_from: Option<u64>,
}

/// The writers of each record, by name.
#[derive(Default)]
pub struct Ledger(Mutex<BTreeMap<(usize, String), Told>>);

impl Ledger {
    /// Notes what a writer of the `n`-th record was told at its end.
    pub fn note(&self, n: usize, writer: String, told: Told) {
        lock(&self.0).insert((n, writer), told);
    }

    /// Any writer of a record that has ended.
    pub fn any(&self, n: usize, rng: &mut Rng) -> Option<(String, Told)> {
        let ledger = lock(&self.0);
        let writers = || ledger.iter().filter(|((of, name), _)| *of == n && !name.starts_with(HOOK));
        let count = writers().count();
        let ((_, name), told) = writers().nth(rng.usize(..count.max(1)))?;
        Some((name.clone(), *told))
    }

    /// The writers of a record.
    pub fn of(&self, n: usize) -> BTreeMap<String, Told> {
        let ledger = lock(&self.0);
        ledger.iter().filter(|((of, _), _)| *of == n).map(|((_, name), told)| (name.clone(), *told)).collect()
    }
}

/// The `n`-th event of a writer. Its `ts` is given later.
pub fn event_of(writer: &str, n: u64) -> Event {
    Event { ts: String::new(), req_id: format!("{writer}-{n}"), workspace_id: writer.to_owned(), ..event(n) }
}

/// What was found of a writer's events.
#[derive(Default)]
pub struct Found {
    /// How often each event was found.
    times: Vec<u8>,
}

impl Found {
    pub fn add(&mut self, n: u64) {
        let n = n as usize;
        if self.times.len() <= n {
            self.times.resize(n + 1, 0);
        }
        self.times[n] = self.times[n].saturating_add(1);
    }

    /// Says what is wrong about the events of a writer.
    pub fn problem(&self, writer: &str, told: Told) -> Option<String> {
        if let Some(n) = self.times.iter().position(|times| *times > 1) {
            return Some(format!("{writer}-{n} is there {} times", self.times[n]));
        }
        let is_there = |n: u64| self.times.get(n as usize).is_some_and(|times| *times == 1);
        let lost = (0..told.acknowledged).filter(|n| !is_there(*n));
        if let Some(n) = lost.clone().next() {
            return Some(format!(
                "{} of {} acknowledged events are lost, such as {writer}-{n}",
                lost.count(),
                told.acknowledged
            ));
        }
        let absent = told.absent_from.filter(|from| *from < self.times.len() as u64)?;
        Some(format!(
            "{writer} was told that nothing from {absent} on is recorded, and {} is",
            self.times.len() - 1
        ))
    }
}

/// The writer and the number of an event.
pub fn number(req_id: &str) -> Option<(&str, u64)> {
    let (writer, n) = req_id.rsplit_once('-')?;
    Some((writer, n.parse().ok()?))
}

/// Everything that was found in a record, by writer.
#[derive(Default)]
struct All {
    writers: BTreeMap<String, Found>,
    events: u64,
}

impl All {
    /// Takes lines of JSON. Those of others, such as of a prune, are no events of a writer.
    fn take(&mut self, line: &str) {
        let (Parsed { event, .. }, _) = parse_row(line).unwrap_or_else(|_| panic!("no event: {line}"));
        self.events += 1;
        if event.tool == "audit" {
            return;
        }
        let (writer, n) = number(&event.req_id).unwrap_or_else(|| panic!("nobody wrote {line}"));
        if !writer.starts_with(HOOK) {
            let expected = event_of(writer, n);
            let found = Event::from(event.clone());
            assert_eq!(Event { ts: String::new(), ..found }, expected, "the event was changed");
        }
        self.writers.entry(writer.to_owned()).or_default().add(n);
    }
}

/// Checks every record. Nobody writes any more, and nothing fails.
pub fn check(site: &Site) {
    for (n, record) in site.records.iter().enumerate() {
        drain(site, record);
        let mut all = All::default();
        read(record, &mut all);
        if record.archive.is_some() {
            read_archives(site, record, &mut all);
        }
        let told = site.ledger.of(n);
        for (writer, told) in &told {
            let nothing = Found::default();
            let found = all.writers.get(writer).unwrap_or(&nothing);
            if let Some(problem) = found.problem(writer, *told) {
                lock(&site.wrong).push(format!("{}: {problem}", record.name));
            }
        }
        if let Some(writer) = all.writers.keys().find(|writer| !told.contains_key(*writer)) {
            lock(&site.wrong).push(format!("{}: nobody has written the events of {writer}", record.name));
        }
        site.count("events in the records", all.events);
        site.count("acknowledged events", told.values().map(|told| told.acknowledged).sum());
        assert_eq!(refused(&record.folder).len(), 0, "{}: the database has refused events", record.name);
    }
}

/// Brings what is left in a spool into the database.
fn drain(site: &Site, record: &Record) {
    let mut store = start(&record.options());
    wait_for(|| {
        age_spools(&record.folder);
        store.flush().map_err(|error| format!("{}: {error}", record.name))?;
        match spools(&record.folder).len() {
            0 => Ok(()),
            left => Err(format!("{}: {left} files of the spool are left", record.name)),
        }
    });
    store.close().unwrap_or_else(|error| panic!("{}: {error}", record.name));
    site.count("records", 1);
}

fn read(record: &Record, all: &mut All) {
    let mut store: Instance = start(&record.options().read_only(true));
    let mut request = PageRequest::default();
    loop {
        let page = store.read_jsonl(&Filter::default(), &request);
        let page = page.unwrap_or_else(|error| panic!("{}: {error}", record.name));
        page.lines.lines().for_each(|line| all.take(line));
        request.cursor = page.next;
        if request.cursor.is_none() {
            return;
        }
    }
}

fn read_archives(site: &Site, record: &Record, all: &mut All) {
    let Some(archive) = record.archive.as_ref().filter(|archive| archive.exists()) else { return };
    let mut command = site.audit(record, "jsonl", "read --format jsonl");
    command.arg("--dir").arg(archive).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    lines.for_each(|line| all.take(&line.expect("the output is text")));
    assert!(child.wait().expect("it is a child").success(), "the archives cannot be read");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(numbers: &[u64]) -> Found {
        let mut found = Found::default();
        numbers.iter().for_each(|n| found.add(*n));
        found
    }

    #[test]
    fn what_is_lost_twice_or_there_against_what_was_said_is_wrong() {
        let told = Told { acknowledged: 3, absent_from: Some(5) };
        for right in [&[0, 1, 2][..], &[2, 1, 0, 4]] {
            assert_eq!(found(right).problem("w", told), None, "{right:?}");
        }
        for wrong in [&[][..], &[0, 1], &[0, 2, 3], &[0, 1, 2, 2], &[0, 1, 2, 4, 4], &[0, 1, 2, 5]] {
            assert!(found(wrong).problem("w", told).is_some(), "{wrong:?}");
        }
    }
}
