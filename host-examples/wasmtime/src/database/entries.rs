//! The lines of a batch as entries, and their values in the binary form in which the server reads them faster than JSON.

use std::borrow::Cow;
use std::error::Error;

use audit_format::event::{Event, Field, Value};
use audit_format::line::{Stamp, put_attributes};
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};
use uuid::Uuid;

/// A line that a store wrote.
pub(super) struct Entry<'l> {
    pub(super) at: Timestamp,
    event: Event<'l>,
    pub(super) stamp: Stamp<'l>,
}

impl<'l> Entry<'l> {
    /// The entries of the lines. `None` if a store wrote not all of them: the database then reads the lines itself, and
    /// says which one is wrong.
    pub(super) fn all(lines: &'l str) -> Option<Vec<Self>> {
        lines.lines().map(Self::of).collect()
    }

    fn of(line: &'l str) -> Option<Self> {
        let parsed = parse_stored(line).ok()?;
        let at = Timestamp::parse_stored(parsed.event.ts.as_bytes())?;
        Some(Self { at, event: parsed.event, stamp: parsed.stamp? })
    }

    /// The value of a field.
    pub(super) fn value(&self, field: Field) -> Value<'_> {
        self.event.get(field)
    }

    /// The value of a field as a text.
    pub(super) fn text(&self, field: Field) -> Option<Cow<'_, str>> {
        match self.value(field) {
            Value::Text(text) => Some(text.into()),
            Value::Number(number) => Some(number.to_string().into()),
            Value::Absent => None,
        }
    }

    /// The attributes as a JSON object.
    pub(super) fn attributes(&self) -> Option<Vec<u8>> {
        if self.event.attributes.is_empty() {
            return None;
        }
        let mut json = Vec::new();
        put_attributes(&self.event.attributes, &mut json);
        Some(json)
    }

    pub(super) fn id(&self) -> Id {
        Id(self.stamp.id)
    }
}

/// A TIMESTAMPTZ in binary form: microseconds since 2000-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) Timestamp);

impl Time {
    pub(super) fn micros(self) -> i64 {
        const EPOCH: i64 = 946_684_800_000_000;
        self.0.micros() - EPOCH
    }
}

impl ToSql for Time {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.micros().to_sql(kind, out)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

/// A UUID in binary form.
#[derive(Debug)]
pub(super) struct Id(pub(super) Uuid);

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}
