//! The lines of a batch as an array for each column. The driver sends them in binary form, in which the server reads them
//! faster than JSON.

use std::error::Error;

use audit_format::event::{Field, Kind, Value};
use audit_format::line::{Parsed, Stamp, put_attributes};
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};
use uuid::Uuid;

/// The parameters of [`INSERT_ARRAYS`](audit_sql::statements::INSERT_ARRAYS), in their order.
pub(super) struct Arrays(Vec<(Box<dyn ToSql + Send + Sync>, Type)>);

impl Arrays {
    /// The columns of the lines. `None` if a store wrote not all of them: the database then reads the lines itself, and
    /// says which one is wrong.
    pub(super) fn of(lines: &str) -> Option<Self> {
        let entries: Vec<(Time, Parsed<'_>)> = lines.lines().map(entry).collect::<Option<_>>()?;
        let mut columns: Vec<(Box<dyn ToSql + Send + Sync>, Type)> = Vec::new();
        for field in Field::ALL {
            if field.kind() == Kind::Time {
                let times: Vec<Time> = entries.iter().map(|(at, _)| *at).collect();
                columns.push((Box::new(times), Type::TIMESTAMPTZ_ARRAY));
            } else {
                texts(&mut columns, entries.iter().map(|(_, line)| text(line.event.get(field))));
            }
        }
        texts(&mut columns, entries.iter().map(|(_, line)| attributes(line)));
        let stamps = || entries.iter().filter_map(|(_, line)| line.stamp.as_ref());
        for id in [|stamp: &Stamp<'_>| stamp.id, |stamp: &Stamp<'_>| stamp.chain] {
            let ids: Vec<Id> = stamps().map(|stamp| Id(id(stamp))).collect();
            columns.push((Box::new(ids), Type::UUID_ARRAY));
        }
        texts(&mut columns, stamps().map(|stamp| Some(stamp.seq.to_string())));
        texts(&mut columns, stamps().map(|stamp| Some(stamp.hash.to_string())));
        Some(Self(columns))
    }

    /// The parameters with their types.
    pub(super) fn typed(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.0.iter().map(|(array, kind)| (&**array as &(dyn ToSql + Sync), kind.clone())).collect()
    }
}

/// The entry of a line with its time. `None` if no store wrote it.
fn entry(line: &str) -> Option<(Time, Parsed<'_>)> {
    let parsed = parse_stored(line).ok()?;
    let at = Timestamp::parse_stored(parsed.event.ts.as_bytes())?;
    parsed.stamp.is_some().then_some((Time(at), parsed))
}

fn texts(
    columns: &mut Vec<(Box<dyn ToSql + Send + Sync>, Type)>,
    values: impl Iterator<Item = Option<String>>,
) {
    columns.push((Box::new(values.collect::<Vec<_>>()), Type::TEXT_ARRAY));
}

fn text(value: Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Absent => None,
    }
}

fn attributes(line: &Parsed<'_>) -> Option<String> {
    if line.event.attributes.is_empty() {
        return None;
    }
    let mut json = Vec::new();
    put_attributes(&line.event.attributes, &mut json);
    String::from_utf8(json).ok()
}

/// A TIMESTAMPTZ in binary form: microseconds since 2000-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) Timestamp);

impl ToSql for Time {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        const EPOCH: i64 = 946_684_800_000_000;
        (self.0.micros() - EPOCH).to_sql(kind, out)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

/// A UUID in binary form.
#[derive(Debug)]
struct Id(Uuid);

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}
