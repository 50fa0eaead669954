//! The tiles of a log against its checkpoint, and against checkpoints that were kept elsewhere: the whole tree is computed
//! from the hashes of the leaves.

use std::collections::BTreeMap;

use audit_log::tiles::{LEVELS, Tile, WIDTH};
use audit_log::tree::{CompactRange, EMPTY_ROOT, Hash};

use crate::error::Error;
use crate::folder::Folder;
use crate::log::Log;

const WIDE: u64 = WIDTH as u64;

/// What stands for a tile of leaves that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// Its hashes, as the record has them.
    Leaves(Vec<Hash>),
    /// The hash over it. Its leaves are not known.
    Root(Hash),
}

/// Tiles of leaves that are not as they were, by their index.
pub type Mended = BTreeMap<u64, Instead>;

/// A tile that does not agree with the rest of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The tile.
    pub tile: Tile,
    /// There is no such file.
    pub is_gone: bool,
    /// The hash over it that the tile above has, if it has one.
    pub above: Option<Hash>,
}

/// The tree that the tiles make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computed {
    /// The root.
    pub root: Option<Hash>,
    /// The roots at the sizes that were asked for, in their order.
    pub roots: Vec<Option<Hash>>,
    /// Tiles of leaves that are not what the tile above says.
    pub leaves: Vec<Damaged>,
    /// Tiles above that are not what those below say.
    pub above: Vec<Damaged>,
}

/// The hashes of a tile; none: it is not there, or no tile.
pub fn read<F: Folder>(log: &Log<F>, tile: Tile) -> Result<Option<Vec<Hash>>, Error> {
    let content = |tile: Tile| log.tile(tile).map_err(Error::read(tile.to_string()));
    if let Some(bytes) = content(tile)? {
        return Ok(tile.hashes(&bytes).ok());
    }
    let Some(full) = tile.full().filter(|full| *full != tile) else { return Ok(None) };
    let bytes = content(full)?.unwrap_or_default();
    Ok(full.hashes(&bytes).ok().map(|mut hashes| {
        hashes.truncate(tile.width().into());
        hashes
    }))
}

/// The tile of leaves with an index.
pub fn leaf_tile(index: u64, size: u64) -> Option<Tile> {
    let width = size.checked_sub(index * WIDE)?.min(WIDE) as u16;
    Tile::new(0, index, width).ok()
}

/// The root over hashes of one level.
pub fn root_of(hashes: &[Hash]) -> Hash {
    let mut tree = CompactRange::new();
    // At most 256 hashes: such a tree is never full.
    let _ = tree.extend(hashes.iter().copied());
    tree.root()
}

/// Computes the tree of a log. `mended` stands for tiles, `sizes` are those whose roots are asked for.
pub fn compute<F: Folder>(
    log: &Log<F>,
    size: u64,
    mended: &Mended,
    sizes: &[u64],
    tick: &mut dyn FnMut(u64),
) -> Result<Computed, Error> {
    let mut pass = Pass {
        log,
        size,
        levels: Default::default(),
        parents: None,
        tiles: CompactRange::new(),
        computed: Computed {
            root: None,
            roots: vec![None; sizes.len()],
            leaves: Vec::new(),
            above: Vec::new(),
        },
    };
    for index in 0..size / WIDE {
        pass.leaf_tile(index, mended, sizes)?;
        tick(WIDE);
    }
    pass.edge(mended, sizes)?;
    Ok(pass.computed)
}

struct Pass<'l, F> {
    log: &'l Log<F>,
    size: u64,
    /// From level 1 upwards: the hashes of the tile that is not full yet.
    levels: [Vec<Hash>; LEVELS as usize],
    /// The last tile of level 1 that was read, with its index.
    parents: Option<(u64, Vec<Hash>)>,
    /// The tree over the full tiles of leaves.
    tiles: CompactRange,
    computed: Computed,
}

