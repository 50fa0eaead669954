//! Retention: events that are old enough leave the record, and their hashes stay in the log.
//!
//! Only what is sealed, and still is what was sealed, may go. Each day goes by itself, in steps of which each may be the last
//! one, and the next prune goes on:
//!
//! 1. The archive, if one is wanted, is written, and read again: it has the events of the leaves, in their order.
//! 2. An event of the trail says what is going to be pruned.
//! 3. `pruned.jsonl` declares it. From now on, the events may be gone.
//! 4. The events are removed.

mod files;
mod rows;

pub use rows::PruneRows;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use audit_format::attributes::Attribute;
use audit_format::event::Event;
use audit_format::time::{Day, Timestamp};
use audit_log::checkpoint::Checkpoint;
use audit_log::tree::{Hash, Node, NodeReader as _, inclusion};

use crate::archive;
use crate::error::Error;
use crate::events::{self, Events};
use crate::folder::Folder;
use crate::hold::Holds;
use crate::log::Log;
use crate::pruned::{self, Pruned, PrunedRange};
use crate::segment::{Place, Segments};

/// What is to be pruned.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Events of earlier days go.
    pub before: Day,
    /// Now: today's events stay in any case.
    pub now: Timestamp,
    /// Who prunes.
    pub by: String,
    /// The folder that gets what is pruned; none: it is gone.
    pub archive: Option<PathBuf>,
    /// Whether to find out what would go, and change nothing.
    pub dry_run: bool,
}

/// Something that records an event in the trail, so that it is on the disk or in the database when it returns.
pub trait Trail {
    /// Records an event.
    ///
    /// # Errors
    /// Where it is not certain that it is recorded: why, for people.
    fn record(&mut self, event: &Event<'_>) -> Result<(), String>;
}

/// A change that is about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// What an interrupted prune has left is removed.
    Finish(String),
    /// The archive of a day is written.
    Archive(Day),
    /// The event is recorded.
    Record(Day),
    /// `pruned.jsonl` is written.
    Declare(Day),
    /// Some of the events are removed.
    Remove(Day),
}

/// Called before each change. Its error ends the prune there.
pub type OnStep<'s> = dyn FnMut(&Step) -> Result<(), Error> + 's;

/// Events of one day that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The day.
    pub day: Day,
    /// Their leaves and places, in the order in which an archive has them: index, count, place.
    pub ranges: Vec<(u64, u64, Place)>,
    /// How many bytes a file has; none: they are rows.
    pub bytes: Option<u64>,
}

impl Part {
    /// How many events it has.
    pub fn events(&self) -> u64 {
        self.ranges.iter().map(|(_, count, _)| count).sum()
    }
}

/// What stays, although it is old enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stays {
    /// What it is: the name of a file, or rows.
    pub what: String,
    /// Why.
    pub why: Why,
}

/// Why something stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A hold holds an event.
    Held {
        /// What the hold is called.
        hold: String,
        /// Its reason.
        reason: String,
    },
    /// Not all of it is sealed.
    Unsealed,
    /// It is not what was sealed.
    Changed,
    /// It cannot be read.
    Unreadable(String),
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kept {}: ", self.what)?;
        match &self.why {
            Why::Held { hold, reason } if reason.is_empty() => write!(f, "{hold} holds events of it"),
            Why::Held { hold, reason } => write!(f, "{hold} holds events of it ({reason})"),
            Why::Unsealed => f.write_str("not all of it is sealed; `audit seal` seals it"),
            Why::Changed => f.write_str("it is not what was sealed; `audit verify` tells more"),
            Why::Unreadable(reason) => write!(f, "it cannot be read: {reason}"),
        }
    }
}

/// What a prune has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What went, or would go; each with its archive.
    pub parts: Vec<(Part, Option<PathBuf>)>,
    /// What stays, although it is old enough.
    pub stays: Vec<Stays>,
    /// What an interrupted prune had left, and is removed now.
    pub finished: Vec<String>,
}

/// What decides on events that may go.
pub struct Judge<'j> {
    /// The last checkpoint: what is in it is sealed.
    head: &'j Checkpoint,
    /// Where leaves are.
    pub segments: &'j Segments,
    /// What is gone.
    pub pruned: &'j Pruned,
    holds: &'j Holds,
    leaf: LeafAt<'j>,
}

/// The leaf with an index, from tiles that lead to the root of the checkpoint.
type LeafAt<'j> = Box<dyn FnMut(u64) -> Result<Option<Hash>, Error> + 'j>;

