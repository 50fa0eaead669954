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

/// What is known of the blocks of a file. Stores only append, so a full block stays as it is; [`Blocks::verify`] finds out
/// whether somebody else has changed the file.
#[derive(Default)]
pub struct Blocks {
    /// The zones of full blocks; none: the block was not scanned yet, or its last line has no end yet.
    zones: Vec<Option<Zone>>,
    /// Up to which offset in the file this read has counted the lines of each block that are not events.
    counted: Vec<u64>,
    /// Blocks in which this page has counted such lines, and up to where earlier pages had.
    counted_before: Vec<(usize, u64)>,
    /// Whether a line was found that has another instant than its block.
    pub is_wrong: bool,
}

impl Blocks {
    /// Begins a new read: its skipped lines are counted anew.
    pub fn begin_read(&mut self) {
        self.counted.clear();
    }

    /// Begins a page.
    pub fn begin_page(&mut self) {
        self.counted_before.clear();
    }

    /// Takes back what this page has counted, because it is made anew.
    pub fn take_back_counts(&mut self) {
        for (place, before) in self.counted_before.drain(..).rev() {
            self.counted[place] = before;
        }
    }

    /// Forgets what is known of the blocks, but for what was counted.
    pub fn forget(&mut self) {
        self.zones.clear();
        self.is_wrong = false;
    }

