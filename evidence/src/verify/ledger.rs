//! What is kept of events as they are read, each once.

use std::collections::BTreeMap;

use audit_format::time::is_stored_text;

use super::chains::Chains;
use super::item::{Item, Stamp};
use super::source::{Standing, Stream};
use super::tally::Tally;

/// How many lines that are odd in themselves are remembered.
pub const MAX_ODD: usize = 100_000;

/// An event that is odd in itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odd {
    /// The stream.
    pub stream: usize,
    /// Its position.
    pub at: u64,
    /// The position behind it.
    pub next: u64,
    /// Its leaf, if it has one.
    pub leaf: Option<u64>,
}

/// What was kept.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What the events say.
    pub tally: Tally,
    /// Their chains.
    pub chains: Chains,
    /// How many have no stamp.
    pub foreign: u64,
    /// How many lines are no event.
    pub unreadable: u64,
    /// Events whose own hash is wrong.
    pub wrong_hash: Vec<Odd>,
    /// Events in the file of another day.
    pub wrong_day: Vec<Odd>,
    /// The times of some leaves, once they are known.
    pub marks: BTreeMap<u64, Option<String>>,
}

/// Which event it is, apart from its text.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// Its place in a chain, if it has one.
    pub stamp: Option<Stamp>,
    /// Whether it has another hash than its content.
    pub has_wrong_hash: bool,
    /// Its leaf, if it is sealed.
    pub leaf: Option<u64>,
}

impl Read {
    /// None: it is no event.
    pub fn of(item: &Item, leaf: Option<u64>) -> Option<Self> {
        let Item::Event { stamp, claimed, .. } = item else { return None };
        Some(Self { stamp: *stamp, has_wrong_hash: claimed.is_some(), leaf })
    }
}

impl Ledger {
    /// Keeps what is to be known of an event. False: there was another one with its place in the chain.
    pub fn add(&mut self, number: usize, stream: &Stream, standing: &Standing<'_>, read: Read) -> bool {
        let Standing { at, next, text } = *standing;
        let odd = Odd { stream: number, at, next, leaf: read.leaf };
        self.tally.add(text, read.leaf.is_some());
        if let Some(mark) = read.leaf.and_then(|leaf| self.marks.get_mut(&leaf)) {
            let time = text.get(7..34).filter(|time| is_stored_text(time));
            *mark = time.and_then(|time| String::from_utf8(time.to_vec()).ok());
        }
        let Some(stamp) = read.stamp else {
            self.foreign += 1;
            return true;
        };
        if read.has_wrong_hash && self.wrong_hash.len() < MAX_ODD {
            self.wrong_hash.push(odd);
        }
        let day = text.strip_prefix(b"{\"ts\":\"").and_then(|rest| rest.get(..stream.day.len()));
        if day.is_some_and(|day| day != stream.day.as_bytes()) && self.wrong_day.len() < MAX_ODD {
            self.wrong_day.push(odd);
        }
        self.chains.add(stamp)
    }
}
