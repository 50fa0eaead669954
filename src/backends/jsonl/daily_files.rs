//! The daily files of a folder. A batch is written to the files of its days, all of it or nothing.

use super::daily_file::DailyFile;
use crate::accounting::{DropReason, events};
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

/// Consecutive lines of a batch that belong to one day.
struct Run {
    day: Day,
    /// Their range in the batch.
    lines: Range<usize>,
    /// The size of the file before they were appended; `None`: the append was not tried.
    start: Option<u64>,
}

impl<F: Folder> DailyFiles<F> {
    pub fn new(folder: F, synced: bool) -> Self {
        Self { folder, synced, open: Vec::new() }
    }

    /// Writes all lines of the batch to the files of their days, or rejects all.
    pub fn write(&mut self, batch: &Batch) -> Result<(), Rejected> {
        let mut runs = runs(batch);
        for at in 0..runs.len() {
            if let Err(error) = self.write_run(batch, &mut runs[at]) {
                return Err(self.roll_back(batch, &runs, error));
            }
        }
        Ok(())
    }

    fn write_run(&mut self, batch: &Batch, run: &mut Run) -> Result<(), Error> {
        let synced = self.synced;
        let (file, size) = self.file(run.day)?;
        run.start = Some(size);
        let result = file.append(batch, run.lines.clone(), size);
        let result = result.and_then(|()| if synced { file.file.sync() } else { Ok(()) });
        result.map_err(|e| self.access("append to", &names::daily(run.day), &e))
    }

    /// Removes the lines of all runs again, the last run first, and says how many lines of the batch stay
    /// nevertheless.
    fn roll_back(&mut self, batch: &Batch, runs: &[Run], error: Error) -> Rejected {
        let lines: Vec<&[u8]> = batch.lines().map(|(_, line)| line).collect();
        let mut stored = 0;
        for run in runs.iter().rev() {
            let Some(start) = run.start else { continue };
            let Ok((file, _)) = self.file(run.day) else { continue };
            // A run whose rollback fails counts as stored.
            let kept = file.roll_back(start, &lines[run.lines.clone()]).unwrap_or(run.lines.len());
            if kept > 0 {
                // The earlier runs stay too, so that the stored lines are the first of the batch.
                stored = run.lines.start + kept;
                break;
            }
        }
        let error = match error {
            Error::Access(text) if stored == 1 => {
                Error::Access(format!("{text}; the first event of the batch is stored"))
            }
            Error::Access(text) if stored > 1 => {
                Error::Access(format!("{text}; the first {} of the batch are stored", events(stored)))
            }
            error => error,
        };
        Rejected { stored, reason: DropReason::Unwritable, error }
    }

    /// The day's file, open for appending, and its size.
    fn file(&mut self, day: Day) -> Result<(&mut DailyFile<F::File>, u64), Error> {
        let known = self.open.iter().position(|file| file.day == day).map(|place| self.open.remove(place));
        let known = known.filter(|known| self.folder.holds(&names::daily(day), &known.file));
        let known = known.and_then(|known| known.file.size().ok().map(|size| (known, size)));
        let (file, size) = match known {
            Some(known) => known,
            None => self.open_file(day)?,
        };
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

/// The runs of a batch, in its order.
fn runs(batch: &Batch) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (line, (at, _)) in batch.lines().enumerate() {
        match runs.last_mut() {
            Some(run) if run.day == at.day() => run.lines.end = line + 1,
            _ => runs.push(Run { day: at.day(), lines: line..line + 1, start: None }),
        }
    }
    runs
}
