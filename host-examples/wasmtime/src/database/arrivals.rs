//! Follows the table in the order in which rows come into it, and tells how much is in it.
//!
//! Numbers of rows are given before their transactions end, so a row may appear behind one with a greater number. A number
//! that is missing is therefore looked for again for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use audit_format::query;
use audit_sql::statements::{self, parameters};
use deadpool_postgres::ClientWrapper;
use tokio::time::Instant;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

use super::select::{self, Selecting};
use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::server_error;
use crate::database::link::{Link, Statement};
use crate::database::pools::Lane;
use crate::types::{JsonlPage, PageRequest};

/// How many rows are taken at once.
const ROWS: i64 = 1000;

/// How long a missing number is looked for: longer than a transaction that inserts takes.
const MISSING: Duration = Duration::from_secs(60);

/// How many missing numbers are looked for. A server that was restarted may leave out many.
const MOST_MISSING: usize = 10_000;

/// From this size on, in bytes, the rows of a table are estimated and not counted.
const LARGE: i64 = 64 << 20;

/// Where a follower of the table has come to: see [`Database::arrived`](crate::Database::arrived).
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    /// All rows up to this number were there, but for those that are missing.
    last: i64,
    missing: BTreeMap<i64, Instant>,
}

impl Arrivals {
    /// Takes the numbers of rows that have come, in their order.
    fn take(&mut self, numbers: &[i64], now: Instant) {
        for number in numbers {
            if self.missing.remove(number).is_some() || *number <= self.last {
                continue;
            }
            let room = MOST_MISSING.saturating_sub(self.missing.len());
            let skipped = self.last.saturating_add(1)..*number;
            self.missing.extend(skipped.rev().take(room).map(|number| (number, now)));
            self.last = *number;
        }
        self.missing.retain(|_, since| now.duration_since(*since) < MISSING);
    }
}

/// The rows that have come.
pub(super) async fn arrived(
    link: &Link,
    filter: &query::Filter,
    since: &Arrivals,
) -> Result<(JsonlPage, Arrivals), SinkError> {
    Selecting::new(filter, &PageRequest::default()).map_err(SinkError::Other)?;
    let filter = filter.in_utc().map_err(|invalid| SinkError::Other(invalid.to_string()))?;
    let taking = Taking { filter: parameters(&filter), since: since.clone() };
    link.run(&taking).await.map_err(|failure| link.sink_error(failure))
}

struct Taking {
    filter: Vec<Option<String>>,
    since: Arrivals,
}

impl Statement for Taking {
    type Output = (JsonlPage, Arrivals);
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Self::Output> {
        Some((select::empty_page(), Arrivals::default()))
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Self::Output, Error> {
        let missing: Vec<i64> = self.since.missing.keys().copied().collect();
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&self.since.last, Type::INT8), (&missing, Type::INT8_ARRAY), (&ROWS, Type::INT8)];
        let rows = client.query_typed(statements::ARRIVED, &values).await?;
        let numbers = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
        let mut since = self.since.clone();
        since.take(&numbers, Instant::now());
        if numbers.is_empty() {
            return Ok((select::empty_page(), since));
        }
        let page = match self.lines(client, &numbers, false).await {
            Err(error)
                if error.as_db_error().is_some_and(|error| server_error(error).is_not_in_encoding()) =>
            {
                self.lines(client, &numbers, true).await?
            }
            page => page?,
        };
        Ok((page, since))
    }
}

impl Taking {
    /// The lines of the rows with these numbers that match.
    async fn lines(&self, client: &ClientWrapper, numbers: &[i64], bytes: bool) -> Result<JsonlPage, Error> {
        let select = statements::select_numbered();
        let sql = select::as_bytes(&select, bytes);
        let (cursor, most) = (None::<String>, numbers.len() as i64);
        let mut values: Vec<(&(dyn ToSql + Sync), Type)> =
            self.filter.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
        values.extend([
            (&cursor as &(dyn ToSql + Sync), Type::TEXT),
            (&most, Type::INT8),
            (&numbers, Type::INT8_ARRAY),
        ]);
        let mut page = select::empty_page();
        for row in client.query_typed(&sql, &values).await? {
            page.lines.push_str(&select::line(&row)?);
            page.lines.push('\n');
            page.count += 1;
        }
        Ok(page)
    }
}

/// The number of the row that came last.
pub(super) async fn now(link: &Link) -> Result<Arrivals, SinkError> {
    link.run(&Now).await.map_err(|failure| link.sink_error(failure))
}

struct Now;

impl Statement for Now {
    type Output = Arrivals;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Self::Output> {
        Some(Arrivals::default())
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Self::Output, Error> {
        let row = client.query_typed_one(statements::LAST_NUMBER, &[]).await?;
        Ok(Arrivals { last: row.try_get(0)?, missing: BTreeMap::new() })
    }
}

/// How much is in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableSize {
    /// How many rows it has. `None`: it is large, and the server has never estimated it (`ANALYZE`).
    pub rows: Option<u64>,
    /// Whether `rows` is an estimate of the server's, because the table is large.
    pub is_estimate: bool,
    /// What the table and its indexes take on the disk, in bytes.
    pub bytes: u64,
    /// The times of the earliest and of the latest event: RFC 3339 in UTC. `None` if there is none.
    pub span: Option<(String, String)>,
}

pub(super) async fn size(link: &Link) -> Result<TableSize, SinkError> {
    link.run(&Size).await.map_err(|failure| link.sink_error(failure))
}

struct Size;

impl Statement for Size {
    type Output = TableSize;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Self::Output> {
        Some(TableSize { rows: Some(0), ..TableSize::default() })
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Self::Output, Error> {
        let row = client.query_typed_one(statements::SIZE, &[]).await?;
        let (bytes, estimate): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let is_estimate = bytes > LARGE;
        let rows = match is_estimate {
            true => estimate,
            false => Some(client.query_typed_one(statements::COUNT, &[]).await?.try_get(0)?),
        };
        let row = client.query_typed_one(statements::SPAN, &[]).await?;
        let (first, last): (Option<String>, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
        Ok(TableSize {
            rows: rows.map(i64::unsigned_abs),
            is_estimate,
            bytes: bytes.unsigned_abs(),
            span: first.zip(last),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_missing_is_looked_for_for_a_while() {
        let (start, mut since) = (Instant::now(), Arrivals { last: 10, missing: BTreeMap::new() });
        since.take(&[11, 14], start);
        assert_eq!((since.last, since.missing.keys().copied().collect::<Vec<_>>()), (14, vec![12, 13]));
        since.take(&[13, 15], start + Duration::from_secs(1));
        assert_eq!((since.last, since.missing.keys().copied().collect::<Vec<_>>()), (15, vec![12]));
        since.take(&[], start + MISSING);
        assert!(since.missing.is_empty());
        since.take(&[i64::MAX], start);
        assert_eq!((since.last, since.missing.len()), (i64::MAX, MOST_MISSING));
    }
}
