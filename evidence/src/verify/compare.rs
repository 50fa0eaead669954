//! What is not as it was sealed, told apart by where leaves were found and where they were not: missing, changed, inserted,
//! reordered, duplicated, truncated. Faults that stand together are one finding.

mod files;
mod order;
mod rows;

use std::collections::{BTreeMap, HashMap, HashSet};

use audit_format::time::is_stored_text;
use audit_log::tree::Hash;

use super::item::Item;
use super::ledger::{Ledger, MAX_ODD, Odd, Read};
use super::pruned::Gone;
use super::search::Search;
use super::source::{Source, Standing, Stream, to_id};
use super::verdict::{Finding, FindingKind, Spot};
use crate::error::Error;
use crate::folder::Folder;
use crate::record::Kind;
use crate::segment::{Segment, Segments};

/// What is said of events that a prune has declared, until the next seal.
const UNCONFIRMED: &str = "`pruned.jsonl` says that a prune has removed them, and no sealed event confirms that: if it was a \
                           prune, the next seal does";

/// How many findings are told.
const MAX_FINDINGS: usize = 1000;

/// Something wrong with lines or rows that stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: FindingKind,
    stream: usize,
    /// Where it begins, and where it ends. Both are the same for what is missing.
    at: u64,
    next: u64,
    leaf: Option<u64>,
    count: u64,
    detail: String,
}

/// An event that stands where no leaf was found, or something that is no event.
#[derive(Clone, Copy, Debug)]
pub struct Extra {
    at: u64,
    next: u64,
    leaf: Option<Hash>,
    claimed: Option<Hash>,
}

impl Extra {
    fn of(standing: &Standing<'_>, item: &Item) -> Self {
        let (leaf, claimed) = match item {
            Item::Event { leaf, claimed, .. } => (Some(*leaf), *claimed),
            Item::Blank | Item::Unreadable => (None, None),
        };
        Self { at: standing.at, next: standing.next, leaf, claimed }
    }
}

/// A place between leaves that were found, with what is missing there and what stands there instead.
#[derive(Debug)]
pub struct Between {
    stream: usize,
    /// Where it begins.
    at: u64,
    /// Leaves that are missing there, first and behind the last.
    missing: Vec<(u64, u64)>,
    extras: Vec<Extra>,
    /// What was no event when the record was sealed: the leaf behind it, and where it stood then.
    declared: Vec<(u64, u64, u64)>,
    /// Whether that is all.
    is_known: bool,
    /// Whether nothing that is sealed comes behind it.
    is_tail: bool,
}

/// What a comparison collects.
#[derive(Debug, Default)]
pub struct Comparison {
    between: Vec<Between>,
    /// Events that are not sealed and whose place in a chain another one has.
    repeated: Vec<(usize, Extra)>,
    /// By stream and position, those of lines before what is missing there, and by leaf.
    faults: BTreeMap<(usize, u64, bool, u64), Fault>,
    /// Leaves of files that are gone.
    gone: Vec<(String, u64, u64)>,
    /// How many events are not sealed.
    pub unsealed: u64,
    /// The time of the first of those in the order of the record, and of the last.
    pub unsealed_times: Option<(String, String)>,
    /// Leaves that are nowhere: first, and behind the last.
    pub missing: Vec<(u64, u64)>,
    /// How many leaves have another event in their place.
    pub changed: u64,
    /// Findings beyond the most that are told.
    pub more: u64,
}

impl Comparison {
    /// Compares a record with what was found of it.
    pub fn of<F: Folder, S: Source + ?Sized>(
        search: &mut Search<'_, '_, F, S>,
        segments: &Segments,
        pruned: Gone<'_>,
    ) -> Result<(Self, Vec<Finding>), Error> {
        let mut comparison = Self::default();
        match search.source.kind() {
            Kind::Files => files::compare(search, segments, pruned, &mut comparison)?,
            Kind::Table => rows::compare(search, segments, &mut comparison)?,
        }
        let known = comparison.known(search)?;
        comparison.repeated(&known);
        for between in std::mem::take(&mut comparison.between) {
            comparison.tell(between, &known, search, pruned)?;
        }
        comparison.odd_ones(search);
        let findings = comparison.findings(search, pruned)?;
        Ok((comparison, findings))
    }

