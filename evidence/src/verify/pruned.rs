//! What retention says that it has removed: `pruned.jsonl` in the folder of the log. It is believed where a sealed event of
//! the record says the same: its `input_hash` is the SHA-256 of the lines that have one time.

use std::collections::HashSet;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::folder::Folder;
use crate::log::Log;

const NAME: &str = "pruned.jsonl";

#[derive(Deserialize)]
struct Line {
    ts: String,
    index: u64,
    count: u64,
}

/// Ranges of leaves, each with the hash of its declaration.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// First, and behind the last: in order.
    ranges: Vec<(u64, u64, String)>,
}

impl Declared {
    /// What is declared in the folder of a log. A line that is none declares nothing.
    pub fn read<F: Folder>(log: &Log<F>) -> Result<Self, Error> {
        let bytes = log.folder().read(NAME).map_err(Error::read(NAME))?.unwrap_or_default();
        let lines: Vec<(&[u8], Line)> = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .filter_map(|line| Some((line, serde_json::from_slice(line).ok()?)))
            .collect();
        let mut ranges = Vec::new();
        for declaration in lines.chunk_by(|(_, one), (_, next)| one.ts == next.ts) {
            let mut sha = Sha256::new();
            declaration.iter().for_each(|(line, _)| sha.update(line));
            let hash: String = sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            let with_leaves = declaration.iter().filter(|(_, line)| line.count > 0);
            ranges.extend(
                with_leaves
                    .map(|(_, line)| (line.index, line.index.saturating_add(line.count), hash.clone())),
            );
        }
        ranges.sort_unstable();
        Ok(Self { ranges })
    }

    /// Those of which sealed events say the same.
    pub fn confirmed_by(&self, hashes: &HashSet<String>) -> Self {
        let is_confirmed = |(_, _, hash): &&(u64, u64, String)| hashes.contains(hash);
        Self { ranges: self.ranges.iter().filter(is_confirmed).cloned().collect() }
    }

    /// Whether all leaves between two are declared.
    pub fn has(&self, first: u64, end: u64) -> bool {
        let mut next = first;
        for (from, to, _) in &self.ranges {
            if *from <= next && next < *to {
                next = *to;
            }
            if next >= end {
                return true;
            }
        }
        next >= end
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
