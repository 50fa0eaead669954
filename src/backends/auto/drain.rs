//! From the spool into the database, and what a read sees of the spool.

use super::spool::{FileOf, Other, Spool, TAKEN_MICROS};
use crate::backend::{Notice, SpoolFile};
use crate::backends::rows::{self, Refusal};
use crate::error::Error;
use crate::host::{File, FileError, Folder, Host, DatabaseError};
use crate::scan::{Zones, scan_file};
use crate::selection::Selection;
use crate::warnings::Topic;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use audit_format::line::MAX_LEN;
use audit_format::names;
use audit_format::query::Query;
use audit_format::time::Timestamp;
use memchr::{memchr, memrchr};

/// How much of a file is read at once.
const PART: usize = if cfg!(test) { 1_000 } else { 256 << 10 };

/// How often the folder is listed again because a file was taken over in the middle of a read.
const TRIES: u32 = 5;

/// How much a call may drain.
#[derive(Clone, Copy)]
pub struct Budget {
    /// How many lines, at least about.
    pub lines: usize,
    /// Until when.
    pub until: Timestamp,
    /// Whether something was drained: one batch always is, however long it took to find it.
    pub begun: bool,
}

/// How far a file was drained.
enum Drained {
    /// To its end.
    Whole,
    /// As far as the budget went.
    Part,
    /// It is not there any more: another instance has taken it over, or removed it.
    Gone,
}

