//! Scanning the daily files for a page: only files whose days the page can still take entries from.

use crate::error::Error;
use crate::host::{File, FileError, Folder};
use crate::index::{self, BLOCK_BYTES, LAG, LEAST_BLOCKS};
use crate::scan::{Blocks, scan_file};
use crate::selection::Selection;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::cursor::Order;
use audit_format::names;
use audit_format::time::Day;

/// Of how many files the blocks stay in memory for later pages: those that the last pages have scanned.
const KNOWN_FILES: usize = 16;

/// How many bytes of files a page gets to know at most. Beyond that it ends early, and the next page goes on: a call must
/// not take long, and what is known of the files stays in memory. The slowest lines, which are those of other writers, take
/// about a second of a CPU.
const SURVEY_BYTES: u64 = if cfg!(test) { 20_000 } else { 256 << 20 };

/// What is known of the files of some days, the one that was scanned last at the end.
#[derive(Default)]
pub struct Days {
    known: Vec<KnownDay>,
    /// Whether this instance has made a page before.
    has_read: bool,
    /// Whether something was forgotten since the last page that did not end early, other than a wrong index.
    has_forgotten: bool,
}

/// What is known of the file of a day.
struct KnownDay {
    day: Day,
    blocks: Blocks,
    /// How many of its first blocks the index has; none: the index was not read yet, or could not be extended.
    indexed: Option<u64>,
    /// Whether the index was found to be wrong.
    was_wrong: bool,
    /// Whether it could not be removed then.
    is_refused: bool,
    /// Whether the file was found to be another one, since this was last asked.
    has_changed: bool,
}

/// What became of a try to offer a page the lines of a file.
enum Scanned {
    Whole,
    /// Some lines were not offered: the file has to be known first, and the budget for that is used up.
    Part,
    /// The index was wrong.
    Wrong,
}

impl Days {
    /// Offers the page every line in the folder that it could take, or ends it early where that would take long. False: an
    /// index was found to be wrong, and the page has to be made anew with [`Days::scan_anew`].
    pub fn scan(&mut self, folder: &mut impl Folder, page: &mut Selection<'_>) -> Result<bool, Error> {
        for known in &mut self.known {
            known.blocks.begin_page();
            if !page.is_continuation() {
                known.blocks.begin_read();
            }
        }
        self.scan_with(folder, page, true)
    }

    /// As [`Days::scan`], with nothing but what the files have. Takes back what the first try has counted.
    pub fn scan_anew(&mut self, folder: &mut impl Folder, page: &mut Selection<'_>) -> Result<(), Error> {
        for known in &mut self.known {
            known.blocks.take_back_counts();
            known.blocks.forget();
        }
        // It is false again where a file is rewritten just now: there is no better answer.
        self.scan_with(folder, page, false).map(drop)
    }

    fn scan_with(
        &mut self,
        folder: &mut impl Folder,
        page: &mut Selection<'_>,
        uses_indexes: bool,
    ) -> Result<bool, Error> {
        let mut budget = if self.may_end_early(page) { SURVEY_BYTES } else { u64::MAX };
        let (mut is_right, mut is_whole) = (true, true);
        for (day, name, is_file) in days(folder, page.order())? {
            // The file of a writer that rotates by local time has events of up to a day before or after.
            if !page.wants(day.plus(-1).first(), day.plus(1).last()) {
                continue;
            }
            let scanned = if is_file {
                let known = self.known(day);
                folder.open(&name).and_then(|file| known.scan(folder, &file, page, uses_indexes, &mut budget))
            } else {
                Err(FileError::Other("it is not a regular file".into()))
            };
            match scanned {
                Ok(Scanned::Whole) => {}
                Ok(Scanned::Wrong) => is_right = false,
                Ok(Scanned::Part) => {
                    is_whole = false;
                    page.postpone();
                    break;
                }
                // The file was deleted after the folder was listed.
                Err(FileError::NotFound) => {}
                Err(error) => page.skip_file(format!("cannot read {}/{name}: {error}", folder.path())),
            }
        }
        self.has_read = true;
        let has_changed = |known: &mut KnownDay| core::mem::take(&mut known.has_changed);
        self.has_forgotten |=
            self.known.iter_mut().fold(false, |changed, known| changed | has_changed(known));
        let is_made = is_right || !uses_indexes;
        self.has_forgotten &= !(is_whole && is_made);
        Ok(is_right)
    }

