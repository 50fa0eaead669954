//! The columns of the table, made from the list of an event's fields.

use audit_format::event::{Field, Kind};

/// The table, found by the search path.
pub const TABLE: &str = "tool_audit_events";

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number that the database gives each row.
    Position,
    /// A time with its zone.
    Time,
    /// Text.
    Text,
    /// A whole number of 64 bits without a sign.
    Number,
    /// A UUID.
    Uuid,
}

impl Type {
    /// As a column is declared.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Position => "BIGSERIAL",
            Self::Time => "TIMESTAMPTZ",
            Self::Text => "TEXT",
            Self::Number => "NUMERIC(20)",
            Self::Uuid => "UUID",
        }
    }
}

impl From<Kind> for Type {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Time => Self::Time,
            Kind::Text | Kind::Optional => Self::Text,
            Kind::Number => Self::Number,
        }
    }
}

/// What the store gives an event, behind the event's fields.
const STAMP: [(&str, Type); 4] =
    [("event_id", Type::Uuid), ("chain", Type::Uuid), ("seq", Type::Number), ("hash", Type::Text)];

/// The columns that are written, in their order: all but `id`, which the database numbers.
pub fn written() -> impl Iterator<Item = (&'static str, Type)> {
    Field::ALL.into_iter().map(|field| (field.name(), field.kind().into())).chain(STAMP)
}

/// All columns, in their order.
pub fn columns() -> impl Iterator<Item = (&'static str, Type)> {
    std::iter::once(("id", Type::Position)).chain(written())
}

/// Whether rows have values for the column.
pub fn is_written(column: &str) -> bool {
    written().any(|(name, _)| name == column)
}

/// Whether an event may have no value for the column.
pub(crate) fn is_optional(column: &str) -> bool {
    Field::named(column).is_some_and(|field| field.kind() == Kind::Optional)
}
