//! Rows: an event that is inserted into the table, and an entry that is read from it.

use audit_format::cursor::{Key, Position};
use audit_format::event::{Event, Field, Kind};
use audit_format::json::Json;
use audit_format::line::{Parsed, Stamp};
use audit_format::time::Timestamp;
use std::borrow::Cow;
use uuid::Uuid;

/// A row to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'e> {
    /// The event.
    pub event: Event<'e>,
    /// The instant of the event's `ts`.
    pub at: Timestamptz,
    /// The unique key: a row whose key is in the table is not inserted again.
    pub event_id: Uuid,
    /// The entry's place in its chain; none: another writer's event, which is in no chain.
    pub stamp: Option<Stamp<'e>>,
}

impl<'e> Row<'e> {
    /// The row of an entry.
    ///
    /// # Errors
    /// If its `ts` is not a timestamp.
    pub fn of_entry(event: Event<'e>, stamp: Stamp<'e>) -> Result<Self, String> {
        let at = instant(&event)?;
        Ok(Self { event, at, event_id: stamp.id, stamp: Some(stamp) })
    }

    /// The row of another writer's event, with a unique key for it.
    ///
    /// # Errors
    /// If its `ts` is not a timestamp.
    pub fn of_foreign(event: Event<'e>, key: Uuid) -> Result<Self, String> {
        let at = instant(&event)?;
        Ok(Self { event, at, event_id: key, stamp: None })
    }
}

fn instant(event: &Event<'_>) -> Result<Timestamptz, String> {
    Timestamp::parse(&event.ts).map(Timestamptz::from).map_err(|error| format!("ts: {error}"))
}

/// A time in PostgreSQL's binary form: microseconds since 2000-01-01T00:00:00Z. The least and the greatest
/// number mean the infinities. The text form is not used, because it has no year 0000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamptz(pub i64);

impl Timestamptz {
    /// 2000-01-01T00:00:00Z in microseconds since 1970.
    const EPOCH: i64 = 946_684_800_000_000;

    /// The time as a timestamp; none: no event can have it.
    pub fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_micros(self.0.checked_add(Self::EPOCH)?)
    }
}

impl From<Timestamp> for Timestamptz {
    fn from(at: Timestamp) -> Self {
        Self(at.micros() - Self::EPOCH)
    }
}

/// A row that a statement of [`select`](crate::select) returns. Columns are numbered from 0.
pub trait Cells {
    /// Why a value cannot be read.
    type Error;

    /// A TIMESTAMPTZ.
    fn time(&self, column: usize) -> Result<Option<Timestamptz>, Self::Error>;
    /// A TEXT, or a BYTEA whose bytes that are not UTF-8 are replaced.
    fn text(&self, column: usize) -> Result<Option<String>, Self::Error>;
    /// A UUID.
    fn uuid(&self, column: usize) -> Result<Option<Uuid>, Self::Error>;
    /// A BIGINT.
    fn integer(&self, column: usize) -> Result<Option<i64>, Self::Error>;
    /// A BOOLEAN.
    fn boolean(&self, column: usize) -> Result<Option<bool>, Self::Error>;
}

/// The numbers of the columns after those of the event's fields.
const EVENT_ID: usize = Field::ALL.len();
const CHAIN: usize = EVENT_ID + 1;
const SEQ: usize = CHAIN + 1;
const HASH: usize = SEQ + 1;
const POSITION: usize = HASH + 1;
const OWN: usize = POSITION + 1;

/// An entry that was read from the table.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its place in the order of the read.
    pub key: Key,
    /// The event, with its stamp if a store wrote it.
    pub entry: Parsed<'static>,
}

impl Found {
    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let texts: usize =
            Field::ALL.iter().filter_map(|field| self.entry.event.get(*field).text()).map(str::len).sum();
        size_of::<Self>() + texts + self.entry.stamp.as_ref().map_or(0, |stamp| stamp.hash.len())
    }
}

/// The entry of a row; none: no event can have its time.
///
/// # Errors
/// If a value cannot be read.
pub fn read<C: Cells>(row: &C) -> Result<Option<Found>, C::Error> {
    let Some(at) = row.time(0)?.and_then(Timestamptz::timestamp) else { return Ok(None) };
    let mut event = Event::default();
    for (column, field) in Field::ALL.into_iter().enumerate() {
        let value = match field.kind() {
            Kind::Time => Json::Text(at.to_string().into()),
            Kind::Number => Json::Number(number(row.text(column)?)),
            Kind::Text | Kind::Optional => {
                row.text(column)?.map_or(Json::Null, |text| Json::Text(text.into()))
            }
        };
        // This cannot fail, because the value is of the field's kind.
        let _ = event.set(field, value);
    }
    let ids = if row.boolean(OWN)? == Some(true) { row.uuid(EVENT_ID)?.zip(row.uuid(CHAIN)?) } else { None };
    Ok(Some(match ids {
        Some((id, chain)) => {
            let (seq, hash) = (number(row.text(SEQ)?), Cow::Owned(row.text(HASH)?.unwrap_or_default()));
            let stamp = Some(Stamp { id, chain, seq, hash });
            Found { key: Key::of_entry(at, id), entry: Parsed { event, stamp } }
        }
        None => {
            let offset = row.integer(POSITION)?.unwrap_or_default().cast_unsigned();
            let key = Key::of_foreign(at, Position { day: 0, offset });
            Found { key, entry: Parsed { event, stamp: None } }
        }
    }))
}

/// A NUMERIC as the nearest whole number from 0 to 2^64 - 1. Decimals are cut off.
fn number(text: Option<String>) -> u64 {
    let text = text.unwrap_or_default();
    let whole = text.split('.').next().unwrap_or_default();
    match whole.parse() {
        Ok(number) => number,
        Err(_) if whole.is_empty() => 0,
        Err(_) if whole.bytes().all(|byte| byte.is_ascii_digit()) || whole == "Infinity" => u64::MAX,
        Err(_) => 0,
    }
}
