//! Draining: lines of the spool are inserted into the database, and drained files are removed.

use super::spool::{FileOf, OtherFile, Spool, TAKEOVER_MICROS};
use crate::accounting::events;
use crate::backend::{Notice, SpoolFile};
use crate::backends::rows::{self, Refusal};
use crate::error::Error;
use crate::host::{DatabaseError, File, FileError, Folder, Host};
use crate::warnings::Topic;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use audit_format::line::MAX_LEN;
use audit_format::names;
use audit_format::query::Query;
use audit_format::time::Timestamp;
use memchr::{memchr, memrchr};

/// How much of a file is read at once, in bytes.
const READ_BYTES: usize = if cfg!(test) { 1_000 } else { 256 << 10 };

/// How much a call may drain.
#[derive(Clone, Copy)]
pub struct Budget {
    /// How many lines. The last batch may exceed this.
    pub lines: usize,
    /// How many lines are inserted at once.
    pub batch: usize,
    /// Until when.
    pub until: Timestamp,
    /// Whether a batch was drained or a file taken over. Each call does so once, however long it took to find one.
    pub started: bool,
}

impl Budget {
    fn is_used_up(&self, now: Timestamp) -> bool {
        self.started && (self.lines == 0 || now >= self.until)
    }
}

/// How far a file was drained.
enum Drained {
    /// To its end.
    Whole,
    /// As far as the budget allowed.
    Part,
    /// Not at all: another instance has taken it over, or it was removed.
    Gone,
}

impl<H: Host> Spool<H> {
    /// Drains the files of this instance, in their order. False: the budget is used up, and more is left.
    pub fn drain(&mut self, mut budget: Budget) -> Result<bool, Error> {
        while let Some(mut own) = self.own.pop_front() {
            let name = names::spool(self.chain, own.number);
            let drained = self.drain_file(&name, &mut own, true, &mut budget);
            let finished = match drained {
                Ok(Drained::Whole) => {
                    self.close(own.number);
                    self.remove_drained(&name);
                    self.forget(self.chain, own.number, own.remembered);
                    Ok(true)
                }
                Ok(Drained::Gone) => {
                    self.close(own.number);
                    self.forget(self.chain, own.number, own.remembered);
                    self.count_lost(&name, &own).map(|()| true)
                }
                Ok(Drained::Part) => Ok(false),
                Err(error) => Err(error),
            };
            if !matches!(finished, Ok(true)) {
                self.remember(self.chain, own.number, &mut own.remembered, own.offset);
            }
            if !matches!(finished, Ok(true)) {
                self.own.push_front(own);
                return finished;
            }
        }
        Ok(true)
    }

    /// Removes a drained file. If that fails, a later instance drains it again, without effect, and removes
    /// it.
    fn remove_drained(&mut self, name: &str) {
        if let Err(error) = self.folder.remove(name)
            && error != FileError::NotFound
        {
            let text = self.access("remove a drained file of the spool", &error).to_string();
            self.notices.push(Notice { topic: Topic::Read, text, lost: 0 });
        }
    }

    /// Counts the lines of a file that is gone as lost, unless the database has them: then another instance
    /// has taken the file over.
    fn count_lost(&mut self, name: &str, own: &SpoolFile) -> Result<(), Error> {
        let lost = own.counted - self.count_stored(own)?;
        if lost > 0 {
            let (path, gone) = (self.folder.path(), events(lost as usize));
            let text = format!("{path}/{name} is gone, and {gone} with it");
            self.notices.push(Notice { topic: Refusal::TOPIC, text, lost });
        }
        Ok(())
    }

    /// How many of the counted lines of a file the database has.
    fn count_stored(&self, own: &SpoolFile) -> Result<u64, DatabaseError> {
        let mut stored = 0;
        if own.counted == 0 {
            return Ok(stored);
        }
        let seqs = own.last_seq + 1 - own.counted..=own.last_seq;
        let mut query = Query::between(own.span.0, own.span.1);
        loop {
            let page = self.host.select(&query)?;
            let stamps = page.lines.lines().filter_map(|line| rows::stamp(line.as_bytes()));
            let found = stamps.filter(|stamp| stamp.chain == self.chain && seqs.contains(&stamp.seq));
            stored += found.count() as u64;
            query.after = page.next;
            if query.after.is_none() || stored >= own.counted {
                return Ok(stored.min(own.counted));
            }
        }
    }

    /// Drains the files of other instances that were listed, and takes over those that nobody has written to for a while.
    pub fn drain_others(&mut self, mut budget: Budget) -> Result<(), Error> {
        for name in core::mem::take(&mut self.outdated) {
            let _ = self.folder.remove(&name);
        }
        let mut remaining = Vec::new();
        // The chain of a file that could not be drained: its later files must wait.
        let mut blocked = None;
        let mut others = core::mem::take(&mut self.others).into_iter();
        let mut result = Ok(());
        for mut other in others.by_ref() {
            if blocked == Some(other.chain) {
                remaining.push(other);
                continue;
            }
            match self.drain_other(&mut other, &mut budget) {
                Ok(Drained::Gone) => {}
                Ok(Drained::Whole) => remaining.push(other),
                Ok(Drained::Part) => {
                    remaining.push(other);
                    break;
                }
                Err(error) => {
                    let is_file_error = matches!(error, Error::Access(_));
                    result = Err(error);
                    blocked = Some(other.chain);
                    remaining.push(other);
                    // A file that cannot be read only holds up its chain. A database that fails holds up all.
                    if !is_file_error {
                        break;
                    }
                }
            }
        }
        remaining.extend(others);
        self.others = remaining;
        let drained = self.drain(budget);
        result.and(drained.map(drop))
    }

