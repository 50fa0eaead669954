//! How an instance is replaced: by a new one of the same component with the same options, which is given again
//! what the old one had not stored.
//!
//! What the old one did store is found by its chain and `seq`, so that an event is not recorded twice because
//! the component stopped between storing it and saying so. In its spool it is found without the database, which
//! cannot be read in an outage.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use audit_format::names;
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;

use super::Worker;
use crate::error::Error;
use crate::instance::Instance;
use crate::ledger::Placed;
use crate::types::{Active, Event, Filter, PageRequest};

/// Entries of one page when looking for what is stored.
const PAGE: u32 = 10_000;

/// What becomes of the spool of an instance that is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spool {
    /// The next instance drains it.
    There,
    /// It was in a folder that is not used any more.
    Gone,
}

impl Worker {
    /// Replaces the instance, which stopped. Of the events that it was busy with, those that it stored are
    /// taken out.
    pub(super) fn recover(&mut self, reason: &str, busy: &mut Vec<Event>) {
        self.replace(&format!("the component stopped, and is started anew: {reason}"), busy, Spool::There);
    }

    /// Replaces the instance where the path of its folder leads elsewhere now. `rejected` events that it
    /// refused are handed over again then.
    pub(super) fn follow_folder(&mut self, rejected: u64) -> bool {
        if !self.instance.folder_has_moved() {
            return false;
        }
        self.ledger.withdraw(rejected);
        let why = "the folder was removed or replaced; the new one is used";
        self.replace(why, &mut Vec::new(), Spool::Gone);
        !self.instance.stopped()
    }

    /// Starts an instance where there is none.
    pub(super) fn ensure_started(&mut self) -> Result<(), Error> {
        if self.instance.stopped() { self.start() } else { Ok(()) }
    }

    fn replace(&mut self, why: &str, busy: &mut Vec<Event>, spool: Spool) {
        self.note(why);
        let chain = self.seen.chain.clone();
        let seqs = self.ledger.next_seq()..;
        let (mut again, lost) = self.ledger.fold();
        if lost > 0 {
            self.note(&format!("{lost} events that the component had in memory are lost"));
        }
        let gone = if spool == Spool::Gone { self.ledger.lose_spool() } else { 0 };
        if gone > 0 {
            self.note(&format!("{gone} events of the spool went with the folder"));
        }
        if self.seen.backend == Active::Memory && self.seen.counts.stored > 0 {
            self.note("the events of the backend `memory` are gone");
        }
        if self.start().is_ok() {
            let placed = seqs.zip(busy.drain(..)).map(|(seq, event)| Placed { seq, event });
            let mut placed: Vec<Placed> = placed.collect();
            let spooled = self.spooled(&chain, again.iter().chain(&placed));
            again.retain(|placed| !spooled.contains(&placed.seq));
            placed.retain(|placed| !spooled.contains(&placed.seq));
            let stored = self.stored(&chain, again.iter().chain(&placed));
            again.retain(|placed| !stored.contains(&placed.seq));
            placed.retain(|placed| !stored.contains(&placed.seq));
            self.ledger.found(stored.len() as u64, spooled.len() as u64);
            busy.extend(placed.into_iter().map(|placed| placed.event));
        } else if !again.is_empty() || !busy.is_empty() {
            self.note(
                "some events may be recorded twice: there was no component to find out which are stored",
            );
        }
        self.backlog.put_back(again.into_iter().map(|placed| placed.event).collect());
    }

    fn start(&mut self) -> Result<(), Error> {
        let started = self.instance.reopen().and_then(|mut instance| Ok((instance.status()?, instance)));
        match started {
            Ok((status, instance)) => {
                self.ledger.observe(&status);
                self.seen = status;
                self.instance = instance;
                self.restarts += 1;
                Ok(())
            }
            Err(error) => {
                self.note(&error.to_string());
                Err(Error::Start(error.to_string()))
            }
        }
    }

