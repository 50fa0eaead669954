//! The index of a daily file: which instants its blocks have, so that a page reads only blocks that it can take entries
//! from. It is a cache, which may be removed, torn or of another file at any time: what it says only counts where the
//! file still has the bytes that it was made of.
//!
//! The index is a file beside the daily file, of records that are appended by whoever knows of further blocks. A record is
//! wherever its checksum is right, so what a crash tears costs that record alone.

use crate::host::{File, FileError, Folder};
use alloc::vec::Vec;
use audit_format::line::MAX_LEN;
use audit_format::names;
use audit_format::time::{Day, Timestamp};

/// The size of a block, in bytes. A line belongs to the block in which it starts.
pub const BLOCK_BYTES: u64 = if cfg!(test) { 600 } else { 240 << 10 };

/// A file with fewer blocks has no index: it is scanned within a few milliseconds.
pub const LEAST_BLOCKS: u64 = if cfg!(test) { 4 } else { 32 };

/// An index may lack so many blocks at the end of its file.
pub const LAG: u64 = if cfg!(test) { 2 } else { 8 };

/// How many bytes before the end of a block its check is made of. As long as the longest line of a store, they have a part
/// of a hash, so other files have other ones.
pub const CHECKED_BYTES: usize = if cfg!(test) { 300 } else { MAX_LEN };

/// How many blocks are checked when an index is used.
const PROBES: usize = 8;

/// A record begins with this. The digit is the version of the format.
const MAGIC: [u8; 4] = *b"ABK1";

/// The size of a record, in bytes.
const RECORD_BYTES: usize = 32;

/// The largest index that is used. Processes that append the same records at once make it larger than it has to be.
const MOST_RECORDS_PER_BLOCK: u64 = 16;

/// The largest index that is used, in bytes, whatever its file is: it is read at once. It is enough for 120 GB.
const MOST_BYTES: u64 = if cfg!(test) { 32 << 10 } else { 16 << 20 };

/// The instants that the lines of a block have, and what the block is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The first instant.
    pub first: Timestamp,
    /// The last instant.
    pub last: Timestamp,
    /// The CRC-32 of the identity of the file and the [`CHECKED_BYTES`] before the end of the block.
    pub check: u32,
}

impl Zone {
    /// The zone of a block without events. Its lines count as skipped wherever a page begins and ends.
    pub const ALL: Self = Self { first: Timestamp::MIN, last: Timestamp::MAX, check: 0 };

    /// The zone of a block with an event at this instant.
    pub fn at(at: Timestamp) -> Self {
        Self { first: at, last: at, check: 0 }
    }

    /// Extends the zone by an instant.
    pub fn add(&mut self, at: Timestamp) {
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }

    /// Whether it is that of a block without events.
    pub fn is_all(&self) -> bool {
        (self.first, self.last) == (Self::ALL.first, Self::ALL.last)
    }

    /// Whether a block with this zone can have lines with all instants of the other one.
    pub fn has(&self, other: &Self) -> bool {
        !self.is_all() && self.first <= other.first && self.last >= other.last
    }

    fn record(&self, block: u32) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        record[..4].copy_from_slice(&MAGIC);
        record[4..8].copy_from_slice(&block.to_le_bytes());
        record[8..16].copy_from_slice(&self.first.micros().to_le_bytes());
        record[16..24].copy_from_slice(&self.last.micros().to_le_bytes());
        record[24..28].copy_from_slice(&self.check.to_le_bytes());
        let sum = crc32fast::hash(&record[..28]);
        record[28..].copy_from_slice(&sum.to_le_bytes());
        record
    }

    /// The block of a record, and its zone; none: it is no record.
    fn of_record(record: &[u8; RECORD_BYTES]) -> Option<(u64, Self)> {
        let u32_at = |at: usize| Some(u32::from_le_bytes(*record[at..].first_chunk()?));
        let time_at = |at: usize| Timestamp::from_micros(i64::from_le_bytes(*record[at..].first_chunk()?));
        let is_record = record.starts_with(&MAGIC) && u32_at(28)? == crc32fast::hash(&record[..28]);
        if !is_record {
            return None;
        }
        Some((u64::from(u32_at(4)?), Self { first: time_at(8)?, last: time_at(16)?, check: u32_at(24)? }))
    }
}

/// The check of a block of the file that ends with these bytes.
pub fn check_of(file: &impl File, bytes: &[u8]) -> Result<u32, FileError> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&file.identity()?.to_le_bytes());
    hasher.update(bytes);
    Ok(hasher.finalize())
}

