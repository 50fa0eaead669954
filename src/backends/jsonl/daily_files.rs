//! The daily files of a folder. A batch is written to the files of its days; if that fails, its first lines stay.

use super::daily_file::{DailyFile, Unfinished};
use crate::accounting::DropReason;
use crate::backend::Rejected;
use crate::batch::Batch;
use crate::error::Error;
use crate::host::{File, FileError, Folder};
use alloc::format;
use alloc::vec::Vec;
use audit_format::names;
use audit_format::time::Day;
use core::ops::Range;

/// How many files stay open for appending: late events may belong to many different days.
const OPEN_FILES: usize = 16;

/// The daily files of a folder.
pub struct DailyFiles<F: Folder> {
    pub folder: F,
    /// Whether a batch only counts as written once it is synced to the disk.
    synced: bool,
    /// The file that was used last is the last one.
    open: Vec<DailyFile<F::File>>,
}

/// Why the lines of one day were not all written, and how many of them are in the file.
struct Failed {
    stored: usize,
    error: Error,
}

impl<F: Folder> DailyFiles<F> {
    pub fn new(folder: F, synced: bool) -> Self {
        Self { folder, synced, open: Vec::new() }
    }

    /// Writes the lines of the batch to the files of their days, in their order.
    pub fn write(&mut self, batch: &Batch) -> Result<(), Rejected> {
        for (day, lines) in runs(batch) {
            if let Err(failed) = self.write_run(batch, day, lines.clone()) {
                return Err(rejected(lines.start + failed.stored, failed.error));
            }
        }
        Ok(())
    }

    /// Writes consecutive lines of the batch that belong to one day.
    fn write_run(&mut self, batch: &Batch, day: Day, lines: Range<usize>) -> Result<(), Failed> {
        let synced = self.synced;
        let (file, size) = self.file(day).map_err(|error| Failed { stored: 0, error })?;
        let (stored, verb, error) = match file.append(batch, lines.clone(), size) {
            // The lines are in the file, so they must not be written once more.
            Ok(()) if synced => match file.file.sync() {
                Ok(()) => return Ok(()),
                Err(error) => (lines.len(), "sync", error),
            },
            Ok(()) => return Ok(()),
            // Where the file cannot be read, what the host has taken counts.
            Err(Unfinished { appended, error }) => {
                (file.count_stored(size, batch, lines).unwrap_or(appended), "append to", error)
            }
        };
        Err(Failed { stored, error: self.access(verb, &names::daily(day), &error) })
    }

    /// The day's file, open for appending, and its size.
    fn file(&mut self, day: Day) -> Result<(&mut DailyFile<F::File>, u64), Error> {
        let known = self.open.iter().position(|file| file.day == day).map(|place| self.open.remove(place));
        let known = known.filter(|known| self.folder.holds(&names::daily(day), &known.file));
        let known = known.and_then(|known| known.file.size().ok().map(|size| (known, size)));
        let (mut file, size) = match known {
            Some(known) => known,
            None => self.open_file(day)?,
        };
        file.extend_index(&mut self.folder, size);
        if self.open.len() == OPEN_FILES {
            self.open.remove(0);
        }
        Ok((self.open.push_mut(file), size))
    }

    fn open_file(&mut self, day: Day) -> Result<(DailyFile<F::File>, u64), Error> {
        let name = names::daily(day);
        let opened = self.folder.append(&name).and_then(|file| Ok((file.size()?, file)));
        let (size, file) = opened.map_err(|e| self.access("append to", &name, &e))?;
        if self.synced {
            self.folder.sync().map_err(|e| self.access("sync the folder of", &name, &e))?;
        }
        Ok((DailyFile::new(day, file), size))
    }

    fn access(&self, verb: &str, name: &str, error: &FileError) -> Error {
        Error::Access(format!("cannot {verb} {}/{name}: {error}", self.folder.path()))
    }
}

fn rejected(stored: usize, error: Error) -> Rejected {
    let error = match error {
        Error::Access(reason) if stored > 0 => Error::Incomplete { stored: stored as u64, reason },
        error => error,
    };
    Rejected { stored, reason: DropReason::Unwritable, error }
}

/// The lines of a batch by day, in its order.
fn runs(batch: &Batch) -> Vec<(Day, Range<usize>)> {
    let mut runs: Vec<(Day, Range<usize>)> = Vec::new();
    for (line, (at, _)) in batch.lines().enumerate() {
        match runs.last_mut() {
            Some((day, lines)) if *day == at.day() => lines.end = line + 1,
            _ => runs.push((at.day(), line..line + 1)),
        }
    }
    runs
}
