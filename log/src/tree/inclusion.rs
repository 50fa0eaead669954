//! Inclusion proofs (RFC 6962, section 2.1.1): that a leaf is at a position of a tree.

use super::hash::Hash;
use super::nodes::{NodeReader, range_root};
use super::{ProofError, ProveError, path, same_length};
use alloc::vec::Vec;

/// The hashes of a proof, from the sibling of the leaf upwards: at most 64.
///
/// # Errors
/// Where the tree has no such leaf, or a hash cannot be read.
pub fn prove<R: NodeReader>(index: u64, size: u64, nodes: &mut R) -> Result<Vec<Hash>, ProveError<R::Error>> {
    if index >= size {
        return Err(ProveError::Index { index, size });
    }
    path::inclusion(index, size)
        .into_iter()
        .map(|sibling| range_root(sibling, nodes).map_err(ProveError::Read))
        .collect()
}

/// The root that a proof leads to.
///
/// # Errors
/// Where the tree has no such leaf, or the proof another length than one of these numbers has.
pub fn root(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    let path = path::inclusion(index, size);
    same_length(proof.len(), path.len())?;
    Ok(path.iter().zip(proof).fold(leaf, |node, (sibling, hash)| {
        if sibling.start > index { Hash::of_node(node, *hash) } else { Hash::of_node(*hash, node) }
    }))
}

/// Checks that the tree with this size and this root has the leaf at this position.
///
/// A proof does not bind the size: it has to come from the same checkpoint as the root.
///
/// # Errors
/// Where the proof does not show that.
pub fn verify(index: u64, size: u64, leaf: Hash, proof: &[Hash], given: Hash) -> Result<(), ProofError> {
    let computed = root(index, size, leaf, proof)?;
    if computed == given { Ok(()) } else { Err(ProofError::Root { computed, given }) }
}
