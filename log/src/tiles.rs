//! Tiles (C2SP tlog-tiles): the hashes of a tree in files of 256, from which any root and any proof is made.
//!
//! A tile of level 0 has hashes of leaves, a tile of level L + 1 the roots of full tiles of level L. Tiles that are
//! full never change. A tile at the edge of the tree has its width in its name: so no tile ever changes, and what a
//! tree of some size is made of is there as long as nobody removes it.

mod edge;
mod tiled;

pub use edge::{Edge, TileBytes};
pub use tiled::{TileReader, Tiled, TiledError};

use crate::encoding::from_decimal;
use crate::tree::{Hash, Node, NodeReader};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use thiserror::Error;

/// How many hashes a full tile has.
pub const WIDTH: u16 = 256;

/// How many levels of tiles a tree can have: at level 8, one hash would stand for 2^64 leaves.
pub const LEVELS: u8 = 8;

/// The levels of nodes from one level of tiles to the next.
const HEIGHT: u8 = 8;

/// A tile that a tree can have, with the name of its file: `tile/0/x001/x234/067`, or `tile/0/000.p/17` with 17
/// hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

/// Why something is no tile, or not the content of a tile.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TileError {
    /// No tile has this path.
    #[error(
        "the path of a tile is {found:?}: accepted are tile/LEVEL/INDEX, and tile/LEVEL/INDEX.p/WIDTH with a width of 1 to 255, where INDEX is groups of three digits, as in x001/x234/067"
    )]
    Path {
        /// What was given.
        found: String,
    },
    /// A tile has between 1 and 256 hashes.
    #[error("a tile has {found} hashes: accepted are 1 to 256")]
    Width {
        /// What was given.
        found: u16,
    },
    /// A tree would need more than 2^64 - 1 leaves to have this tile.
    #[error(
        "no tree has the tile {index} of level {level} with {width} hashes: it would have 2^64 leaves or more"
    )]
    Outside {
        /// The level of the tile.
        level: u8,
        /// The index of the tile.
        index: u64,
        /// The number of its hashes.
        width: u16,
    },
    /// The content is too short or too long.
    #[error("the content of {tile} has {found} bytes: accepted are {}, 32 for each hash", tile.len())]
    Content {
        /// The tile.
        tile: Tile,
        /// How many bytes there are.
        found: usize,
    },
}

