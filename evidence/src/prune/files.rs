//! Daily files: each goes as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::Path;

use audit_format::names;
use audit_format::time::Day;

use super::{Judge, OnStep, Part, Prunable, Stays, Step, Why};
use crate::error::Error;
use crate::events::Events as _;
use crate::folder;
use crate::record::Files;
use crate::segment::{Place, Segment};

/// What a file is called while it is removed. No writer, reader or sealer takes it for a daily file.
const SUFFIX: &str = ".pruned";

impl Prunable for Files {
    fn may_remove(&mut self) -> Result<(), Error> {
        let name = || self.folder().display().to_string();
        let metadata = fs::metadata(self.folder()).map_err(Error::read(name()))?;
        let denied = || Error::write(name())(io::Error::from(ErrorKind::PermissionDenied));
        if metadata.permissions().readonly() { Err(denied()) } else { Ok(()) }
    }

    fn finish(&mut self, judge: &mut Judge<'_>, step: &mut OnStep<'_>) -> Result<Vec<String>, Error> {
        let mut finished = Vec::new();
        for (file, end) in declared(judge) {
            let is_aside = crate::record::exists(self.folder(), &format!("{file}{SUFFIX}"));
            if is_aside || self.is_left(&file, judge)? {
                step(&Step::Finish(file.clone()))?;
                let Some(day) = names::day_of(&file) else { continue };
                self.take_away(&file, end, day, step)?;
                finished.push(file);
            }
        }
        Ok(finished)
    }

    fn parts(&mut self, before: Day, judge: &mut Judge<'_>) -> Result<(Vec<Part>, Vec<Stays>), Error> {
        let (mut parts, mut stays) = (Vec::new(), Vec::new());
        for file in self.files()? {
            let Some(day) = names::day_of(&file).filter(|day| *day < before) else { continue };
            match self.part(day, &file, judge) {
                Ok(Ok(part)) => parts.push(part),
                Ok(Err(why)) => stays.push(Stays { what: file, why }),
                Err(Error::Read { name, source }) if name == file => {
                    stays.push(Stays { what: file, why: Why::Unreadable(source.to_string()) });
                }
                Err(error) => return Err(error),
            }
        }
        Ok((parts, stays))
    }

    fn copy(&mut self, part: &Part, out: &mut dyn Write) -> Result<(), Error> {
        let name = names::daily(part.day);
        let mut copy = || {
            let file = folder::open(&self.folder().join(&name))?;
            io::copy(&mut file.take(part.bytes.unwrap_or_default()), out)
        };
        copy().map(drop).map_err(Error::read(&name))
    }

    fn remove(&mut self, part: &Part, step: &mut OnStep<'_>) -> Result<(), Error> {
        self.take_away(&names::daily(part.day), part.bytes.unwrap_or_default(), part.day, step)
    }
}

/// The files that were pruned, with the bytes of the last time.
fn declared(judge: &Judge<'_>) -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    for declaration in judge.pruned.declarations() {
        let mut ends = BTreeMap::<&str, u64>::new();
        for range in declaration.ranges {
            if let Place::Lines { file, to, .. } = &range.place {
                let end = ends.entry(file).or_default();
                *end = (*end).max(*to);
            }
        }
        files.extend(ends.into_iter().map(|(file, end)| (file.to_owned(), end)));
    }
    files
}