/// The check of a block of a file; none: the file ends before.
pub fn check(file: &impl File, block: u64) -> Result<Option<u32>, FileError> {
    let end = (block + 1) * BLOCK_BYTES;
    let bytes = file.read_whole(end - CHECKED_BYTES as u64, CHECKED_BYTES)?;
    (bytes.len() == CHECKED_BYTES).then(|| check_of(file, &bytes)).transpose()
}

/// Whether the file still is the one that these zones of its first blocks are of. A few blocks are checked, among them the
/// last one: a file that was replaced has another identity, and one that was rewritten has other bytes in each.
pub fn is_of_file(file: &impl File, zones: &[Option<Zone>]) -> Result<bool, FileError> {
    let known: Vec<(u64, u32)> =
        (0..).zip(zones).filter_map(|(block, zone)| Some((block, zone.as_ref()?.check))).collect();
    let step = known.len().div_ceil(PROBES).max(1);
    for (block, expected) in known.iter().rev().step_by(step).chain(known.first()) {
        if check(file, *block)? != Some(*expected) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The records among these bytes.
fn records(bytes: &[u8]) -> impl Iterator<Item = (u64, Zone)> {
    let mut at = 0;
    core::iter::from_fn(move || {
        while let Some(record) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            if let Some(found) = Zone::of_record(record) {
                at += RECORD_BYTES;
                return Some(found);
            }
            at += 1;
        }
        None
    })
}

/// The largest index of a file with so many blocks that is used, in bytes.
fn most_bytes(blocks: u64) -> u64 {
    blocks.saturating_mul(MOST_RECORDS_PER_BLOCK * RECORD_BYTES as u64).min(MOST_BYTES)
}

/// The zones that the index of a day's file has; none: there is no index, or it is of a longer file.
pub fn load<F: Folder>(
    folder: &mut F,
    day: Day,
    file: &F::File,
) -> Result<Option<Vec<Option<Zone>>>, FileError> {
    let index = match folder.open(&names::index(day)) {
        Err(FileError::NotFound) => return Ok(None),
        index => index?,
    };
    let len = index.size()?;
    if len > most_bytes(file.size()? / BLOCK_BYTES) {
        return Ok(None);
    }
    let bytes = index.read_whole(0, len as usize)?;
    // Asked for afterwards, because both files grow.
    let blocks = file.size()? / BLOCK_BYTES;
    let mut zones = Vec::new();
    for (block, zone) in records(&bytes) {
        if block >= blocks {
            return Ok(None);
        }
        let block = block as usize;
        if zones.len() <= block {
            zones.resize(block + 1, None);
        }
        zones[block] = Some(zone);
    }
    Ok(Some(zones))
}

/// The first block of a day's file that its index does not have, by the end of the index. An index that is not of the file
/// is removed.
pub fn end<F: Folder>(folder: &mut F, day: Day, file: &impl File) -> Result<u64, FileError> {
    let name = names::index(day);
    let index = match folder.open(&name) {
        Err(FileError::NotFound) => return Ok(0),
        index => index?,
    };
    let len = index.size()?;
    let tail = index.read_whole(len.saturating_sub(MAX_LEN as u64), MAX_LEN)?;
    // Asked for afterwards, because both files grow.
    let blocks = file.size()? / BLOCK_BYTES;
    let last = records(&tail).max_by_key(|(block, _)| *block);
    if let Some((block, zone)) = last
        && block < blocks
        && len <= most_bytes(blocks)
        && check(file, block)? == Some(zone.check)
    {
        return Ok(block + 1);
    }
    if !folder.holds(&name, &index) {
        return Err(FileError::Other("the index was replaced meanwhile".into()));
    }
    remove(folder, day)?;
    Ok(0)
}

/// Removes the index of a day's file.
pub fn remove<F: Folder>(folder: &mut F, day: Day) -> Result<(), FileError> {
    match folder.remove(&names::index(day)) {
        Err(FileError::NotFound) => Ok(()),
        removed => removed,
    }
}

/// Appends the zones of consecutive blocks to the index of a day's file.
pub fn append<F: Folder>(folder: &mut F, day: Day, first: u64, zones: &[Zone]) -> Result<(), FileError> {
    let numbered = (first..).zip(zones);
    // Blocks beyond that are 960 TiB into the file.
    let records = numbered.map_while(|(block, zone)| Some(zone.record(u32::try_from(block).ok()?)));
    let records: Vec<u8> = records.flatten().collect();
    let mut index = folder.append(&names::index(day))?;
    records.chunks(MAX_LEN / RECORD_BYTES * RECORD_BYTES).try_for_each(|piece| index.append(piece))
}

#[cfg(test)]
mod tests;
