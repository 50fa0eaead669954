//! Rows of a table: each goes by itself, those of one day together.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;

use audit_format::time::{Day, Timestamp};

use super::{Judge, OnStep, Part, Prunable, Stays, Step, Why};
use crate::error::Error;
use crate::events::{self, Events as _, FindRow};
use crate::leaf;
use crate::record::Table;
use crate::segment::Place;

/// How many rows are looked at, or removed, at once.
const ROWS: u32 = 1000;

/// Up to this many ranges of rows are one line of `pruned.jsonl`.
const RANGES: usize = 1000;

/// A table that rows can be removed from.
pub trait PruneRows: FindRow {
    /// The `id` of rows whose time is before an instant, in their order: those above `after`, and at most so many.
    ///
    /// # Errors
    /// Where the database cannot be read: why, for people.
    fn older(&mut self, before: Timestamp, after: i64, most: u32) -> Result<Vec<i64>, String>;

    /// Whether rows may be removed.
    ///
    /// # Errors
    /// Where they may not, or that is not known: why, for people.
    fn may_delete(&mut self) -> Result<(), String>;

    /// Removes the rows whose `id` is in one of these ranges, first and last, in one transaction.
    ///
    /// # Errors
    /// Where they are not removed, or that is not certain: why, for people.
    fn delete(&mut self, ranges: &[[i64; 2]]) -> Result<(), String>;
}

impl<R: PruneRows> Prunable for Table<R> {
    fn may_remove(&mut self) -> Result<(), Error> {
        self.rows().may_delete().map_err(Error::Database)
    }

    fn finish(&mut self, judge: &mut Judge<'_>, step: &mut OnStep<'_>) -> Result<Vec<String>, Error> {
        let mut ranges: Vec<[i64; 2]> = Vec::new();
        for declaration in judge.pruned.declarations() {
            for range in declaration.ranges {
                if let Place::Rows { rows } = &range.place {
                    ranges.extend(rows);
                }
            }
        }
        ranges.sort_unstable();
        let mut left: Vec<i64> = Vec::new();
        self.each(&ranges, &mut |rows| {
            // One that is held by now stays, though it is declared.
            let is_held =
                |line: &str| leaf::body_of_row(line).is_some_and(|body| judge.held(&body).is_some());
            left.extend(rows.iter().filter(|row| !is_held(&row.line)).map(|row| row.id));
            Ok(())
        })?;
        for ids in left.chunks(ROWS as usize) {
            let what = format!("rows {} to {}", ids[0], ids[ids.len() - 1]);
            step(&Step::Finish(what))?;
            let ranges: Vec<[i64; 2]> = ids.iter().map(|id| [*id, *id]).collect();
            self.rows().delete(&ranges).map_err(Error::Database)?;
        }
        Ok(if left.is_empty() { Vec::new() } else { vec![format!("{} rows", left.len())] })
    }

    fn parts(&mut self, before: Day, judge: &mut Judge<'_>) -> Result<(Vec<Part>, Vec<Stays>), Error> {
        let places = Places::of(judge);
        let (mut days, mut stays) = (BTreeMap::<Day, Vec<Run>>::new(), Staying::default());
        let (first, mut after) = (before.first(), i64::MIN);
        loop {
            let ids = self.rows().older(first, after, ROWS).map_err(Error::Database)?;
            let Some(last) = ids.last() else { break };
            after = *last;
            let mut wanted: Vec<[i64; 2]> = Vec::new();
            for id in ids {
                match wanted.last_mut() {
                    Some(range) if range[1].checked_add(1) == Some(id) => range[1] = id,
                    _ => wanted.push([id, id]),
                }
            }
            self.each(&wanted, &mut |rows| {
                for row in rows {
                    let Some(index) = places.index(row.id) else {
                        stays.add(Why::Unsealed);
                        continue;
                    };
                    // What a prune has left is finished, not pruned again.
                    if judge.pruned.of_leaf(index).is_some() {
                        continue;
                    }
                    let Some(body) = leaf::body_of_row(&row.line) else {
                        stays.add(Why::Changed);
                        continue;
                    };
                    match (judge.stays(index, &body)?, events::time(&body)) {
                        // The database and the line agree on the time.
                        (None, Some(at)) if at < first => {
                            add(days.entry(at.day()).or_default(), index, row.id)
                        }
                        (None, _) => stays.add(Why::Changed),
                        (Some(why), _) => stays.add(why),
                    }
                }
                Ok(())
            })?;
        }
        let part = |(day, runs): (Day, Vec<Run>)| {
            let ranges = runs.into_iter().map(|run| (run.index, run.count, Place::Rows { rows: run.rows }));
            Part { day, ranges: ranges.collect(), bytes: None }
        };
        Ok((days.into_iter().map(part).collect(), stays.said()))
    }