    /// Which of the events that stand where no leaf was found are sealed elsewhere, and their leaves.
    fn known<F: Folder, S: Source + ?Sized>(
        &self,
        search: &mut Search<'_, '_, F, S>,
    ) -> Result<HashMap<Hash, u64>, Error> {
        let extras = self.between.iter().flat_map(|between| &between.extras);
        let repeated = self.repeated.iter().map(|(_, extra)| extra);
        let asked: HashSet<Hash> = extras.chain(repeated).filter_map(|extra| extra.leaf).collect();
        let mut known = HashMap::new();
        if !asked.is_empty() {
            for index in 0..search.leaves.size() {
                if let Some(leaf) = search.leaves.get(index)?.filter(|leaf| asked.contains(leaf)) {
                    known.entry(leaf).or_insert(index);
                }
            }
        }
        Ok(known)
    }

    fn repeated(&mut self, known: &HashMap<Hash, u64>) {
        for (stream, extra) in std::mem::take(&mut self.repeated) {
            if let Some(leaf) = extra.leaf.and_then(|hash| known.get(&hash)) {
                self.fault(FindingKind::Duplicated, stream, &extra, Some(*leaf), "");
            }
        }
    }

    fn fault(&mut self, kind: FindingKind, stream: usize, extra: &Extra, leaf: Option<u64>, detail: &str) {
        let Extra { at, next, .. } = *extra;
        self.add(Fault { kind, stream, at, next, leaf, count: 1, detail: detail.into() });
    }

    /// Of several faults of a line, the first one counts.
    fn add(&mut self, fault: Fault) {
        self.faults.entry((fault.stream, fault.at, false, 0)).or_insert(fault);
    }

    /// Tells apart what is wrong between leaves that were found.
    fn tell<F: Folder, S: Source + ?Sized>(
        &mut self,
        between: Between,
        known: &HashMap<Hash, u64>,
        search: &mut Search<'_, '_, F, S>,
        pruned: Gone<'_>,
    ) -> Result<(), Error> {
        let Between { stream, mut at, missing, extras, declared, is_known, is_tail } = between;
        let leaves: Vec<u64> = missing
            .iter()
            .flat_map(|(first, end)| *first..*end)
            .filter(|leaf| !pruned.is_declared(*leaf))
            .take(extras.len())
            .collect();
        let mut hashes = HashMap::new();
        for leaf in &leaves {
            if let Some(hash) = search.leaves.get(*leaf)? {
                hashes.insert(hash, *leaf);
            }
        }
        let mut changed = HashSet::new();
        // An event that still has the hash of the one that was sealed.
        let mut rest = Vec::new();
        for extra in extras {
            match extra.claimed.and_then(|claimed| hashes.remove(&claimed)) {
                Some(leaf) => {
                    changed.insert(leaf);
                    at = at.max(extra.next);
                    self.fault(FindingKind::Changed, stream, &extra, Some(leaf), "");
                }
                None => rest.push(extra),
            }
        }
        // In their order, the others: first those that are sealed nowhere else.
        let (copies, fresh): (Vec<Extra>, Vec<Extra>) =
            rest.into_iter().partition(|extra| extra.leaf.is_some_and(|hash| known.contains_key(&hash)));
        let (mut fresh, old) = without_declared(fresh, &declared);
        if !is_known {
            // What is no event may have been there before.
            fresh.sort_by_key(|extra| extra.leaf.is_none());
        }
        let mut left =
            leaves.iter().filter(|leaf| !changed.contains(*leaf)).copied().collect::<Vec<_>>().into_iter();
        for extra in fresh.into_iter().chain(copies) {
            let copy_of = extra.leaf.and_then(|hash| known.get(&hash).copied());
            match (left.next(), extra.leaf, copy_of) {
                (Some(leaf), None, _) => {
                    changed.insert(leaf);
                    at = at.max(extra.next);
                    self.fault(FindingKind::Changed, stream, &extra, Some(leaf), "it is no event any more");
                }
                (Some(leaf), Some(_), copy) => {
                    changed.insert(leaf);
                    let detail =
                        copy.map_or(String::new(), |copy| format!("a copy of leaf {copy} stands there"));
                    self.fault(FindingKind::Changed, stream, &extra, Some(leaf), &detail);
                }
                (None, Some(_), Some(copy)) => {
                    self.fault(FindingKind::Duplicated, stream, &extra, Some(copy), "");
                }
                (None, Some(_), None) => self.fault(FindingKind::Inserted, stream, &extra, None, ""),
                // What is no event was perhaps there before.
                (None, None, _) => {}
            }
        }
        self.changed += changed.len() as u64;
        let kind = if is_tail { FindingKind::Truncated } else { FindingKind::Missing };
        let gone = without(&missing, &changed);
        for (told, kind, detail) in
            [(lost(&gone, pruned), kind, ""), (unconfirmed(&gone, pruned), FindingKind::Missing, UNCONFIRMED)]
        {
            let Some((first, _)) = told.first() else { continue };
            // It stood behind what was no event before it.
            let before = declared.iter().filter(|(leaf, ..)| leaf <= first).count();
            let at = old.iter().take(before).map(|extra| extra.next).fold(at, u64::max);
            let (leaf, count) = (Some(*first), count_of(&told));
            let fault = Fault { kind, stream, at, next: at, leaf, count, detail: detail.into() };
            self.faults.insert((stream, at, true, *first), fault);
        }
        self.missing.extend(gone);
        Ok(())
    }