    /// Forgets what is known of the blocks if the file is another one by now. Whether it still is the same.
    pub fn verify(&mut self, file: &impl File) -> Result<bool, FileError> {
        let is_shorter = self.zones.len() as u64 > file.size()? / BLOCK_BYTES;
        let is_same = !is_shorter && index::is_of_file(file, &self.zones).unwrap_or_default();
        if !is_same {
            self.forget();
        }
        Ok(is_same)
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

    /// Up to which offset the lines of the block are counted that are not events.
    fn counted(&self, block: u64) -> u64 {
        self.counted.get(block as usize).copied().unwrap_or_default()
    }

    /// Notes that they are counted up to this offset.
    fn count(&mut self, block: u64, until: u64) {
        let place = block as usize;
        if self.counted.len() <= place {
            self.counted.resize(place + 1, 0);
        }
        self.counted_before.push((place, self.counted[place]));
        self.counted[place] = until;
    }
}

/// Offers the page every line of the file of this day that it could take. What is known of the blocks was verified. False:
/// more than `budget` bytes would have to be read to get to know the file, and some lines were not offered. What was learned
/// until then is taken off the budget.
pub fn scan_file(
    file: &impl File,
    day: Day,
    blocks: &mut Blocks,
    page: &mut Selection<'_>,
    budget: &mut u64,
) -> Result<bool, FileError> {
    let mut scan = Scan::new(file, day, file.size()?);
    let Some(planned) = scan.plan(blocks, page, budget)? else { return Ok(false) };
    for (block, zone) in planned {
        if !page.wants(zone.first, zone.last) {
            // Nor does it want the blocks after it.
            break;
        }
        scan.offer(block, zone, blocks, page)?;
    }
    Ok(true)
}

/// The zone of a full block of a file that has `size` bytes; none: its last line has no end yet.
pub fn zone_of(file: &impl File, block: u64, size: u64) -> Result<Option<Zone>, FileError> {
    Ok(Scan::new(file, Timestamp::MIN.day(), size).survey(block, None)?.lasting)
}

/// What a survey of a block has found.
struct Surveyed {
    /// The zone of the lines that the block has now.
    now: Zone,
    /// The zone that the block will always have; none: it may still change.
    lasting: Option<Zone>,
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
    /// not known are scanned for that, and not left for later if their lines can be searched meanwhile. None: the budget
    /// does not suffice for that.
    fn plan(
        &mut self,
        blocks: &mut Blocks,
        page: &mut Selection<'_>,
        budget: &mut u64,
    ) -> Result<Option<Vec<(u64, Zone)>>, FileError> {
        let is_search = page.query().candidates(b"").is_some();
        let mut planned = Vec::new();
        for block in 0..self.size.div_ceil(BLOCK_BYTES) {
            let zone = match blocks.zone(block) {
                // It has no events, and its lines are counted.
                Some(zone) if zone.is_all() && blocks.counted(block) >= (block + 1) * BLOCK_BYTES => continue,
                Some(zone) => zone,
                None if *budget == 0 => return Ok(None),
                None => {
                    let counted = blocks.counted(block);
                    let found = self.survey(block, is_search.then_some((&mut *page, counted)))?;
                    blocks.set_zone(block, found.lasting);
                    if found.lasting.is_some() {
                        *budget = budget.saturating_sub(BLOCK_BYTES);
                    }
                    if is_search {
                        blocks.count(block, self.size);
                        continue;
                    }
                    found.now
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
        Ok(Some(planned))
    }

    /// Scans a block for its zone. Offers the page its lines that may match; those before the offset are counted.
    fn survey(
        &mut self,
        block: u64,
        mut page: Option<(&mut Selection<'_>, u64)>,
    ) -> Result<Surveyed, FileError> {
        let (mut zone, mut ends, mut check) = (None, true, None);
        for start in self.pieces(block) {
            let piece = Piece::read(self.file, start, self.size, self.last.take())?;
            for line in piece.lines() {
                if let Some(at) = instant(&piece.bytes()[line], &mut self.times) {
                    zone.get_or_insert(Zone::at(at)).add(at);
                }
            }
            ends &= piece.ends;
            if let Some((page, counted)) = &mut page {
                self.offer_piece(&piece, *counted, page);
            }
            let end = piece.before((block + 1) * BLOCK_BYTES, CHECKED_BYTES);
            check = end.and_then(|bytes| index::check_of(self.file, bytes).ok());
            self.last = Some(piece);
        }
        let is_full = (block + 1) * BLOCK_BYTES <= self.size;
        // Events of the first and of the last instant would make the zone look like that of a block without events.
        let is_clear = !zone.is_some_and(|zone| zone.is_all());
        let now = zone.unwrap_or(Zone::ALL);
        let lasting = check.filter(|_| is_full && ends && is_clear).map(|check| Zone { check, ..now });
        Ok(Surveyed { now, lasting })
    }

    /// Offers the lines of a block to the page.
    fn offer(
        &mut self,
        block: u64,
        zone: Zone,
        blocks: &mut Blocks,
        page: &mut Selection<'_>,
    ) -> Result<(), FileError> {
        // A zone that may still change says nothing of lines that were completed since.
        let (counted, is_lasting) = (blocks.counted(block), blocks.zone(block).is_some());
        let mut starts: Vec<u64> = self.pieces(block).collect();
        if page.order() == Order::NewestFirst {
            starts.reverse();
        }
        for start in starts {
            let piece = Piece::read(self.file, start, self.size, self.last.take())?;
            let seen = self.offer_piece(&piece, counted, page);
            blocks.is_wrong |= is_lasting && seen.is_some_and(|seen| !zone.has(&seen));
            self.last = Some(piece);
        }
        blocks.count(block, self.size);
        Ok(())
    }

    /// Offers the lines of a piece, in the order of the page; those before the offset `counted` do not count as skipped.
    /// Returns the first and the last instant that were seen meanwhile.
    fn offer_piece(&mut self, piece: &Piece, counted: u64, page: &mut Selection<'_>) -> Option<Zone> {
        let mut lines = core::mem::take(&mut self.lines);
        lines.clear();
        match page.query().candidates(piece.bytes()) {
            Some(candidates) => lines.extend(lines_of(candidates, piece.bytes())),
            None => {
                lines.extend(piece.lines());
                if piece.is_overlong && piece.offset(piece.bytes().len()) >= counted {
                    page.skip();
                }
            }
        }
        let (order, mut zone) = (page.order(), None::<Zone>);
        let mut offer = |line: &Range<usize>| {
            let skipped = page.skipped();
            let position = Position { day: self.day.number(), offset: piece.offset(line.start) };
            if let Some(at) = page.offer(&piece.bytes()[line.clone()], position) {
                zone.get_or_insert(Zone::at(at)).add(at);
            }
            if position.offset < counted {
                page.reset_skipped(skipped);
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