impl Judge<'_> {
    /// The size of the last checkpoint.
    pub fn size(&self) -> u64 {
        self.head.size()
    }

    /// Why an event has to stay; none: it may go.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn stays(&mut self, index: u64, body: &[u8]) -> Result<Option<Why>, Error> {
        if index >= self.size() {
            return Ok(Some(Why::Unsealed));
        }
        if (self.leaf)(index)? != Some(Hash::of_leaf(body)) {
            return Ok(Some(Why::Changed));
        }
        Ok(self.held(body))
    }

    /// The hold that an event has to stay for.
    pub fn held(&self, body: &[u8]) -> Option<Why> {
        if self.holds.is_empty() {
            return None;
        }
        let event = events::parse(body).zip(events::time(body));
        let hold = event.as_ref().and_then(|(parsed, at)| self.holds.of(&parsed.event, *at));
        hold.map(|hold| Why::Held { hold: hold.id.clone(), reason: hold.reason.clone() })
    }
}

/// The leaves of a log. Each tile is checked once: a proof of one leaf is made of all other hashes of its tile.
fn leaves<'l, F: Folder>(log: &'l Log<F>, head: &'l Checkpoint) -> LeafAt<'l> {
    let (size, root, mut tree, mut checked) = (head.size(), head.root(), log.tree(head.size()), None);
    Box::new(move |index| {
        let leaf = tree.node(Node { level: 0, index })?;
        let tile = index / u64::from(audit_log::tiles::WIDTH);
        if checked != Some(tile) {
            let proof = inclusion::prove(index, size, &mut tree)?;
            if inclusion::verify(index, size, leaf, &proof, root).is_err() {
                return Ok(None);
            }
            checked = Some(tile);
        }
        Ok(Some(leaf))
    })
}

/// A record that events can be removed from.
pub trait Prunable: Events {
    /// Whether events may be removed at all, as far as that is known before it is tried.
    ///
    /// # Errors
    /// Where they may not: why.
    fn may_remove(&mut self) -> Result<(), Error>;

    /// Removes what is declared and still there, because a prune was interrupted, and says what.
    ///
    /// # Errors
    /// Where the record cannot be read or changed.
    fn finish(&mut self, judge: &mut Judge<'_>, step: &mut OnStep<'_>) -> Result<Vec<String>, Error>;

