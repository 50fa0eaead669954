//! The rows of a table, in the order of their `id`.
//!
//! An `id` is given before its transaction ends, so rows may appear behind those with a greater one. What is sealed is known
//! from the segments, and all that is between is looked for each time, however late it comes.

use audit_log::tree::Hash;

use super::{Found, Kind, Record, Sealed, Take, Trouble};
use crate::error::Error;
use crate::leaf::{self, Line};
use crate::segment::{Gap, Place};

/// How many rows are read at once.
const ROWS: u32 = 1000;

/// In how many ranges rows are looked for at once.
const RANGES: usize = 1000;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its `id`.
    pub id: i64,
    /// The line that the statements of `audit-sql` make of its columns.
    pub line: String,
}

/// Rows in the order of their `id`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowPage {
    /// The rows.
    pub rows: Vec<Row>,
    /// Whether there may be more behind the last one.
    pub more: bool,
}

/// Something that has the rows of a table: a database.
pub trait Rows {
    /// The rows whose `id` is in one of these ranges, first and last, which are in order and apart from each other: in the
    /// order of their `id`, at most so many, and at least one where there is one.
    ///
    /// # Errors
    /// Where the database cannot be read: why, for people.
    fn rows(&mut self, ranges: &[[i64; 2]], most: u32) -> Result<RowPage, String>;

    /// The numbers of a chain, by its UUID, that the database has refused. Where nobody keeps them there are none.
    ///
    /// # Errors
    /// Where the database cannot be read: why, for people.
    fn refused(&mut self, chain: &str) -> Result<Vec<u64>, String> {
        let _ = chain;
        Ok(Vec::new())
    }
}

/// The table of a database.
#[derive(Debug)]
pub struct Table<R>(R);

impl<R: Rows> Table<R> {
    /// The record in a table.
    pub fn new(rows: R) -> Self {
        Self(rows)
    }

    /// The rows that are read.
    pub(crate) fn rows(&mut self) -> &mut R {
        &mut self.0
    }

    pub(crate) fn rows_in(&mut self, ranges: &[[i64; 2]], most: u32) -> Result<RowPage, Error> {
        self.0.rows(ranges, most).map_err(Error::Database)
    }

    pub(crate) fn refused_of(&mut self, chain: &str) -> Result<Vec<u64>, Error> {
        self.0.refused(chain).map_err(Error::Database)
    }

    /// Hands over the rows in some ranges, which are in order.
    fn hand_over(&mut self, ranges: &[[i64; 2]], take: &mut Take<'_>) -> Result<(), Error> {
        self.each(ranges, &mut |rows| hand_over(rows, take))
    }

    /// Reads the rows in some ranges, which are in order, some at a time.
    pub(crate) fn each(
        &mut self,
        ranges: &[[i64; 2]],
        take: &mut dyn FnMut(&[Row]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for ranges in ranges.chunks(RANGES) {
            let mut left = ranges.to_vec();
            while !left.is_empty() {
                let RowPage { rows, more } = self.0.rows(&left, ROWS).map_err(Error::Database)?;
                take(&rows)?;
                let Some(last) = rows.last().filter(|_| more) else { break };
                left.retain_mut(|[first, end]| {
                    *first = (*first).max(last.id.saturating_add(1));
                    *first <= *end && last.id < *end
                });
            }
        }
        Ok(())
    }

    /// Whether the row that was sealed last is still what it was.
    fn check_last(&mut self, sealed: &Sealed<'_>) -> Result<Option<Trouble>, Error> {
        let last = sealed.segments.iter().rev().find_map(|segment| {
            // What was pruned is gone, and its row says nothing any more.
            let leaf = sealed.pruned.last_before(segment.last_leaf()?)?;
            Some((leaf, segment.place.row(leaf.checked_sub(segment.index)?)?))
        });
        let Some((leaf, id)) = last else { return Ok(None) };
        let rows = self.0.rows(&[[id, id]], 1).map_err(Error::Database)?;
        let Some(row) = rows.rows.first() else { return Ok(Some(Trouble::RowGone { id })) };
        let is_same = leaf::of_row(&row.line) == Line::Leaf((sealed.leaf)(leaf)?);
        Ok((!is_same).then_some(Trouble::RowReplaced { id }))
    }
}

impl<R: Rows> Record for Table<R> {
    fn kind(&self) -> Kind {
        Kind::Table
    }

    fn unsealed(&mut self, sealed: &Sealed<'_>, take: &mut Take<'_>) -> Result<Vec<Trouble>, Error> {
        // Rows of another table may have the place of those that come next.
        if let Some(trouble) = self.check_last(sealed)? {
            return Ok(vec![trouble]);
        }
        self.hand_over(&between(&sealed.segments.rows()), take)?;
        Ok(Vec::new())
    }

    fn stands(&mut self, place: &Place, take: &mut Take<'_>) -> Result<(), Error> {
        let Place::Rows { rows } = place else { return Ok(()) };
        // The ranges are in the order of their leaves, so not in that of their numbers.
        rows.iter().try_for_each(|range| self.hand_over(&[*range], take))
    }
}

/// What no range has, of all numbers. The ranges are in order and apart from each other.
fn between(ranges: &[[i64; 2]]) -> Vec<[i64; 2]> {
    let mut between = Vec::with_capacity(ranges.len() + 1);
    let mut next = Some(i64::MIN);
    for [first, last] in ranges {
        between.extend(next.filter(|next| next < first).map(|next| [next, first - 1]));
        next = last.checked_add(1);
    }
    between.extend(next.map(|next| [next, i64::MAX]));
    between
}

fn hand_over(rows: &[Row], take: &mut Take<'_>) -> Result<(), Error> {
    let lines: Vec<(i64, Line)> = rows.iter().map(|row| (row.id, leaf::of_row(&row.line))).collect();
    for run in lines.chunk_by(|(_, one), (_, next)| is_leaf(*one) == is_leaf(*next)) {
        let mut ranges: Vec<[i64; 2]> = Vec::new();
        let mut leaves: Vec<Hash> = Vec::with_capacity(run.len());
        for (id, line) in run {
            match ranges.last_mut() {
                Some(last) if last[1].checked_add(1) == Some(*id) => last[1] = *id,
                _ => ranges.push([*id, *id]),
            }
            if let Line::Leaf(hash) = line {
                leaves.push(*hash);
            }
        }
        let gap = leaves.is_empty().then_some(Gap::Unreadable);
        let without = if gap.is_some() { run.len() as u64 } else { 0 };
        take(Found { place: Place::Rows { rows: ranges }, leaves: &leaves, gap, without })?;
    }
    Ok(())
}

fn is_leaf(line: Line) -> bool {
    matches!(line, Line::Leaf(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_sealed_is_looked_for_from_the_first_number_to_the_last() {
        assert_eq!(between(&[]), [[i64::MIN, i64::MAX]]);
        assert_eq!(between(&[[1, 5], [7, 9]]), [[i64::MIN, 0], [6, 6], [10, i64::MAX]]);
        assert_eq!(between(&[[i64::MIN, i64::MAX]]), [] as [[i64; 2]; 0]);
    }
}
