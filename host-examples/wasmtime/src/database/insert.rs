//! Inserts a batch with one statement. If the database refuses a row, the batch is halved until that row is
//! found, and the others are stored.

use audit_format::id;
use audit_format::line::Stamp;
use audit_sql::insert::{self, Array};
use audit_sql::row::Row;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::bindings::audit::store::postgres::{RejectedRow, SinkError};
use crate::database::link::{Link, Statement};
use crate::database::pools::Lane;
use crate::database::value::Time;
use crate::types::{Entry, Event};

/// A row for [`Database::import`](crate::Database::import).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportRow {
    /// An entry of a store. It keeps its `id`, `chain`, `seq` and `hash`.
    Own(Entry),
    /// An event of another writer. It is in no chain.
    Foreign {
        /// The event. Its `ts` must not be empty.
        event: Event,
        /// Identifies the event: an event with the same key is stored once, however often it is imported.
        key: Uuid,
    },
}

impl ImportRow {
    pub(super) fn into_row(self) -> Result<Row<'static>, String> {
        match self {
            Self::Own(entry) => own(entry),
            Self::Foreign { event, key } => Row::of_foreign(event.into(), key),
        }
    }
}

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many rows were added. The others were stored already, or are in `rejected`.
    pub stored: u64,
    /// The rows that are invalid or that the database refused, in their order.
    pub rejected: Vec<RejectedRow>,
}

/// The row of an entry. The error says which field is invalid.
pub(super) fn own(entry: Entry) -> Result<Row<'static>, String> {
    let uuid = |field: &str, text: &str| {
        id::parse(text).ok_or_else(|| {
            format!(
                "{field}: not a UUID; accepted is a UUID as the store writes it, in lower case with hyphens"
            )
        })
    };
    let (id, chain) = (uuid("id", &entry.id)?, uuid("chain", &entry.chain)?);
    let stamp = Stamp { id, chain, seq: entry.seq, hash: entry.hash.into() };
    Row::of_entry(entry.event.into(), stamp)
}

/// Stores all rows except those that are invalid or that the database refuses.
pub(super) async fn store(
    link: &Link,
    rows: impl Iterator<Item = Result<Row<'static>, String>>,
) -> Result<Imported, SinkError> {
    let mut imported = Imported { stored: 0, rejected: Vec::new() };
    let mut good = Vec::new();
    for (index, row) in (0..).zip(rows) {
        match row {
            Ok(row) => good.push((index, row)),
            Err(reason) => imported.rejected.push(RejectedRow { index, reason }),
        }
    }
    // A stack: the first half goes on top, so that the rows are inserted in their order.
    let mut left = vec![good.as_slice()];
    while let Some(rows) = left.pop() {
        if rows.is_empty() {
            continue;
        }
        match link.run(&Insert { rows }).await {
            Ok(stored) => imported.stored += stored,
            Err(failure) => match (failure.server().and_then(|error| error.refusal()), rows) {
                (Some(reason), [(index, _)]) => imported.rejected.push(RejectedRow { index: *index, reason }),
                (Some(_), rows) => {
                    let (first, second) = rows.split_at(rows.len() / 2);
                    left.extend([second, first]);
                }
                (None, _) => return Err(link.sink_error(failure)),
            },
        }
    }
    imported.rejected.sort_by_key(|row| row.index);
    Ok(imported)
}

/// Rows with their position in the batch.
struct Insert<'r> {
    rows: &'r [(u32, Row<'static>)],
}

impl Statement for Insert<'_> {
    /// How many rows were added.
    type Output = u64;
    const LANE: Lane = Lane::Writes;

    fn without_table(&self) -> Option<u64> {
        None
    }

    async fn run(&self, client: &ClientWrapper, prepares: bool) -> Result<u64, Error> {
        let arrays = insert::arrays(self.rows.iter().map(|(_, row)| row));
        let values: Vec<_> = arrays.into_iter().map(value).collect();
        let kinds: Vec<Type> = values.iter().map(|(_, kind)| kind.clone()).collect();
        let values = values.iter().map(|(value, _)| &**value as &(dyn ToSql + Sync));
        if prepares {
            let statement = client.prepare_typed_cached(insert::sql(), &kinds).await?;
            return client.execute(&statement, &values.collect::<Vec<_>>()).await;
        }
        let typed: Vec<_> = values.zip(kinds).collect();
        client.execute_typed(insert::sql(), &typed).await
    }
}

/// The value and the type of a parameter.
fn value<'r>(array: Array<'r>) -> (Box<dyn ToSql + Send + Sync + 'r>, Type) {
    match array {
        Array::Times(times) => {
            (Box::new(times.into_iter().map(Time).collect::<Vec<_>>()), Type::TIMESTAMPTZ_ARRAY)
        }
        Array::Texts(texts) => (Box::new(texts), Type::TEXT_ARRAY),
        Array::Numbers(numbers) => (Box::new(numbers), Type::TEXT_ARRAY),
        Array::Uuids(uuids) => (Box::new(uuids), Type::UUID_ARRAY),
    }
}