    /// What of the days before this one may go, and what stays.
    ///
    /// # Errors
    /// Where the record or the log cannot be read.
    fn parts(&mut self, before: Day, judge: &mut Judge<'_>) -> Result<(Vec<Part>, Vec<Stays>), Error>;

    /// Writes a part, as lines.
    ///
    /// # Errors
    /// Where it cannot be read or written.
    fn copy(&mut self, part: &Part, out: &mut dyn Write) -> Result<(), Error>;

    /// Removes a part.
    ///
    /// # Errors
    /// Where it cannot be removed. What is not removed then is declared, and removed by the next prune.
    fn remove(&mut self, part: &Part, step: &mut OnStep<'_>) -> Result<(), Error>;
}

/// Removes what is old enough, sealed and not held from a record. One process at a time may do that, and none seals
/// meanwhile: both lock the log.
///
/// # Errors
/// Where nothing is sealed, or the log, the record or an archive cannot be read or written. What went before stays declared.
pub fn prune<F: Folder, R: Prunable>(
    log: &mut Log<F>,
    record: &mut R,
    trail: &mut dyn Trail,
    policy: &Policy,
    step: &mut OnStep<'_>,
) -> Result<Outcome, Error> {
    let checkpoint = log.checkpoint()?.ok_or(Error::NothingSealed)?;
    let (head, segments, holds) = (checkpoint.unverified(), log.segments()?, log.holds()?);
    let mut pruned = log.pruned()?;
    if let Some(other) = segments.iter().find(|segment| segment.place.kind() != record.kind()) {
        return Err(Error::OtherRecord { found: other.place.kind(), record: record.kind() });
    }
    if !policy.dry_run {
        record.may_remove()?;
    }
    let before = policy.before.min(policy.now.day());
    let mut outcome = Outcome::default();
    let parts = {
        let leaf = leaves(log, head);
        let mut judge = Judge { head, segments: &segments, pruned: &pruned, holds: &holds, leaf };
        if !policy.dry_run {
            outcome.finished = record.finish(&mut judge, step)?;
        }
        let (parts, stays) = record.parts(before, &mut judge)?;
        outcome.stays = stays;
        parts
    };
    for part in parts {
        let archive = match &policy.archive {
            Some(folder) if !policy.dry_run => {
                step(&Step::Archive(part.day))?;
                Some(archived(log, head, record, &part, &pruned, folder)?)
            }
            _ => None,
        };
        if !policy.dry_run {
            let ranges = declaration(&part, archive.as_deref(), &pruned, head, policy);
            pruned.add(&ranges);
            step(&Step::Record(part.day))?;
            let event = event(&part, archive.as_deref(), &pruned, head, policy);
            trail.record(&event).map_err(Error::Trail)?;
            step(&Step::Declare(part.day))?;
            log.put_pruned(&pruned)?;
            record.remove(&part, step)?;
        }
        outcome.parts.push((part, archive));
    }
    Ok(outcome)
}

/// Writes the archive of a part, and reads it again.
fn archived<F: Folder, R: Prunable>(
    log: &Log<F>,
    head: &Checkpoint,
    record: &mut R,
    part: &Part,
    pruned: &Pruned,
    folder: &Path,
) -> Result<PathBuf, Error> {
    let folder = std::path::absolute(folder).map_err(Error::read(folder.display().to_string()))?;
    let is_declared = |path: &Path| {
        let path = path.to_string_lossy();
        pruned
            .declarations()
            .any(|one| one.ranges.iter().any(|range| range.archive.as_deref() == Some(&*path)))
    };
    let first = part.ranges.first().map_or(0, |(index, ..)| *index);
    let mut name = archive::name(part.day, None);
    if is_declared(&folder.join(&name)) {
        name = archive::name(part.day, Some(first));
    }
    let path = folder.join(&name);
    // Of an earlier try, an archive may have fewer events of the day.
    if path.exists() && !has_leaves_of(log, head, part, &path).is_ok_and(|matched| matched.is_some()) {
        return Err(Error::OtherArchive { path });
    }
    let path = archive::write(&folder, &name, |out| record.copy(part, out))?;
    if has_leaves_of(log, head, part, &path)? == Some(part.events()) {
        Ok(path)
    } else {
        Err(Error::Archive { path })
    }
}

/// How many leaves of a part an archive has, from the first on; none: it has another one.
fn has_leaves_of<F: Folder>(
    log: &Log<F>,
    head: &Checkpoint,
    part: &Part,
    path: &Path,
) -> Result<Option<u64>, Error> {
    let mut wanted = part.ranges.iter().flat_map(|(index, count, _)| *index..index + count);
    let (mut leaf, mut matched) = (leaves(log, head), Some(0));
    archive::leaves(path, &mut |found| {
        let is_same = match wanted.next() {
            Some(index) => leaf(index)? == Some(found),
            None => false,
        };
        matched = matched.filter(|_| is_same).map(|matched| matched + 1);
        Ok(())
    })?;
    Ok(matched)
}

/// The lines of `pruned.jsonl` for a part.
fn declaration(
    part: &Part,
    archive: Option<&Path>,
    pruned: &Pruned,
    head: &Checkpoint,
    policy: &Policy,
) -> Vec<PrunedRange> {
    // Each declaration has a time of its own, also where the clock stands still or goes back.
    let last = pruned.last_time().and_then(|last| Timestamp::parse(last).ok());
    let after = last.map_or(policy.now, |last| Timestamp::clamped(last.micros() + 1).max(policy.now));
    let range = |(index, count, place): &(u64, u64, Place)| PrunedRange {
        ts: after.to_string(),
        by: policy.by.clone(),
        size: head.size(),
        index: *index,
        count: *count,
        place: place.clone(),
        archive: archive.map(|archive| archive.to_string_lossy().into_owned()),
    };
    part.ranges.iter().map(range).collect()
}

/// The event that confirms all that was pruned up to a part.
fn event(
    part: &Part,
    archive: Option<&Path>,
    pruned: &Pruned,
    head: &Checkpoint,
    policy: &Policy,
) -> Event<'static> {
    let archive = archive.map(|archive| archive.to_string_lossy().into_owned());
    let attributes = [
        ("archive", archive),
        ("before", Some(policy.before.to_string())),
        ("day", Some(part.day.to_string())),
        ("events", Some(part.events().to_string())),
        ("size", Some(head.size().to_string())),
    ];
    Event {
        user_id: policy.by.clone().into(),
        tool: pruned::TOOL.into(),
        action: pruned::ACTION.into(),
        status: "ok".into(),
        input_hash: pruned.hash().into(),
        attributes: attributes
            .into_iter()
            .filter_map(|(key, value)| Some(Attribute::new(key, value?)))
            .collect(),
        ..Event::default()
    }
}
