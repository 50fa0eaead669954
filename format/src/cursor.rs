//! The order of reads, and the cursor that says where the next page starts.

use crate::time::Timestamp;
use alloc::format;
use alloc::string::String;
use core::cmp::Ordering;
use uuid::Uuid;

/// The order of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The earliest `ts` first.
    #[default]
    OldestFirst,
    /// The latest `ts` first.
    NewestFirst,
}

impl Order {
    /// Which of two comes first in this order.
    pub fn compare<T: Ord>(self, a: &T, b: &T) -> Ordering {
        match self {
            Self::OldestFirst => a.cmp(b),
            Self::NewestFirst => b.cmp(a),
        }
    }

    fn letter(self) -> char {
        match self {
            Self::OldestFirst => 'o',
            Self::NewestFirst => 'n',
        }
    }
}

/// Where a line stands in its backend; it orders the lines without an `id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The day of its file, in days since 1970-01-01; 0 where it is not in a daily file.
    pub day: i32,
    /// The byte in the file, or the number of the row.
    pub offset: u64,
}

/// What reads are ordered by: `ts`, then `id`, then the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// When the call happened.
    pub at: Timestamp,
    /// The entry's identifier; lines of other writers have none and come first.
    pub id: Option<Uuid>,
    /// Where the line stands, if it has no identifier.
    pub position: Position,
}

impl Key {
    /// The key of an entry, which has an identifier: the same wherever it stands, as it may move from memory
    /// to a file or a database between two pages.
    pub fn of_entry(at: Timestamp, id: Uuid) -> Self {
        Self { at, id: Some(id), position: Position::default() }
    }

    /// The key of another writer's line.
    pub fn of_foreign(at: Timestamp, position: Position) -> Self {
        Self { at, id: None, position }
    }

    /// The opaque text from which [`Key::from_cursor`] makes this key again.
    ///
    /// ```
    /// use audit_format::cursor::{Key, Order, Position};
    /// use audit_format::time::Timestamp;
    ///
    /// let at = Timestamp::parse("2026-11-23T06:30:00Z")?;
    /// let key = Key::of_foreign(at, Position { day: 20780, offset: 4096 });
    /// let cursor = key.to_cursor(Order::NewestFirst);
    /// assert_eq!(Key::from_cursor(&cursor, Order::NewestFirst), Some(key));
    /// assert_eq!(Key::from_cursor(&cursor, Order::OldestFirst), None);
    /// # Ok::<(), audit_format::time::TimeError>(())
    /// ```
    pub fn to_cursor(self, order: Order) -> String {
        let at = self.at.micros() as u64;
        let id = self.id.map_or(0, |id| id.as_u128());
        let Position { day, offset } = self.position;
        format!("{}{at:x}.{id:x}.{:x}.{offset:x}", order.letter(), day as u32)
    }

    /// The key of a cursor; none: `text` is not the cursor of a page in this order.
    pub fn from_cursor(text: &str, order: Order) -> Option<Self> {
        let mut parts = text.strip_prefix(order.letter())?.split('.');
        let mut part = || u128::from_str_radix(parts.next()?, 16).ok();
        let at = Timestamp::from_micros(u64::try_from(part()?).ok()? as i64)?;
        let id = part()?;
        let day = u32::try_from(part()?).ok()? as i32;
        let position = Position { day, offset: u64::try_from(part()?).ok()? };
        let key = Self { at, id: (id != 0).then(|| Uuid::from_u128(id)), position };
        parts.next().is_none().then_some(key)
    }
}
