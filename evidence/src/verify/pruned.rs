//! What retention says that it has removed: `pruned.jsonl` in the folder of the log. It is believed up to where a sealed event
//! of the record says the same: its `input_hash` is the SHA-256 of the file up to the end of one of its lines.

use std::collections::HashSet;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::folder::Folder;
use crate::log::Log;

const NAME: &str = "pruned.jsonl";

#[derive(Deserialize)]
struct Line {
    index: u64,
    count: u64,
}

/// Ranges of leaves that are declared.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// First, and behind the last, and the number of the line: in order.
    ranges: Vec<(u64, u64, usize)>,
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
            if let Ok(Line { index, count }) = serde_json::from_slice(text)
                && count > 0
            {
                declared.ranges.push((index, index.saturating_add(count), number));
            }
        }
        declared.ranges.sort_unstable();
        Ok(declared)
    }

    /// Those that sealed events confirm, which have these hashes.
    pub fn confirmed_by(&self, hashes: &HashSet<String>) -> Self {
        let last = self.hashes.iter().rposition(|hash| hashes.contains(hash));
        let is_confirmed = |(_, _, number): &&(u64, u64, usize)| last.is_some_and(|last| *number <= last);
        Self { ranges: self.ranges.iter().filter(is_confirmed).copied().collect(), hashes: Vec::new() }
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
