//! The WIT import `postgres`: converts queries to the host's types, and its answers back. The world `local` does not import
//! it, so that every call returns `NotConfigured`.

use crate::host::{DatabaseError, RefusedRow, Rows};
use alloc::vec::Vec;
use audit_format::query::Query;

#[cfg(not(feature = "postgres"))]
pub fn is_configured() -> bool {
    false
}

#[cfg(not(feature = "postgres"))]
pub fn insert(_: &str) -> Result<Vec<RefusedRow>, DatabaseError> {
    Err(DatabaseError::NotConfigured)
}

#[cfg(not(feature = "postgres"))]
pub fn select(_: &Query) -> Result<Rows, DatabaseError> {
    Err(DatabaseError::NotConfigured)
}

#[cfg(feature = "postgres")]
pub use import::{insert, is_configured, select};

#[cfg(feature = "postgres")]
mod import {
    use super::*;
    use crate::bindings::audit::store::postgres;
    use crate::bindings::audit::store::types;
    use alloc::format;
    use alloc::string::ToString;
    use audit_format::attributes::Attribute;
    use audit_format::cursor::{Key, Order};
    use audit_format::query::Filter;
    use audit_format::show::one_line;
    use audit_format::time::Timestamp;

    pub fn is_configured() -> bool {
        postgres::is_configured()
    }

    pub fn insert(lines: &str) -> Result<Vec<RefusedRow>, DatabaseError> {
        let refused = postgres::insert_batch(lines)?;
        Ok(refused
            .into_iter()
            .map(|row| RefusedRow { index: row.index as usize, reason: one_line(&row.reason) })
            .collect())
    }

    pub fn select(query: &Query) -> Result<Rows, DatabaseError> {
        let filter = Filter {
            from_ts: (query.from > Timestamp::MIN).then(|| query.from.to_string()),
            to_ts: (query.to < Timestamp::MAX).then(|| query.to.to_string()),
            texts: query.texts().map(|(field, text)| (field, text.to_string())).collect(),
            attributes: query.attributes().map(Attribute::into_owned).collect(),
        };
        let request = types::PageRequest {
            order: match query.order {
                Order::OldestFirst => types::Order::OldestFirst,
                Order::NewestFirst => types::Order::NewestFirst,
            },
            limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
            cursor: query.after.map(Key::to_row_cursor),
        };
        let page = postgres::select(&filter.into(), &request)?;
        let key = |cursor: &str| {
            let wrong = || format!("the host returned an invalid cursor `{}`", one_line(cursor));
            Key::from_row_cursor(cursor).ok_or_else(|| DatabaseError::Other(wrong()))
        };
        Ok(Rows {
            lines: page.lines,
            next: page.next.as_deref().map(key).transpose()?,
            skipped: page.skipped,
        })
    }

    impl From<postgres::SinkError> for DatabaseError {
        fn from(error: postgres::SinkError) -> Self {
            match error {
                postgres::SinkError::NotConfigured => Self::NotConfigured,
                postgres::SinkError::Unavailable(text) => Self::Unavailable(one_line(&text)),
                postgres::SinkError::Unanswered(text) => Self::Unanswered(one_line(&text)),
                postgres::SinkError::Other(text) => Self::Other(one_line(&text)),
            }
        }
    }
}
