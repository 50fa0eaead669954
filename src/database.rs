//! The WIT import `postgres`: converts rows and queries to the host's types and back. The world `local` does
//! not import it, so that every call returns `NotConfigured`.

use crate::host::{DatabaseError, RefusedRow, Rows};
use alloc::vec::Vec;
use audit_format::line::Parsed;
use audit_format::query::Query;

/// Whether the host has a database. An empty batch asks for that, without a call to the database.
pub fn is_configured() -> bool {
    !matches!(insert(Vec::new()), Err(DatabaseError::NotConfigured))
}

#[cfg(not(feature = "postgres"))]
pub fn insert(_: Vec<Parsed<'_>>) -> Result<Vec<RefusedRow>, DatabaseError> {
    Err(DatabaseError::NotConfigured)
}

#[cfg(not(feature = "postgres"))]
pub fn select(_: &Query) -> Result<Rows, DatabaseError> {
    Err(DatabaseError::NotConfigured)
}

#[cfg(feature = "postgres")]
pub use import::{insert, select};

#[cfg(feature = "postgres")]
mod import {
    use super::*;
    use crate::bindings::audit::store::postgres;
    use crate::bindings::types;
    use crate::host::Row;
    use alloc::borrow::Cow;
    use alloc::string::ToString;
    use audit_format::cursor::Order;
    use audit_format::event::Event;
    use audit_format::id;
    use audit_format::line::Stamp;
    use audit_format::query::Filter;
    use audit_format::time::Timestamp;

    pub fn insert(rows: Vec<Parsed<'_>>) -> Result<Vec<RefusedRow>, DatabaseError> {
        let rows: Vec<types::Entry> = rows.into_iter().map(types::Entry::from).collect();
        let refused = postgres::insert_batch(&rows)?;
        Ok(refused
            .into_iter()
            .map(|row| RefusedRow { index: row.index as usize, reason: row.reason })
            .collect())
    }

    pub fn select(query: &Query) -> Result<Rows, DatabaseError> {
        let filter = Filter {
            from_ts: (query.from > Timestamp::MIN).then(|| query.from.to_string()),
            to_ts: (query.to < Timestamp::MAX).then(|| query.to.to_string()),
            texts: query.texts().map(|(field, text)| (field, text.to_string())).collect(),
        };
        let request = types::PageRequest {
            order: match query.order {
                Order::OldestFirst => types::Order::OldestFirst,
                Order::NewestFirst => types::Order::NewestFirst,
            },
            limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
            cursor: query.after.map(|key| key.to_cursor(query.order)),
        };
        let page = postgres::select(&filter.into(), &request)?;
        let rows = page.entries.into_iter().map(Row::from).collect();
        Ok(Rows { rows, next: page.next, skipped: page.skipped })
    }

    impl From<types::Entry> for Row {
        fn from(entry: types::Entry) -> Self {
            let ids = id::parse(&entry.id).zip(id::parse(&entry.chain));
            let hash = Cow::Owned(entry.hash);
            let stamp = ids.map(|(id, chain)| Stamp { id, chain, seq: entry.seq, hash });
            Self { entry: Parsed { event: Event::from(entry.event), stamp }, position: entry.seq }
        }
    }

    impl From<postgres::SinkError> for DatabaseError {
        fn from(error: postgres::SinkError) -> Self {
            match error {
                postgres::SinkError::NotConfigured => Self::NotConfigured,
                postgres::SinkError::Unavailable(text) => Self::Unavailable(text),
                postgres::SinkError::Other(text) => Self::Other(text),
            }
        }
    }
}
