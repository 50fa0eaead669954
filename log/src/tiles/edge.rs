//! The right edge of a tree: what is needed to add leaves and to write the tiles that come of it.

use super::tiled::{TileReader, TiledError, read};
use super::{HEIGHT, LEVELS, Tile, WIDTH, edge};
use crate::tree::{CompactRange, EMPTY_ROOT, Hash, TreeFull, perfect_root};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// A tile and its content, to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileBytes {
    /// The tile, whose path is the name of its file.
    pub tile: Tile,
    /// The content of the file.
    pub bytes: Vec<u8>,
}

impl TileBytes {
    fn new(tile: Tile, hashes: &[Hash]) -> Self {
        Self { tile, bytes: hashes.iter().flat_map(|hash| hash.0).collect() }
    }
}

/// The tiles of a tree that are not full, at most 255 hashes for each level. Leaves are added at the cost of one hash
/// each.
///
/// To write a tree: `append` leaves and write the full tiles that it returns, now and then write the `tiles` too, and
/// then sign a checkpoint over `size` and `root`. Where writing fails, `read` the edge again at the size that the last
/// checkpoint has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The hashes of the tile at the edge of each level.
    levels: [Vec<Hash>; LEVELS as usize],
}

impl Edge {
    /// The edge of the tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a tree at a size that it has or had, from its tiles.
    ///
    /// # Errors
    /// Where a tile is missing, cannot be read, or has the wrong length.
    pub fn read<R: TileReader>(size: u64, tiles: &mut R) -> Result<Self, TiledError<R::Error>> {
        let mut read_edge = Self { size, ..Self::default() };
        for tile in edge(size) {
            let hashes = read(tile, tiles)?;
            if let Some(level) = read_edge.levels.get_mut(usize::from(tile.level())) {
                *level = hashes;
            }
        }
        Ok(read_edge)
    }

    /// Adds leaves, and returns the tiles that became full.
    ///
    /// # Errors
    /// Where the tree would have more leaves than a tree can have. It is then as before.
    pub fn append(&mut self, leaves: &[Hash]) -> Result<Vec<TileBytes>, TreeFull> {
        let size = self.size.checked_add(leaves.len() as u64).ok_or(TreeFull)?;
        let mut full = Vec::with_capacity(leaves.len() / usize::from(WIDTH) + 2);
        let mut added = Cow::Borrowed(leaves);
        // What a level adds to the next are the roots of the tiles that it fills.
        for (level, hashes) in (0..LEVELS).zip(&mut self.levels) {
            let before = self.size >> (level * HEIGHT);
            let mut index = before / u64::from(WIDTH);
            let mut rest = &*added;
            let mut roots = Vec::with_capacity(rest.len() / usize::from(WIDTH) + 1);
            while !rest.is_empty() {
                let room = usize::from(WIDTH).saturating_sub(hashes.len());
                let (now, later) = rest.split_at(room.min(rest.len()));
                hashes.extend_from_slice(now);
                rest = later;
                if hashes.len() == usize::from(WIDTH) {
                    full.push(TileBytes::new(Tile { level, index, width: WIDTH }, hashes));
                    roots.push(perfect_root(hashes));
                    hashes.clear();
                    index += 1;
                }
            }
            added = Cow::Owned(roots);
        }
        self.size = size;
        Ok(full)
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root.
    pub fn root(&self) -> Hash {
        // From the leaves upwards: the hash over all that is below a level, which is right of its hashes.
        let mut below = None;
        for hashes in &self.levels {
            let mut tree = CompactRange::new();
            // At most 256 hashes: such a tree is never full.
            if tree.extend(hashes.iter().copied().chain(below)).is_ok() && tree.size() > 0 {
                below = Some(tree.root());
            }
        }
        below.unwrap_or(EMPTY_ROOT)
    }

    /// The tiles at the edge, which are not full.
    pub fn tiles(&self) -> impl Iterator<Item = TileBytes> {
        edge(self.size)
            .zip(self.levels.iter().filter(|hashes| !hashes.is_empty()))
            .map(|(tile, hashes)| TileBytes::new(tile, hashes))
    }
}
