//! Sealing: what is new in a record becomes leaves of its log, and the log signs its new size and root.
//!
//! The order in which files are written makes sure that a seal may end anywhere, and the next one goes on, without ever
//! signing two checkpoints that contradict each other:
//!
//! 1. Tiles. Those of the last checkpoint stay as they are: new ones have other names.
//! 2. `segments.jsonl`, once all tiles are on the disk. From now on the new leaves and their order are fixed, though nothing
//!    is signed: whatever happens, they are what is signed next.
//! 3. The checkpoint, once the segments are on the disk.

use std::cell::RefCell;

use audit_log::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use audit_log::note::SigningKey;
use audit_log::tiles::{self, Edge, Tile};
use audit_log::tree::{EMPTY_ROOT, consistency};

use crate::error::Error;
use crate::folder::Folder;
use crate::log::Log;
use crate::record::{Found, Record, Sealed, Trouble};
use crate::segment::Segments;

/// What a seal has done.
#[derive(Debug)]
pub struct Outcome {
    /// The checkpoint before it; the same one where nothing is new.
    pub before: SignedCheckpoint,
    /// How many leaves the checkpoint has more than the one before it.
    pub new: u64,
    /// How many lines or rows are no events, and were declared so now.
    pub unreadable: u64,
    /// What became of the rest of the record.
    pub troubles: Vec<Trouble>,
    /// The checkpoint, which is on the disk.
    pub checkpoint: SignedCheckpoint,
}

/// Adds what is new in the record to its log, and signs the log. One process at a time may do that.
///
/// What is in trouble is left as it is, and everything else is sealed.
///
/// # Errors
/// Where the log cannot be read or written, is not that of the record or of the key, or contradicts its own checkpoint; and
/// where the record cannot be read. The log is then as it was, and may be sealed again.
pub fn seal<F: Folder, R: Record>(
    log: &mut Log<F>,
    record: &mut R,
    origin: &Origin,
    key: &SigningKey,
) -> Result<Outcome, Error> {
    let segments = log.segments()?;
    let last = match log.checkpoint()? {
        Some(last) => last,
        None if segments.is_empty() => begin(log, origin, key)?,
        None => return Err(Error::NoCheckpoint),
    };
    let head = last.verify(origin, &[key.verifier()])?.clone();
    if let Some(other) = segments.iter().find(|segment| segment.place.kind() != record.kind()) {
        return Err(Error::OtherRecord { found: other.place.kind(), record: record.kind() });
    }
    if segments.size() < head.size() {
        return Err(Error::Segments { found: segments.size(), accepted: head.size() });
    }

    let Sealing { edge, segments, changed, unreadable, troubles } = sequence(log, record, segments)?;
    let new = edge.size() - head.size();
    let checkpoint = if new > 0 { Some(grown(log, &head, &edge)?) } else { None };
    if changed {
        log.put_segments(&segments)?;
    }
    let checkpoint = match checkpoint {
        None => last.clone(),
        Some(checkpoint) => {
            let signed = SignedCheckpoint::sign(checkpoint, key);
            log.put_checkpoint(&signed)?;
            tidy(log, head.size(), edge.size());
            signed
        }
    };
    Ok(Outcome { before: last, new, unreadable, troubles, checkpoint })
}

/// The checkpoint of a log without leaves. That it comes first shows later that the log had one.
fn begin<F: Folder>(log: &mut Log<F>, origin: &Origin, key: &SigningKey) -> Result<SignedCheckpoint, Error> {
    let empty = Checkpoint::new(origin.clone(), 0, EMPTY_ROOT)?;
    let signed = SignedCheckpoint::sign(empty, key);
    log.put_checkpoint(&signed)?;
    Ok(signed)
}

/// What is in the tiles and not yet signed.
struct Sealing {
    edge: Edge,
    segments: Segments,
    /// Whether the segments are others than before.
    changed: bool,
    unreadable: u64,
    troubles: Vec<Trouble>,
}

/// Makes leaves of what is new in the record, and writes their tiles onto the disk.
fn sequence<F: Folder, R: Record>(
    log: &mut Log<F>,
    record: &mut R,
    before: Segments,
) -> Result<Sealing, Error> {
    let size = before.size();
    let mut edge = Edge::read(size, &mut |tile: Tile| log.tile(tile))?;
    let pruned = log.pruned()?;
    tiles::edge(size).for_each(|tile| log.has_folders_of(tile));
    let (mut segments, mut unreadable, mut changed) = (before.clone(), 0, false);
    // Reads of the record and of sealed leaves take turns with writing tiles.
    let log = RefCell::new(log);
    let leaf = |index| log.borrow().leaf(index, size);
    let mut take = |found: Found<'_>| {
        for tile in edge.append(found.leaves)? {
            log.borrow_mut().put_tile(&tile)?;
        }
        unreadable += found.without;
        changed = true;
        segments.push(found.place, found.leaves.len() as u64, found.gap);
        Ok(())
    };
    let troubles = record.unsealed(&Sealed { segments: &before, pruned: &pruned, leaf: &leaf }, &mut take)?;
    let log = log.into_inner();
    for tile in edge.tiles().filter(|new| tiles::edge(size).all(|old| old != new.tile)) {
        log.put_tile(&tile)?;
    }
    log.sync()?;
    Ok(Sealing { edge, segments, changed, unreadable, troubles })
}

/// The checkpoint of a log that has grown, once its tiles show that it only grew.
fn grown<F: Folder>(log: &Log<F>, head: &Checkpoint, edge: &Edge) -> Result<Checkpoint, Error> {
    let proof = consistency::prove(head.size(), edge.size(), &mut log.tree(edge.size()))?;
    consistency::verify(head.size(), edge.size(), &proof, head.root(), edge.root())
        .map_err(|source| Error::Inconsistent { origin: head.origin().clone(), size: head.size(), source })?;
    Ok(Checkpoint::new(head.origin().clone(), edge.size(), edge.root())?)
}

/// Removes tiles that were not full, and are there as full ones now. What cannot be removed is of no harm.
fn tidy<F: Folder>(log: &mut Log<F>, before: u64, size: u64) {
    for full in tiles::edge(before).filter_map(Tile::full) {
        let is_there = tiles::added(before, size).any(|tile| tile == full);
        if is_there {
            let _ = log.remove_parts(full);
        }
    }
}