    /// Whether a page may end before its first entry. Not where the next page might have to begin from nothing again: in an
    /// instance of its own, or where what this one learns may be forgotten.
    fn may_end_early(&self, page: &Selection<'_>) -> bool {
        let is_kept = self.has_read || !page.is_continuation();
        is_kept && !self.has_forgotten
    }

    /// What is known of the file of a day.
    fn known(&mut self, day: Day) -> &mut KnownDay {
        let place = self.known.iter().position(|known| known.day == day);
        let known = match place {
            Some(place) => self.known.remove(place),
            None => KnownDay {
                day,
                blocks: Blocks::default(),
                indexed: None,
                was_wrong: false,
                is_refused: false,
                has_changed: false,
            },
        };
        if self.known.len() == KNOWN_FILES {
            self.known.remove(0);
            self.has_forgotten = true;
        }
        self.known.push_mut(known)
    }
}

impl KnownDay {
    /// As [`Days::scan`], for one file.
    fn scan<F: Folder>(
        &mut self,
        folder: &mut F,
        file: &F::File,
        page: &mut Selection<'_>,
        uses_index: bool,
        budget: &mut u64,
    ) -> Result<Scanned, FileError> {
        // Before anything is learned: of what comes from two files, a few checks could miss the part of one.
        self.has_changed |= !self.blocks.verify(file)?;
        let blocks = file.size()? / BLOCK_BYTES;
        let is_behind = blocks >= LEAST_BLOCKS && self.blocks.known(blocks) + LAG <= blocks;
        if is_behind && uses_index && !self.is_refused {
            // What the index could tell can be read in the file.
            let learned = index::load(folder, self.day, file).unwrap_or_default();
            let learned = learned.filter(|zones| index::is_of_file(file, zones).unwrap_or_default());
            let known = |zones: &Vec<_>| zones.iter().take_while(|zone| Option::is_some(zone)).count() as u64;
            self.indexed = Some(learned.as_ref().map_or(0, known));
            self.blocks.learn(learned.unwrap_or_default());
        }
        let is_whole = scan_file(file, self.day, &mut self.blocks, page, budget)?;
        if self.blocks.is_wrong {
            self.blocks.forget();
            self.has_changed |= self.was_wrong;
            self.was_wrong = true;
            self.indexed = index::remove(folder, self.day).is_ok().then_some(0);
            self.is_refused = self.indexed.is_none();
            return Ok(Scanned::Wrong);
        }
        self.extend_index(folder, file);
        Ok(if is_whole { Scanned::Whole } else { Scanned::Part })
    }

    /// Appends what this read has learned to the index, where the folder may be changed.
    fn extend_index<F: Folder>(&mut self, folder: &mut F, file: &F::File) {
        let Some(indexed) = self.indexed else { return };
        if (self.blocks.known_from(indexed).len() as u64) < LAG {
            return;
        }
        let mut extend = || {
            // Others may have extended it meanwhile.
            let end = index::end(folder, self.day, file)?;
            let zones = self.blocks.known_from(end);
            index::append(folder, self.day, end, &zones)?;
            Ok::<_, FileError>(end + zones.len() as u64)
        };
        self.indexed = extend().ok();
    }
}

/// The daily files, in the order of their days, each with whether it is a regular file.
fn days(folder: &mut impl Folder, order: Order) -> Result<Vec<(Day, String, bool)>, Error> {
    let names = folder
        .list()
        .map_err(|error| Error::Access(format!("cannot read the folder {}: {error}", folder.path())))?;
    let days = names.into_iter().filter_map(|(name, is_file)| Some((names::day_of(&name)?, name, is_file)));
    let mut days: Vec<_> = days.collect();
    days.sort_unstable_by(|a, b| order.compare(a, b));
    Ok(days)
}
