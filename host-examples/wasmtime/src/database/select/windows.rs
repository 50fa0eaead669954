//! Reads a page in windows: parts of the table that follow each other in the order of the read, each so small that the
//! server looks through it in time. A page ends with its time, and its cursor says how far the windows have come. So a
//! read always ends, however large the table is.
//!
//! A window ends with all rows of one time. Where it ends is found by the index on `ts` alone.

use std::future::Future;
use std::time::Duration;

use audit_format::cursor::{Key, Order, Position};
use audit_format::time::Timestamp;
use audit_sql::column::TABLE;
use audit_sql::statements;
use deadpool_postgres::ClientWrapper;
use tokio::time::Instant;
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::slow::{FIRST, LEAST};
use super::{Found, Reading, Selecting, count_timeless, is_too_slow};
use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::duration;
use crate::database::schema::inspect;
use crate::types::JsonlPage;

pub(super) struct Windows<'r> {
    client: &'r ClientWrapper,
    reading: &'r Reading<'r>,
    /// The time of a page.
    time: Duration,
    by: Instant,
}

impl<'r> Windows<'r> {
    pub(super) fn new(client: &'r ClientWrapper, reading: &'r Reading<'r>, began: Instant) -> Self {
        let time = reading.link.pools().read_timeout();
        // The rest is for the way of the last answer.
        Self { client, reading, time, by: began + time / 10 * 9 }
    }

    /// Counts rows as the function of this name, in a part of the time.
    pub(super) async fn count_timeless(client: &ClientWrapper, reading: &Reading<'_>) -> Result<u64, Error> {
        if reading.selecting.cursor.is_some() {
            return Ok(0);
        }
        let time = reading.link.pools().read_timeout() / 8;
        limited(client, time, count_timeless(client, &reading.selecting)).await
    }

    /// Reads windows until the page is full, the table ends, or the time is over.
    pub(super) async fn search(self, mut found: Found) -> Result<Result<JsonlPage, SinkError>, Error> {
        let (slow, selecting) = (self.reading.link.slow(), &self.reading.selecting);
        let rows = || slow.rows(selecting).unwrap_or(FIRST);
        let began_with = rows();
        loop {
            let (now, rows) = (Instant::now(), rows());
            let left = self.by.saturating_duration_since(now);
            if found.is_full || found.seen == selecting.limit || left < self.time / 8 {
                let fails = found.last.is_none() && began_with <= LEAST;
                return Ok(if fails { Err(self.too_slow()) } else { Ok(self.unfinished(found)) });
            }
            // A window takes two statements.
            match limited(self.client, left / 2, self.window(&mut found, rows)).await {
                Ok(true) => return Ok(Ok(found.end())),
                Ok(false) => {
                    // A page that is full says little about the server.
                    let small = rows < FIRST || !found.is_full;
                    if small && now.elapsed() < self.time / 16 {
                        slow.set(selecting, rows.saturating_mul(2));
                    }
                }
                Err(error) if is_too_slow(&error) => {
                    if self.lacks_index().await? {
                        return Ok(Err(self.without_index()));
                    }
                    slow.set(selecting, rows / 4);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Adds what matches in the next window. Returns whether it was the last one.
    async fn window(&self, found: &mut Found, rows: u64) -> Result<bool, Error> {
        let mut selecting = self.reading.selecting.clone();
        let end = self.end_of_window(found.last.as_ref().or(selecting.cursor.as_ref()), rows).await?;
        if let Some(end) = &end {
            let bound = match selecting.order {
                Order::OldestFirst => 1,
                Order::NewestFirst => 0,
            };
            selecting.filter[bound] = Some(end.clone());
        }
        found.select(self.client, &selecting).await?;
        if found.is_full {
            return Ok(false);
        }
        let Some(end) = end else { return Ok(true) };
        found.last = Some(cursor_behind(selecting.order, &end));
        Ok(false)
    }

    /// The time with which the window of so many rows behind the cursor ends; none: with the table.
    async fn end_of_window(&self, cursor: Option<&String>, rows: u64) -> Result<Option<String>, Error> {
        let Selecting { order, filter, .. } = &self.reading.selecting;
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let texts = [&filter[0], &filter[1], &cursor.cloned()].map(|text| text.clone());
        let mut values: Vec<(&(dyn ToSql + Sync), Type)> =
            texts.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
        values.push((&rows, Type::INT8));
        let end = self.client.query_typed(statements::window(*order), &values).await?;
        end.first().map(|row| row.try_get(0)).transpose()
    }

    /// Whether the server has to look through the whole table for a window.
    async fn lacks_index(&self) -> Result<bool, Error> {
        match inspect(self.client).await {
            Ok(table) => Ok(!table.has_time_index()),
            // The server is too slow even for this. The next window that fails asks again.
            Err(error) if is_too_slow(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The page as far as it was found. Its cursor leads to the rest.
    fn unfinished(&self, found: Found) -> JsonlPage {
        let Selecting { order, cursor, .. } = &self.reading.selecting;
        let next = found.last.or_else(|| cursor.clone()).unwrap_or_else(|| cursor_before_all(*order));
        JsonlPage { next: Some(next), ..found.page }
    }

    fn without_index(&self) -> SinkError {
        SinkError::Other(format!(
            "the database does not find a page within {}: the table {TABLE} lacks the index on (ts), with ts of \
             the type TIMESTAMPTZ; run `audit migrate`, or let the table's owner run: CREATE INDEX ON {TABLE} (ts)",
            duration(self.time)
        ))
    }

    fn too_slow(&self) -> SinkError {
        SinkError::Unavailable(format!(
            "the database does not look through {LEAST} rows of the table {TABLE}, and those of the same time as the \
             last of them, within {} ({})",
            duration(self.time),
            self.reading.link.pools().servers().names().server
        ))
    }
}

/// The cursor behind all rows of this time, which is the text of one.
fn cursor_behind(order: Order, ts: &str) -> String {
    match order {
        Order::OldestFirst => format!("{ts},{},0", Uuid::max()),
        Order::NewestFirst => format!("{ts},,0"),
    }
}

/// The cursor of a page that has not come to any row yet.
fn cursor_before_all(order: Order) -> String {
    let key = match order {
        Order::OldestFirst => Key::of_foreign(Timestamp::MIN, Position::default()),
        Order::NewestFirst => Key::of_entry(Timestamp::MAX, Uuid::max()),
    };
    key.to_row_cursor()
}

/// Has the server end each statement of the work after this time. The session stays usable.
async fn limited<T>(
    client: &ClientWrapper,
    time: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let millis = time.as_millis().clamp(1, i32::MAX as u128);
    let lock_millis = (millis * 9 / 10).max(1);
    let limits = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {millis}; SET LOCAL lock_timeout = {lock_millis}"
    );
    client.batch_execute(&limits).await?;
    match work.await {
        Ok(answer) => client.batch_execute("COMMIT").await.map(|()| answer),
        Err(error) => {
            // Where even this fails, the connection is broken, which the error says or the next use finds out.
            let _ = client.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}
