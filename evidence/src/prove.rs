//! Proofs for auditors: that one event is in the log (C2SP tlog-proof), and that the log only grew (the body of a request of
//! C2SP tlog-witness).
//!
//! The event travels in the proof's `extra`: the bytes whose hash is the leaf. So the file alone can be checked, and any
//! program that knows tlog-proof reads it.

use std::ops::ControlFlow;

use audit_log::checkpoint::SignedCheckpoint;
use audit_log::proof::Proof;
use audit_log::tree::{self, Hash, Node, NodeReader as _, ProofError, consistency, inclusion};
use audit_log::witness::{AddCheckpoint, RequestError};
use thiserror::Error;
use uuid::Uuid;

use crate::error::Error;
use crate::events::Events;
use crate::folder::Folder;
use crate::log::Log;
use crate::pruned::PrunedRange;

/// Which event is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this identifier.
    Id(Uuid),
    /// The leaf with this index.
    Index(u64),
}

/// Why there is no proof.
#[derive(Debug, Error)]
pub enum ProveError {
    /// The log or the record cannot be read.
    #[error(transparent)]
    Failed(#[from] Error),
    /// Nothing was ever sealed.
    #[error("nothing is sealed: the log has no checkpoint")]
    NoCheckpoint,
    /// No event of the record has the identifier.
    #[error("no event of the record has the id {id}{}", pruned_before(.pruned))]
    NoEvent {
        /// The identifier.
        id: Uuid,
        /// How many events were pruned.
        pruned: u64,
    },
    /// The log has no such leaf.
    #[error("there is no leaf {index}: the log has {size}, so accepted is an index below that")]
    NoLeaf {
        /// The index.
        index: u64,
        /// The size of the log.
        size: u64,
    },
    /// The event is there, and not sealed yet.
    #[error("the event is not sealed yet: {at} is behind the {size} events that are. `audit seal` seals it")]
    NotSealed {
        /// Where it is.
        at: String,
        /// How many events are sealed.
        size: u64,
    },
    /// The event was pruned.
    #[error("the event {index} was pruned at {} by {}, {}", .range.ts, .range.by, archive(.range))]
    Pruned {
        /// Its index.
        index: u64,
        /// What was pruned.
        range: Box<PrunedRange>,
    },
    /// What stands in the record is not what was sealed.
    #[error("{at} is not what was sealed: no leaf of the log is that of this event")]
    Changed {
        /// Where it is.
        at: String,
    },
    /// The record lacks the event of a leaf.
    #[error("the event {index} is missing: no event where it was sealed is that of the leaf")]
    Missing {
        /// Its index.
        index: u64,
    },
    /// The tiles or the older checkpoint do not agree with the last checkpoint.
    #[error("{what} does not agree with the checkpoint of {size} leaves: {source}")]
    Inconsistent {
        /// What does not.
        what: &'static str,
        /// The size of the checkpoint.
        size: u64,
        /// Why.
        source: ProofError,
    },
    /// There is no checkpoint that a proof could end at.
    #[error(
        "there is no signed checkpoint of {to} leaves: the last one has {size}. Accepted is that size, or the file of a \
         checkpoint that was kept"
    )]
    NoSuchCheckpoint {
        /// The size that was asked for.
        to: u64,
        /// The size of the last checkpoint.
        size: u64,
    },
    /// A tree does not shrink.
    #[error(transparent)]
    Request(#[from] RequestError),
}

fn pruned_before(pruned: &u64) -> String {
    match pruned {
        0 => String::new(),
        count => format!(
            ". {count} events were pruned, and it may be one of them: give --index, or look into the archives"
        ),
    }
}

fn archive(range: &PrunedRange) -> String {
    range.archive.as_ref().map_or("without an archive".into(), |archive| format!("into {archive}"))
}

impl ProveError {
    /// Whether something was found that an honest record and log do not have.
    pub fn is_finding(&self) -> bool {
        matches!(self, Self::Changed { .. } | Self::Missing { .. } | Self::Inconsistent { .. })
    }
}

