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

/// What is known of the files of some days, the one that was scanned last at the end.
#[derive(Default)]
pub struct Days {
    known: Vec<KnownDay>,
}

/// What is known of the file of a day.
struct KnownDay {
    day: Day,
    blocks: Blocks,
    /// How many of its first blocks the index has; none: the index was not read yet, or may not be used.
    indexed: Option<u64>,
    /// Whether the index was found to be of another file, or cannot be extended.
    is_refused: bool,
}

impl Days {
    /// Offers the page every line in the folder that it could take. False: an index was found to be wrong, and is forgotten;
    /// the page has to be made anew.
    pub fn scan(&mut self, folder: &mut impl Folder, page: &mut Selection<'_>) -> Result<bool, Error> {
        if !page.is_continuation() {
            self.known.iter_mut().for_each(|known| known.blocks.begin_read());
        }
        let mut is_right = true;
        for (day, name, is_file) in days(folder, page.order())? {
            // The file of a writer that rotates by local time has events of up to a day before or after.
            if !page.wants(day.plus(-1).first(), day.plus(1).last()) {
                continue;
            }
            let scanned = if is_file {
                let known = self.known(day);
                folder.open(&name).and_then(|file| known.scan(folder, &file, page))
            } else {
                Err(FileError::Other("it is not a regular file".into()))
            };
            match scanned {
                Ok(right) => is_right &= right,
                // The file was deleted after the folder was listed.
                Err(FileError::NotFound) => {}
                Err(error) => page.skip_file(format!("cannot read {}/{name}: {error}", folder.path())),
            }
        }
        Ok(is_right)
    }

    /// What is known of the file of a day.
    fn known(&mut self, day: Day) -> &mut KnownDay {
        let place = self.known.iter().position(|known| known.day == day);
        let known = match place {
            Some(place) => self.known.remove(place),
            None => KnownDay { day, blocks: Blocks::default(), indexed: None, is_refused: false },
        };
        if self.known.len() == KNOWN_FILES {
            self.known.remove(0);
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
    ) -> Result<bool, FileError> {
        // Before anything is learned: of what comes from two files, a few checks could miss the part of one.
        self.blocks.verify(file)?;
        let blocks = file.size()? / BLOCK_BYTES;
        if blocks >= LEAST_BLOCKS && self.blocks.known(blocks) + LAG <= blocks && !self.is_refused {
            // What the index could tell can be read in the file.
            let learned = index::load(folder, self.day, file).unwrap_or_default();
            let learned = learned.filter(|zones| index::is_of_file(file, zones).unwrap_or_default());
            let known = |zones: &Vec<_>| zones.iter().take_while(|zone| Option::is_some(zone)).count() as u64;
            self.indexed = Some(learned.as_ref().map_or(0, known));
            self.blocks.learn(learned.unwrap_or_default());
        }
        scan_file(file, self.day, &mut self.blocks, page)?;
        if self.blocks.is_wrong {
            self.blocks.forget();
            self.is_refused = true;
            return Ok(false);
        }
        self.extend_index(folder, file);
        Ok(true)
    }

    /// Appends what this read has learned to the index, where the folder may be changed.
    fn extend_index<F: Folder>(&mut self, folder: &mut F, file: &F::File) {
        let Some(indexed) = self.indexed.filter(|_| !self.is_refused) else { return };
        if (self.blocks.known_from(indexed).len() as u64) < LAG {
            return;
        }
        let mut extend = || {
            let blocks = file.size()? / BLOCK_BYTES;
            // Others may have extended it meanwhile.
            let end = index::end(folder, self.day, file, blocks)?;
            let zones = self.blocks.known_from(end);
            index::append(folder, self.day, end, &zones)?;
            Ok::<_, FileError>(end + zones.len() as u64)
        };
        let extended = extend();
        self.is_refused = extended.is_err();
        self.indexed = extended.ok();
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
