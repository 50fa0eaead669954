//! The events of a record one by one: looking for one, and what its leaf is made of.

use std::ops::ControlFlow;

use audit_format::line::Parsed;
use audit_format::names;
use audit_format::read::parse_stored;
use audit_format::time::{Timestamp, is_stored_text};
use memchr::memmem::Finder;
use uuid::Uuid;

use crate::error::Error;
use crate::leaf;
use crate::record::{Files, Record, Rows, Table};
use crate::segment::{Place, Segments};

/// Takes the bodies of events. Where it says so, it gets no more.
pub type TakeBody<'t> = dyn FnMut(&[u8]) -> Result<ControlFlow<()>, Error> + 't;

/// An event that was found in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// What its leaf is made of.
    pub body: Vec<u8>,
    /// Where it stands.
    pub at: At,
}

/// Where one event stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// A line of a daily file.
    Line {
        /// The name of the file.
        file: String,
        /// The offset of its first byte.
        offset: u64,
    },
    /// A row of the table.
    Row {
        /// Its `id`.
        id: i64,
    },
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line { file, offset } => write!(f, "{file}, byte {offset}"),
            Self::Row { id } => write!(f, "row {id}"),
        }
    }
}

/// A record whose events can be had one by one.
pub trait Events: Record {
    /// Hands over what the leaves of a place are made of now, in their order, and none of what has no leaf.
    ///
    /// # Errors
    /// Where the record cannot be read, or `take` has failed.
    fn bodies(&mut self, place: &Place, take: &mut TakeBody<'_>) -> Result<(), Error>;

    /// The event with an identifier, sealed or not.
    ///
    /// # Errors
    /// Where the record cannot be read.
    fn find(&mut self, id: Uuid) -> Result<Option<Spot>, Error>;

    /// The index that the segments give to an event that stands somewhere; none: it is in no segment.
    ///
    /// # Errors
    /// Where the record cannot be read.
    fn index(&mut self, at: &At, segments: &Segments) -> Result<Option<u64>, Error>;
}

/// The event of a body. It has no stamp: a body has no hash.
pub fn parse(body: &[u8]) -> Option<Parsed<'_>> {
    parse_stored(str::from_utf8(body).ok()?).ok()
}

/// The time of the event of a body.
pub fn time(body: &[u8]) -> Option<Timestamp> {
    Timestamp::parse(&parse(body)?.event.ts).ok()
}

impl Events for Files {
    fn bodies(&mut self, place: &Place, take: &mut TakeBody<'_>) -> Result<(), Error> {
        let Place::Lines { file, from, to } = place else { return Ok(()) };
        self.lines(file, *from, *to, &mut |_, line| match leaf::body_of_line(line) {
            Some(body) => take(&body),
            None => Ok(ControlFlow::Continue(())),
        })
    }

    fn find(&mut self, id: Uuid) -> Result<Option<Spot>, Error> {
        // An identifier has the time at which the event was recorded, which is mostly its day.
        let millis = (id.as_u128() >> 80) as i64;
        let day = Timestamp::clamped(millis.saturating_mul(1000)).day().number();
        let mut files = self.files()?;
        files.sort_by_key(|file| names::day_of(file).map_or(i32::MAX, |of| of.number().abs_diff(day) as i32));
        let text = id.hyphenated().to_string();
        let (text, mut found) = (Finder::new(&text), None);
        for file in files {
            self.lines(&file, 0, u64::MAX, &mut |offset, line| {
                if text.find(line).is_some() && has_id(line, id) {
                    let at = At::Line { file: file.clone(), offset };
                    found = leaf::body_of_line(line).map(|body| Spot { body, at });
                }
                Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            if found.is_some() {
                break;
            }
        }
        Ok(found)
    }

    fn index(&mut self, at: &At, segments: &Segments) -> Result<Option<u64>, Error> {
        let At::Line { file, offset } = at else { return Ok(None) };
        // After a prune, a later segment is of the file that is there now.
        let segment = segments.iter().rev().find(|segment| match &segment.place {
            Place::Lines { file: of, from, to } => {
                of == file && (from..to).contains(&offset) && segment.count > 0
            }
            Place::Rows { .. } => false,
        });
        let Some((segment, Place::Lines { from, .. })) = segment.map(|segment| (segment, &segment.place))
        else {
            return Ok(None);
        };
        let mut index = segment.index;
        self.bodies(&Place::Lines { file: file.clone(), from: *from, to: *offset }, &mut |_| {
            index += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Some(index))
    }
}

/// Whether a store wrote this line, with this identifier.
fn has_id(line: &[u8], id: Uuid) -> bool {
    let parsed = str::from_utf8(line.trim_ascii()).ok().and_then(|line| parse_stored(line).ok());
    parsed.is_some_and(|parsed| {
        is_stored_text(parsed.event.ts.as_bytes()) && parsed.stamp.is_some_and(|stamp| stamp.id == id)
    })
}

/// A table whose rows can be found by the identifier of their event.
pub trait FindRow: Rows {
    /// The `id` of the row with this `event_id`.
    ///
    /// # Errors
    /// Where the database cannot be read: why, for people.
    fn find(&mut self, event_id: Uuid) -> Result<Option<i64>, String>;
}

impl<R: FindRow> Events for Table<R> {
    fn bodies(&mut self, place: &Place, take: &mut TakeBody<'_>) -> Result<(), Error> {
        let Place::Rows { rows } = place else { return Ok(()) };
        for range in rows {
            let mut ended = false;
            self.each(&[*range], &mut |rows| {
                for row in rows {
                    let Some(body) = leaf::body_of_row(&row.line) else { continue };
                    if !ended && take(&body)?.is_break() {
                        ended = true;
                    }
                }
                Ok(())
            })?;
            if ended {
                break;
            }
        }
        Ok(())
    }

    fn find(&mut self, id: Uuid) -> Result<Option<Spot>, Error> {
        let Some(id) = self.rows().find(id).map_err(Error::Database)? else { return Ok(None) };
        let row = self.rows().rows(&[[id, id]], 1).map_err(Error::Database)?.rows.into_iter().next();
        let body = row.and_then(|row| leaf::body_of_row(&row.line));
        Ok(body.map(|body| Spot { body, at: At::Row { id } }))
    }

    fn index(&mut self, at: &At, segments: &Segments) -> Result<Option<u64>, Error> {
        let At::Row { id } = at else { return Ok(None) };
        Ok(segments.iter().filter(|segment| segment.count > 0).find_map(|segment| {
            let Place::Rows { rows } = &segment.place else { return None };
            let mut before = 0_u64;
            for [first, last] in rows {
                if (first..=last).contains(&id) {
                    return segment.index.checked_add(before + id.abs_diff(*first));
                }
                before += last.abs_diff(*first) + 1;
            }
            None
        }))
    }
}
