//! Where the hashes of a tree come from, and the hash of any part of it.

use super::hash::{EMPTY_ROOT, Hash};
use alloc::vec::Vec;
use core::ops::Range;

/// The root of a complete subtree: of the 2^level leaves from index * 2^level on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// The height above the leaves, at most 63.
    pub level: u8,
    /// The position among the nodes of this level.
    pub index: u64,
}

/// Something that has the hashes of a tree: its tiles (`tiles::Tiled`), a database, or a closure.
pub trait NodeReader {
    /// Why a hash could not be read.
    type Error;

    /// The hash of a node whose leaves are all in the tree.
    ///
    /// # Errors
    /// Where it cannot be read, or the tree has no such node.
    fn node(&mut self, node: Node) -> Result<Hash, Self::Error>;
}

impl<F: FnMut(Node) -> Result<Hash, E>, E> NodeReader for F {
    type Error = E;

    fn node(&mut self, node: Node) -> Result<Hash, E> {
        self(node)
    }
}

/// The root of the tree at a size that it has or had.
///
/// # Errors
/// Where a hash cannot be read.
pub fn root<R: NodeReader>(size: u64, nodes: &mut R) -> Result<Hash, R::Error> {
    range_root(0..size, nodes)
}

/// The complete subtrees that a part of the tree is made of, from the left: each is smaller than the one before. The
/// part is one of those into which RFC 6962 divides a tree, so each begins at a multiple of its size.
pub fn subtrees(leaves: Range<u64>) -> impl Iterator<Item = Node> {
    let Range { mut start, end } = leaves;
    core::iter::from_fn(move || {
        let level = end.checked_sub(start)?.checked_ilog2()?;
        let node = Node { level: level as u8, index: start >> level };
        start += 1 << level;
        Some(node)
    })
}

/// The hash over leaves that are a part of the tree as RFC 6962 divides it.
pub fn range_root<R: NodeReader>(leaves: Range<u64>, nodes: &mut R) -> Result<Hash, R::Error> {
    let hashes = subtrees(leaves).map(|node| nodes.node(node)).collect::<Result<Vec<_>, _>>()?;
    Ok(join(&hashes))
}

/// The hash over subtrees of which each is smaller than the one before.
pub fn join(hashes: &[Hash]) -> Hash {
    hashes.iter().rev().copied().reduce(|right, left| Hash::of_node(left, right)).unwrap_or(EMPTY_ROOT)
}

/// The hash over nodes of one level, whose number is a power of two.
pub fn perfect_root(nodes: &[Hash]) -> Hash {
    let mut row = nodes.to_vec();
    while row.len() > 1 {
        // In place: a pair is read before its hash takes the place of an earlier one.
        let half = row.len() / 2;
        for place in 0..half {
            row[place] = Hash::of_node(row[2 * place], row[2 * place + 1]);
        }
        row.truncate(half);
    }
    row.first().copied().unwrap_or(EMPTY_ROOT)
}
