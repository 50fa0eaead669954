//! A table in memory.

use crate::host::{DatabaseError, RefusedRow, Rows};
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::cursor::{Key, Order};
use audit_format::line::{Parsed, put_entry};
use audit_format::query::Query;
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;

/// A table and its faults.
#[derive(Default)]
pub struct Database {
    /// The rows, in the order of insertion.
    pub rows: Vec<Parsed<'static>>,
    /// How many rows each insert had.
    pub calls: Vec<usize>,
    /// How often it was asked for something.
    pub tries: usize,
    /// How long each call takes, in microseconds.
    pub micros: i64,
    /// The error of all calls.
    pub down: Option<DatabaseError>,
    /// How many more calls succeed; none: any number.
    pub answers: Option<usize>,
    /// The answer of each n-th insert is lost: it stores the rows, and returns an error.
    pub loses_each: Option<usize>,
    /// The tools whose rows are refused.
    pub poison: Vec<&'static str>,
    /// Further rows that each insert says are refused, whether there are such rows or not.
    pub said: Vec<usize>,
}

impl Database {
    /// The tools of the rows, in the order of insertion.
    pub fn tools(&self) -> Vec<&str> {
        self.rows.iter().map(|row| &*row.event.tool).collect()
    }

    fn answer(&mut self) -> Result<(), DatabaseError> {
        self.tries += 1;
        match &mut self.answers {
            Some(0) => return Err(DatabaseError::Unavailable("the connection is lost".into())),
            Some(answers) => *answers -= 1,
            None => {}
        }
        self.down.clone().map_or(Ok(()), Err)
    }

    pub fn insert(&mut self, lines: &str) -> Result<Vec<RefusedRow>, DatabaseError> {
        self.answer()?;
        let rows: Vec<Parsed<'_>> = lines.lines().map(|line| parse_stored(line).unwrap()).collect();
        self.calls.push(rows.len());
        let mut refused = Vec::new();
        for (index, row) in rows.into_iter().enumerate() {
            if self.poison.contains(&&*row.event.tool) {
                refused.push(RefusedRow { index, reason: "poison".into() });
            } else if !self.rows.iter().any(|known| id(known) == id(&row)) {
                self.rows.push(row.into_owned());
            }
        }
        refused.extend(self.said.iter().map(|index| RefusedRow { index: *index, reason: "said".into() }));
        match self.loses_each {
            Some(each) if self.calls.len().is_multiple_of(each) => {
                Err(DatabaseError::Unanswered("the answer is lost".into()))
            }
            _ => Ok(refused),
        }
    }

    pub fn select(&mut self, query: &Query) -> Result<Rows, DatabaseError> {
        self.answer()?;
        let mut found = Vec::new();
        for row in &self.rows {
            let at = Timestamp::parse(&row.event.ts).unwrap();
            let key = Key::of_entry(at, id(row));
            let is_after = |after: Key| match query.order {
                Order::OldestFirst => key > after,
                Order::NewestFirst => key < after,
            };
            let in_range = (query.from..=query.to).contains(&at) && query.after.is_none_or(is_after);
            if in_range && query.texts_match(&row.event) {
                found.push((key, row));
            }
        }
        found.sort_by_key(|(key, _)| *key);
        if query.order == Order::NewestFirst {
            found.reverse();
        }
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().filter(|_| more).map(|(key, _)| *key);
        let mut lines = Vec::new();
        for (_, row) in found {
            put_entry(&row.event, row.stamp.as_ref().unwrap(), &mut lines);
        }
        Ok(Rows { lines: String::from_utf8(lines).unwrap(), next, skipped: 0 })
    }
}

fn id(row: &Parsed<'_>) -> uuid::Uuid {
    row.stamp.as_ref().unwrap().id
}