impl Tile {
    /// The tile with this number of hashes at an index of a level.
    ///
    /// # Errors
    /// Where no tree has such a tile.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if !(1..=WIDTH).contains(&width) {
            return Err(TileError::Width { found: width });
        }
        let hashes = u128::from(index) * u128::from(WIDTH) + u128::from(width);
        if level >= LEVELS || hashes > u128::from(u64::MAX >> (level * HEIGHT)) {
            return Err(TileError::Outside { level, index, width });
        }
        Ok(Self { level, index, width })
    }

    /// The tile of a tree that has a hash, unless that hash is not in the tree. `hash` counts the hashes of a level.
    fn holding(level: u8, hash: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(u32::from(level * HEIGHT))?;
        let index = hash / u64::from(WIDTH);
        // 256 where the tile is full, the rest in the last one.
        let width = hashes.checked_sub(index * u64::from(WIDTH))?.min(WIDTH.into()) as u16;
        (hash < hashes).then_some(Self { level, index, width })
    }

    /// The level, at most 7.
    pub fn level(self) -> u8 {
        self.level
    }

    /// The position among the tiles of this level.
    pub fn index(self) -> u64 {
        self.index
    }

    /// The number of hashes, between 1 and 256.
    pub fn width(self) -> u16 {
        self.width
    }

    /// Whether it has all the hashes that a tile can have, so that it never changes.
    pub fn is_full(self) -> bool {
        self.width == WIDTH
    }

    /// The tile as it is once it is full, unless no tree is large enough for that.
    pub fn full(self) -> Option<Self> {
        Self::new(self.level, self.index, WIDTH).ok()
    }

    /// The length of its content in bytes. No tile is empty.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        usize::from(self.width) * Hash::LEN
    }

    /// The nodes whose hashes it has, from the left.
    pub fn nodes(self) -> impl Iterator<Item = Node> {
        let first = self.index * u64::from(WIDTH);
        (0..u64::from(self.width)).map(move |place| Node { level: self.level * HEIGHT, index: first + place })
    }

    /// Its content, from the hashes of a tree.
    ///
    /// # Errors
    /// Where a hash cannot be read.
    pub fn content<R: NodeReader>(self, nodes: &mut R) -> Result<Vec<u8>, R::Error> {
        let mut content = Vec::with_capacity(self.len());
        for node in self.nodes() {
            content.extend_from_slice(&nodes.node(node)?.0);
        }
        Ok(content)
    }

    /// The hashes of its content.
    ///
    /// # Errors
    /// Where the content has another length than the tile has.
    pub fn hashes(self, content: &[u8]) -> Result<Vec<Hash>, TileError> {
        let (hashes, rest) = content.as_chunks::<{ Hash::LEN }>();
        if hashes.len() == usize::from(self.width) && rest.is_empty() {
            Ok(hashes.iter().copied().map(Hash).collect())
        } else {
            Err(TileError::Content { tile: self, found: content.len() })
        }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "tile/{}/", self.level)?;
        // A `u64` has at most seven groups of three digits.
        let mut groups = [0; 7];
        let mut count = 0;
        let mut rest = self.index;
        for group in &mut groups {
            *group = rest % 1000;
            rest /= 1000;
            count += 1;
            if rest == 0 {
                break;
            }
        }
        for (place, group) in groups.iter().enumerate().take(count).rev() {
            if place > 0 {
                write!(formatter, "x{group:03}/")?;
            } else {
                write!(formatter, "{group:03}")?;
            }
        }
        if self.is_full() { Ok(()) } else { write!(formatter, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let unknown = || TileError::Path { found: path.to_string() };
        let (level, rest) =
            path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or_else(unknown)?;
        let level = from_decimal(level).and_then(|level| u8::try_from(level).ok()).ok_or_else(unknown)?;
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, WIDTH),
            Some((index, width)) => {
                let width = from_decimal(width).and_then(|width| u16::try_from(width).ok());
                (index, width.filter(|width| *width < WIDTH).ok_or_else(unknown)?)
            }
        };
        Self::new(level, parse_index(index).ok_or_else(unknown)?, width)
    }
}

/// The number in groups of three digits, where all but the last begin with `x`, and the first is not `x000`.
fn parse_index(text: &str) -> Option<u64> {
    let (groups, last) = match text.rsplit_once('/') {
        Some((groups, last)) => (Some(groups), last),
        None => (None, text),
    };
    let mut index = 0_u64;
    for group in groups.into_iter().flat_map(|groups| groups.split('/')) {
        index = index.checked_mul(1000)?.checked_add(three_digits(group.strip_prefix('x')?)?)?;
        if index == 0 {
            return None;
        }
    }
    index.checked_mul(1000)?.checked_add(three_digits(last)?)
}

fn three_digits(text: &str) -> Option<u64> {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// The tiles that the tree with `new` leaves has, and the tree with `old` leaves had not: what is to be written when
/// the tree grows.
pub fn added(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).flat_map(move |level| {
        let (before, after) = (old >> (level * HEIGHT), new >> (level * HEIGHT));
        let full = before / u64::from(WIDTH)..after / u64::from(WIDTH);
        let edge = edge_of(level, new).filter(|_| before < after);
        full.map(move |index| Tile { level, index, width: WIDTH }).chain(edge)
    })
}

/// The tiles at the edge of a tree: those that are not full, at most one a level. When the tree has grown so that they
/// are full, the ones that were not may be removed.
pub fn edge(size: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).filter_map(move |level| edge_of(level, size))
}

fn edge_of(level: u8, size: u64) -> Option<Tile> {
    let hashes = size >> (level * HEIGHT);
    let width = (hashes % u64::from(WIDTH)) as u16;
    (width > 0).then_some(Tile { level, index: hashes / u64::from(WIDTH), width })
}
