//! What retention has removed from a record: `pruned.jsonl` in the folder of its log. The hashes of what was pruned stay in
//! the tiles, so the rest can still be checked.
//!
//! An event of the trail (tool `audit`, action `prune`, status `ok`) confirms it: its `input_hash` is the SHA-256 of the file
//! up to the end of one of its lines, so of all that was pruned until then. That is why an event of an earlier prune may be
//! pruned too: a later one confirms the same and more.
//!
//! Lines with the same `ts` behind each other are one *declaration*: what one step of a prune has removed, and what is in one
//! archive.

use std::collections::HashSet;

use audit_format::event::Event;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::folder::Folder;
use crate::log::Log;
use crate::segment::{Place, Segment};

/// The file with what was pruned.
const PRUNED: &str = "pruned.jsonl";

/// What the event of a declaration has as its tool.
pub const TOOL: &str = "audit";

/// What the event of a declaration has as its action.
pub const ACTION: &str = "prune";

/// Leaves whose events were pruned: a line of `pruned.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedRange {
    /// When, in UTC with microseconds. It is the same in all lines of a declaration, and in no other.
    pub ts: String,
    /// Who.
    pub by: String,
    /// The size of the last checkpoint: all that was pruned is in it.
    pub size: u64,
    /// The index of the first leaf.
    pub index: u64,
    /// How many leaves. None: what stood there was declared unreadable when it was sealed.
    pub count: u64,
    /// Where they stood.
    #[serde(flatten)]
    pub place: Place,
    /// The file that has them now; none: they are gone.
    pub archive: Option<String>,
}

impl PrunedRange {
    /// The index behind its last leaf.
    pub fn end(&self) -> u64 {
        self.index.saturating_add(self.count)
    }
}

/// What one step of a prune has removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration<'p> {
    /// The ranges, at least one, in the order in which an archive has their events.
    pub ranges: &'p [PrunedRange],
}

impl Declaration<'_> {
    /// How many events were removed.
    pub fn events(&self) -> u64 {
        self.ranges.iter().map(|range| range.count).sum()
    }
}

/// All that was pruned from a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    list: Vec<PrunedRange>,
    /// Places in the list of those with leaves, by their index.
    by_index: Vec<usize>,
}

impl Pruned {
    /// Reads the lines of `pruned.jsonl`.
    ///
    /// # Errors
    /// Where a line is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut list = Vec::new();
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())) {
            let wrong = |reason: String| Error::Line { name: PRUNED, line, reason };
            let range: PrunedRange =
                serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
            let segment =
                Segment { index: range.index, count: range.count, place: range.place.clone(), gap: None };
            segment.check().map_err(wrong)?;
            list.push(range);
        }
        Ok(Self::of(list))
    }

    fn of(list: Vec<PrunedRange>) -> Self {
        let mut by_index: Vec<usize> = (0..list.len()).filter(|place| list[*place].count > 0).collect();
        by_index.sort_by_key(|place| list[*place].index);
        Self { list, by_index }
    }

    /// The lines of `pruned.jsonl`.
    pub fn to_lines(&self) -> Vec<u8> {
        lines(&self.list)
    }

    /// The declarations, in the order in which they were made.
    pub fn declarations(&self) -> impl DoubleEndedIterator<Item = Declaration<'_>> {
        self.list.chunk_by(|one, next| one.ts == next.ts).map(|ranges| Declaration { ranges })
    }

    /// The SHA-256 of all lines, in lower-case hexadecimal: what the event that confirms them has as `input_hash`.
    pub fn hash(&self) -> String {
        hexadecimal(Sha256::new_with_prefix(self.to_lines()))
    }

    /// What one of these hashes confirms, which events of the record have. What comes after it is said by nobody but the
    /// file.
    pub fn confirmed_by(&self, hashes: &HashSet<String>) -> Self {
        let (mut sha, mut confirmed) = (Sha256::new(), 0);
        for (number, range) in (1..).zip(&self.list) {
            sha.update(lines(std::slice::from_ref(range)));
            if hashes.contains(&hexadecimal(sha.clone())) {
                confirmed = number;
            }
        }
        Self::of(self.list[..confirmed].to_vec())
    }

    /// Whether nothing was pruned.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The range that has a leaf.
    pub fn of_leaf(&self, index: u64) -> Option<&PrunedRange> {
        let after = self.by_index.partition_point(|place| self.list[*place].index <= index);
        let range = &self.list[*self.by_index.get(after.checked_sub(1)?)?];
        (index < range.end()).then_some(range)
    }

    /// Whether all that a segment has is declared.
    pub fn has(&self, segment: &Segment) -> bool {
        if segment.count == 0 {
            return self
                .list
                .iter()
                .any(|range| range.index == segment.index && range.place == segment.place);
        }
        let (mut index, end) = (segment.index, segment.index.saturating_add(segment.count));
        while index < end {
            let Some(range) = self.of_leaf(index) else { return false };
            index = range.end();
        }
        true
    }

    /// The last leaf up to this one that is not declared.
    pub fn last_before(&self, index: u64) -> Option<u64> {
        let mut last = index;
        while let Some(range) = self.of_leaf(last) {
            last = range.index.checked_sub(1)?;
        }
        Some(last)
    }

    /// The time of the last declaration.
    pub(crate) fn last_time(&self) -> Option<&str> {
        self.list.iter().map(|range| range.ts.as_str()).max()
    }

    /// Adds a declaration.
    pub(crate) fn add(&mut self, ranges: &[PrunedRange]) {
        let list = [std::mem::take(&mut self.list), ranges.to_vec()].concat();
        *self = Self::of(list);
    }
}

