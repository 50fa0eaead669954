//! The entries of a batch as an array for each column. The driver sends them in binary form.

use audit_format::event::{Field, Kind};
use tokio_postgres::types::{ToSql, Type};

use crate::database::entries::{Entry, Id, Time};

type Column<'e> = (Box<dyn ToSql + Send + Sync + 'e>, Type);

/// The parameters of [`INSERT_ARRAYS`](audit_sql::statements::INSERT_ARRAYS), in their order.
pub(super) struct Arrays<'e>(Vec<Column<'e>>);

impl<'e> Arrays<'e> {
    pub(super) fn of(entries: &'e [Entry<'e>]) -> Self {
        let mut columns: Vec<Column<'e>> = Vec::new();
        for field in Field::ALL {
            if field.kind() == Kind::Time {
                let times: Vec<Time> = entries.iter().map(|entry| Time(entry.at)).collect();
                columns.push((Box::new(times), Type::TIMESTAMPTZ_ARRAY));
            } else {
                columns.push(texts(entries.iter().map(|entry| entry.text(field))));
            }
        }
        let attributes = |entry: &Entry<'_>| entry.attributes().and_then(|json| String::from_utf8(json).ok());
        columns.push(texts(entries.iter().map(attributes)));
        let ids: Vec<Id> = entries.iter().map(Entry::id).collect();
        let chains: Vec<Id> = entries.iter().map(|entry| Id(entry.stamp.chain)).collect();
        columns.push((Box::new(ids), Type::UUID_ARRAY));
        columns.push((Box::new(chains), Type::UUID_ARRAY));
        columns.push(texts(entries.iter().map(|entry| Some(entry.stamp.seq.to_string()))));
        columns.push(texts(entries.iter().map(|entry| Some(&*entry.stamp.hash))));
        Self(columns)
    }

    /// The parameters with their types.
    pub(super) fn typed(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.0.iter().map(|(array, kind)| (&**array as &(dyn ToSql + Sync), kind.clone())).collect()
    }
}

fn texts<'e, T: ToSql + Send + Sync + 'e>(values: impl Iterator<Item = Option<T>>) -> Column<'e> {
    (Box::new(values.collect::<Vec<_>>()), Type::TEXT_ARRAY)
}