    /// Events that are odd in themselves, wherever they stand.
    fn odd_ones<F: Folder, S: Source + ?Sized>(&mut self, search: &Search<'_, '_, F, S>) {
        let extra = |odd: &Odd| Extra { at: odd.at, next: odd.next, leaf: None, claimed: None };
        for odd in &search.ledger.wrong_hash {
            let detail = "the hash that stands in it is not that of its content";
            self.fault(FindingKind::Changed, odd.stream, &extra(odd), odd.leaf, detail);
        }
        for odd in &search.ledger.wrong_day {
            let detail = "it stands in the file of another day";
            self.fault(FindingKind::Reordered, odd.stream, &extra(odd), odd.leaf, detail);
        }
    }

    /// Joins faults that stand together, and gives them their places.
    fn findings<F: Folder, S: Source + ?Sized>(
        &mut self,
        search: &mut Search<'_, '_, F, S>,
        pruned: Gone<'_>,
    ) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        let mut gone = std::mem::take(&mut self.gone);
        gone.sort();
        for of_file in gone.chunk_by(|one, next| one.0 == next.0) {
            let gone: Vec<(u64, u64)> = of_file.iter().map(|(_, first, end)| (*first, *end)).collect();
            self.missing.extend(&gone);
            let file = of_file[0].0.clone();
            let (place, detail) = match file.is_empty() {
                true => (Spot::Log { log: "segments.jsonl".into() }, "they are in none of the files"),
                false => (Spot::Line { file, line: 1 }, "the file is gone"),
            };
            for (told, detail) in [(lost(&gone, pruned), detail), (unconfirmed(&gone, pruned), UNCONFIRMED)] {
                let Some((first, _)) = told.first() else { continue };
                let (kind, place) = (FindingKind::Missing, place.clone());
                let (count, leaf) = (count_of(&told), Some(*first));
                findings.push(Finding { kind, place, count, leaf, detail: detail.into() });
            }
        }
        let joined = joined(std::mem::take(&mut self.faults).into_values());
        for faults in joined.chunk_by(|one, next| one.stream == next.stream) {
            let stream = search.streams[faults[0].stream].clone();
            let faults = &faults[..faults.len().min(MAX_FINDINGS.saturating_sub(findings.len()))];
            let positions: Vec<u64> = faults.iter().map(|fault| fault.at).collect();
            let lines = search.source.lines_before(&stream, &positions)?;
            for (fault, lines) in faults.iter().zip(lines) {
                let place = match search.source.kind() {
                    Kind::Files => Spot::Line { file: stream.name.clone(), line: lines + 1 },
                    Kind::Table => Spot::Row { row: to_id(fault.at) },
                };
                let Fault { kind, leaf, count, detail, .. } = fault.clone();
                findings.push(Finding { kind, place, count, leaf, detail });
            }
        }
        self.more = (joined.len() as u64).saturating_sub(MAX_FINDINGS as u64);
        Ok(findings)
    }

    /// Takes note of an event that is not sealed.
    fn unsealed(
        &mut self,
        ledger: &mut Ledger,
        (number, stream): (usize, &Stream),
        standing: &Standing<'_>,
        item: &Item,
    ) {
        let (Item::Event { leaf, .. }, Some(read)) = (item, Read::of(item, None)) else { return };
        self.unsealed += 1;
        let time = standing.text.get(7..34).filter(|time| is_stored_text(time));
        if let Some(time) = time.and_then(|time| str::from_utf8(time).ok()) {
            let (first, last) = self.unsealed_times.get_or_insert_with(|| (time.into(), time.into()));
            if time < first.as_str() {
                *first = time.into();
            }
            if time > last.as_str() {
                *last = time.into();
            }
        }
        if !ledger.add(number, stream, standing, read) && self.repeated.len() < MAX_ODD {
            let extra = Extra { at: standing.at, next: standing.next, leaf: Some(*leaf), claimed: None };
            self.repeated.push((number, extra));
        }
    }
}

