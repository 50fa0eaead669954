//! The order of reads, and the cursors from which their next pages start.

use crate::time::Timestamp;
use alloc::format;
use alloc::string::{String, ToString};
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
    /// Compares two values in this order: the lesser one comes first.
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

/// The position of a line in its backend. It orders lines without an `id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The day of its daily file, in days since 1970-01-01; 0 for other lines.
    pub day: i32,
    /// The offset in the file, in bytes, or the position of the row.
    pub offset: u64,
}

/// The key by which reads are ordered: `ts`, then `id`, then the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// When the call happened.
    pub at: Timestamp,
    /// The entry's identifier. Lines of other writers have none, and come first.
    pub id: Option<Uuid>,
    /// The position of a line without an identifier.
    pub position: Position,
}

impl Key {
    /// The key of an entry. It has no position, because the entry may move from memory to a file or the
    /// database between two pages.
    pub fn of_entry(at: Timestamp, id: Uuid) -> Self {
        Self { at, id: Some(id), position: Position::default() }
    }

    /// The key of another writer's line.
    pub fn of_foreign(at: Timestamp, position: Position) -> Self {
        Self { at, id: None, position }
    }

    /// A key that comes before those of all entries and lines.
    pub fn before_all(order: Order) -> Self {
        match order {
            Order::OldestFirst => Self::of_foreign(Timestamp::MIN, Position { day: i32::MIN, offset: 0 }),
            Order::NewestFirst => Self::of_entry(Timestamp::MAX, Uuid::max()),
        }
    }

    /// The cursor of this key: an opaque text.
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

    /// The cursor of this key in the database: `ts`, `id` and position, parted by commas. `id` is empty where there is
    /// none.
    ///
    /// ```
    /// use audit_format::cursor::{Key, Position};
    /// use audit_format::time::Timestamp;
    ///
    /// let at = Timestamp::parse("2026-11-23T06:30:00Z")?;
    /// let key = Key::of_foreign(at, Position { day: 0, offset: 7 });
    /// assert_eq!(key.to_row_cursor(), "2026-11-23T06:30:00.000000Z,,7");
    /// assert_eq!(Key::from_row_cursor("2026-11-23T06:30:00.000000Z,,7"), Some(key));
    /// # Ok::<(), audit_format::time::TimeError>(())
    /// ```
    pub fn to_row_cursor(self) -> String {
        let id = self.id.map_or_else(String::new, |id| id.to_string());
        format!("{},{id},{}", self.at, self.position.offset)
    }

    /// The key of a cursor in the database; none: `text` is not one.
    pub fn from_row_cursor(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let at = Timestamp::parse_stored(parts.next()?.as_bytes())?;
        let id = parts.next()?;
        let offset = parts.next()?.parse().ok()?;
        let key = match id {
            "" => Self::of_foreign(at, Position { day: 0, offset }),
            id => Self::of_entry(at, crate::id::parse(id)?),
        };
        parts.next().is_none().then_some(key)
    }

    /// The key of a cursor; none: `text` is not a cursor of a read in this order.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_before_all_has_a_cursor_and_comes_first() {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let first = Key::before_all(order);
            assert_eq!(Key::from_cursor(&first.to_cursor(order), order), Some(first));
            for at in [Timestamp::MIN, Timestamp::MAX] {
                let id = Uuid::from_u128(u128::MAX - 1);
                for key in [Key::of_foreign(at, Position::default()), Key::of_entry(at, id)] {
                    assert!(order.compare(&first, &key).is_lt());
                }
            }
        }
    }
}
