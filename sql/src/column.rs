//! The columns of the table, from the list of an event's fields.

use audit_format::attributes;
use audit_format::event::{Field, Kind};

/// The table's name. The search path says in which schema it is.
pub const TABLE: &str = "tool_audit_events";

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number that the database assigns to each row.
    Position,
    /// An instant.
    Time,
    /// Text.
    Text,
    /// A whole number from 0 to 2^64 - 1.
    Number,
    /// A UUID.
    Uuid,
    /// A JSON object of texts.
    Json,
}

impl Type {
    /// The type in a column's declaration.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Position => "BIGSERIAL",
            Self::Time => "TIMESTAMPTZ",
            Self::Text => "TEXT",
            Self::Number => "NUMERIC(20)",
            Self::Uuid => "UUID",
            Self::Json => "JSONB",
        }
    }
}

impl Type {
    /// The type's `oid` and type modifier in the catalogs, which are the same on all servers:
    /// <https://github.com/postgres/postgres/blob/REL_18_0/src/include/catalog/pg_type.dat>.
    pub(crate) fn catalog(self) -> (u32, i32) {
        match self {
            Self::Position => (20, -1),
            Self::Time => (1184, -1),
            Self::Text => (25, -1),
            // numeric.c: make_numeric_typmod
            Self::Number => (1700, (20 << 16) + 4),
            Self::Uuid => (2950, -1),
            Self::Json => (3802, -1),
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

/// The columns that follow those of the event's fields: its attributes, and what the store adds to it.
const FOLLOWING: [(&str, Type); 5] = [
    (attributes::NAME, Type::Json),
    ("event_id", Type::Uuid),
    ("chain", Type::Uuid),
    ("seq", Type::Number),
    ("hash", Type::Text),
];

/// The columns that an insert writes, in their order: all except `id`, which the database assigns.
pub fn written() -> impl Iterator<Item = (&'static str, Type)> {
    Field::ALL.into_iter().map(|field| (field.name(), field.kind().into())).chain(FOLLOWING)
}

/// All columns, in their order.
pub fn columns() -> impl Iterator<Item = (&'static str, Type)> {
    core::iter::once(("id", Type::Position)).chain(written())
}

/// Whether an insert writes the column.
pub fn is_written(column: &str) -> bool {
    written().any(|(name, _)| name == column)
}

/// Whether an event can be without a value for the column.
pub(crate) fn is_optional(column: &str) -> bool {
    Field::named(column).is_some_and(|field| field.kind() == Kind::Optional)
}
