//! The daily files of a folder, and how a batch gets into those of its days, whole or not at all.

use super::daily_file::DailyFile;
use crate::accounting::DropReason;
use crate::backend::Refused;
use crate::batch::Batch;
use crate::error::Error;
use crate::host::{File, FileError, Folder};
use alloc::format;
use alloc::vec::Vec;
use audit_format::names;
use audit_format::time::Day;
use core::ops::Range;

/// How many files stay open to append to: late events come for days long past.
const OPEN_FILES: usize = 16;

/// The daily files of a folder.
pub struct DailyFiles<F: Folder> {
    pub folder: F,
    /// Whether the disk has to have a batch before it counts as written.
    synced: bool,
    /// The file that was used last comes last.
    open: Vec<DailyFile<F::File>>,
}

/// Lines of a batch that follow each other and belong to one day.
struct Run {
    day: Day,
    /// Which of the batch.
    lines: Range<usize>,
    /// The size of the file before they were appended; `None`: they were not.
    start: Option<u64>,
}

impl<F: Folder> DailyFiles<F> {
    pub fn new(folder: F, synced: bool) -> Self {
        Self { folder, synced, open: Vec::new() }
    }

    /// Writes all lines of the batch to the files of their days, or none.
    pub fn write(&mut self, batch: &Batch) -> Result<(), Refused> {
        let mut runs = runs(batch);
        for at in 0..runs.len() {
            if let Err(error) = self.write_run(batch, &mut runs[at]) {
                return Err(self.take_back(batch, &runs, error));
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

    fn take_back(&mut self, batch: &Batch, runs: &[Run], error: Error) -> Refused {
        let lines: Vec<&[u8]> = batch.lines().map(|(_, line)| line).collect();
        let mut stored = 0;
        for run in runs.iter().rev() {
            let Some(start) = run.start else { continue };
            let Ok((file, _)) = self.file(run.day) else { continue };
            let left = file.take_back(start, &lines[run.lines.clone()]).unwrap_or(run.lines.len());
            if left > 0 {
                // The runs before stay too: what is stored is the beginning of the batch.
                stored = run.lines.start + left;
                break;
            }
        }
        let error = match error {
            Error::Access(text) if stored > 0 => {
                Error::Access(format!("{text}; the first {stored} events of the batch are stored"))
            }
            error => error,
        };
        Refused { stored, reason: DropReason::Unwritable, error }
    }

    /// The day's file, open to append to, and its size.
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
