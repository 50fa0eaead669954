//! Reads a page.

#[cfg(test)]
mod tests;

use std::pin::pin;

use audit_format::cursor::Order;
use audit_format::query::Query;
use audit_sql::row::{self, Found};
use audit_sql::select::{Select, Value};
use deadpool_postgres::ClientWrapper;
use futures_util::{Stream, StreamExt as _, future};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::server_error;
use crate::database::link::{Link, Statement};
use crate::database::pools::Lane;
use crate::database::value::{self, Time};
use crate::types::{Filter, Page, PageRequest};

/// The most bytes that the entries of a page may take in memory: well below the memory of the component.
const PAGE_BYTES: usize = 24 << 20;

/// A page of the entries that match the filter.
pub(super) async fn page(link: &Link, filter: Filter, request: &PageRequest) -> Result<Page, SinkError> {
    let query = Query::new(filter.into(), &request.into())
        .map_err(|invalid| SinkError::Other(invalid.to_string()))?;
    let Some(select) = Select::new(&query) else { return Ok(empty_page()) };
    let statement = Selecting { select, order: query.order, limit: query.limit };
    link.run(&statement).await.map_err(|failure| link.sink_error(failure))
}

fn empty_page() -> Page {
    Page { entries: Vec::new(), next: None, skipped: 0 }
}

/// The statement of a page.
struct Selecting {
    select: Select,
    order: Order,
    limit: usize,
}

impl Statement for Selecting {
    type Output = Page;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Page> {
        Some(empty_page())
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Page, Error> {
        let page = self.page(client, false).await;
        let error = page.as_ref().err().and_then(Error::as_db_error).map(server_error);
        match error {
            // A database without an encoding (SQL_ASCII) may have texts that are not UTF-8. They are read as
            // bytes.
            Some(error) if error.is_not_in_encoding() => self.page(client, true).await,
            // The encoding of the database lacks a character of the filter, so no row can match.
            Some(error) if error.is_not_translatable() && self.select.is_beyond_ascii() => Ok(empty_page()),
            _ => page,
        }
    }
}

impl Selecting {
    async fn page(&self, client: &ClientWrapper, bytes: bool) -> Result<Page, Error> {
        let sql = self.select.sql(bytes);
        // Not prepared: the server plans the statement for its values, and other values may need another
        // index.
        let rows = client.query_typed_raw(&sql, bound(self.select.values()));
        let page = async { self.collect(pin!(rows.await?)).await };
        let skipped = async {
            let Some((sql, values)) = self.select.count_of_timeless() else { return Ok(0) };
            let rows = client.query_typed_raw(&sql, bound(values)).await?;
            match pin!(rows).next().await {
                Some(row) => row?.try_get::<_, i64>(0),
                None => Ok(0),
            }
        };
        let (page, skipped) = future::try_join(page, skipped).await?;
        Ok(Page { skipped: page.skipped + skipped.unsigned_abs(), ..page })
    }

    async fn collect(&self, mut rows: impl Stream<Item = Result<Row, Error>> + Unpin) -> Result<Page, Error> {
        let mut page = empty_page();
        let (mut seen, mut bytes) = (0, 0);
        let mut last = None;
        while let Some(row) = rows.next().await {
            let found = row::read(&value::Found(&row?))?;
            let size = found.as_ref().map_or(0, Found::size);
            let full = bytes + size > PAGE_BYTES && !page.entries.is_empty();
            if seen == self.limit || full {
                page.next = last.map(|key: audit_format::cursor::Key| key.to_cursor(self.order));
                break;
            }
            seen += 1;
            let Some(Found { key, entry }) = found else { continue };
            last = Some(key);
            if size > PAGE_BYTES {
                // A row of another writer. It is no event, because an event has at most 4096 bytes.
                page.skipped += 1;
            } else {
                bytes += size;
                page.entries.push((key, entry).into());
            }
        }
        Ok(page)
    }
}

/// The values of the parameters, with their types.
fn bound(values: &[Value]) -> Vec<(Box<dyn ToSql + Send + Sync + '_>, Type)> {
    values.iter().map(bound_one).collect()
}

fn bound_one(value: &Value) -> (Box<dyn ToSql + Send + Sync + '_>, Type) {
    match value {
        Value::Time(time) => (Box::new(Time(*time)), Type::TIMESTAMPTZ),
        Value::Text(text) => (Box::new(text), Type::TEXT),
        Value::Integer(number) => (Box::new(*number), Type::INT8),
        Value::Uuid(uuid) => (Box::new(*uuid), Type::UUID),
    }
}
