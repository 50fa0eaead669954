//! Comparing daily files: each has its leaves in the order in which they were sealed, and what stands behind the last one is
//! not sealed yet.

use std::collections::{BTreeSet, HashSet};

use super::order::in_order;
use super::{Between, Comparison, Extra, Fault, count_of, leaves_of, lost};
use crate::error::Error;
use crate::folder::Folder;
use crate::record::Kind;
use crate::segment::{Place, Segment, Segments};
use crate::verify::item::Item;
use crate::verify::ledger::MAX_ODD;
use crate::verify::pruned::Gone;
use crate::verify::search::{Run, Search};
use crate::verify::source::{Flow, Source};
use crate::verify::verdict::FindingKind;

/// Compares all files.
pub fn compare<F: Folder, S: Source + ?Sized>(
    search: &mut Search<'_, '_, F, S>,
    segments: &Segments,
    pruned: Gone<'_>,
    comparison: &mut Comparison,
) -> Result<(), Error> {
    // In order.
    search.runs.sort_unstable_by_key(|run| (run.stream, run.from));
    let around = Around::of(search);
    let mut homes = vec![Vec::new(); search.streams.len()];
    // Of the last segment, in whose place its leaves are missing.
    let mut known: Option<(u64, Home)> = None;
    for (first, end) in std::mem::take(&mut search.missing) {
        for (first, end) in by_segment(first, end, segments) {
            let segment = segments.of_leaf(first).map(|segment| segment.index);
            let last = known.take().filter(|(of, _)| Some(*of) == segment).map(|(_, home)| home);
            let home = last.unwrap_or_else(|| home(first, end, segments, search));
            known = segment.map(|segment| (segment, home.clone()));
            match home {
                Home::Stream(number) => homes[number].push((first, end)),
                Home::Gone(file) => comparison.gone.push((file, first, end)),
            }
        }
    }
    for (number, missing) in homes.iter_mut().enumerate() {
        if search.streams[number].day >= search.since {
            missing.sort_unstable();
            walk((number, missing), &around, search, segments, pruned, comparison)?;
        }
    }
    Ok(())
}

/// What is beside what, and in the wrong file.
struct Around {
    /// The first leaves of runs, by stream.
    firsts: HashSet<(usize, u64)>,
    /// The leaves behind the last ones.
    ends: HashSet<(usize, u64)>,
    /// Positions of events in the file of another day.
    wrong_day: BTreeSet<(usize, u64)>,
}

impl Around {
    fn of<F: Folder, S: Source + ?Sized>(search: &Search<'_, '_, F, S>) -> Self {
        Self {
            firsts: search.runs.iter().map(|run| (run.stream, run.index)).collect(),
            ends: search.runs.iter().map(|run| (run.stream, run.end())).collect(),
            wrong_day: search.ledger.wrong_day.iter().map(|odd| (odd.stream, odd.at)).collect(),
        }
    }

    fn is_of_another_day(&self, run: &Run) -> bool {
        self.wrong_day.range((run.stream, run.from)..(run.stream, run.to)).next().is_some()
    }

    fn is_beside_others(&self, run: &Run) -> bool {
        self.firsts.contains(&(run.stream, run.end())) || self.ends.contains(&(run.stream, run.index))
    }
}

/// Parts of a range that are each of one segment.
fn by_segment(first: u64, end: u64, segments: &Segments) -> Vec<(u64, u64)> {
    let mut parts = Vec::new();
    let mut next = first;
    while next < end {
        let to = segments.of_leaf(next).map_or(end, |segment| (segment.index + segment.count).min(end));
        parts.push((next, to));
        next = to;
    }
    parts
}

#[derive(Clone)]
enum Home {
    Stream(usize),
    /// The file is not there.
    Gone(String),
}

