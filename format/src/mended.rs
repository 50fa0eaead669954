//! What a store changes in an event so that it can be recorded: no event is refused for its content.

use alloc::format;
use alloc::string::String;

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A text had U+0000, or half of a UTF-16 surrogate pair; U+FFFD is in its place.
    Replaced,
    /// A text was cut, because it, or the line of the event, was too long.
    Cut,
    /// A number was no whole number from 0 to 2^64 - 1; the nearest one is in its place.
    Rounded,
    /// `ts` was no timestamp; the store's clock is in its place.
    Clock,
    /// Attributes were too many, had one key twice, or had a key that is not accepted.
    Attributes,
}

impl Change {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Replaced, Self::Cut, Self::Rounded, Self::Clock, Self::Attributes];

    /// What was changed in this field, as a message.
    pub fn describe(self, field: &str) -> String {
        match self {
            Self::Replaced => format!("{field}: a character that cannot be stored is replaced by U+FFFD"),
            Self::Cut => format!("{field}: the text is too long, and is cut"),
            Self::Rounded => {
                format!("{field}: the number is rounded to a whole one from 0 to {}", u64::MAX)
            }
            Self::Clock => format!("{field}: it is no timestamp; the time of the clock is recorded"),
            Self::Attributes => format!(
                "{field}: of one key the last value is recorded, of all keys the first 16, with `_` for what a key \
                 may not have"
            ),
        }
    }
}

/// What was changed in an event: for each kind of change, the first field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mended([Option<&'static str>; Change::ALL.len()]);

impl Mended {
    /// Notes a change in this field.
    pub(crate) fn note(&mut self, change: Change, field: &'static str) {
        self.0[change as usize].get_or_insert(field);
    }

    /// Adds the changes of another event.
    pub fn add(&mut self, other: Self) {
        for (change, field) in other.changes() {
            self.note(change, field);
        }
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The kinds of changes, each with the name of the first field that was changed.
    pub fn changes(&self) -> impl Iterator<Item = (Change, &'static str)> {
        Change::ALL.into_iter().zip(self.0).filter_map(|(change, field)| Some((change, field?)))
    }
}
