//! Comparing rows: which row a leaf was is known from the segments, and any row that is none of those is not sealed yet,
//! wherever its number is: transactions end late.

use std::collections::BTreeMap;

use super::{Between, Comparison, Extra, Fault, leaves_of};
use crate::error::Error;
use crate::folder::Folder;
use crate::record::Kind;
use crate::segment::{Place, Segment, Segments};
use crate::verify::item::Item;
use crate::verify::search::{Run, Search};
use crate::verify::source::{Flow, Source, parts};
use crate::verify::verdict::FindingKind;

/// How many missing rows are looked for by their number.
const MAX_MISSING: u64 = 1_000_000;

/// Compares all rows.
pub fn compare<F: Folder, S: Source + ?Sized>(
    search: &mut Search<'_, '_, F, S>,
    segments: &Segments,
    comparison: &mut Comparison,
) -> Result<(), Error> {
    let missing = std::mem::take(&mut search.missing);
    let mut places = places(&missing, search, segments);
    for (number, from, to) in search.regions() {
        let Search { source, ledger, streams, .. } = search;
        let stream = &streams[number];
        source.read(stream, from, to, &mut |standing| {
            let item = Item::of(standing.text, Kind::Table);
            ledger.unreadable += u64::from(item == Item::Unreadable);
            match places.remove(&standing.at) {
                Some(leaf) => comparison.between.push(Between {
                    stream: number,
                    at: standing.at,
                    missing: vec![(leaf, leaf + 1)],
                    extras: vec![Extra::of(&standing, &item)],
                    declared: Vec::new(),
                    is_known: true,
                    is_tail: false,
                }),
                None => comparison.unsealed(ledger, (number, stream), &standing, &item),
            }
            Ok(Flow::GoOn)
        })?;
    }
    gone(&places, comparison);
    reordered(search, segments, comparison);
    Ok(())
}

/// Where each leaf that is missing was.
fn places<F: Folder, S: Source + ?Sized>(
    missing: &[(u64, u64)],
    search: &Search<'_, '_, F, S>,
    segments: &Segments,
) -> BTreeMap<u64, u64> {
    let mut places = BTreeMap::new();
    for (first, end) in missing {
        for leaf in *first..(*end).min(first.saturating_add(MAX_MISSING)) {
            let behind = || {
                let before = search.runs.iter().find(|run| run.end() == *first);
                before.map(|run| run.to + (leaf - first))
            };
            let row = row_of(leaf, segments).or_else(behind).unwrap_or(leaf);
            places.insert(row, leaf);
        }
    }
    places
}

/// Where a leaf is, as the segments say.
fn row_of(leaf: u64, segments: &Segments) -> Option<u64> {
    row_at(leaf, segments.of_leaf(leaf)?)
}

fn row_at(leaf: u64, segment: &Segment) -> Option<u64> {
    let mut left = leaf.checked_sub(segment.index)?;
    for (from, to) in parts(&segment.place).1 {
        if left < to - from {
            return Some(from + left);
        }
        left -= to - from;
    }
    None
}

/// Leaves of rows that are gone.
fn gone(places: &BTreeMap<u64, u64>, comparison: &mut Comparison) {
    let mut last: Option<(u64, u64, u64)> = None;
    for (row, leaf) in places.iter().map(|(row, leaf)| (*row, *leaf)).chain([(u64::MAX, u64::MAX)]) {
        match &mut last {
            Some((_, first, end)) if *end == leaf && *first < leaf => *end += 1,
            _ => {
                if let Some((at, first, end)) = last {
                    comparison.between.push(Between {
                        stream: 0,
                        at,
                        missing: vec![(first, end)],
                        extras: Vec::new(),
                        declared: Vec::new(),
                        is_known: true,
                        is_tail: false,
                    });
                }
                last = (leaf < u64::MAX).then(|| (row, leaf, leaf + 1));
            }
        }
    }
}

/// Leaves that are in other rows than the segments say, where those are right about others.
fn reordered<F: Folder, S: Source + ?Sized>(
    search: &Search<'_, '_, F, S>,
    segments: &Segments,
    comparison: &mut Comparison,
) {
    for run in search.runs.iter().filter(|run| !run.is_expected) {
        for (row, leaf) in (run.from..).zip(run.index..run.end()) {
            let Some(segment) = segments.of_leaf(leaf) else { continue };
            if row_of(leaf, segments) != Some(row) && is_right(segment, row, search) {
                comparison.add(Fault {
                    kind: FindingKind::Reordered,
                    stream: run.stream,
                    at: row,
                    next: row + 1,
                    leaf: Some(leaf),
                    count: 1,
                    detail: String::new(),
                });
            }
        }
    }
}

/// Whether a segment has this row, or some of its leaves are where it says.
fn is_right<F: Folder, S: Source + ?Sized>(
    segment: &Segment,
    row: u64,
    search: &Search<'_, '_, F, S>,
) -> bool {
    let (first, end) = leaves_of(segment, search.leaves.size());
    let is_among = |run: &Run| {
        let is_of = run.index < end && first < run.end();
        is_of && (run.is_expected || row_at(run.index, segment) == Some(run.from))
    };
    let Place::Rows { .. } = &segment.place else { return false };
    parts(&segment.place).1.iter().any(|(from, to)| (*from..*to).contains(&row))
        || search.runs.iter().any(is_among)
}
