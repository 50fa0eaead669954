//! Extending the index of a daily file while it is written. Of blocks that have this instance's lines alone, nothing has to
//! be read but the bytes that they are known by.

use crate::host::{FileError, Folder};
use crate::index::{self, BLOCK_BYTES, LAG, LEAST_BLOCKS, Zone};
use crate::scan::zone_of;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use audit_format::time::{Day, Timestamp};

/// How many blocks with lines of others are read at once: an append must not take long.
const READ_BLOCKS: u32 = 8;

/// How many blocks of lines of its own an instance remembers. It only has so many where the index cannot be extended.
const OWN_BLOCKS: usize = 256;

/// After an error, the index is left alone until there are so many further blocks.
const PAUSE_BLOCKS: u64 = 64;

/// What an instance knows of the blocks of the file that it appends to.
#[derive(Default)]
pub struct Indexing {
    /// The index has to be extended once the file has so many blocks.
    due: u64,
    /// From this offset on, all bytes are lines of this instance.
    since: u64,
    /// The zones of the blocks in which those lines start, without their checks.
    own: VecDeque<(u64, Zone)>,
}

impl Indexing {
    /// Others may have appended up to this offset.
    pub fn restart(&mut self, offset: u64) {
        self.since = offset;
        self.own.clear();
    }

    /// A line of this instance is appended at the offset.
    pub fn note(&mut self, offset: u64, at: Timestamp) {
        let block = offset / BLOCK_BYTES;
        match self.own.back_mut() {
            Some((last, zone)) if *last == block => zone.add(at),
            _ => self.own.push_back((block, Zone::at(at))),
        }
        if self.own.len() > OWN_BLOCKS {
            self.own.pop_front();
            self.since = self.own.front().map_or(offset, |(block, _)| block * BLOCK_BYTES);
        }
    }

    /// Extends the index of the day's file, which has `size` bytes, where that is due. An index that cannot be extended costs
    /// later reads time, and no more.
    pub fn extend<F: Folder>(&mut self, folder: &mut F, day: Day, file: &F::File, size: u64) {
        let blocks = size / BLOCK_BYTES;
        if blocks < LEAST_BLOCKS || blocks < self.due {
            return;
        }
        self.due = match self.extended(folder, day, file, size) {
            Ok(end) => end + LAG,
            Err(_) => blocks + PAUSE_BLOCKS,
        };
    }

    /// Extends the index, and returns how many blocks it then has.
    fn extended<F: Folder>(
        &mut self,
        folder: &mut F,
        day: Day,
        file: &F::File,
        size: u64,
    ) -> Result<u64, FileError> {
        let blocks = size / BLOCK_BYTES;
        // Others may have extended it.
        let first = index::end(folder, day, file)?;
        if first + LAG > blocks {
            return Ok(first);
        }
        let (mut zones, mut read) = (Vec::new(), 0);
        for block in first..blocks {
            let zone = match self.own_zone(block) {
                Some(zone) => index::check(file, block)?.map(|check| Zone { check, ..zone }),
                None if read == READ_BLOCKS => break,
                None => {
                    read += 1;
                    zone_of(file, block, size)?
                }
            };
            let Some(zone) = zone else { break };
            zones.push(zone);
        }
        index::append(folder, day, first, &zones)?;
        let end = first + zones.len() as u64;
        self.own.retain(|(block, _)| *block >= end);
        self.since = self.since.max(end * BLOCK_BYTES);
        Ok(end)
    }

    /// The zone of a full block without its check, if all its lines are this instance's.
    fn own_zone(&self, block: u64) -> Option<Zone> {
        let is_own = self.since <= block * BLOCK_BYTES;
        let found = || self.own.iter().find(|(own, _)| *own == block).map_or(Zone::ALL, |(_, zone)| *zone);
        is_own.then(found)
    }
}
