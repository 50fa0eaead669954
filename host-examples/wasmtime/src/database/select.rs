//! Reads a page.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::pin::pin;

use audit_format::cursor::{Key, Order};
use audit_format::query::{DEFAULT_LIMIT, Filter};
use audit_sql::statements::{self, parameters};
use deadpool_postgres::ClientWrapper;
use futures_util::{Stream, StreamExt as _, future};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

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
    link.run(&selecting).await.map_err(|failure| link.sink_error(failure))
}

fn empty_page() -> JsonlPage {
    JsonlPage { lines: String::new(), count: 0, next: None, skipped: 0 }
}

/// The statement of a page.
struct Selecting {
    order: Order,
    filter: Vec<Option<String>>,
    cursor: Option<String>,
    limit: u32,
}

impl Selecting {
    fn new(filter: &Filter, request: &PageRequest) -> Result<Self, String> {
        let filter = filter.in_utc().map_err(|invalid| invalid.to_string())?;
        let cursor = request.cursor.clone();
        if cursor.as_deref().is_some_and(|cursor| Key::from_row_cursor(cursor).is_none()) {
            return Err("cursor: not a cursor of this read; accepted is the `next` of the page before".into());
        }
        let limit = if request.limit == 0 { DEFAULT_LIMIT as u32 } else { request.limit };
        Ok(Self { order: request.order.into(), filter: parameters(&filter), cursor, limit })
    }
}

impl Statement for Selecting {
    type Output = JsonlPage;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<JsonlPage> {
        Some(empty_page())
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<JsonlPage, Error> {
        let page = self.page(client, false).await;
        let error = page.as_ref().err().and_then(Error::as_db_error).map(server_error);
        match error {
            // A database without an encoding (SQL_ASCII) may have texts that are not UTF-8. They are read as
            // bytes.
            Some(error) if error.is_not_in_encoding() => self.page(client, true).await,
            // The encoding of the database lacks a character of the filter, so no row can match.
            Some(error) if error.is_not_translatable() && self.is_beyond_ascii() => Ok(empty_page()),
            _ => page,
        }
    }
}

impl Selecting {
    fn is_beyond_ascii(&self) -> bool {
        self.filter.iter().flatten().any(|text| !text.is_ascii())
    }

    async fn page(&self, client: &ClientWrapper, bytes: bool) -> Result<JsonlPage, Error> {
        let select = statements::select(self.order);
        let sql = match bytes {
            true => format!("SELECT convert_to(line, getdatabaseencoding()), cursor FROM ({select}) AS page"),
            false => select.into(),
        };
        // One row more than the page's limit shows whether there is a next page.
        let most = i64::from(self.limit) + 1;
        let values: Vec<(&(dyn ToSql + Sync), Type)> =
            self.filter.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
        let page = async {
            let mut values = values.clone();
            values.extend([(&self.cursor as &(dyn ToSql + Sync), Type::TEXT), (&most, Type::INT8)]);
            // Not prepared: the server plans the statement for its values, and other values may need another
            // index.
            self.collect(pin!(client.query_typed_raw(&sql, values).await?)).await
        };
        let skipped = async {
            if self.cursor.is_some() {
                return Ok(0);
            }
            let rows = client.query_typed_raw(statements::COUNT_TIMELESS, values.clone()).await?;
            match pin!(rows).next().await {
                Some(row) => row?.try_get::<_, i64>(0),
                None => Ok(0),
            }
        };
        let (page, skipped) = future::try_join(page, skipped).await?;
        Ok(JsonlPage { skipped: page.skipped + skipped.unsigned_abs(), ..page })
    }

    async fn collect(
        &self,
        mut rows: impl Stream<Item = Result<Row, Error>> + Unpin,
    ) -> Result<JsonlPage, Error> {
        let mut page = empty_page();
        let (mut seen, mut last) = (0, None);
        while let Some(row) = rows.next().await {
            let row = row?;
            let line = line(&row)?;
            let full = page.lines.len() + line.len() > PAGE_BYTES && page.count > 0;
            if seen == self.limit || full {
                page.next = last;
                break;
            }
            seen += 1;
            last = Some(row.try_get(1)?);
            if line.len() > PAGE_BYTES {
                // A row of another writer, which the component has no room for.
                page.skipped += 1;
            } else {
                page.lines.push_str(&line);
                page.lines.push('\n');
                page.count += 1;
            }
        }
        Ok(page)
    }
}

/// The line of a row. Bytes that are not UTF-8 are replaced.
fn line(row: &Row) -> Result<Cow<'_, str>, Error> {
    match row.columns().first().map(|column| column.type_()) {
        Some(&Type::BYTEA) => Ok(String::from_utf8_lossy(row.try_get(0)?)),
        _ => Ok(row.try_get::<_, &str>(0)?.into()),
    }
}
