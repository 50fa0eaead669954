//! Reads rows by their numbers, for who seals or checks a table. It is read with SELECT alone.

use std::pin::pin;

use audit_sql::statements;
use deadpool_postgres::ClientWrapper;
use futures_util::StreamExt as _;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

use super::select;
use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::server_error;
use crate::database::link::{Link, Statement};
use crate::database::pools::Lane;

/// The most bytes that the lines of one answer take, but for its last line.
const BYTES: usize = 8 << 20;

/// Rows of the table, in the order of their numbers: see [`Database::numbered`](crate::Database::numbered).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NumberedRows {
    /// The `id` of each row, and its JSON line without a newline.
    pub rows: Vec<(i64, String)>,
    /// Whether there may be more rows behind the last one.
    pub more: bool,
}

pub(super) async fn rows(link: &Link, ranges: Vec<[i64; 2]>, most: u32) -> Result<NumberedRows, SinkError> {
    let (first, last) = ranges.into_iter().map(|[first, last]| (first, last)).unzip();
    let reading = Reading { first, last, most };
    link.run(&reading).await.map_err(|failure| link.sink_error(failure))
}

struct Reading {
    first: Vec<i64>,
    last: Vec<i64>,
    most: u32,
}

impl Statement for Reading {
    type Output = NumberedRows;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Self::Output> {
        Some(NumberedRows::default())
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Self::Output, Error> {
        match self.read(client, statements::SELECT_ROWS).await {
            Err(error)
                if error.as_db_error().is_some_and(|error| server_error(error).is_not_in_encoding()) =>
            {
                let bytes = format!(
                    "SELECT convert_to(line, getdatabaseencoding()), number FROM ({}) AS rows ORDER BY number",
                    statements::SELECT_ROWS
                );
                self.read(client, &bytes).await
            }
            rows => rows,
        }
    }
}

impl Reading {
    async fn read(&self, client: &ClientWrapper, sql: &str) -> Result<NumberedRows, Error> {
        let most = i64::from(self.most);
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&self.first, Type::INT8_ARRAY), (&self.last, Type::INT8_ARRAY), (&most, Type::INT8)];
        let mut answer = pin!(client.query_typed_raw(sql, values).await?);
        let (mut found, mut bytes) = (NumberedRows::default(), 0);
        while let Some(row) = answer.next().await {
            let row = row?;
            let line = select::line(&row)?.into_owned();
            bytes += line.len();
            found.rows.push((row.try_get(1)?, line));
            if bytes > BYTES {
                found.more = true;
                break;
            }
        }
        found.more |= found.rows.len() as u64 >= u64::from(self.most);
        Ok(found)
    }
}
