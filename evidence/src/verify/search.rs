//! Where the leaves of a log stand in its record. First they are looked for where `segments.jsonl` says they are; what is
//! not there is looked for in all of the record, by its hash. So that file helps, and nothing rests on it.

use std::collections::{HashMap, VecDeque};

use audit_log::tree::Hash;

use super::item::{Item, LastChain, Raw};
use super::ledger::{Ledger, Read};
use super::source::{Flow, Source, Standing, Stream, parts};
use super::tree::Leaves;
use crate::error::Error;
use crate::folder::Folder;
use crate::record::Kind;
use crate::segment::{Segment, Segments};

/// For how many leaves the record is searched at once, at about 130 bytes each.
const WINDOW: usize = 250_000;

/// Leaves that stand behind each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The stream.
    pub stream: usize,
    /// The position of the first.
    pub from: u64,
    /// The position behind the last.
    pub to: u64,
    /// The first leaf.
    pub index: u64,
    /// How many there are.
    pub count: u64,
    /// Whether they were found where they were expected.
    pub is_expected: bool,
    /// Whether a store wrote them. Where they were expected, some of them.
    pub is_own: bool,
}

impl Run {
    /// The leaf behind the last.
    pub fn end(&self) -> u64 {
        self.index + self.count
    }
}

/// A search for leaves.
pub struct Search<'v, 'l, F, S: ?Sized> {
    /// The record.
    pub source: &'v mut S,
    /// Its streams.
    pub streams: Vec<Stream>,
    /// The leaves of the log.
    pub leaves: Leaves<'l, F>,
    /// Where leaves were found.
    pub runs: Vec<Run>,
    /// Leaves that were not found, first and behind the last.
    pub missing: Vec<(u64, u64)>,
    /// Leaves that were not looked for: they are declared as pruned, and their files are gone.
    pub declared: Vec<(u64, u64)>,
    /// Leaves that were not looked for: they are older than was asked for.
    pub skipped: Vec<(u64, u64)>,
    /// Streams before this day are not read.
    pub since: String,
    /// What is kept of events.
    pub ledger: Ledger,
    /// Is told of leaves that were dealt with.
    pub tick: &'v mut dyn FnMut(u64),
}

impl<F: Folder, S: Source + ?Sized> Search<'_, '_, F, S> {
    /// Looks for the leaves of a segment where it says they are.
    pub fn expect(&mut self, segment: &Segment, is_pruned: bool) -> Result<(), Error> {
        let (name, parts) = parts(&segment.place);
        let (mut next, end) = (segment.index, (segment.index + segment.count).min(self.leaves.size()));
        if next >= end {
            return Ok(());
        }
        let Some(number) = self.streams.iter().position(|stream| stream.name == name) else {
            let list = if is_pruned { &mut self.declared } else { &mut self.missing };
            list.push((next, end));
            return Ok(());
        };
        if self.streams[number].day < self.since {
            self.skipped.push((next, end));
            return Ok(());
        }
        match self.source.kind() {
            Kind::Files => {
                for (from, to) in parts {
                    next = self.expect_lines(number, (from, to), next, end)?;
                }
                let rest = if is_pruned { &mut self.declared } else { &mut self.missing };
                if next < end {
                    rest.push((next, end));
                }
            }
            Kind::Table => self.expect_rows(&parts, segment, end, is_pruned)?,
        }
        (self.tick)(end - segment.index);
        Ok(())
    }

