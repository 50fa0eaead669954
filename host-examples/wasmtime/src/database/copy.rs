//! Stores a large batch by COPY, which takes the server a third less time than an INSERT. It is used where it does the same:
//! where the table is a plain one, and has none of the entries. Else the batch is inserted.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use audit_format::event::{Field, Kind, Value};
use audit_sql::statements;
use bytes::{BufMut, Bytes, BytesMut};
use deadpool_postgres::ClientWrapper;
use futures_util::SinkExt;
use futures_util::future::join;
use tokio_postgres::types::Type;
use tokio_postgres::{CopyInSink, Error, Statement};

use crate::database::entries::{Entry, Id, Time};
use crate::database::failure::server_error;

/// A batch of fewer rows is inserted: COPY asks the server twice more, which takes longer than what it saves.
const MIN_ROWS: usize = 250;

/// How many bytes of rows are sent at once. The server stores them while the next ones are made.
const PIECE: usize = 32 << 10;

/// What begins the rows: a signature, flags, and the length of what may follow them.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What is known about COPY into the table.
#[derive(Default)]
pub(super) struct Copying {
    /// The last large batch was copied, so that the next one probably can be too.
    succeeds: AtomicBool,
    /// It does not do the same as an INSERT, because of what the table is like.
    differs: AtomicBool,
}

impl Copying {
    /// Copies the entries, and returns how many rows were added. `None`: nothing was stored, and they have to be inserted.
    pub(super) async fn copy(
        &self,
        client: &ClientWrapper,
        entries: &[Entry<'_>],
    ) -> Result<Option<u64>, Error> {
        if entries.len() < MIN_ROWS || self.differs.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let copied = match self.begin(client, entries).await {
            Ok(None) => Ok(None),
            Ok(Some(sink)) => send(sink, entries).await.map(Some),
            Err(error) => Err(error),
        };
        self.succeeds.store(matches!(copied, Ok(Some(_))), Ordering::Relaxed);
        match copied {
            // An INSERT says whether a row is refused, or is stored since.
            Err(error) if is_about_rows(&error) => Ok(None),
            copied => copied,
        }
    }

    /// Begins to copy, if the batch may be copied.
    async fn begin(
        &self,
        client: &ClientWrapper,
        entries: &[Entry<'_>],
    ) -> Result<Option<CopyInSink<Bytes>>, Error> {
        let may_copy = client.prepare_typed_cached(statements::MAY_COPY, &[Type::UUID_ARRAY]).await?;
        let copy = client.prepare_cached(statements::COPY).await?;
        let ids: Vec<Id> = entries.iter().map(Entry::id).collect();
        let asking = self.asks(client, &may_copy, ids);
        if !self.succeeds.load(Ordering::Relaxed) {
            return if asking.await? { client.copy_in(&copy).await.map(Some) } else { Ok(None) };
        }
        // Both are sent at once, in this order, and answered at once. Where the batch may not be copied, the sink ends
        // that: the server then logs an error, so this is not the way where it is to be expected.
        let (may_copy, sink) = join(asking, client.copy_in(&copy)).await;
        let sink = sink?;
        Ok(may_copy?.then_some(sink))
    }

    async fn asks(&self, client: &ClientWrapper, may_copy: &Statement, ids: Vec<Id>) -> Result<bool, Error> {
        let row = client.query_one(may_copy, &[&ids]).await?;
        let (is_plain, is_new): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
        self.differs.store(!is_plain, Ordering::Relaxed);
        Ok(is_plain && is_new)
    }
}

/// Whether the server refuses a row, or to copy into this table.
fn is_about_rows(error: &Error) -> bool {
    let server = error.as_db_error().map(server_error);
    server.is_some_and(|error| error.refusal().is_some() || error.is_not_supported())
}

async fn send(sink: CopyInSink<Bytes>, entries: &[Entry<'_>]) -> Result<u64, Error> {
    let mut sink = pin!(sink);
    let mut rows = BytesMut::with_capacity(2 * PIECE);
    rows.extend_from_slice(HEADER);
    for entry in entries {
        put_row(entry, &mut rows);
        if rows.len() >= PIECE {
            sink.send(rows.split().freeze()).await?;
            rows.reserve(2 * PIECE);
        }
    }
    rows.put_i16(-1);
    sink.send(rows.freeze()).await?;
    sink.finish().await
}

/// A row: the number of its columns, and each with its length, which is -1 for NULL.
fn put_row(entry: &Entry<'_>, out: &mut BytesMut) {
    out.put_i16(Field::ALL.len() as i16 + 5);
    for field in Field::ALL {
        match entry.value(field) {
            _ if field.kind() == Kind::Time => put(&Time(entry.at).micros().to_be_bytes(), out),
            Value::Text(text) => put(text.as_bytes(), out),
            Value::Number(number) => put_number(number, out),
            Value::Absent => out.put_i32(-1),
        }
    }
    match entry.attributes() {
        Some(json) => {
            out.put_i32(json.len() as i32 + 1);
            // The version of JSONB's binary form.
            out.put_u8(1);
            out.extend_from_slice(&json);
        }
        None => out.put_i32(-1),
    }
    put(entry.stamp.id.as_bytes(), out);
    put(entry.stamp.chain.as_bytes(), out);
    put_number(entry.stamp.seq, out);
    put(entry.stamp.hash.as_bytes(), out);
}

fn put(value: &[u8], out: &mut BytesMut) {
    // A line, and so a value, has 4096 bytes at most.
    out.put_i32(value.len() as i32);
    out.extend_from_slice(value);
}

/// A NUMERIC: how many digits to the base of 10 000, the power of the first one, sign, decimal places, and the digits. The
/// source is `numeric_recv` in PostgreSQL's source code.
fn put_number(number: u64, out: &mut BytesMut) {
    const BASE: u64 = 10_000;
    let digits = number.checked_ilog(BASE).map_or(0, |power| power + 1);
    out.put_i32(8 + 2 * digits as i32);
    out.put_i16(digits as i16);
    out.put_i16(digits.saturating_sub(1) as i16);
    out.put_i16(0);
    out.put_i16(0);
    for power in (0..digits).rev() {
        out.put_i16((number / BASE.pow(power) % BASE) as i16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_binary_form_of_numeric() {
        for (number, digits) in [
            (0, &[][..]),
            (7, &[7]),
            (9_999, &[9_999]),
            (10_000, &[1, 0]),
            (120_003, &[12, 3]),
            (u64::MAX, &[1_844, 6_744, 737, 955, 1_615]),
        ] {
            let mut out = BytesMut::new();
            put_number(number, &mut out);
            let count = digits.len() as i16;
            let head = [0, 8 + 2 * count, count, (count - 1).max(0), 0, 0];
            let expected: Vec<u8> = head.iter().chain(digits).flat_map(|part| part.to_be_bytes()).collect();
            assert_eq!(out, expected, "{number}");
        }
    }
}