impl<F: Folder> Pass<'_, F> {
    fn leaf_tile(&mut self, index: u64, mended: &Mended, sizes: &[u64]) -> Result<(), Error> {
        let above = self.parent(index)?;
        let Some(tile) = leaf_tile(index, self.size) else { return Ok(()) };
        let (leaves, root) = match mended.get(&index) {
            Some(Instead::Root(root)) => (None, Some(*root)),
            Some(Instead::Leaves(leaves)) => (Some(leaves.clone()), None),
            None => (read(self.log, tile)?, None),
        };
        self.roots_in(index, leaves.as_deref(), sizes);
        let root = root.or_else(|| leaves.as_deref().map(root_of));
        if !mended.contains_key(&index) && (root.is_none() || above.is_some_and(|above| root != Some(above)))
        {
            self.computed.leaves.push(Damaged { tile, is_gone: leaves.is_none(), above });
        }
        // A place for what is not known: the root comes out wrong, and that is seen.
        let root = root.or(above).unwrap_or(EMPTY_ROOT);
        let _ = self.tiles.append(root);
        self.push(1, index, root)
    }

    /// What the tile of level 1 has for a tile of leaves.
    fn parent(&mut self, index: u64) -> Result<Option<Hash>, Error> {
        let above = index / WIDE;
        if self.parents.as_ref().is_none_or(|(of, _)| *of != above) {
            let width = (self.size / WIDE).saturating_sub(above * WIDE).min(WIDE) as u16;
            let hashes = match Tile::new(1, above, width) {
                Ok(tile) => read(self.log, tile)?.unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            self.parents = Some((above, hashes));
        }
        let hashes = self.parents.as_ref().map(|(_, hashes)| hashes);
        Ok(hashes.and_then(|hashes| hashes.get((index % WIDE) as usize)).copied())
    }

    fn push(&mut self, level: u8, index: u64, hash: Hash) -> Result<(), Error> {
        let Some(hashes) = self.levels.get_mut(usize::from(level)) else { return Ok(()) };
        hashes.push(hash);
        if hashes.len() < usize::from(WIDTH) {
            return Ok(());
        }
        let hashes = std::mem::take(hashes);
        if let Ok(tile) = Tile::new(level, index / WIDE, WIDTH) {
            self.compare(tile, &hashes)?;
        }
        self.push(level + 1, index / WIDE, root_of(&hashes))
    }

    fn compare(&mut self, tile: Tile, hashes: &[Hash]) -> Result<(), Error> {
        let there = read(self.log, tile)?;
        if there.as_deref() != Some(hashes) {
            self.computed.above.push(Damaged { tile, is_gone: there.is_none(), above: None });
        }
        Ok(())
    }

    /// What is behind the last full tile of leaves.
    fn edge(&mut self, mended: &Mended, sizes: &[u64]) -> Result<(), Error> {
        let index = self.size / WIDE;
        let leaves = match (leaf_tile(index, self.size), mended.get(&index)) {
            (None, _) => Some(Vec::new()),
            (_, Some(Instead::Leaves(leaves))) => Some(leaves.clone()),
            (Some(tile), _) => {
                let leaves = read(self.log, tile)?;
                if leaves.is_none() {
                    self.computed.leaves.push(Damaged { tile, is_gone: true, above: None });
                }
                leaves
            }
        };
        self.roots_in(index, leaves.as_deref(), sizes);
        self.computed.root = self.root_at(self.size, leaves.as_deref());
        for (level, hashes) in (0..LEVELS).zip(std::mem::take(&mut self.levels)) {
            let above = self.size.checked_shr(8 * u32::from(level)).unwrap_or(0) / WIDE;
            if let Ok(tile) = Tile::new(level, above, hashes.len() as u16) {
                self.compare(tile, &hashes)?;
            }
        }
        Ok(())
    }

    fn roots_in(&mut self, index: u64, leaves: Option<&[Hash]>, sizes: &[u64]) {
        for (place, size) in sizes.iter().enumerate().filter(|(_, size)| *size / WIDE == index) {
            self.computed.roots[place] = self.root_at(*size, leaves);
        }
    }

    /// The root of a tree that ends in the tile of leaves behind those that were added.
    fn root_at(&self, size: u64, leaves: Option<&[Hash]>) -> Option<Hash> {
        let more = (size % WIDE) as usize;
        let mut edge = CompactRange::new();
        if more > 0 {
            let _ = edge.extend(leaves?.get(..more)?.iter().copied());
        }
        let nodes = [self.tiles.nodes(), edge.nodes()].concat();
        CompactRange::from_nodes(size, nodes).ok().map(|tree| tree.root())
    }
}

/// The leaves of a log, as they are known: none where the hash is lost.
#[derive(Debug)]
pub struct Leaves<'l, F> {
    log: &'l Log<F>,
    size: u64,
    mended: Mended,
    kept: Option<(u64, Vec<Hash>)>,
}

impl<'l, F: Folder> Leaves<'l, F> {
    /// The leaves of a log with this size.
    pub fn new(log: &'l Log<F>, size: u64, mended: Mended) -> Self {
        Self { log, size, mended, kept: None }
    }

    /// How many there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many are lost.
    pub fn lost(&self) -> u64 {
        let lost = self.mended.iter().filter(|(_, instead)| matches!(instead, Instead::Root(_)));
        lost.filter_map(|(index, _)| Some(u64::from(leaf_tile(*index, self.size)?.width()))).sum()
    }

    /// A leaf.
    pub fn get(&mut self, leaf: u64) -> Result<Option<Hash>, Error> {
        let index = leaf / WIDE;
        if self.kept.as_ref().is_none_or(|(of, _)| *of != index) {
            let hashes = match (self.mended.get(&index), leaf_tile(index, self.size)) {
                (Some(Instead::Leaves(leaves)), _) => leaves.clone(),
                (None, Some(tile)) => read(self.log, tile)?.unwrap_or_default(),
                _ => Vec::new(),
            };
            self.kept = Some((index, hashes));
        }
        let hashes = self.kept.as_ref().map(|(_, hashes)| hashes);
        Ok(hashes.and_then(|hashes| hashes.get((leaf % WIDE) as usize)).copied())
    }
}
