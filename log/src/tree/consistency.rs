//! Consistency proofs (RFC 6962, section 2.1.2): that a tree is an older one with leaves added at its end.
//!
//! Every tree is consistent with itself and with the tree without leaves: these proofs have no hashes.

use super::hash::{EMPTY_ROOT, Hash};
use super::nodes::{NodeReader, range_root};
use super::{ProofError, ProveError, path, same_length};
use alloc::vec::Vec;

/// The hashes of a proof: at most 65, none where one of both trees has no leaves or they are the same.
///
/// # Errors
/// Where the old tree is larger than the new one, or a hash cannot be read.
pub fn prove<R: NodeReader>(old: u64, new: u64, nodes: &mut R) -> Result<Vec<Hash>, ProveError<R::Error>> {
    if old > new {
        return Err(ProveError::Sizes { old, new });
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    path::consistency(old, new)
        .into_iter()
        .map(|part| range_root(part, nodes).map_err(ProveError::Read))
        .collect()
}

/// Checks that the tree with the size `new` and the root `new_root` begins with the leaves of the other.
///
/// # Errors
/// Where the proof does not show that.
pub fn verify(old: u64, new: u64, proof: &[Hash], old_root: Hash, new_root: Hash) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Sizes { old, new });
    }
    if old == 0 {
        same_length(proof.len(), 0)?;
        same_old_root(EMPTY_ROOT, old_root)?;
        return if new == 0 { same_root(EMPTY_ROOT, new_root) } else { Ok(()) };
    }
    let path = path::consistency(old, new);
    same_length(proof.len(), path.len())?;
    let mut parts = path.iter().zip(proof);
    // The lowest part ends with the last of the old leaves. It is the old tree itself where the proof does not
    // begin with it.
    let mut node = old_root;
    if path.first().is_some_and(|lowest| lowest.end == old)
        && let Some((_, hash)) = parts.next()
    {
        node = *hash;
    }
    let (before, after) = parts.fold((node, node), |(before, after), (part, hash)| {
        if part.start >= old {
            (before, Hash::of_node(after, *hash))
        } else {
            (Hash::of_node(*hash, before), Hash::of_node(*hash, after))
        }
    });
    same_old_root(before, old_root)?;
    same_root(after, new_root)
}

fn same_root(computed: Hash, given: Hash) -> Result<(), ProofError> {
    if computed == given { Ok(()) } else { Err(ProofError::Root { computed, given }) }
}

fn same_old_root(computed: Hash, given: Hash) -> Result<(), ProofError> {
    if computed == given { Ok(()) } else { Err(ProofError::OldRoot { computed, given }) }
}