    /// Looks for leaves in a part of a file, up to the first that is not there. Returns that one.
    fn expect_lines(
        &mut self,
        number: usize,
        (from, to): (u64, u64),
        first: u64,
        end: u64,
    ) -> Result<u64, Error> {
        let stream = self.streams[number].clone();
        let to = to.min(stream.end);
        let mut run =
            Run { stream: number, from, to: from, index: first, count: 0, is_expected: true, is_own: false };
        let mut unreadable = 0;
        let (mut unread, mut last) = (0, LastChain::default());
        let Self { source, leaves, ledger, .. } = self;
        source.read(&stream, from, to, &mut |standing| {
            let index = run.end();
            let leaf = if index < end { leaves.get(index)? } else { None };
            let read = match (plain(&standing, leaf, index, &mut last), leaf) {
                (Some(read), _) => read,
                (None, leaf) => match Item::of(standing.text, Kind::Files) {
                    Item::Blank => return Ok(Flow::GoOn),
                    Item::Unreadable => {
                        unread += 1;
                        return Ok(Flow::GoOn);
                    }
                    // A leaf whose hash is lost may be any.
                    item @ Item::Event { leaf: found, .. }
                        if index < end && leaf.is_none_or(|leaf| leaf == found) =>
                    {
                        let Some(read) = Read::of(&item, Some(index)) else { return Ok(Flow::Stop) };
                        read
                    }
                    Item::Event { .. } => return Ok(Flow::Stop),
                },
            };
            ledger.add(number, &stream, &standing, read);
            if run.count == 0 {
                run.from = standing.at;
                unread = 0;
            }
            run.is_own |= read.stamp.is_some();
            run.count += 1;
            run.to = standing.next;
            unreadable += std::mem::take(&mut unread);
            Ok(Flow::GoOn)
        })?;
        self.ledger.unreadable += unreadable;
        if run.count > 0 {
            join(&mut self.runs, run);
        }
        Ok(run.end())
    }

    /// Looks for leaves in rows, each of which has a number of its own.
    fn expect_rows(
        &mut self,
        parts: &[(u64, u64)],
        segment: &Segment,
        end: u64,
        is_pruned: bool,
    ) -> Result<(), Error> {
        let stream = self.streams[0].clone();
        let mut first = segment.index;
        let (mut runs, mut last) = (Vec::new(), LastChain::default());
        for (from, to) in parts {
            let Self { source, leaves, ledger, .. } = self;
            source.read(&stream, *from, *to, &mut |standing| {
                let index = first + (standing.at - from);
                let leaf = if index < end { leaves.get(index)? } else { return Ok(Flow::Stop) };
                let read = plain(&standing, leaf, index, &mut last).or_else(|| {
                    match Item::of(standing.text, Kind::Table) {
                        // A leaf whose hash is lost may be any.
                        item @ Item::Event { leaf: found, .. } if leaf.is_none_or(|leaf| leaf == found) => {
                            Read::of(&item, Some(index))
                        }
                        _ => None,
                    }
                });
                if let Some(read) = read {
                    ledger.add(0, &stream, &standing, read);
                    let (from, to) = (standing.at, standing.next);
                    let is_own = read.stamp.is_some();
                    let run = Run { stream: 0, from, to, index, count: 1, is_expected: true, is_own };
                    join(&mut runs, run);
                }
                Ok(Flow::GoOn)
            })?;
            first = first.saturating_add(to - from);
        }
        let mut next = segment.index;
        let rest = if is_pruned { &mut self.declared } else { &mut self.missing };
        for run in &runs {
            if next < run.index {
                rest.push((next, run.index));
            }
            next = run.end();
        }
        if next < end {
            rest.push((next, end));
        }
        runs.into_iter().for_each(|run| join(&mut self.runs, run));
        Ok(())
    }

    /// Looks for the leaves that were not found yet in all that no leaf was found in.
    pub fn find_rest(&mut self) -> Result<(), Error> {
        let mut missing = VecDeque::from(std::mem::take(&mut self.missing));
        while !missing.is_empty() {
            let mut wanted = Wanted::default();
            while let Some((first, end)) = missing.pop_front() {
                let room = (WINDOW - wanted.count) as u64;
                let now = end.min(first + room);
                for index in first..now {
                    if let Some(leaf) = self.leaves.get(index)? {
                        wanted.add(leaf, index);
                    }
                }
                if now < end {
                    missing.push_front((now, end));
                    break;
                }
            }
            self.find(&mut wanted)?;
            self.missing.extend(wanted.ranges());
        }
        Ok(())
    }