/// Proves that an event is in the log.
///
/// # Errors
/// Where it is not, or cannot be proved.
pub fn event<F: Folder>(log: &Log<F>, record: &mut impl Events, which: Which) -> Result<Proof, ProveError> {
    let checkpoint = log.checkpoint()?.ok_or(ProveError::NoCheckpoint)?;
    let (index, body) = match which {
        Which::Id(id) => by_id(log, record, id, &checkpoint)?,
        Which::Index(index) => by_index(log, record, index, &checkpoint)?,
    };
    let head = checkpoint.unverified();
    let (size, root) = (head.size(), head.root());
    let hashes = inclusion::prove(index, size, &mut log.tree(size)).map_err(Error::from)?;
    let inconsistent = |source| ProveError::Inconsistent { what: "a tile of the log", size, source };
    inclusion::verify(index, size, Hash::of_leaf(&body), &hashes, root).map_err(inconsistent)?;
    Ok(Proof::new(index, hashes, checkpoint).map_err(inconsistent)?.with_extra(body))
}

/// The index and the body of the event with an identifier.
fn by_id<F: Folder>(
    log: &Log<F>,
    record: &mut impl Events,
    id: Uuid,
    checkpoint: &SignedCheckpoint,
) -> Result<(u64, Vec<u8>), ProveError> {
    let size = checkpoint.unverified().size();
    let Some(spot) = record.find(id)? else {
        let pruned = log.pruned()?.declarations().map(|one| one.events()).sum();
        return Err(ProveError::NoEvent { id, pruned });
    };
    let hash = Hash::of_leaf(&spot.body);
    let told = record.index(&spot.at, &log.segments()?)?;
    if let Some(index) = told.filter(|index| *index < size)
        && log.leaf(index, size)? == hash
    {
        return Ok((index, spot.body));
    }
    // The segments are an aid that may be wrong: the leaves tell.
    match (index_of(log, size, hash)?, told) {
        (Some(index), _) => Ok((index, spot.body)),
        (None, Some(index)) if index < size => Err(ProveError::Changed { at: spot.at.to_string() }),
        (None, _) => Err(ProveError::NotSealed { at: spot.at.to_string(), size }),
    }
}

/// The index and the body of a leaf.
fn by_index<F: Folder>(
    log: &Log<F>,
    record: &mut impl Events,
    index: u64,
    checkpoint: &SignedCheckpoint,
) -> Result<(u64, Vec<u8>), ProveError> {
    let size = checkpoint.unverified().size();
    if index >= size {
        return Err(ProveError::NoLeaf { index, size });
    }
    if let Some(range) = log.pruned()?.of_leaf(index) {
        return Err(ProveError::Pruned { index, range: Box::new(range.clone()) });
    }
    let (leaf, segments) = (log.leaf(index, size)?, log.segments()?);
    let segment = segments.of_leaf(index).ok_or(ProveError::Missing { index })?;
    let mut found = None;
    record.bodies(&segment.place, &mut |body| {
        if Hash::of_leaf(body) != leaf {
            return Ok(ControlFlow::Continue(()));
        }
        found = Some(body.to_owned());
        Ok(ControlFlow::Break(()))
    })?;
    Ok((index, found.ok_or(ProveError::Missing { index })?))
}

/// The index of a leaf, from the tiles.
fn index_of<F: Folder>(log: &Log<F>, size: u64, leaf: Hash) -> Result<Option<u64>, Error> {
    let mut tree = log.tree(size);
    for index in 0..size {
        if tree.node(Node { level: 0, index })? == leaf {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Proves that a checkpoint has all leaves that the log had at an older size.
///
/// # Errors
/// Where the sizes are not in this order, or the tiles do not agree with the checkpoint.
pub fn growth<F: Folder>(
    log: &Log<F>,
    old: u64,
    checkpoint: SignedCheckpoint,
) -> Result<AddCheckpoint, ProveError> {
    let head = checkpoint.unverified();
    let (size, root) = (head.size(), head.root());
    let hashes = if old > size { Vec::new() } else { hashes(log, old, size)? };
    let request = AddCheckpoint::new(old, hashes, checkpoint)?;
    let old_root = tree::root(old, &mut log.tree(size)).map_err(Error::from)?;
    consistency::verify(old, size, request.hashes(), old_root, root)
        .map_err(|source| ProveError::Inconsistent { what: "a tile of the log", size, source })?;
    Ok(request)
}

fn hashes<F: Folder>(log: &Log<F>, old: u64, size: u64) -> Result<Vec<Hash>, Error> {
    Ok(consistency::prove(old, size, &mut log.tree(size))?)
}
