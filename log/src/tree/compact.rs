//! The least that is needed of a tree to extend it.

use super::hash::Hash;
use super::nodes::{NodeReader, join, subtrees};
use alloc::vec::Vec;
use thiserror::Error;

/// A tree without its inner hashes: its size, and the roots of the complete subtrees that it is made of, at most 64.
/// It is extended at its right end, leaf by leaf, at the cost of one hash a leaf.
///
/// ```
/// use audit_log::tree::{CompactRange, EMPTY_ROOT, Hash};
///
/// let mut tree = CompactRange::new();
/// assert_eq!(tree.root(), EMPTY_ROOT);
/// tree.extend([Hash::of_leaf(b"a"), Hash::of_leaf(b"b")])?;
/// assert_eq!(tree.root(), Hash::of_node(Hash::of_leaf(b"a"), Hash::of_leaf(b"b")));
/// # Ok::<(), audit_log::tree::TreeFull>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactRange {
    size: u64,
    /// From the left, the largest first: one for each bit of the size.
    nodes: Vec<Hash>,
}

/// A tree has at most 2^64 - 1 leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the tree would have more than {} leaves, the most that one can have", u64::MAX)]
pub struct TreeFull;

/// The hashes are not those of a tree of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "there are {found} hashes for a tree of {size} leaves, which is made of {accepted} complete subtrees"
)]
pub struct NodeCount {
    /// The number of leaves.
    pub size: u64,
    /// How many hashes there are.
    pub found: usize,
    /// How many there have to be.
    pub accepted: usize,
}

impl CompactRange {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree from what `size` and `nodes` of it gave earlier.
    ///
    /// # Errors
    /// Where there are too many or too few hashes. Whether they are the right ones is seen from the root.
    pub fn from_nodes(size: u64, nodes: Vec<Hash>) -> Result<Self, NodeCount> {
        let (found, accepted) = (nodes.len(), size.count_ones() as usize);
        if found == accepted { Ok(Self { size, nodes }) } else { Err(NodeCount { size, found, accepted }) }
    }

    /// A tree at a size that it has or had.
    ///
    /// # Errors
    /// Where a hash cannot be read.
    pub fn read<R: NodeReader>(size: u64, reader: &mut R) -> Result<Self, R::Error> {
        let nodes = subtrees(0..size).map(|node| reader.node(node)).collect::<Result<_, _>>()?;
        Ok(Self { size, nodes })
    }

    /// Adds a leaf.
    ///
    /// # Errors
    /// Where the tree is full. It is then as before.
    pub fn append(&mut self, leaf: Hash) -> Result<(), TreeFull> {
        let size = self.size.checked_add(1).ok_or(TreeFull)?;
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                node = Hash::of_node(left, node);
            }
        }
        self.nodes.push(node);
        self.size = size;
        Ok(())
    }

    /// Adds leaves.
    ///
    /// # Errors
    /// Where the tree is full. It then has the leaves that there was room for.
    pub fn extend(&mut self, leaves: impl IntoIterator<Item = Hash>) -> Result<(), TreeFull> {
        leaves.into_iter().try_for_each(|leaf| self.append(leaf))
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, from the left.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// The root.
    pub fn root(&self) -> Hash {
        join(&self.nodes)
    }
}