impl Files {
    /// Whether a file is there that was declared pruned last, and no other one of its name, and nothing of it is held.
    fn is_left(&mut self, file: &str, judge: &mut Judge<'_>) -> Result<bool, Error> {
        let is_new =
            |segment: &Segment| matches!(&segment.place, Place::Lines { file: of, .. } if of == file);
        if judge.segments.iter().any(|segment| is_new(segment) && !judge.pruned.has(segment)) {
            return Ok(false);
        }
        let last = judge.pruned.declarations().rev().find(|declaration| {
            declaration
                .ranges
                .iter()
                .any(|range| matches!(&range.place, Place::Lines { file: of, .. } if of == file))
        });
        let Some(last) = last else { return Ok(false) };
        for range in last.ranges {
            let mut index = range.index;
            let mut same = true;
            self.bodies(&range.place, &mut |body| {
                // One that is held by now stays, though it is declared.
                same = index < range.end() && judge.stays(index, body)?.is_none();
                index += 1;
                Ok(if same { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
            if !same || index != range.end() {
                return Ok(false);
            }
        }
        Ok(crate::record::exists(self.folder(), file))
    }

    /// What a file has, if all of it may go.
    fn part(&mut self, day: Day, file: &str, judge: &mut Judge<'_>) -> Result<Result<Part, Why>, Error> {
        let len = fs::metadata(self.folder().join(file)).map_err(Error::read(file))?.len();
        let is_of = |segment: &&Segment| {
            matches!(&segment.place, Place::Lines { file: of, .. } if of == file)
                && !judge.pruned.has(segment)
        };
        let mut segments: Vec<Segment> = judge.segments.iter().filter(is_of).cloned().collect();
        segments.sort_by_key(|segment| match segment.place {
            Place::Lines { from, .. } => from,
            Place::Rows { .. } => 0,
        });
        let (mut end, mut ranges) = (0, Vec::new());
        for segment in segments {
            let Place::Lines { from, to, .. } = segment.place else { continue };
            if from != end || segment.index + segment.count > judge.size() {
                return Ok(Err(Why::Unsealed));
            }
            if let Some(why) = self.judge(&segment, judge)? {
                return Ok(Err(why));
            }
            end = to;
            ranges.push((segment.index, segment.count, segment.place));
        }
        Ok(match end.cmp(&len) {
            std::cmp::Ordering::Less => Err(Why::Unsealed),
            std::cmp::Ordering::Greater => Err(Why::Changed),
            std::cmp::Ordering::Equal if ranges.is_empty() => Err(Why::Unsealed),
            std::cmp::Ordering::Equal => Ok(Part { day, ranges, bytes: Some(len) }),
        })
    }

    /// Why a segment has to stay.
    fn judge(&mut self, segment: &Segment, judge: &mut Judge<'_>) -> Result<Option<Why>, Error> {
        let (mut index, end, mut why) = (segment.index, segment.index + segment.count, None);
        self.bodies(&segment.place, &mut |body| {
            why = if index < end { judge.stays(index, body)? } else { Some(Why::Changed) };
            index += 1;
            Ok(if why.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(why.or_else(|| (index < end).then_some(Why::Changed)))
    }

    /// Removes a file. Writers look whether the file that they have open still has its name, so nobody appends to it once it
    /// has another. What was appended before that, and is not sealed, goes back.
    fn take_away(&mut self, file: &str, sealed: u64, day: Day, step: &mut OnStep<'_>) -> Result<(), Error> {
        let (path, aside) = (self.folder().join(file), self.folder().join(format!("{file}{SUFFIX}")));
        let failed = |source| Error::Write { name: file.to_owned(), source };
        if !aside.exists() {
            step(&Step::Remove(day))?;
            fs::rename(&path, &aside).map_err(failed)?;
            self.sync_folder().map_err(failed)?;
        }
        step(&Step::Remove(day))?;
        let late = late_lines(&aside, sealed).map_err(failed)?;
        if !late.is_empty() {
            put_back(&path, &late).map_err(failed)?;
            step(&Step::Remove(day))?;
        }
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        // Without its file it is of no use, and no event is in it.
        let _ = fs::remove_file(self.folder().join(names::index(day)));
        self.sync_folder().map_err(failed)
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(self.folder())?.sync_all()
    }
}

/// What a file has behind its sealed part.
fn late_lines(aside: &Path, sealed: u64) -> io::Result<Vec<u8>> {
    let mut file = folder::open(aside)?;
    file.seek(SeekFrom::Start(sealed))?;
    let mut late = Vec::new();
    file.read_to_end(&mut late)?;
    Ok(late)
}

/// Appends lines to a file, onto the disk, unless an interrupted prune has done that already.
fn put_back(path: &Path, late: &[u8]) -> io::Result<()> {
    let mut there = Vec::new();
    match folder::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        file => drop(file?.read_to_end(&mut there)?),
    }
    if memchr::memmem::find(&there, late).is_none() {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(late)?;
        file.sync_all()?;
    }
    Ok(())
}
