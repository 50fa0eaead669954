//! Scanning a file of lines for a page: piece by piece, so that memory does not grow with the file. What a page learns
//! about the blocks of the file, later pages and reads use: each scans the blocks that it can take entries from, in the
//! order in which they matter, and ends when no later block can have what comes first.

mod piece;

use crate::host::{File, FileError};
use crate::index::{self, BLOCK_BYTES, CHECKED_BYTES, Zone};
use crate::selection::{Selection, instant};
use alloc::vec::Vec;
use audit_format::cursor::{Order, Position};
use audit_format::query::Candidates;
use audit_format::time::{Day, StoredTimes, Timestamp};
use core::ops::Range;
use memchr::{memchr, memrchr};
use piece::{PIECE_BYTES, Piece};

/// What is known of the blocks of a file. Files only grow, so a full block stays as it is.
#[derive(Default)]
pub struct Blocks {
    /// The zones of full blocks; none: the block was not scanned yet, or its last line has no end yet.
    zones: Vec<Option<Zone>>,
    /// Whether an earlier page of this read has counted the lines of the block that are not events.
    counted: Vec<bool>,
    /// Whether a line was found that has another instant than its block.
    pub is_wrong: bool,
}

impl Blocks {
    /// Begins a new read: its skipped lines are counted anew.
    pub fn begin_read(&mut self) {
        self.counted.clear();
    }

    /// Forgets what is known of the blocks, but for what was counted.
    pub fn forget(&mut self) {
        self.zones.clear();
        self.is_wrong = false;
    }

    /// Forgets what is known of the blocks if the file is another one by now.
    pub fn verify(&mut self, file: &impl File) -> Result<(), FileError> {
        let is_shorter = self.zones.len() as u64 > file.size()? / BLOCK_BYTES;
        if is_shorter || !index::is_of_file(file, &self.zones).unwrap_or_default() {
            self.forget();
        }
        Ok(())
    }

    /// How many of the first `blocks` blocks are known.
    pub fn known(&self, blocks: u64) -> u64 {
        self.zones.iter().take(blocks as usize).flatten().count() as u64
    }

    /// Takes over what an index says of blocks that are not known.
    pub fn learn(&mut self, zones: Vec<Option<Zone>>) {
        if self.zones.len() < zones.len() {
            self.zones.resize(zones.len(), None);
        }
        for (known, learned) in self.zones.iter_mut().zip(zones) {
            *known = known.or(learned);
        }
    }

    /// The zones of the known blocks from this one on.
    pub fn known_from(&self, block: u64) -> Vec<Zone> {
        self.zones.iter().skip(block as usize).map_while(|zone| *zone).collect()
    }

    fn zone(&self, block: u64) -> Option<Zone> {
        self.zones.get(block as usize).copied().flatten()
    }

    fn set_zone(&mut self, block: u64, zone: Option<Zone>) {
        let place = block as usize;
        if let Some(zone) = zone {
            if self.zones.len() <= place {
                self.zones.resize(place + 1, None);
            }
            self.zones[place] = Some(zone);
        }
    }

    /// Notes that the lines of the block that are not events are counted. Whether they already were.
    fn count(&mut self, block: u64) -> bool {
        let place = block as usize;
        if self.counted.len() <= place {
            self.counted.resize(place + 1, false);
        }
        core::mem::replace(&mut self.counted[place], true)
    }
}

/// Offers the page every line of the file of this day that it could take. What is known of the blocks was verified.
pub fn scan_file(
    file: &impl File,
    day: Day,
    blocks: &mut Blocks,
    page: &mut Selection<'_>,
) -> Result<(), FileError> {
    let mut scan = Scan::new(file, day, file.size()?);
    let planned = scan.plan(blocks, page)?;
    for (block, zone) in planned {
        if !page.wants(zone.first, zone.last) {
            // Nor does it want the blocks after it.
            break;
        }
        scan.offer(block, zone, blocks, page)?;
    }
    Ok(())
}

/// The zone of a full block of a file that has `size` bytes; none: its last line has no end yet.
pub fn zone_of(file: &impl File, block: u64, size: u64) -> Result<Option<Zone>, FileError> {
    Ok(Scan::new(file, Timestamp::MIN.day(), size).survey(block, None)?.1)
}

/// A file that is scanned.
struct Scan<'f, F> {
    file: &'f F,
    day: Day,
    /// How many of its bytes are scanned.
    size: u64,
    /// The piece that was read last.
    last: Option<Piece>,
    times: StoredTimes,
    /// Where the lines are that are offered, of one piece.
    lines: Vec<Range<usize>>,
}

impl<'f, F: File> Scan<'f, F> {
    fn new(file: &'f F, day: Day, size: u64) -> Self {
        Self { file, day, size, last: None, times: StoredTimes::default(), lines: Vec::new() }
    }