/// Faults that stand behind each other and are of one kind are one.
fn joined(faults: impl Iterator<Item = Fault>) -> Vec<Fault> {
    let mut joined: Vec<Fault> = Vec::new();
    for fault in faults {
        match joined.last_mut() {
            Some(last)
                if last.kind == fault.kind
                    && last.stream == fault.stream
                    && last.next == fault.at
                    && last.next > last.at
                    && last.detail == fault.detail =>
            {
                last.next = fault.next;
                last.count += fault.count;
            }
            _ => joined.push(fault),
        }
    }
    joined
}

/// Takes out what was no event before. Where lines have moved, it is the first ones that are none.
fn without_declared(extras: Vec<Extra>, declared: &[(u64, u64, u64)]) -> (Vec<Extra>, Vec<Extra>) {
    let is_declared = |extra: &Extra| {
        extra.leaf.is_none() && declared.iter().any(|(_, from, to)| *from <= extra.at && extra.next <= *to)
    };
    let has_moved = !extras.iter().any(is_declared);
    let mut left = if has_moved { declared.len() } else { 0 };
    extras.into_iter().partition(|extra| {
        let is_old = has_moved && left > 0 && extra.leaf.is_none();
        left -= usize::from(is_old);
        !is_old && !is_declared(extra)
    })
}

/// What is left of ranges without some leaves.
fn without(ranges: &[(u64, u64)], taken: &HashSet<u64>) -> Vec<(u64, u64)> {
    let mut cuts: Vec<u64> = taken.iter().copied().collect();
    cuts.sort_unstable();
    let mut left: Vec<(u64, u64)> = Vec::new();
    for (first, end) in ranges {
        let mut start = *first;
        let place = cuts.partition_point(|cut| cut < first);
        for cut in cuts[place..].iter().copied().take_while(|cut| cut < end).chain([*end]) {
            if start < cut {
                match left.last_mut() {
                    Some(last) if last.1 == start => last.1 = cut,
                    _ => left.push((start, cut)),
                }
            }
            start = cut + 1;
        }
    }
    left
}

/// The parts of ranges that are not even declared.
fn lost(ranges: &[(u64, u64)], pruned: Gone<'_>) -> Vec<(u64, u64)> {
    parts_of(ranges, &|leaf| !pruned.is_declared(leaf))
}

/// The parts of ranges that are declared, and not confirmed.
fn unconfirmed(ranges: &[(u64, u64)], pruned: Gone<'_>) -> Vec<(u64, u64)> {
    parts_of(ranges, &|leaf| pruned.is_declared(leaf) && !pruned.is_pruned(leaf))
}

fn count_of(ranges: &[(u64, u64)]) -> u64 {
    ranges.iter().map(|(first, end)| end - first).sum()
}

/// The parts of ranges that have these leaves.
fn parts_of(ranges: &[(u64, u64)], has: &dyn Fn(u64) -> bool) -> Vec<(u64, u64)> {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for leaf in ranges.iter().flat_map(|(first, end)| *first..*end).filter(|leaf| has(*leaf)) {
        match parts.last_mut() {
            Some(last) if last.1 == leaf => last.1 += 1,
            _ => parts.push((leaf, leaf + 1)),
        }
    }
    parts
}

/// The leaves of a segment, as far as the log is signed.
fn leaves_of(segment: &Segment, size: u64) -> (u64, u64) {
    (segment.index.min(size), (segment.index + segment.count).min(size))
}
