//! Writing: one statement a batch. Where the database refuses a row of it, the batch is halved until that row is
//! found, and the others are stored.

use std::sync::Arc;
use std::sync::LazyLock;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::bindings::audit::store::postgres::{RejectedRow, SinkError};
use crate::database::link::{Lane, Link, Statement};
use crate::database::row::{Row, Timestamptz};
use crate::database::table::{COLUMNS, Kind, TABLE};
use crate::types::{Entry, Event};

/// The columns that are written: all but `id`, which the database numbers.
const WRITTEN: &[(&str, Kind)] = COLUMNS.split_at(1).1;

/// Whether rows have values for the column.
pub(super) fn writes(column: &str) -> bool {
    WRITTEN.iter().any(|(name, _)| *name == column)
}

impl Kind {
    /// The type that a batch has the values in, and how one of them becomes the column's.
    fn of_batch(self) -> (Type, &'static str) {
        match self {
            Self::Position | Self::Number => (Type::TEXT_ARRAY, "::numeric"),
            Self::Time => (Type::TIMESTAMPTZ_ARRAY, ""),
            Self::Text => (Type::TEXT_ARRAY, ""),
            Self::Uuid => (Type::UUID_ARRAY, ""),
        }
    }
}

/// One statement for a batch of any size.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let names = list(|_, name, _| name.into());
    let values = list(|_, name, kind| format!("batch.{name}{}", kind.of_batch().1));
    let arrays = list(|n, _, _| format!("${}", n + 1));
    format!(
        "INSERT INTO {TABLE} ({names}) SELECT {values} \
         FROM unnest({arrays}) WITH ORDINALITY AS batch ({names}, position) ORDER BY batch.position \
         ON CONFLICT (event_id) DO NOTHING"
    )
});

fn list(of: impl Fn(usize, &str, Kind) -> String) -> String {
    WRITTEN.iter().enumerate().map(|(n, (name, kind))| of(n, name, *kind)).collect::<Vec<_>>().join(", ")
}

/// A row to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportRow {
    /// An entry of a store, which keeps its `id`, `chain`, `seq` and `hash`.
    Own(Entry),
    /// An event of another writer: it is read as one that is in no chain.
    Foreign {
        /// The event; its `ts` is not empty.
        event: Event,
        /// Under which the event is stored once, however often it is imported.
        key: Uuid,
    },
}

impl ImportRow {
    pub(super) fn row(&self) -> Result<Row<'_>, String> {
        match self {
            Self::Own(entry) => Row::own(entry),
            Self::Foreign { event, key } => Row::foreign(event, *key),
        }
    }
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many rows are new; the others were there already, or were rejected.
    pub stored: u64,
    /// The rows that the database refused, in their order.
    pub rejected: Vec<RejectedRow>,
}

/// Stores all rows but those that are not as they have to be, or that the database refuses.
pub(super) async fn store<'e>(
    link: &Arc<Link>,
    rows: impl Iterator<Item = Result<Row<'e>, String>>,
) -> Result<Imported, SinkError> {
    let mut imported = Imported { stored: 0, rejected: Vec::new() };
    let mut good = Vec::new();
    for (index, row) in (0..).zip(rows) {
        match row {
            Ok(row) => good.push((index, row)),
            Err(reason) => imported.rejected.push(RejectedRow { index, reason }),
        }
    }
    // The first half is on top, so that rows are numbered in their order.
    let mut left = vec![good.as_slice()];
    while let Some(rows) = left.pop() {
        if rows.is_empty() {
            continue;
        }
        match link.run(&Insert { rows }).await {
            Ok(stored) => imported.stored += stored,
            Err(failure) => match (failure.refusal(), rows) {
                (Some(reason), [(index, _)]) => imported.rejected.push(RejectedRow { index: *index, reason }),
                (Some(_), rows) => {
                    let (first, second) = rows.split_at(rows.len() / 2);
                    left.extend([second, first]);
                }
                (None, _) => return Err(failure.tell(link.names())),
            },
        }
    }
    imported.rejected.sort_by_key(|row| row.index);
    Ok(imported)
}

/// Rows with their position in the batch.
struct Insert<'r, 'e> {
    rows: &'r [(u32, Row<'e>)],
}

impl Statement for Insert<'_, '_> {
    /// How many rows are new.
    type Output = u64;
    const LANE: Lane = Lane::Writes;

    fn without_table(&self) -> Option<u64> {
        None
    }

    async fn run(&self, client: &ClientWrapper, prepares: bool) -> Result<u64, Error> {
        let texts = |of: fn(&Event) -> &str| self.column(|row| of(row.event));
        let options = |of: fn(&Event) -> &Option<String>| self.column(|row| of(row.event).as_deref());
        let numbers = |of: fn(&Event) -> u64| self.column(|row| of(row.event).to_string());
        let stamp = |row: &Row<'_>| row.stamp.as_ref().map(|stamp| (stamp.chain, stamp.seq.to_string()));
        let (chains, seqs): (Vec<_>, Vec<_>) = self.column(stamp).into_iter().map(Option::unzip).unzip();
        let hashes: Vec<Option<&str>> = self.column(|row| row.stamp.as_ref().map(|stamp| stamp.hash));
        let times: Vec<Timestamptz> = self.column(|row| row.at);
        let ids: Vec<Uuid> = self.column(|row| row.event_id);
        let values: [&(dyn ToSql + Sync); WRITTEN.len()] = [
            &times,
            &texts(|event| &event.req_id),
            &texts(|event| &event.workspace_id),
            &texts(|event| &event.user_id),
            &texts(|event| &event.agent_id),
            &texts(|event| &event.tool),
            &texts(|event| &event.action),
            &texts(|event| &event.status),
            &numbers(|event| event.duration_ms),
            &numbers(|event| event.in_size),
            &numbers(|event| event.out_size),
            &texts(|event| &event.input_hash),
            &options(|event| &event.graph_run_id),
            &options(|event| &event.graph_node),
            &options(|event| &event.job_id),
            &ids,
            &chains,
            &seqs,
            &hashes,
        ];
        let kinds: Vec<Type> = WRITTEN.iter().map(|(_, kind)| kind.of_batch().0).collect();
        if prepares {
            let statement = client.prepare_typed_cached(&INSERT, &kinds).await?;
            return client.execute(&statement, &values).await;
        }
        let typed: Vec<_> = values.into_iter().zip(kinds).collect();
        client.execute_typed(&INSERT, &typed).await
    }
}

impl<'r> Insert<'r, '_> {
    fn column<T>(&self, of: impl Fn(&'r Row<'_>) -> T) -> Vec<T> {
        self.rows.iter().map(|(_, row)| of(row)).collect()
    }
}