fn hexadecimal(sha: Sha256) -> String {
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of what was pruned until then, as an event says it; none: it is another event.
pub fn confirms<'e>(event: &'e Event<'_>) -> Option<&'e str> {
    (event.tool == TOOL && event.action == ACTION && event.status == "ok").then_some(&*event.input_hash)
}

fn lines(ranges: &[PrunedRange]) -> Vec<u8> {
    let mut out = Vec::with_capacity(200 * ranges.len());
    for range in ranges {
        // Numbers and texts alone: that cannot fail.
        let _ = serde_json::to_writer(&mut out, range);
        out.push(b'\n');
    }
    out
}

impl<F: Folder> Log<F> {
    /// What was pruned from the record.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn pruned(&self) -> Result<Pruned, Error> {
        Pruned::parse(&self.text(PRUNED)?)
    }

    /// Writes what was pruned, onto the disk.
    pub(crate) fn put_pruned(&mut self, pruned: &Pruned) -> Result<(), Error> {
        self.put_text(PRUNED, &pruned.to_lines())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"ts":"2026-11-27T10:00:00.000000Z","by":"ops","size":50,"index":10,"count":5,"file":"tool_audit_2026-11-23.jsonl","from":0,"to":100,"archive":null}"#,
        "\n",
        r#"{"ts":"2026-11-27T10:00:00.000000Z","by":"ops","size":50,"index":15,"count":0,"file":"tool_audit_2026-11-23.jsonl","from":100,"to":105,"archive":null}"#,
        "\n",
        r#"{"ts":"2026-11-27T10:00:00.000001Z","by":"ops","size":50,"index":15,"count":5,"rows":[[1,3],[7,8]],"archive":"/a/b.zst"}"#,
        "\n",
    );

    #[test]
    fn what_was_pruned_is_read_as_it_was_written() {
        let pruned = Pruned::parse(LINES.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(pruned.to_lines()).unwrap(), LINES);
        let counts: Vec<u64> = pruned.declarations().map(|one| one.events()).collect();
        assert_eq!(counts, [5, 5]);
    }

    #[test]
    fn an_event_confirms_all_that_was_pruned_until_then() {
        let pruned = Pruned::parse(LINES.as_bytes()).unwrap();
        let first: String = LINES.split_inclusive('\n').take(2).collect();
        // As `head -n 2 pruned.jsonl | sha256sum` tells.
        let hash = hexadecimal(Sha256::new_with_prefix(&first));
        let confirmed = pruned.confirmed_by(&[hash].into());
        assert_eq!(String::from_utf8(confirmed.to_lines()).unwrap(), first);
        assert_eq!(pruned.confirmed_by(&[pruned.hash()].into()), pruned);
        assert!(pruned.confirmed_by(&["0".repeat(64)].into()).is_empty());
    }

    #[test]
    fn leaves_are_declared_from_the_first_to_the_last() {
        let pruned = Pruned::parse(LINES.as_bytes()).unwrap();
        let declared: Vec<u64> = (0..30).filter(|index| pruned.of_leaf(*index).is_some()).collect();
        assert_eq!(declared, (10..20).collect::<Vec<_>>());
        assert_eq!(
            [9, 10, 19, 20].map(|index| pruned.last_before(index)),
            [Some(9), Some(9), Some(9), Some(20)]
        );
        let segment = |index, count| {
            pruned.has(&Segment { index, count, place: Place::Rows { rows: vec![[1, 1]] }, gap: None })
        };
        assert!(segment(10, 10) && segment(12, 5) && !segment(9, 2) && !segment(19, 2) && !segment(15, 0));
    }

    #[test]
    fn what_is_no_declaration_is_named() {
        let error = Pruned::parse(LINES.replace("[1,3]", "[3,1]").as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("pruned.jsonl: line 3: rows"), "{error}");
    }
}