    /// The `seq` of those events that are in the spool of the chain.
    fn spooled<'p>(&self, chain: &str, placed: impl Iterator<Item = &'p Placed>) -> HashSet<u64> {
        match self.instance.folder_path().filter(|_| self.spools()) {
            Some(folder) => spooled(&folder, chain, &placed.map(|placed| placed.seq).collect()),
            None => HashSet::new(),
        }
    }

    /// The `seq` of those events that are stored in the chain.
    fn stored<'p>(&mut self, chain: &str, placed: impl Iterator<Item = &'p Placed> + Clone) -> HashSet<u64> {
        match stored(&mut self.instance, chain, placed) {
            Ok(stored) => stored,
            Err(error) => {
                self.note(&format!("some events may be recorded twice: {error}"));
                if let Error::Trap(_) = error {
                    let _ = self.start();
                }
                HashSet::new()
            }
        }
    }
}

/// Those that are sought come last in the chain. What cannot be read is not found.
fn spooled(folder: &Path, chain: &str, sought: &HashSet<u64>) -> HashSet<u64> {
    let mut found = HashSet::new();
    let Some(first) = sought.iter().min() else { return found };
    let number = |file: fs::DirEntry| {
        let (of, number) = names::spool_of(file.file_name().to_str()?)?;
        (of.to_string() == chain).then(|| (number, file.path()))
    };
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<(u64, _)> = files.filter_map(number).collect();
    files.sort();
    for (_, path) in files.iter().rev() {
        let lines = fs::read(path).unwrap_or_default();
        let seqs: Vec<u64> = lines.split(|byte| *byte == b'\n').filter_map(seq).collect();
        found.extend(seqs.iter().filter(|seq| sought.contains(seq)));
        if seqs.iter().any(|seq| seq < first) {
            break;
        }
    }
    found
}

/// The `seq` of a line of a store.
fn seq(line: &[u8]) -> Option<u64> {
    Some(parse_stored(str::from_utf8(line).ok()?).ok()?.stamp?.seq)
}

fn stored<'p>(
    instance: &mut Instance,
    chain: &str,
    placed: impl Iterator<Item = &'p Placed> + Clone,
) -> Result<HashSet<u64>, Error> {
    let sought: HashSet<u64> = placed.clone().map(|placed| placed.seq).collect();
    let mut found = HashSet::new();
    if sought.is_empty() {
        return Ok(found);
    }
    let (from_ts, to_ts) = span(placed.map(|placed| placed.event.ts.as_str())).unzip();
    let filter = Filter { from_ts, to_ts, ..Filter::default() };
    let mut request = PageRequest { limit: PAGE, ..PageRequest::default() };
    loop {
        let page = instance.read(&filter, &request)?;
        let entries = page.entries.iter().filter(|entry| entry.chain == chain);
        found.extend(entries.map(|entry| entry.seq).filter(|seq| sought.contains(seq)));
        request.cursor = page.next;
        if request.cursor.is_none() {
            return Ok(found);
        }
    }
}

/// The earliest and the latest of the times; none where one of them cannot be read.
fn span<'t>(times: impl Iterator<Item = &'t str>) -> Option<(String, String)> {
    let times: Vec<Timestamp> = times.map(|time| Timestamp::parse(time).ok()).collect::<Option<_>>()?;
    Some((times.iter().min()?.to_string(), times.iter().max()?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_compares_instants_not_text() {
        let times = ["2026-11-23T06:30:00Z", "2026-11-23T06:30:00.5+02:00", "2026-11-23T06:30:00.1234567Z"];
        let (from, to) = ("2026-11-23T04:30:00.500000Z", "2026-11-23T06:30:00.123456Z");
        assert_eq!(span(times.into_iter()), Some((from.into(), to.into())));
        assert_eq!(span(["2026-11-23T06:30:00Z", "soon"].into_iter()), None);
    }
}
