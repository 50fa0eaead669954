//! Reads a page: with one statement where the server is fast enough for that, else in windows (`windows.rs`).

mod slow;
#[cfg(test)]
mod tests;
mod windows;

use std::borrow::Cow;
use std::pin::pin;

use audit_format::cursor::{Key, Order};
use audit_format::query::{DEFAULT_LIMIT, Filter};
use audit_sql::statements::{self, parameters};
use deadpool_postgres::ClientWrapper;
use futures_util::{Stream, StreamExt as _, future};
use tokio::time::Instant;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

pub(super) use self::slow::Slow;
use self::windows::Windows;
use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::server_error;
use crate::database::link::{Link, Statement};
use crate::database::pools::Lane;
use crate::types::{JsonlPage, PageRequest};

/// The most bytes that the lines of a page may take: well below the memory of the component.
const PAGE_BYTES: usize = 24 << 20;

/// A page of the entries that match the filter.
pub(super) async fn page(
    link: &Link,
    filter: &Filter,
    request: &PageRequest,
) -> Result<JsonlPage, SinkError> {
    let selecting = Selecting::new(filter, request).map_err(SinkError::Other)?;
    let reading = Reading { link, selecting };
    link.run(&reading).await.unwrap_or_else(|failure| Err(link.sink_error(failure)))
}

pub(super) fn empty_page() -> JsonlPage {
    JsonlPage { lines: String::new(), count: 0, next: None, skipped: 0 }
}

/// What a page is to have.
#[derive(Clone)]
pub(super) struct Selecting {
    order: Order,
    /// The parameters of the statements.
    filter: Vec<Option<String>>,
    cursor: Option<String>,
    limit: u32,
}

impl Selecting {
    pub(super) fn new(filter: &Filter, request: &PageRequest) -> Result<Self, String> {
        let filter = filter.in_utc().map_err(|invalid| invalid.to_string())?;
        let cursor = request.cursor.clone();
        if cursor.as_deref().is_some_and(|cursor| Key::from_row_cursor(cursor).is_none()) {
            return Err("cursor: not a cursor of this read; accepted is the `next` of the page before".into());
        }
        let limit = if request.limit == 0 { DEFAULT_LIMIT as u32 } else { request.limit };
        Ok(Self { order: request.order.into(), filter: parameters(&filter), cursor, limit })
    }

    fn is_beyond_ascii(&self) -> bool {
        self.filter.iter().flatten().any(|text| !text.is_ascii())
    }

    fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.filter.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect()
    }
}

/// The statements of a page.
struct Reading<'l> {
    link: &'l Link,
    selecting: Selecting,
}

impl Statement for Reading<'_> {
    type Output = Result<JsonlPage, SinkError>;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Self::Output> {
        Some(Ok(empty_page()))
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Self::Output, Error> {
        let began = Instant::now();
        let page = self.page(client, began, false).await;
        let error = page.as_ref().err().and_then(Error::as_db_error).map(server_error);
        match error {
            // A database without an encoding (SQL_ASCII) may have texts that are not UTF-8. They are read as
            // bytes.
            Some(error) if error.is_not_in_encoding() => self.page(client, began, true).await,
            // The encoding of the database lacks a character of the filter, so no row can match.
            Some(error) if error.is_not_translatable() && self.selecting.is_beyond_ascii() => {
                Ok(Ok(empty_page()))
            }
            _ => page,
        }
    }
}

impl Reading<'_> {
    async fn page(
        &self,
        client: &ClientWrapper,
        began: Instant,
        bytes: bool,
    ) -> Result<Result<JsonlPage, SinkError>, Error> {
        let mut found = Found::new(bytes);
        if self.link.slow().rows(&self.selecting).is_none() {
            let whole = found.select(client, &self.selecting);
            let (whole, timeless) = future::join(whole, count_timeless(client, &self.selecting)).await;
            found.page.skipped += timeless?;
            match whole {
                Err(error) if is_too_slow(&error) => self.link.slow().note(&self.selecting),
                whole => return whole.map(|()| Ok(found.end())),
            }
        } else {
            found.page.skipped += Windows::count_timeless(client, self).await?;
        }
        Windows::new(client, self, began).search(found).await
    }
}

