//! A row of the table, on its way in: an event with what it needs to be stored once.

use std::error::Error;
use std::str;

use audit_store::id;
use audit_store::time::Timestamp;
use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use uuid::Uuid;

use crate::types::{Entry, Event};

/// What becomes a row.
pub(super) struct Row<'e> {
    pub(super) event: &'e Event,
    pub(super) at: Timestamptz,
    /// Under which it is stored once.
    pub(super) event_id: Uuid,
    /// None: another writer's, which is in no chain.
    pub(super) stamp: Option<Stamp<'e>>,
}

/// Where an entry stands in its chain.
pub(super) struct Stamp<'e> {
    pub(super) chain: Uuid,
    pub(super) seq: u64,
    pub(super) hash: &'e str,
}

impl<'e> Row<'e> {
    /// The row of an entry, or what is wrong with it.
    pub(super) fn own(entry: &'e Entry) -> Result<Self, String> {
        let chain = uuid("chain", &entry.chain)?;
        let stamp = Stamp { chain, seq: entry.seq, hash: &entry.hash };
        Self::new(&entry.event, uuid("id", &entry.id)?, Some(stamp))
    }

    /// The row of another writer's event, or what is wrong with it.
    pub(super) fn foreign(event: &'e Event, key: Uuid) -> Result<Self, String> {
        Self::new(event, key, None)
    }

    fn new(event: &'e Event, event_id: Uuid, stamp: Option<Stamp<'e>>) -> Result<Self, String> {
        let at = Timestamp::parse(&event.ts).map_err(|error| format!("ts: {error}"))?;
        Ok(Self { event, at: Timestamptz::from(at), event_id, stamp })
    }
}

fn uuid(field: &str, text: &str) -> Result<Uuid, String> {
    id::parse(text).ok_or_else(|| format!("{field}: not a UUID; accepted is one as the store makes it"))
}

/// A time as PostgreSQL sends and takes it: microseconds since 2000-01-01T00:00:00Z, of which the least and the
/// greatest number are the infinities. PostgreSQL's text has no year 0000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamptz(i64);

impl Timestamptz {
    /// 2000-01-01T00:00:00Z in microseconds since 1970.
    const EPOCH: i64 = 946_684_800_000_000;

    /// The time, if it is one that events have.
    pub(super) fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_micros(self.0.checked_add(Self::EPOCH)?)
    }
}

impl From<Timestamp> for Timestamptz {
    fn from(at: Timestamp) -> Self {
        Self(at.micros() - Self::EPOCH)
    }
}

impl ToSql for Timestamptz {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.0.to_sql(kind, out)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Timestamptz {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        i64::from_sql(kind, raw).map(Self)
    }

    accepts!(TIMESTAMPTZ);
}