/// The file in which leaves are missing: the one that their segment names, unless the others of that segment all stand in
/// another one. It is then that of their neighbours.
fn home<F: Folder, S: Source + ?Sized>(
    first: u64,
    end: u64,
    segments: &Segments,
    search: &Search<'_, '_, F, S>,
) -> Home {
    let segment = segments.of_leaf(first);
    let named = segment.and_then(|segment| match &segment.place {
        Place::Lines { file, .. } => Some((segment, file)),
        Place::Rows { .. } => None,
    });
    let stream = named.and_then(|(_, file)| search.streams.iter().position(|stream| stream.name == *file));
    if let Some((segment, file)) = named {
        let (from, to) = leaves_of(segment, search.leaves.size());
        let mut there = search.runs.iter().filter(|run| run.index < to && from < run.end()).peekable();
        if there.peek().is_none() || there.any(|run| Some(run.stream) == stream) {
            return stream.map_or_else(|| Home::Gone(file.clone()), Home::Stream);
        }
    }
    let before = search.runs.iter().position(|run| run.end() == first);
    let behind = search.runs.iter().position(|run| run.index == end);
    let next_to = |place: usize, other: Option<usize>, is_gap: fn(&Run, &Run) -> bool| {
        let run = &search.runs[place];
        let other = other.and_then(|other| search.runs.get(other));
        other.is_some_and(|other| other.stream == run.stream && is_gap(run, other)).then_some(run.stream)
    };
    let gap =
        before.and_then(|place| next_to(place, Some(place + 1), |run, next| run.to < next.from)).or_else(
            || behind.and_then(|place| next_to(place, place.checked_sub(1), |run, last| last.to < run.from)),
        );
    let beside = before.or(behind).map(|place| search.runs[place].stream);
    match gap.or(beside).or(stream) {
        Some(number) => Home::Stream(number),
        None => Home::Gone(named.map_or(String::new(), |(_, file)| file.clone())),
    }
}

/// Whether some leaves of a segment stand in the file that it names.
fn is_right<F: Folder, S: Source + ?Sized>(
    segment: &Segment,
    number: usize,
    search: &Search<'_, '_, F, S>,
) -> bool {
    let (first, end) = leaves_of(segment, search.leaves.size());
    search.runs.iter().any(|run| run.stream == number && run.index < end && first < run.end())
}

/// Goes through a file, from leaves that stand in order to the next ones.
fn walk<F: Folder, S: Source + ?Sized>(
    (number, missing): (usize, &[(u64, u64)]),
    around: &Around,
    search: &mut Search<'_, '_, F, S>,
    segments: &Segments,
    pruned: Gone<'_>,
    comparison: &mut Comparison,
) -> Result<(), Error> {
    let runs: Vec<Run> = search.runs.iter().filter(|run| run.stream == number).copied().collect();
    // What is in the wrong file is in no order there.
    let is_out = |run: &Run| around.is_of_another_day(run) || is_elsewhere(run, around, search, segments);
    let is_out: Vec<bool> = runs.iter().map(is_out).collect();
    let right: Vec<Run> =
        runs.iter().zip(&is_out).filter(|(_, is_out)| !**is_out).map(|(run, _)| *run).collect();
    let mut ordered = in_order(&right).into_iter();
    let sealed_end = sealed_end(&search.streams[number].name, segments, pruned, search.leaves.size());
    let gaps: Vec<(u64, u64, u64)> = segments
        .iter()
        .filter(|segment| segment.gap.is_some())
        .filter_map(|segment| match &segment.place {
            Place::Lines { file, from, to } if *file == search.streams[number].name => {
                Some((segment.index, *from, *to))
            }
            _ => None,
        })
        .collect();
    let mut start = Edge { at: 0, leaf: 0 };
    let mut others: Vec<Run> = Vec::new();
    for (run, is_out) in runs.iter().zip(&is_out) {
        if *is_out || ordered.next() == Some(false) {
            reordered(run, comparison);
            others.push(*run);
            continue;
        }
        let end = Edge { at: run.from, leaf: run.index };
        let part =
            Part { number, start, end, others: &others, is_tail: false, sealed_end, pruned, gaps: &gaps };
        part.compare(missing, search, segments, comparison)?;
        start = Edge { at: run.to, leaf: run.end() };
        others.clear();
    }
    let end = Edge { at: search.streams[number].end, leaf: u64::MAX };
    let part = Part { number, start, end, others: &others, is_tail: true, sealed_end, pruned, gaps: &gaps };
    part.compare(missing, search, segments, comparison)
}

/// Where the sealed part of a file ended; none: it is not known. One that was pruned is another file.
fn sealed_end(name: &str, segments: &Segments, pruned: Gone<'_>, size: u64) -> Option<u64> {
    if segments.size() < size {
        return None;
    }
    let ends =
        segments.iter().filter(|segment| segment.index < size).filter_map(|segment| match &segment.place {
            Place::Lines { file, to, .. } if file == name && !pruned.is_declared(segment.index) => Some(*to),
            _ => None,
        });
    Some(ends.max().unwrap_or(0))
}