/// Whether the server has ended the statement, because it took longer than the session lets it take.
fn is_too_slow(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| server_error(error).is_cancelled())
}

/// Counts the rows without a time that an event can have, on the first page. None are counted where that takes too long.
async fn count_timeless(client: &ClientWrapper, selecting: &Selecting) -> Result<u64, Error> {
    if selecting.cursor.is_some() {
        return Ok(0);
    }
    let count = async {
        let rows = client.query_typed_raw(statements::COUNT_TIMELESS, selecting.parameters()).await?;
        match pin!(rows).next().await {
            Some(row) => row?.try_get::<_, i64>(0),
            None => Ok(0),
        }
    };
    match count.await {
        Err(error) if is_too_slow(&error) => Ok(0),
        count => count.map(i64::unsigned_abs),
    }
}

/// What was found of a page.
struct Found {
    /// Whether lines are asked for as bytes.
    bytes: bool,
    page: JsonlPage,
    /// How many rows were seen, of which those without room in a page were skipped.
    seen: u32,
    /// Up to here all is found; none: as far as the cursor of the request.
    last: Option<String>,
    /// Whether there is a row for which the page has no room.
    is_full: bool,
}

impl Found {
    fn new(bytes: bool) -> Self {
        Self { bytes, page: empty_page(), seen: 0, last: None, is_full: false }
    }

    /// Adds the rows that are still to be found. On an error, those that came before it are there.
    async fn select(&mut self, client: &ClientWrapper, selecting: &Selecting) -> Result<(), Error> {
        let sql = as_bytes(statements::select(selecting.order), self.bytes);
        let cursor = self.last.clone().or_else(|| selecting.cursor.clone());
        // One row more than the page's limit shows whether there is a next page.
        let most = i64::from(selecting.limit - self.seen) + 1;
        let mut values = selecting.parameters();
        values.extend([(&cursor as &(dyn ToSql + Sync), Type::TEXT), (&most, Type::INT8)]);
        // Not prepared: the server plans the statement for its values, and other values may need another
        // index.
        let rows = client.query_typed_raw(&sql, values).await?;
        self.collect(selecting.limit, pin!(rows)).await
    }

    async fn collect(
        &mut self,
        limit: u32,
        mut rows: impl Stream<Item = Result<Row, Error>> + Unpin,
    ) -> Result<(), Error> {
        while let Some(row) = rows.next().await {
            let row = row?;
            let line = line(&row)?;
            let page = &mut self.page;
            let overflows = page.lines.len() + line.len() > PAGE_BYTES && page.count > 0;
            if self.seen == limit || overflows {
                self.is_full = true;
                break;
            }
            self.seen += 1;
            self.last = Some(row.try_get(1)?);
            if line.len() > PAGE_BYTES {
                // A row of another writer, which the component has no room for.
                page.skipped += 1;
            } else {
                page.lines.push_str(&line);
                page.lines.push('\n');
                page.count += 1;
            }
        }
        Ok(())
    }

    /// The page, where all rows were looked at or it is full.
    fn end(self) -> JsonlPage {
        JsonlPage { next: self.last.filter(|_| self.is_full), ..self.page }
    }
}

/// The statement, with lines as bytes where they are wanted so.
pub(super) fn as_bytes(select: &str, bytes: bool) -> Cow<'_, str> {
    match bytes {
        true => {
            format!("SELECT convert_to(line, getdatabaseencoding()), cursor FROM ({select}) AS page").into()
        }
        false => select.into(),
    }
}

/// The line of a row. Bytes that are not UTF-8 are replaced.
pub(super) fn line(row: &Row) -> Result<Cow<'_, str>, Error> {
    match row.columns().first().map(|column| column.type_()) {
        Some(&Type::BYTEA) => Ok(String::from_utf8_lossy(row.try_get(0)?)),
        _ => Ok(row.try_get::<_, &str>(0)?.into()),
    }
}
