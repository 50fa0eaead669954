//! The Merkle tree of RFC 6962, section 2.1, over SHA-256: its hashes, its root, and the proofs that a leaf is in it
//! and that it only grew.
//!
//! A tree is known by its size, the number of its leaves, and its root. Sizes and positions are `u64`.

mod compact;
pub mod consistency;
mod hash;
pub mod inclusion;
mod nodes;
mod path;

pub use compact::{CompactRange, NodeCount, TreeFull};
pub use hash::{EMPTY_ROOT, Hash, HashError};
pub(crate) use nodes::perfect_root;
pub use nodes::{Node, NodeReader, root};

use thiserror::Error;

/// Why a proof could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProveError<E> {
    /// The tree has no leaf there.
    #[error("there is no leaf {index} in a tree of {size} leaves: the index has to be below the size")]
    Index {
        /// The position that was asked for.
        index: u64,
        /// The number of leaves.
        size: u64,
    },
    /// A tree does not shrink.
    #[error(
        "a tree of {old} leaves cannot become one of {new} leaves: the old size has to be at most the new one"
    )]
    Sizes {
        /// The number of leaves before.
        old: u64,
        /// The number of leaves now.
        new: u64,
    },
    /// A hash of the tree could not be read.
    #[error("a hash of the tree cannot be read")]
    Read(#[source] E),
}

/// Why a proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The tree has no leaf there.
    #[error("there is no leaf {index} in a tree of {size} leaves: the index has to be below the size")]
    Index {
        /// The position that the proof is for.
        index: u64,
        /// The number of leaves.
        size: u64,
    },
    /// A tree does not shrink.
    #[error(
        "a tree of {old} leaves cannot become one of {new} leaves: the old size has to be at most the new one"
    )]
    Sizes {
        /// The number of leaves before.
        old: u64,
        /// The number of leaves now.
        new: u64,
    },
    /// The proof has too many or too few hashes.
    #[error("the proof has {found} hashes, for trees of these sizes it has to have {accepted}")]
    Length {
        /// How many it has.
        found: usize,
        /// How many it has to have.
        accepted: usize,
    },
    /// The hashes lead to another root than the tree has.
    #[error("the proof leads to the root {computed}, the tree has {given}")]
    Root {
        /// The root that the proof leads to.
        computed: Hash,
        /// The root of the tree.
        given: Hash,
    },
    /// The hashes lead to another root than the older tree has.
    #[error("the proof leads to the old root {computed}, the older tree has {given}")]
    OldRoot {
        /// The root that the proof leads to.
        computed: Hash,
        /// The root of the older tree.
        given: Hash,
    },
}

/// Whether there are as many hashes as the path of a proof has parts.
fn same_length(found: usize, accepted: usize) -> Result<(), ProofError> {
    if found == accepted { Ok(()) } else { Err(ProofError::Length { found, accepted }) }
}
