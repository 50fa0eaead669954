//! The hashes of a tree from its tiles.

use super::{HEIGHT, LEVELS, Tile, TileError, WIDTH};
use crate::tree::{Hash, Node, NodeReader, perfect_root};
use alloc::vec::Vec;
use thiserror::Error;

/// Something that has the tiles of a tree: a folder, a server, or a closure.
pub trait TileReader {
    /// Why a tile could not be read.
    type Error;

    /// The content of a tile, or `None` where there is no file of this name.
    ///
    /// # Errors
    /// Where it is there and cannot be read.
    fn tile(&mut self, tile: Tile) -> Result<Option<Vec<u8>>, Self::Error>;
}

impl<F: FnMut(Tile) -> Result<Option<Vec<u8>>, E>, E> TileReader for F {
    type Error = E;

    fn tile(&mut self, tile: Tile) -> Result<Option<Vec<u8>>, E> {
        self(tile)
    }
}

/// Why a hash could not be had from tiles.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TiledError<E> {
    /// The reader failed.
    #[error("{tile} cannot be read")]
    Read {
        /// The tile that was asked for.
        tile: Tile,
        /// Why it cannot be read.
        #[source]
        source: E,
    },
    /// There is no such tile.
    #[error("{tile} is missing, and so is the full tile in its place")]
    Missing {
        /// The tile that was asked for.
        tile: Tile,
    },
    /// The content of a tile is not that of a tile.
    #[error(transparent)]
    Content(TileError),
    /// The tree has no such hash.
    #[error("a tree of {size} leaves has no node {index} of level {level}", index = node.index, level = node.level)]
    Outside {
        /// The node that was asked for.
        node: Node,
        /// The number of leaves.
        size: u64,
    },
}

/// A tree of some size, read from its tiles. It keeps the last tile of each level, so that what is read one after the
/// other reads most tiles once.
///
/// The hashes are as good as the tiles: what is computed from them is to be checked against a root that is known from
/// elsewhere, such as a checkpoint.
#[derive(Debug)]
pub struct Tiled<R> {
    size: u64,
    tiles: R,
    kept: [Option<(Tile, Vec<Hash>)>; LEVELS as usize],
}

impl<R: TileReader> Tiled<R> {
    /// A tree with this number of leaves.
    pub fn new(size: u64, tiles: R) -> Self {
        Self { size, tiles, kept: [const { None }; LEVELS as usize] }
    }

    /// The hash over `count` hashes from the one at `first` on, all in one tile.
    fn part(&mut self, tile: Tile, first: usize, count: usize) -> Result<Option<Hash>, TiledError<R::Error>> {
        let Some(kept) = self.kept.get_mut(usize::from(tile.level)) else {
            return Ok(None);
        };
        let hashes = match kept {
            Some((of, hashes)) if *of == tile => hashes,
            _ => {
                let hashes = read(tile, &mut self.tiles)?;
                &mut kept.insert((tile, hashes)).1
            }
        };
        Ok(hashes.get(first..first + count).map(perfect_root))
    }
}

impl<R: TileReader> NodeReader for Tiled<R> {
    type Error = TiledError<R::Error>;

    fn node(&mut self, node: Node) -> Result<Hash, Self::Error> {
        let outside = TiledError::Outside { node, size: self.size };
        // Of the hashes of a tile's level, this node is over 2^above, which are all in one tile.
        let (level, above) = (node.level / HEIGHT, node.level % HEIGHT);
        let count = 1_u64 << above;
        let first = node.index.checked_mul(count);
        let tile = first.and_then(|first| Tile::holding(level, first, self.size));
        let (Some(first), Some(tile)) = (first, tile) else {
            return Err(outside);
        };
        let place = (first % u64::from(WIDTH)) as usize;
        self.part(tile, place, count as usize)?.ok_or(outside)
    }
}

/// The hashes of a tile, from the full one in its place where it was removed.
pub fn read<R: TileReader>(tile: Tile, tiles: &mut R) -> Result<Vec<Hash>, TiledError<R::Error>> {
    let content =
        |tile: Tile, tiles: &mut R| tiles.tile(tile).map_err(|source| TiledError::Read { tile, source });
    if let Some(bytes) = content(tile, tiles)? {
        return tile.hashes(&bytes).map_err(TiledError::Content);
    }
    if let Some(full) = tile.full().filter(|full| *full != tile)
        && let Some(bytes) = content(full, tiles)?
    {
        let mut hashes = full.hashes(&bytes).map_err(TiledError::Content)?;
        hashes.truncate(tile.width.into());
        return Ok(hashes);
    }
    Err(TiledError::Missing { tile })
}