/// Whether lines of another writer stand in another file than others of the same segment do, away from those that they were
/// sealed beside. Lines of a store are told by their day.
fn is_elsewhere<F: Folder, S: Source + ?Sized>(
    run: &Run,
    around: &Around,
    search: &Search<'_, '_, F, S>,
    segments: &Segments,
) -> bool {
    if run.is_expected || run.is_own || around.is_beside_others(run) {
        return false;
    }
    let Some(segment) = segments.of_leaf(run.index) else { return false };
    let Place::Lines { file, .. } = &segment.place else { return false };
    let named = search.streams.iter().position(|stream| stream.name == *file);
    named.is_some_and(|named| named != run.stream && is_right(segment, named, search))
}

fn reordered(run: &Run, comparison: &mut Comparison) {
    comparison.add(Fault {
        kind: FindingKind::Reordered,
        stream: run.stream,
        at: run.from,
        next: run.to,
        leaf: Some(run.index),
        count: run.count,
        detail: String::new(),
    });
}

#[derive(Clone, Copy)]
struct Edge {
    at: u64,
    leaf: u64,
}

/// What is between leaves that stand in order, or behind the last ones.
struct Part<'p> {
    number: usize,
    start: Edge,
    end: Edge,
    /// Leaves that were moved there.
    others: &'p [Run],
    is_tail: bool,
    sealed_end: Option<u64>,
    pruned: Gone<'p>,
    /// What was no event when it was sealed: the leaf behind it, and where it stood then. In order.
    gaps: &'p [(u64, u64, u64)],
}

impl Part<'_> {
    fn compare<F: Folder, S: Source + ?Sized>(
        &self,
        missing: &[(u64, u64)],
        search: &mut Search<'_, '_, F, S>,
        segments: &Segments,
        comparison: &mut Comparison,
    ) -> Result<(), Error> {
        let begin = missing.partition_point(|(first, _)| *first < self.start.leaf);
        let len = missing[begin..].partition_point(|(first, _)| *first < self.end.leaf);
        let missing = missing[begin..begin + len].to_vec();
        let extras = self.extras(&missing, search, comparison)?;
        if missing.is_empty() && extras.is_empty() {
            return Ok(());
        }
        let begin = self.gaps.partition_point(|(leaf, ..)| *leaf < self.start.leaf);
        let len = self.gaps[begin..].partition_point(|(leaf, ..)| *leaf <= self.end.leaf);
        let declared = self.gaps[begin..begin + len].to_vec();
        let is_known = segments.size() >= search.leaves.size();
        let (stream, at, is_tail) = (self.number, self.start.at, self.is_tail);
        comparison.between.push(Between { stream, at, missing, extras, declared, is_known, is_tail });
        Ok(())
    }

    /// What stands there. In the tail, only as much as is missing can be in the place of that; all else is not sealed yet.
    /// Nothing is in the place of what was pruned: the file was removed, and another one came later.
    fn extras<F: Folder, S: Source + ?Sized>(
        &self,
        missing: &[(u64, u64)],
        search: &mut Search<'_, '_, F, S>,
        comparison: &mut Comparison,
    ) -> Result<Vec<Extra>, Error> {
        let count = count_of(&lost(missing, self.pruned));
        let most = if self.is_tail { (count as usize).min(MAX_ODD) } else { MAX_ODD };
        let stream = search.streams[self.number].clone();
        let mut extras = Vec::new();
        for (from, to) in self.regions() {
            let Search { source, ledger, .. } = search;
            source.read(&stream, from, to, &mut |standing| {
                let item = Item::of(standing.text, Kind::Files);
                let is_in_place = !self.is_tail || self.sealed_end.is_none_or(|end| standing.at < end);
                ledger.unreadable += u64::from(item == Item::Unreadable);
                if item != Item::Blank && is_in_place && extras.len() < most {
                    extras.push(Extra::of(&standing, &item));
                } else {
                    comparison.unsealed(ledger, (self.number, &stream), &standing, &item);
                }
                Ok(Flow::GoOn)
            })?;
        }
        Ok(extras)
    }

    /// The parts in which no leaf was found.
    fn regions(&self) -> Vec<(u64, u64)> {
        let mut regions = Vec::new();
        let mut next = self.start.at;
        for run in self.others {
            regions.push((next, run.from));
            next = run.to;
        }
        regions.push((next, self.end.at));
        regions.retain(|(from, to)| from < to);
        regions
    }
}