impl<H: Host> Spool<H> {
    /// Drains this instance's files, in their order; false: there is more. An error is why there is more.
    pub fn drain(&mut self, mut budget: Budget) -> Result<bool, Error> {
        while let Some(mut own) = self.own.pop_front() {
            let name = names::spool(self.chain, own.number);
            match self.drain_file(&name, &mut own, true, &mut budget) {
                Ok(Drained::Whole) => {
                    self.close(own.number);
                    // A file that stays is drained, without effect, and removed by a later instance.
                    if let Err(error) = self.folder.remove(&name)
                        && error != FileError::NotFound
                    {
                        let text = self.access("remove a drained file of the spool", &error).to_string();
                        self.notices.push(Notice { topic: Topic::Read, text, lost: 0 });
                    }
                }
                Ok(Drained::Gone) => {
                    self.close(own.number);
                    match self.stored_of(&own) {
                        // Another instance has taken it over.
                        Ok(stored) if stored == own.lines => {}
                        Ok(stored) => {
                            let (path, lost) = (self.folder.path(), own.lines - stored);
                            let text = format!("{path}/{name} is gone, and {lost} events with it");
                            self.notices.push(Notice { topic: Refusal::TOPIC, text, lost });
                        }
                        Err(error) => {
                            self.own.push_front(own);
                            return Err(error.into());
                        }
                    }
                }
                Ok(Drained::Part) => {
                    self.own.push_front(own);
                    return Ok(false);
                }
                Err(error) => {
                    self.own.push_front(own);
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    /// How many of the lines that still count the database has.
    fn stored_of(&self, own: &SpoolFile) -> Result<u64, DatabaseError> {
        let mut stored = 0;
        if own.lines == 0 {
            return Ok(stored);
        }
        let seqs = own.last_seq + 1 - own.lines..=own.last_seq;
        let mut query = Query::between(own.span.0, own.span.1);
        loop {
            let page = self.host.select(&query)?;
            let stamps = page.rows.iter().filter_map(|row| row.entry.stamp.as_ref());
            let found = stamps.filter(|stamp| stamp.chain == self.chain && seqs.contains(&stamp.seq));
            stored += found.count() as u64;
            query.after = rows::key_of(page.next, query.order)?;
            if query.after.is_none() || stored >= own.lines {
                return Ok(stored.min(own.lines));
            }
        }
    }

    /// Drains the files of other instances, and takes over those that are old.
    pub fn drain_others(&mut self, mut budget: Budget) -> Result<(), Error> {
        self.look()?;
        let mut later = Vec::new();
        let mut stuck = None;
        let mut others = core::mem::take(&mut self.others).into_iter();
        let mut result = Ok(());
        for other in others.by_ref() {
            let Other { chain, number, offset, .. } = other;
            if stuck == Some(chain) {
                later.push(other);
                continue;
            }
            let name = names::spool(chain, number);
            let mut file = SpoolFile::new(number, offset);
            match self.drain_file(&name, &mut file, false, &mut budget) {
                Ok(Drained::Gone) => continue,
                Ok(Drained::Whole) => match self.take_over(&name, file.offset) {
                    Ok(true) => {}
                    Ok(false) => later.push(Other { offset: file.offset, size: file.offset, ..other }),
                    Err(error) => result = Err(error),
                },
                Ok(Drained::Part) => {
                    later.push(Other { offset: file.offset, ..other });
                    break;
                }
                Err(error) => {
                    later.push(Other { offset: file.offset, ..other });
                    let goes_on = matches!(error, Error::Access(_));
                    result = Err(error);
                    stuck = Some(chain);
                    // A file that cannot be read holds up no other chain; a database that does not answer does.
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        later.extend(others);
        self.others = later;
        let drained = self.drain(budget);
        result.and(drained.map(drop))
    }

    /// Makes another's file, which is drained up to `offset`, one of this instance's; false: it is too young.
    fn take_over(&mut self, from: &str, offset: u64) -> Result<bool, Error> {
        let modified = self.folder.open(from).ok().and_then(|file| file.modified());
        // Where the clock was set back, it was written to in the future.
        let age = modified.map_or(0, |modified| self.host.now().micros().abs_diff(modified.micros()));
        if age < TAKEN_MICROS {
            return Ok(false);
        }
        let number = self.next;
        self.next += 1;
        match self.folder.rename(from, &names::spool(self.chain, number)) {
            Ok(()) => {
                self.own.push_back(SpoolFile::new(number, offset));
                Ok(true)
            }
            Err(FileError::NotFound) => Ok(true),
            Err(error) => Err(self.access("take over the spool of another instance", &error)),
        }
    }

    /// Inserts the lines of a file from its offset on, which goes with what the database has acknowledged.
    /// `to_end`: a last line without its newline counts too, as nobody will finish it.
    fn drain_file(
        &mut self,
        name: &str,
        own: &mut SpoolFile,
        to_end: bool,
        budget: &mut Budget,
    ) -> Result<Drained, Error> {
        let file = match self.folder.open(name) {
            Ok(file) => file,
            Err(FileError::NotFound) => return Ok(Drained::Gone),
            Err(error) => return Err(self.access(&format!("read {name}"), &error)),
        };
        loop {
            let part = read_part::<H>(&file, own.offset, to_end);
            let part = part.map_err(|error| self.access(&format!("read {name}"), &error))?;
            if part.is_empty() {
                return Ok(Drained::Whole);
            }
            let mut rest = &part[..];
            while !rest.is_empty() {
                if budget.begun && (budget.lines == 0 || self.host.now() >= budget.until) {
                    return Ok(Drained::Part);
                }
                let mut lines = Vec::new();
                while lines.len() < self.batch_size && !rest.is_empty() {
                    let end = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
                    let (line, after) = rest.split_at(end);
                    lines.push(line);
                    rest = after;
                }
                budget.begun = true;
                for refusal in rows::insert(&*self.host, &lines)? {
                    let mut notice = self.set_aside(&refusal);
                    // What is drained again was counted then, and what a failed append left behind will be.
                    let mut counted = lines.iter().take(own.lines as usize);
                    if !counted.any(|line| core::ptr::eq(*line, refusal.line)) {
                        notice.lost = 0;
                    }
                    self.notices.push(notice);
                }
                own.offset += lines.iter().map(|line| line.len() as u64).sum::<u64>();
                own.lines = own.lines.saturating_sub(lines.len() as u64);
                budget.lines = budget.lines.saturating_sub(lines.len());
            }
        }
    }

    /// Keeps a line that the database refuses in `refused_<chain>.jsonl`.
    pub fn set_aside(&mut self, refusal: &Refusal<'_>) -> Notice {
        let name = format!("refused_{}.jsonl", self.chain);
        let mut line = refusal.line.trim_ascii_end().to_vec();
        line.push(b'\n');
        let kept = self.folder.append(&name).and_then(|mut file| {
            let size = file.size()?;
            if size > 0 && file.read(size - 1, 1)? != b"\n" {
                file.append(b"\n")?;
            }
            line.chunks(MAX_LEN).try_for_each(|piece| file.append(piece))
        });
        let path = self.folder.path();
        let reason = &refusal.reason;
        let what = match refusal.chain {
            Some(_) => "the database refuses an event",
            None => "a line of the spool is no event",
        };
        let text = match kept {
            Ok(()) => format!("{what}; it is kept in {path}/{name}: {reason}"),
            Err(error) => {
                format!("{what}; it is lost, as {path}/{name} cannot be written ({error}): {reason}")
            }
        };
        Notice { topic: Refusal::TOPIC, text, lost: u64::from(refusal.chain == Some(self.chain)) }
    }

    /// Looks for files of other instances.
    pub(super) fn look(&mut self) -> Result<(), Error> {
        let names = self.folder.list().map_err(|error| self.access("list the spool", &error))?;
        let mut others = Vec::new();
        for (file, is_file) in names {
            let Some((chain, number)) = names::spool_of(&file).filter(|_| is_file) else { continue };
            if chain == self.chain && self.own.iter().any(|own| own.number == number) {
                continue;
            }
            let size = match self.folder.open(&file).and_then(|file| file.size()) {
                Ok(size) => size,
                Err(FileError::NotFound) => continue,
                // Draining it tells why.
                Err(_) => 0,
            };
            let known = self.others.iter().find(|other| other.chain == chain && other.number == number);
            others.push(Other { chain, number, offset: known.map_or(0, |known| known.offset), size });
        }
        others.sort_unstable();
        self.others = others;
        Ok(())
    }

    /// Offers a page every line in the spool, of whatever instance.
    pub fn scan(&mut self, page: &mut Selection<'_>) -> Result<(), Error> {
        let skipped = page.skipped();
        for _ in 0..TRIES {
            page.reset_skipped(skipped);
            let names = self.folder.list().map_err(|error| self.access("list the spool", &error))?;
            let mut gone = false;
            for (name, _) in
                names.iter().filter(|(name, is_file)| *is_file && names::spool_of(name).is_some())
            {
                let (mut zones, before) = (Zones::new(Timestamp::MIN.day()), page.skipped());
                let scanned = self.folder.open(name).and_then(|file| scan_file(&file, &mut zones, page));
                match scanned {
                    // Lines are counted with the first page.
                    Ok(()) if page.goes_on() => page.reset_skipped(before),
                    Ok(()) => {}
                    // It has another name now, or is in the database.
                    Err(FileError::NotFound) => gone = true,
                    Err(error) => {
                        page.skip_file(format!("cannot read {}/{name}: {error}", self.folder.path()));
                    }
                }
            }
            if !gone {
                break;
            }
        }
        Ok(())
    }
}

/// Whole lines from `offset` on, and with `to_end` the last one too where it has no newline; empty: there are none.
/// What is far too long for a line comes in parts.
fn read_part<H: Host>(file: &FileOf<H>, offset: u64, to_end: bool) -> Result<Vec<u8>, FileError> {
    let mut part = Vec::new();
    loop {
        let read = file.read(offset + part.len() as u64, PART)?;
        let ends = read.is_empty();
        part.extend_from_slice(&read);
        let whole = memrchr(b'\n', &part).map_or(0, |newline| newline + 1);
        if ends && to_end {
            return Ok(part);
        }
        if part.len() >= PART.max(2 * MAX_LEN) && whole == 0 {
            return Ok(part);
        }
        if ends || (whole > 0 && part.len() >= PART) {
            part.truncate(whole);
            return Ok(part);
        }
    }
}
