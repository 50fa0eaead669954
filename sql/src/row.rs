//! Rows: an event on its way into the table, and an entry on its way out of it.

use audit_format::cursor::{Key, Position};
use audit_format::event::{Event, Field, Kind};
use audit_format::json::Json;
use audit_format::line::{Parsed, Stamp};
use audit_format::time::Timestamp;
use std::borrow::Cow;
use uuid::Uuid;

/// What becomes a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'e> {
    /// The event.
    pub event: Event<'e>,
    /// When it happened.
    pub at: Timestamptz,
    /// Under which it is stored once.
    pub event_id: Uuid,
    /// Where it stands in its chain; none: it is another writer's, which is in no chain.
    pub stamp: Option<Stamp<'e>>,
}

impl<'e> Row<'e> {
    /// The row of an entry, or what is wrong with it.
    pub fn of_entry(event: Event<'e>, stamp: Stamp<'e>) -> Result<Self, String> {
        let at = instant(&event)?;
        Ok(Self { event, at, event_id: stamp.id, stamp: Some(stamp) })
    }

    /// The row of another writer's event, or what is wrong with it. Under its key it is stored once.
    pub fn of_foreign(event: Event<'e>, key: Uuid) -> Result<Self, String> {
        let at = instant(&event)?;
        Ok(Self { event, at, event_id: key, stamp: None })
    }
}

fn instant(event: &Event<'_>) -> Result<Timestamptz, String> {
    Timestamp::parse(&event.ts).map(Timestamptz::from).map_err(|error| format!("ts: {error}"))
}

/// A time as PostgreSQL sends and takes it: microseconds since 2000-01-01T00:00:00Z, of which the least and
/// the greatest number are the infinities. PostgreSQL's text has no year 0000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamptz(pub i64);

impl Timestamptz {
    /// 2000-01-01T00:00:00Z in microseconds since 1970.
    const EPOCH: i64 = 946_684_800_000_000;

    /// The time, if it is one that events have.
    pub fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_micros(self.0.checked_add(Self::EPOCH)?)
    }
}

impl From<Timestamp> for Timestamptz {
    fn from(at: Timestamp) -> Self {
        Self(at.micros() - Self::EPOCH)
    }
}

/// The values of a row that a statement of [`select`](crate::select) has found, by the number of their
/// column.
pub trait Cells {
    /// Why a value cannot be read.
    type Error;

    /// A TIMESTAMPTZ.
    fn time(&self, column: usize) -> Result<Option<Timestamptz>, Self::Error>;
    /// A TEXT, or a BYTEA of which the bytes that are not UTF-8 are replaced.
    fn text(&self, column: usize) -> Result<Option<String>, Self::Error>;
    /// A UUID.
    fn uuid(&self, column: usize) -> Result<Option<Uuid>, Self::Error>;
    /// A BIGINT.
    fn integer(&self, column: usize) -> Result<Option<i64>, Self::Error>;
    /// A BOOLEAN.
    fn boolean(&self, column: usize) -> Result<Option<bool>, Self::Error>;
}

/// The numbers of the columns that follow the event's fields.
const EVENT_ID: usize = Field::ALL.len();
const CHAIN: usize = EVENT_ID + 1;
const SEQ: usize = CHAIN + 1;
const HASH: usize = SEQ + 1;
const POSITION: usize = HASH + 1;
const OWN: usize = POSITION + 1;

/// An entry that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its place in the order.
    pub key: Key,
    /// The event, with the stamp if a store wrote it.
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

/// The entry of a row; none where its time is none that events have.
///
/// # Errors
/// Where a value cannot be read.
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
        // A value of the field's own kind is never refused.
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

/// A NUMERIC as the nearest number that an event can have.
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
