//! The files of a log: `checkpoint`, `tile/…`, `segments.jsonl`. A file is there whole or not at all.

use std::collections::BTreeSet;
use std::io;

use audit_log::checkpoint::SignedCheckpoint;
use audit_log::tiles::{Tile, TileBytes, Tiled};
use audit_log::tree::{Hash, Node, NodeReader as _};

use crate::error::Error;
use crate::folder::Folder;
use crate::segment::Segments;

const CHECKPOINT: &str = "checkpoint";
const SEGMENTS: &str = "segments.jsonl";

/// What a file is written as, until it is whole. There is one writer at a time, and it writes one file at a time.
const NEW: &str = ".new";

/// When so many tiles are not on the disk yet, they are waited for: their names take memory.
const MANY: usize = 4096;

/// The files of a log in a folder.
#[derive(Debug)]
pub struct Log<F> {
    folder: F,
    /// What was written and may not be on the disk yet: files and folders.
    unsynced: BTreeSet<String>,
    /// Folders that are known to be there.
    made: BTreeSet<String>,
}

impl<F: Folder> Log<F> {
    /// The log in a folder, or one that begins there.
    pub fn new(folder: F) -> Self {
        Self { folder, unsynced: BTreeSet::new(), made: BTreeSet::new() }
    }

    /// The folder.
    pub fn folder(&self) -> &F {
        &self.folder
    }

    /// The last checkpoint, whoever signed it; none: nothing was ever sealed.
    ///
    /// # Errors
    /// Where it cannot be read, or is no checkpoint.
    pub fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, Error> {
        let bytes = self.folder.read(CHECKPOINT).map_err(Error::read(CHECKPOINT))?;
        Ok(bytes.map(|bytes| SignedCheckpoint::parse(&bytes)).transpose()?)
    }

    /// Where the leaves are; none: nothing was ever sealed. They may be more than the checkpoint has, where a seal was
    /// interrupted: the next one signs those.
    ///
    /// # Errors
    /// Where they cannot be read, or are none.
    pub fn segments(&self) -> Result<Segments, Error> {
        let bytes = self.folder.read(SEGMENTS).map_err(Error::read(SEGMENTS))?;
        Segments::parse(&bytes.unwrap_or_default())
    }

    /// The content of a tile; none: there is no such file.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn tile(&self, tile: Tile) -> io::Result<Option<Vec<u8>>> {
        self.folder.read(&tile.to_string())
    }

    /// The hashes of the tree at a size that it has or had.
    pub fn tree(&self, size: u64) -> Tiled<impl FnMut(Tile) -> io::Result<Option<Vec<u8>>>> {
        Tiled::new(size, |tile: Tile| self.tile(tile))
    }

    /// The leaf with this index, from a tile of the tree of this size.
    ///
    /// # Errors
    /// Where the tile cannot be read.
    pub fn leaf(&self, index: u64, size: u64) -> Result<Hash, Error> {
        Ok(self.tree(size).node(Node { level: 0, index })?)
    }

    /// Takes it for certain that the folders of a tile are on the disk, because a checkpoint has it. To sync them once more
    /// costs as much as to write a tile.
    pub(crate) fn has_folders_of(&mut self, tile: Tile) {
        let name = tile.to_string();
        self.made.extend(name.match_indices('/').map(|(end, _)| name[..end].to_owned()));
    }

    /// Writes a tile. It is on the disk after [`Log::sync`].
    pub(crate) fn put_tile(&mut self, TileBytes { tile, bytes }: &TileBytes) -> Result<(), Error> {
        let name = tile.to_string();
        self.put_later(&name, bytes).map_err(Error::write(name))?;
        if self.unsynced.len() >= MANY { self.sync() } else { Ok(()) }
    }

    /// Waits until all tiles are on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        let names: Vec<&str> = self.unsynced.iter().map(String::as_str).collect();
        if !names.is_empty() {
            self.folder.sync(&names).map_err(Error::write("tile"))?;
            self.unsynced.clear();
        }
        Ok(())
    }

    /// Writes the segments, onto the disk.
    pub(crate) fn put_segments(&mut self, segments: &Segments) -> Result<(), Error> {
        self.put(SEGMENTS, &segments.to_lines()).map_err(Error::write(SEGMENTS))
    }

    /// Writes a checkpoint, onto the disk. It is to be one that is consistent with all that were signed before.
    pub(crate) fn put_checkpoint(&mut self, signed: &SignedCheckpoint) -> Result<(), Error> {
        self.put(CHECKPOINT, signed.to_string().as_bytes()).map_err(Error::write(CHECKPOINT))
    }

    /// Removes the versions of a tile that were not full.
    pub(crate) fn remove_parts(&mut self, tile: Tile) -> io::Result<()> {
        let folder = format!("{tile}.p");
        self.made.remove(&folder);
        self.folder.remove(&folder)
    }

    /// The content of another file of the folder; nothing where it is not there.
    pub(crate) fn text(&self, name: &'static str) -> Result<Vec<u8>, Error> {
        Ok(self.folder.read(name).map_err(Error::read(name))?.unwrap_or_default())
    }

    /// Writes another file, onto the disk.
    pub(crate) fn put_text(&mut self, name: &'static str, content: &[u8]) -> Result<(), Error> {
        self.put(name, content).map_err(Error::write(name))
    }

    fn put(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.folder.write(NEW, content)?;
        self.folder.sync(&[NEW])?;
        self.folder.rename(NEW, name)?;
        self.folder.sync(&[""])
    }

    fn put_later(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.make_folders_of(name)?;
        self.folder.write(NEW, content)?;
        self.folder.rename(NEW, name)?;
        self.unsynced.insert(name.to_owned());
        Ok(())
    }

    /// Makes the folders that a file is in. Those in which a name is new are to be synced too.
    fn make_folders_of(&mut self, name: &str) -> io::Result<()> {
        let mut parent = "";
        for (end, _) in name.match_indices('/') {
            let folder = &name[..end];
            if !self.made.contains(folder) {
                self.folder.make(folder)?;
                self.made.insert(folder.to_owned());
                self.unsynced.insert(parent.to_owned());
            }
            parent = folder;
        }
        self.unsynced.insert(parent.to_owned());
        Ok(())
    }
}