    fn find(&mut self, wanted: &mut Wanted) -> Result<(), Error> {
        let kind = self.source.kind();
        for (number, from, to) in self.regions() {
            if wanted.count == 0 {
                break;
            }
            let stream = self.streams[number].clone();
            let Self { source, runs, ledger, .. } = self;
            let mut last = LastChain::default();
            source.read(&stream, from, to, &mut |standing| {
                let raw =
                    Raw::of(standing.text).and_then(|raw| Some((raw, raw.stamp(&mut last)?, raw.hash())));
                let plain = raw.and_then(|(raw, stamp, hash)| {
                    let leaf = Some(wanted.take(&hash)?);
                    Some(Read { stamp: Some(stamp), has_wrong_hash: !raw.claims(&hash), leaf })
                });
                let read = plain.or_else(|| match Item::of(standing.text, kind) {
                    item @ Item::Event { leaf, .. } => Read::of(&item, Some(wanted.take(&leaf)?)),
                    _ => None,
                });
                if let Some((read, index)) = read.and_then(|read| Some((read, read.leaf?))) {
                    ledger.add(number, &stream, &standing, read);
                    let (from, to) = (standing.at, standing.next);
                    let is_own = read.stamp.is_some();
                    let run = Run { stream: number, from, to, index, count: 1, is_expected: false, is_own };
                    join(runs, run);
                }
                Ok(if wanted.count == 0 { Flow::Stop } else { Flow::GoOn })
            })?;
        }
        self.runs.sort_unstable_by_key(|run| (run.stream, run.from));
        Ok(())
    }

    /// What no leaf was found in: streams, and parts of them.
    pub fn regions(&mut self) -> Vec<(usize, u64, u64)> {
        self.runs.sort_unstable_by_key(|run| (run.stream, run.from));
        let mut regions = Vec::new();
        for (number, stream) in self.streams.iter().enumerate() {
            if stream.day < self.since {
                continue;
            }
            let first = self.runs.partition_point(|run| run.stream < number);
            let mut next = 0;
            for run in self.runs[first..].iter().take_while(|run| run.stream == number) {
                if run.from > next {
                    regions.push((number, next, run.from));
                }
                next = run.to;
            }
            if next < stream.end {
                regions.push((number, next, stream.end));
            }
        }
        regions
    }
}

/// The event of a plain line that has this leaf.
fn plain(standing: &Standing<'_>, leaf: Option<Hash>, index: u64, last: &mut LastChain) -> Option<Read> {
    let (raw, leaf) = (Raw::of(standing.text)?, leaf?);
    if raw.hash() != leaf {
        return None;
    }
    Some(Read { stamp: Some(raw.stamp(last)?), has_wrong_hash: !raw.claims(&leaf), leaf: Some(index) })
}

/// Adds a run to those before it.
fn join(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last)
            if last.stream == run.stream
                && last.to == run.from
                && last.end() == run.index
                && last.is_expected == run.is_expected
                && (run.is_expected || last.is_own == run.is_own) =>
        {
            last.is_own |= run.is_own;
            last.to = run.to;
            last.count += run.count;
        }
        _ => runs.push(run),
    }
}

/// Leaves that are looked for.
#[derive(Default)]
struct Wanted {
    leaves: HashMap<Hash, u64>,
    /// Of leaves that are equal: the others.
    again: HashMap<Hash, VecDeque<u64>>,
    count: usize,
}

impl Wanted {
    fn add(&mut self, leaf: Hash, index: u64) {
        self.count += 1;
        match self.leaves.entry(leaf) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(index);
            }
            std::collections::hash_map::Entry::Occupied(_) => {
                self.again.entry(leaf).or_default().push_back(index);
            }
        }
    }

    fn take(&mut self, leaf: &Hash) -> Option<u64> {
        let index = *self.leaves.get(leaf)?;
        match self.again.get_mut(leaf).and_then(VecDeque::pop_front) {
            Some(next) => self.leaves.insert(*leaf, next),
            None => self.leaves.remove(leaf),
        };
        self.count -= 1;
        Some(index)
    }

    /// What is left.
    fn ranges(&self) -> Vec<(u64, u64)> {
        let mut left: Vec<u64> = self.leaves.values().chain(self.again.values().flatten()).copied().collect();
        left.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for index in left {
            match ranges.last_mut() {
                Some(last) if last.1 == index => last.1 += 1,
                _ => ranges.push((index, index + 1)),
            }
        }
        ranges
    }
}

/// Looks for all leaves.
pub fn expect_all<F: Folder, S: Source + ?Sized>(
    search: &mut Search<'_, '_, F, S>,
    segments: &Segments,
    is_pruned: impl Fn(u64, u64) -> bool,
) -> Result<(), Error> {
    for segment in segments.iter().filter(|segment| segment.count > 0) {
        search.expect(segment, is_pruned(segment.index, segment.index + segment.count))?;
    }
    let size = search.leaves.size();
    if segments.size() < size {
        search.missing.push((segments.size(), size));
    }
    search.find_rest()
}
