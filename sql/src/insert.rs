//! Inserting: one statement for a batch of any size. Rows that are in the table already stay as they are.

use crate::column::{TABLE, Type, written};
use crate::row::{Row, Timestamptz};
use audit_format::event::{Field, Value};
use std::sync::LazyLock;
use uuid::Uuid;

/// The statement. Its parameters are the [`arrays`] of a batch.
pub fn sql() -> &'static str {
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        let names = list(|_, name, _| name.into());
        let values = list(|_, name, kind| format!("batch.{name}{}", cast(kind)));
        let arrays = list(|n, _, _| format!("${}", n + 1));
        format!(
            "INSERT INTO {TABLE} ({names}) SELECT {values} \
             FROM unnest({arrays}) WITH ORDINALITY AS batch ({names}, position) ORDER BY batch.position \
             ON CONFLICT (event_id) DO NOTHING"
        )
    });
    &INSERT
}

/// The cast from a parameter's type to the column's. Numbers are sent as text, because they have up to 64
/// bits without a sign.
fn cast(kind: Type) -> &'static str {
    match kind {
        Type::Position | Type::Number => "::numeric",
        Type::Time | Type::Text | Type::Uuid => "",
    }
}

/// A list of something for each column that is written.
fn list(of: impl Fn(usize, &str, Type) -> String) -> String {
    written().enumerate().map(|(n, (name, kind))| of(n, name, kind)).collect::<Vec<_>>().join(", ")
}

/// The values of one column, for all rows of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Array<'r> {
    /// TIMESTAMPTZ[]
    Times(Vec<Timestamptz>),
    /// TEXT[]
    Texts(Vec<Option<&'r str>>),
    /// TEXT[], with whole numbers.
    Numbers(Vec<Option<String>>),
    /// UUID[]
    Uuids(Vec<Option<Uuid>>),
}

/// The values of a batch: an array for each column that is written, in their order.
pub fn arrays<'r>(rows: impl Iterator<Item = &'r Row<'r>> + Clone) -> Vec<Array<'r>> {
    let mut arrays: Vec<Array<'r>> = Vec::with_capacity(written().count());
    for field in Field::ALL {
        arrays.push(match Type::from(field.kind()) {
            Type::Time => Array::Times(rows.clone().map(|row| row.at).collect()),
            Type::Number => Array::Numbers(rows.clone().map(|row| number(row.event.get(field))).collect()),
            _ => Array::Texts(rows.clone().map(|row| row.event.get(field).text()).collect()),
        });
    }
    let stamps = rows.clone().map(|row| row.stamp.as_ref());
    arrays.push(Array::Uuids(rows.map(|row| Some(row.event_id)).collect()));
    arrays.push(Array::Uuids(stamps.clone().map(|stamp| Some(stamp?.chain)).collect()));
    arrays.push(Array::Numbers(stamps.clone().map(|stamp| Some(stamp?.seq.to_string())).collect()));
    arrays.push(Array::Texts(stamps.map(|stamp| Some(&*stamp?.hash)).collect()));
    arrays
}

fn number(value: Value<'_>) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::Text(_) | Value::Absent => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_format::event::Event;

    #[test]
    fn there_is_an_array_for_each_parameter() {
        let event = Event { ts: "2026-11-23T06:30:00Z".into(), ..Event::default() };
        let row = Row::of_foreign(event, Uuid::from_u128(1)).unwrap();
        let count = arrays([&row].into_iter()).len();
        assert!(sql().contains(&format!("${count})")) && !sql().contains(&format!("${}", count + 1)));
    }
}