    fn copy(&mut self, part: &Part, out: &mut dyn Write) -> Result<(), Error> {
        for (.., place) in &part.ranges {
            let mut written = Ok(());
            self.bodies(place, &mut |body| {
                let line = leaf::line_of_body(body).unwrap_or_default();
                written = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n"));
                Ok(if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
            written.map_err(Error::write("the archive"))?;
        }
        Ok(())
    }

    fn remove(&mut self, part: &Part, step: &mut OnStep<'_>) -> Result<(), Error> {
        for ranges in batches(part) {
            step(&Step::Remove(part.day))?;
            self.rows().delete(&ranges).map_err(Error::Database)?;
        }
        Ok(())
    }
}

/// Rows of one day whose leaves are behind each other.
struct Run {
    index: u64,
    count: u64,
    rows: Vec<[i64; 2]>,
}

fn add(runs: &mut Vec<Run>, index: u64, id: i64) {
    if let Some(run) = runs.last_mut()
        && run.index + run.count == index
        && let Some(last) = run.rows.last_mut()
    {
        if last[1].checked_add(1) == Some(id) {
            last[1] = id;
            run.count += 1;
            return;
        }
        if run.rows.len() < RANGES {
            run.rows.push([id, id]);
            run.count += 1;
            return;
        }
    }
    runs.push(Run { index, count: 1, rows: vec![[id, id]] });
}

/// The ranges of a part, so that each batch has a bounded number of rows.
fn batches(part: &Part) -> Vec<Vec<[i64; 2]>> {
    let (mut batches, mut batch, mut room) = (Vec::new(), Vec::new(), u64::from(ROWS));
    for (.., place) in &part.ranges {
        let Place::Rows { rows } = place else { continue };
        for [first, last] in rows {
            let mut next = *first;
            while next <= *last {
                let end = next.saturating_add_unsigned(room - 1).min(*last);
                batch.push([next, end]);
                room -= end.abs_diff(next) + 1;
                if room == 0 {
                    batches.push(std::mem::take(&mut batch));
                    room = u64::from(ROWS);
                }
                let Some(after) = end.checked_add(1) else { break };
                next = after;
            }
        }
    }
    batches.extend(Some(batch).filter(|batch| !batch.is_empty()));
    batches
}

/// The indexes of rows that are sealed and not pruned.
struct Places(Vec<([i64; 2], u64)>);

impl Places {
    fn of(judge: &Judge<'_>) -> Self {
        let mut places = Vec::new();
        for segment in judge.segments.iter().filter(|segment| segment.count > 0) {
            let Place::Rows { rows } = &segment.place else { continue };
            let mut index = segment.index;
            for [first, last] in rows {
                places.push(([*first, *last], index));
                index += last.abs_diff(*first) + 1;
            }
        }
        places.sort_unstable();
        Self(places)
    }

    fn index(&self, id: i64) -> Option<u64> {
        let after = self.0.partition_point(|([first, _], _)| *first <= id);
        let ([first, last], index) = self.0.get(after.checked_sub(1)?)?;
        (id <= *last).then(|| index + id.abs_diff(*first))
    }
}

/// How many rows stay, and why.
#[derive(Default)]
struct Staying(Vec<(Why, u64)>);

impl Staying {
    fn add(&mut self, why: Why) {
        match self.0.iter_mut().find(|(known, _)| *known == why) {
            Some((_, count)) => *count += 1,
            None => self.0.push((why, 1)),
        }
    }

    fn said(self) -> Vec<Stays> {
        let said = |(why, count): (Why, u64)| Stays {
            what: format!("{count} row{}", if count == 1 { "" } else { "s" }),
            why,
        };
        self.0.into_iter().map(said).collect()
    }
}