    /// The blocks that the page can take entries from, in the order in which they matter, with their zones. Blocks that are
    /// not known are scanned for that, and not left for later if their lines can be searched meanwhile.
    fn plan(&mut self, blocks: &mut Blocks, page: &mut Selection<'_>) -> Result<Vec<(u64, Zone)>, FileError> {
        let is_search = page.query().candidates(b"").is_some();
        let mut planned = Vec::new();
        for block in 0..self.size.div_ceil(BLOCK_BYTES) {
            let zone = match blocks.zone(block) {
                Some(zone) => zone,
                None if is_search => {
                    let skipped = page.skipped();
                    let (_, last) = self.survey(block, Some(page))?;
                    blocks.set_zone(block, last);
                    if blocks.count(block) {
                        page.reset_skipped(skipped);
                    }
                    continue;
                }
                None => {
                    let (zone, last) = self.survey(block, None)?;
                    blocks.set_zone(block, last);
                    zone
                }
            };
            if page.wants(zone.first, zone.last) {
                planned.push((block, zone));
            }
        }
        match page.order() {
            Order::OldestFirst => planned.sort_by_key(|(_, zone)| zone.first),
            Order::NewestFirst => {
                planned.reverse();
                planned.sort_by_key(|(_, zone)| core::cmp::Reverse(zone.last));
            }
        }
        Ok(planned)
    }

    /// The zone of a block as it is now, and again if it stays so. Offers the page its lines that may match.
    fn survey(
        &mut self,
        block: u64,
        mut page: Option<&mut Selection<'_>>,
    ) -> Result<(Zone, Option<Zone>), FileError> {
        let (mut zone, mut ends, mut check) = (None, true, None);
        for start in self.pieces(block) {
            let piece = Piece::read(self.file, start, self.size, self.last.take())?;
            for line in piece.lines() {
                if let Some(at) = instant(&piece.bytes()[line], &mut self.times) {
                    zone.get_or_insert(Zone::at(at)).add(at);
                }
            }
            ends &= piece.ends;
            if let Some(page) = &mut page {
                self.offer_piece(&piece, page);
            }
            let end = piece.before((block + 1) * BLOCK_BYTES, CHECKED_BYTES);
            check = end.and_then(|bytes| index::check_of(self.file, bytes).ok());
            self.last = Some(piece);
        }
        let zone = zone.unwrap_or(Zone::ALL);
        let is_full = (block + 1) * BLOCK_BYTES <= self.size;
        let last = check.filter(|_| is_full && ends).map(|check| Zone { check, ..zone });
        Ok((zone, last))
    }

    /// Offers the lines of a block to the page.
    fn offer(
        &mut self,
        block: u64,
        zone: Zone,
        blocks: &mut Blocks,
        page: &mut Selection<'_>,
    ) -> Result<(), FileError> {
        let skipped = page.skipped();
        let mut starts: Vec<u64> = self.pieces(block).collect();
        if page.order() == Order::NewestFirst {
            starts.reverse();
        }
        for start in starts {
            let piece = Piece::read(self.file, start, self.size, self.last.take())?;
            let seen = self.offer_piece(&piece, page);
            blocks.is_wrong |= seen.is_some_and(|seen| seen.first < zone.first || seen.last > zone.last);
            self.last = Some(piece);
        }
        if blocks.count(block) {
            page.reset_skipped(skipped);
        }
        Ok(())
    }

    /// Offers the lines of a piece, in the order of the page. Returns the first and the last instant that were seen
    /// meanwhile.
    fn offer_piece(&mut self, piece: &Piece, page: &mut Selection<'_>) -> Option<Zone> {
        let mut lines = core::mem::take(&mut self.lines);
        lines.clear();
        match page.query().candidates(piece.bytes()) {
            Some(candidates) => lines.extend(lines_of(candidates, piece.bytes())),
            None => {
                lines.extend(piece.lines());
                if piece.is_overlong {
                    page.skip();
                }
            }
        }
        let (order, mut zone) = (page.order(), None::<Zone>);
        let mut offer = |line: &Range<usize>| {
            let position = Position { day: self.day.number(), offset: piece.offset(line.start) };
            if let Some(at) = page.offer(&piece.bytes()[line.clone()], position) {
                zone.get_or_insert(Zone::at(at)).add(at);
            }
        };
        match order {
            Order::OldestFirst => lines.iter().for_each(&mut offer),
            Order::NewestFirst => lines.iter().rev().for_each(&mut offer),
        }
        self.lines = lines;
        zone
    }

    /// Where the pieces of a block start.
    fn pieces(&self, block: u64) -> impl Iterator<Item = u64> + use<'f, F> {
        let start = block * BLOCK_BYTES;
        let size = self.size;
        (start..start + BLOCK_BYTES).step_by(PIECE_BYTES as usize).filter(move |start| *start < size)
    }
}

/// The lines that the candidates are in.
fn lines_of(mut candidates: Candidates<'_, '_>, lines: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    core::iter::from_fn(move || {
        let place = candidates.next(from).filter(|_| from < lines.len())?;
        let start = memrchr(b'\n', &lines[from..place]).map_or(from, |newline| from + newline + 1);
        let end = memchr(b'\n', &lines[place..]).map_or(lines.len(), |newline| place + newline);
        from = lines.len().min(end + 1);
        Some(start..end)
    })
}