    /// Drains a file of another instance, and takes it over if nobody has written to it for a while: it is gone then.
    fn drain_other(&mut self, other: &mut OtherFile, budget: &mut Budget) -> Result<Drained, Error> {
        if budget.is_used_up(self.host.now()) {
            return Ok(Drained::Part);
        }
        let name = names::spool(other.chain, other.number);
        let stat = match self.folder.stat(&name) {
            Ok(stat) => stat,
            Err(FileError::NotFound) => {
                self.forget(other.chain, other.number, other.remembered);
                return Ok(Drained::Gone);
            }
            Err(error) => return Err(self.access(&format!("read {name}"), &error)),
        };
        other.size = Some(stat.size);
        if stat.size > other.offset {
            let mut file = SpoolFile::new(other.number, other.offset);
            let drained = self.drain_file(&name, &mut file, false, budget);
            other.offset = file.offset;
            self.remember(other.chain, other.number, &mut other.remembered, other.offset);
            if !matches!(drained, Ok(Drained::Whole)) {
                return drained;
            }
            // The rest is no complete line.
            other.size = Some(other.offset);
        }
        Ok(if self.take_over(&name, other, stat.modified, budget)? { Drained::Gone } else { Drained::Whole })
    }

    /// Renames another instance's file, of which the database has all, to one of this instance. False: its last append is
    /// too recent.
    fn take_over(
        &mut self,
        from: &str,
        other: &OtherFile,
        modified: Option<Timestamp>,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        // If the clock was set back, the last append is in the future.
        let age = modified.map_or(0, |modified| self.host.now().micros().abs_diff(modified.micros()));
        if age < TAKEOVER_MICROS {
            return Ok(false);
        }
        budget.started = true;
        let number = self.next_number;
        self.next_number += 1;
        match self.folder.rename(from, &names::spool(self.chain, number)) {
            Ok(()) => self.own.push_back(SpoolFile::new(number, other.offset)),
            // Another instance was faster.
            Err(FileError::NotFound) => {}
            Err(error) => return Err(self.access("take over the spool of another instance", &error)),
        }
        self.forget(other.chain, other.number, other.remembered);
        Ok(true)
    }

    /// Inserts the lines of a file from its offset on, and moves the offset past each batch that the database
    /// has acknowledged. With `to_end`, a last line without a newline is inserted too, because nobody will
    /// complete it.
    fn drain_file(
        &mut self,
        name: &str,
        progress: &mut SpoolFile,
        to_end: bool,
        budget: &mut Budget,
    ) -> Result<Drained, Error> {
        let file = match self.folder.open(name) {
            Ok(file) => file,
            Err(FileError::NotFound) => return Ok(Drained::Gone),
            Err(error) => return Err(self.access(&format!("read {name}"), &error)),
        };
        loop {
            let part = read_part::<H>(&file, progress.offset, to_end);
            let part = part.map_err(|error| self.access(&format!("read {name}"), &error))?;
            if part.is_empty() {
                return Ok(Drained::Whole);
            }
            let mut rest = &part[..];
            while !rest.is_empty() {
                if budget.is_used_up(self.host.now()) {
                    return Ok(Drained::Part);
                }
                let mut lines = Vec::new();
                while lines.len() < budget.batch && !rest.is_empty() {
                    let end = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
                    let (line, after) = rest.split_at(end);
                    lines.push(line);
                    rest = after;
                }
                budget.started = true;
                self.insert_lines(&lines, progress)?;
                budget.lines = budget.lines.saturating_sub(lines.len());
            }
        }
    }

    /// Inserts the next lines of a file, and sets those aside that the database refuses.
    fn insert_lines(&mut self, lines: &[&[u8]], progress: &mut SpoolFile) -> Result<(), Error> {
        for refusal in rows::insert(&*self.host, lines)? {
            let mut notice = self.set_aside(&refusal);
            // Only counted lines are lost. The others were counted when the file was drained before, or will
            // be where they are appended again after a failed append.
            let mut counted = lines.iter().take(progress.counted as usize);
            if !counted.any(|line| core::ptr::eq(*line, refusal.line)) {
                notice.lost = 0;
            }
            self.notices.push(notice);
        }
        self.answered = true;
        progress.offset += lines.iter().map(|line| line.len() as u64).sum::<u64>();
        progress.counted = progress.counted.saturating_sub(lines.len() as u64);
        Ok(())
    }
}

/// Complete lines from `offset` on, and with `to_end` also a last line without a newline; empty: there are
/// none. What is much longer than a line comes in several parts.
fn read_part<H: Host>(file: &FileOf<H>, offset: u64, to_end: bool) -> Result<Vec<u8>, FileError> {
    let mut part = Vec::new();
    loop {
        let read = file.read(offset + part.len() as u64, READ_BYTES)?;
        let is_end = read.is_empty();
        part.extend_from_slice(&read);
        let complete = memrchr(b'\n', &part).map_or(0, |newline| newline + 1);
        if is_end && to_end {
            return Ok(part);
        }
        if part.len() >= READ_BYTES.max(2 * MAX_LEN) && complete == 0 {
            return Ok(part);
        }
        if is_end || (complete > 0 && part.len() >= READ_BYTES) {
            part.truncate(complete);
            return Ok(part);
        }
    }
}
