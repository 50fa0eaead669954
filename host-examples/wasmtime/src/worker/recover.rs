//! How a stopped instance is replaced: by a new instance of the same component with the same options. The
//! events that the old instance had not stored are written again.
//!
//! The component may stop after it has stored an event and before it has said so. The worker therefore looks
//! the events up by their chain and `seq`, so that none is recorded twice. In the old instance's spool it
//! reads the files itself, because the component cannot read the database in an outage.

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
use crate::warnings::events_were;

/// Entries of a page when stored events are looked up.
const PAGE: u32 = 10_000;

/// What happened to the spool of an instance that is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spool {
    /// It is still there, and the next instance drains it.
    Kept,
    /// It was in a folder that has been removed or replaced.
    Lost,
}

impl Worker {
    /// Replaces the instance, which has stopped. `busy` are the events that it was writing; those that it had
    /// stored are removed from them.
    pub(super) fn recover(&mut self, reason: &str, busy: &mut Vec<Event>) {
        self.replace(&format!("the component stopped and is restarted: {reason}"), busy, Spool::Kept);
    }

    /// Replaces the instance if the path of its folder leads to another folder now, and returns whether that
    /// worked. The caller then passes on again the `rejected` events that the old instance has rejected.
    pub(super) fn follow_folder(&mut self, rejected: u64) -> bool {
        if !self.instance.folder_has_moved() {
            return false;
        }
        self.ledger.withdraw(rejected);
        let why = "the folder was removed or replaced; events now go to the new one";
        self.replace(why, &mut Vec::new(), Spool::Lost);
        !self.instance.stopped()
    }

    /// Starts an instance if the last one has stopped.
    pub(super) fn ensure_started(&mut self) -> Result<(), Error> {
        if self.instance.stopped() { self.start() } else { Ok(()) }
    }

    /// Starts a new instance, looks up which events the old one had stored, and puts the others back.
    fn replace(&mut self, why: &str, busy: &mut Vec<Event>, spool: Spool) {
        self.note(why);
        let chain = self.last_status.chain.clone();
        let seqs = self.ledger.next_seq()..;
        let (mut unwritten, lost) = self.ledger.carry_over();
        if lost > 0 {
            self.note(&format!("{} lost that the component had in memory", events_were(lost)));
        }
        let lost = if spool == Spool::Lost { self.ledger.lose_spool() } else { 0 };
        if lost > 0 {
            self.note(&format!("{} lost with the spool in the old folder", events_were(lost)));
        }
        if self.last_status.backend == Active::Memory && self.last_status.counts.stored > 0 {
            self.note("the events that the backend `memory` kept are lost");
        }
        if self.start().is_ok() {
            let placed = seqs.zip(busy.drain(..)).map(|(seq, event)| Placed { seq, event });
            let mut placed: Vec<Placed> = placed.collect();
            let spooled = self.spooled(&chain, unwritten.iter().chain(&placed));
            unwritten.retain(|placed| !spooled.contains(&placed.seq));
            placed.retain(|placed| !spooled.contains(&placed.seq));
            let stored = self.stored(&chain, unwritten.iter().chain(&placed));
            unwritten.retain(|placed| !stored.contains(&placed.seq));
            placed.retain(|placed| !stored.contains(&placed.seq));
            self.ledger.found(stored.len() as u64, spooled.len() as u64);
            busy.extend(placed.into_iter().map(|placed| placed.event));
        } else if !unwritten.is_empty() || !busy.is_empty() {
            self.note("some events may be recorded twice: without a component they cannot be looked up");
        }
        self.backlog.put_back(unwritten.into_iter().map(|placed| placed.event).collect());
    }

    fn start(&mut self) -> Result<(), Error> {
        let started = self.instance.reopen().and_then(|mut instance| Ok((instance.status()?, instance)));
        match started {
            Ok((status, instance)) => {
                self.ledger.observe(&status);
                self.last_status = status;
                self.instance = instance;
                self.restarts += 1;
                Ok(())
            }
            Err(error) => {
                self.note(&error.to_string());
                Err(match error {
                    Error::Start(_) => error,
                    other => Error::Start(other.to_string()),
                })
            }
        }
    }

    /// The `seq` of those events that are in the chain's spool.
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

/// Looks for the `seq`s in the chain's spool files, from the last file on: they are the last ones of the
/// chain. Files and lines that cannot be read are skipped.
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

/// The `seq` of a line that a store wrote.
fn seq(line: &[u8]) -> Option<u64> {
    Some(parse_stored(str::from_utf8(line).ok()?).ok()?.stamp?.seq)
}

/// Looks for the events in the chain with reads of the time span that they are in.
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

/// The earliest and the latest of the times. `None` if one of them is invalid.
fn span<'t>(times: impl Iterator<Item = &'t str>) -> Option<(String, String)> {
    let times: Vec<Timestamp> = times.map(|time| Timestamp::parse(time).ok()).collect::<Option<_>>()?;
    Some((times.iter().min()?.to_string(), times.iter().max()?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_compares_instants_and_not_text() {
        let times = ["2026-11-23T06:30:00Z", "2026-11-23T06:30:00.5+02:00", "2026-11-23T06:30:00.1234567Z"];
        let (from, to) = ("2026-11-23T04:30:00.500000Z", "2026-11-23T06:30:00.123456Z");
        assert_eq!(span(times.into_iter()), Some((from.into(), to.into())));
        assert_eq!(span(["2026-11-23T06:30:00Z", "soon"].into_iter()), None);
    }
}
