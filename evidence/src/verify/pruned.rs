//! What retention says that it has removed: `pruned.jsonl` in the folder of the log. It is believed up to where a sealed event
//! of the record says the same: its `input_hash` is the SHA-256 of the file up to the end of one of its lines.

use std::collections::HashSet;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::folder::Folder;
use crate::log::Log;

const NAME: &str = "pruned.jsonl";

/// How many of those who pruned are named.
const MAX_NAMES: usize = 10;

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    by: String,
    index: u64,
    count: u64,
}

/// What is declared, and what of it is confirmed.
#[derive(Clone, Copy, Debug)]
pub struct Gone<'d> {
    /// All that the file says.
    pub declared: &'d Declared,
    /// That which a sealed event says too.
    pub pruned: &'d Declared,
}

impl Gone<'_> {
    /// Whether a leaf is declared: what stands in its place is not what has become of it.
    pub fn is_declared(&self, leaf: u64) -> bool {
        self.declared.has(leaf, leaf + 1)
    }

    /// Whether a leaf was pruned.
    pub fn is_pruned(&self, leaf: u64) -> bool {
        self.pruned.has(leaf, leaf + 1)
    }
}

/// Ranges of leaves that are declared.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// First, and behind the last, and the number of the line: in order.
    ranges: Vec<(u64, u64, usize)>,
    /// Who removed them, with the number of the line: the first [`MAX_NAMES`].
    by: Vec<(String, usize)>,
    /// The hash of the file up to the end of each line.
    hashes: Vec<String>,
}

impl Declared {
    /// What is declared in the folder of a log. A line that is none declares nothing.
    pub fn read<F: Folder>(log: &Log<F>) -> Result<Self, Error> {
        let bytes = log.folder().read(NAME).map_err(Error::read(NAME))?.unwrap_or_default();
        let mut declared = Self::default();
        let mut sha = Sha256::new();
        for (number, text) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            sha.update(text);
            let digest = sha.clone().finalize();
            declared.hashes.push(digest.iter().map(|byte| format!("{byte:02x}")).collect());
            if let Ok(Line { by, index, count }) = serde_json::from_slice(text)
                && count > 0
            {
                declared.ranges.push((index, index.saturating_add(count), number));
                if declared.by.len() < MAX_NAMES && declared.by.iter().all(|(known, _)| *known != by) {
                    declared.by.push((by, number));
                }
            }
        }
        declared.ranges.sort_unstable();
        Ok(declared)
    }

    /// Those that sealed events confirm, which have these hashes.
    pub fn confirmed_by(&self, hashes: &HashSet<String>) -> Self {
        let last = self.hashes.iter().rposition(|hash| hashes.contains(hash));
        let is_confirmed = |number: usize| last.is_some_and(|last| number <= last);
        Self {
            ranges: self.ranges.iter().filter(|(.., number)| is_confirmed(*number)).copied().collect(),
            by: self.by.iter().filter(|(_, number)| is_confirmed(*number)).cloned().collect(),
            hashes: Vec::new(),
        }
    }

    /// Who removed them, as the file says: for people.
    pub fn by(&self) -> String {
        let names = self.by.iter().map(|(by, _)| if by.is_empty() { "nobody" } else { by });
        names.collect::<Vec<_>>().join(", ")
    }

    /// Whether all leaves between two are declared.
    pub fn has(&self, first: u64, end: u64) -> bool {
        let mut next = first;
        while next < end {
            let behind = self.ranges.partition_point(|(from, ..)| *from <= next);
            let Some((_, to, _)) = behind.checked_sub(1).and_then(|place| self.ranges.get(place)) else {
                return false;
            };
            if *to <= next {
                return false;
            }
            next = *to;
        }
        true
    }

    /// How many of some leaves are declared.
    pub fn count_in(&self, first: u64, end: u64) -> u64 {
        let mut next = first;
        let mut count = 0;
        for (from, to, _) in &self.ranges {
            let (from, to) = ((*from).max(next), (*to).min(end));
            if from < to {
                count += to - from;
                next = to;
            }
        }
        count
    }
}
