//! Reading: a page by its position in the order, never by counting rows, so that what others write meanwhile neither
//! repeats an entry nor hides one.

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;

use audit_store::page::{Key, Place};
use audit_store::query;
use audit_store::time::{Timestamp, parse_bound};
use deadpool_postgres::ClientWrapper;
use futures_util::{Stream, StreamExt as _, future};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type, accepts};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::link::{Lane, Link, Statement};
use crate::database::row::Timestamptz;
use crate::database::table::{COLUMNS, Kind, TABLE};
use crate::types::{Entry, Event, Filter, Order, Page, PageRequest};

/// The most that the entries of a page may take in memory: well below what the component is given.
const PAGE_BYTES: usize = 24 << 20;

/// Whether a row is in a chain. The identifier of zeros stands for none in a cursor.
const OWN: &str = "(num_nulls(event_id, chain, seq, hash) = 0 \
                   AND event_id <> '00000000-0000-0000-0000-000000000000')";

/// Where another writer's row stands among those of its time. Without an `id` that is its place in the table, above
/// all that are numbered; it stays where it is until somebody writes the row anew.
const POSITION: &str = "coalesce(id::bigint, (1::bigint << 62) + ((ctid::text::point)[0]::bigint << 16) \
                        + (ctid::text::point)[1]::bigint)";

/// A page of what matches.
pub(super) async fn page(link: &Arc<Link>, filter: &Filter, page: &PageRequest) -> Result<Page, SinkError> {
    let Some(select) = Select::new(filter, page).map_err(SinkError::Other)? else {
        return Ok(nothing());
    };
    link.run(&select).await.map_err(|failure| failure.tell(link.names()))
}

fn nothing() -> Page {
    Page { entries: Vec::new(), next: None, skipped: 0 }
}

/// The values of a statement, with their types.
type Values = Vec<(Box<dyn ToSql + Send + Sync>, Type)>;

/// The statement of a page.
struct Select {
    /// What follows the table.
    rest: String,
    values: Values,
    /// Whether it looks for a text that not every encoding has.
    beyond_ascii: bool,
    /// Counts the matching rows whose time is none that events have; it belongs to the first page.
    uncounted: Option<Conditions>,
    order: Order,
    limit: usize,
}

impl Select {
    /// The statement, or what is wrong with the request; none where nothing can match.
    fn new(filter: &Filter, page: &PageRequest) -> Result<Option<Self>, String> {
        let bound = |name: &str, text: &Option<String>| {
            let range = text.as_deref().map(parse_bound).transpose();
            range.map_err(|error| format!("{name}: {error}"))
        };
        let (from, to) = (bound("from_ts", &filter.from_ts)?, bound("to_ts", &filter.to_ts)?);
        let after = page.cursor.as_deref().map(|text| {
            Key::from_cursor(text, order(page.order))
                .ok_or("cursor: not one of this read; accepted is its `next`")
        });
        let after = after.transpose()?;
        let mut first = from.as_ref().map_or(Timestamp::MIN, |range| *range.start());
        let mut last = to.as_ref().map_or(Timestamp::MAX, |range| *range.end());
        match (after, page.order) {
            (Some(after), Order::OldestFirst) => first = first.max(after.at),
            (Some(after), Order::NewestFirst) => last = last.min(after.at),
            (None, _) => {}
        }
        let mut matching = Conditions::default();
        if first > last || !matching.texts(filter) {
            return Ok(None);
        }
        let uncounted = after.is_none().then(|| Conditions::uncounted(filter, from.is_none(), to.is_none()));
        let limit = match page.limit {
            0 => query::DEFAULT_LIMIT,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        matching.compare("ts >=", Timestamptz::from(first), Type::TIMESTAMPTZ);
        matching.compare("ts <=", Timestamptz::from(last), Type::TIMESTAMPTZ);
        if let Some(after) = after {
            matching.after(&after, page.order);
        }
        // One more tells whether there is a next page.
        let more = matching.value(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1), Type::INT8);
        let direction = if page.order == Order::OldestFirst { "ASC" } else { "DESC" };
        let rest = format!(
            "WHERE {} ORDER BY ts {direction}, own {direction}, CASE WHEN {OWN} THEN NULL ELSE {POSITION} END \
             {direction}, event_id {direction} LIMIT {more}",
            matching.sql(),
        );
        Ok(Some(Self {
            rest,
            values: matching.values,
            beyond_ascii: matching.beyond_ascii,
            uncounted: uncounted.flatten(),
            order: page.order,
            limit,
        }))
    }

    /// With the texts, or with their bytes in the database's encoding.
    fn sql(&self, bytes: bool) -> String {
        let text = |name: &str| match bytes {
            true => format!("convert_to({name}, getdatabaseencoding())"),
            false => name.into(),
        };
        let texts = COLUMNS.iter().filter(|(_, kind)| *kind == Kind::Text).map(|(name, _)| text(name));
        format!(
            "SELECT ts, {}, duration_ms::text, in_size::text, out_size::text, event_id, chain, seq::text, \
             {POSITION}, {OWN} AS own FROM {TABLE} {}",
            texts.collect::<Vec<_>>().join(", "),
            self.rest
        )
    }
}

impl Statement for Select {
    type Output = Page;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Page> {
        Some(nothing())
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Page, Error> {
        let page = self.page(client, false).await;
        match page.as_ref().err().and_then(Error::code) {
            // A database without an encoding (SQL_ASCII) has a text that is not UTF-8.
            Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) => self.page(client, true).await,
            // No row of the database can have the text.
            Some(&SqlState::UNTRANSLATABLE_CHARACTER) if self.beyond_ascii => Ok(nothing()),
            _ => page,
        }
    }
}

impl Select {
    async fn page(&self, client: &ClientWrapper, bytes: bool) -> Result<Page, Error> {
        let sql = self.sql(bytes);
        // Planned for its values each time: with others another index may serve.
        let rows = client.query_typed_raw(&sql, borrowed(&self.values));
        let page = async { self.collect(pin!(rows.await?)).await };
        let skipped = async {
            let Some(conditions) = &self.uncounted else { return Ok(0) };
            let sql = format!("SELECT count(*) FROM {TABLE} WHERE {}", conditions.sql());
            let rows = client.query_typed_raw(&sql, borrowed(&conditions.values)).await?;
            match pin!(rows).next().await {
                Some(row) => row?.try_get::<_, i64>(0),
                None => Ok(0),
            }
        };
        let (page, skipped) = future::try_join(page, skipped).await?;
        Ok(Page { skipped: page.skipped + skipped.unsigned_abs(), ..page })
    }

    async fn collect(&self, mut rows: impl Stream<Item = Result<Row, Error>> + Unpin) -> Result<Page, Error> {
        let mut page = nothing();
        let (mut seen, mut bytes) = (0, 0);
        let mut last = None;
        while let Some(row) = rows.next().await {
            let row = row?;
            let read = read(&row)?;
            let size = read.as_ref().map_or(0, |(_, entry)| size(entry));
            let full = bytes + size > PAGE_BYTES && !page.entries.is_empty();
            if seen == self.limit || full {
                page.next = last.map(|key: Key| key.to_cursor(order(self.order)));
                break;
            }
            seen += 1;
            let Some((key, entry)) = read else { continue };
            last = Some(key);
            if size > PAGE_BYTES {
                // Another writer's, and no event, which has at most 4096 bytes.
                page.skipped += 1;
            } else {
                bytes += size;
                page.entries.push(entry);
            }
        }
        Ok(page)
    }
}

/// The entry of a row and where it stands; none where its time is none that events have.
fn read(row: &Row) -> Result<Option<(Key, Entry)>, Error> {
    let Some(at) = row.try_get::<_, Option<Timestamptz>>(0)?.and_then(Timestamptz::timestamp) else {
        return Ok(None);
    };
    let text = |column: usize| Ok::<_, Error>(row.try_get::<_, Option<Text>>(column)?.map(|text| text.0));
    let number = |column: usize| Ok::<_, Error>(row.try_get::<_, Option<&str>>(column)?.map_or(0, number));
    let uuid = |column: usize| row.try_get::<_, Option<Uuid>>(column);
    let event = Event {
        ts: at.to_string(),
        req_id: text(1)?.unwrap_or_default(),
        workspace_id: text(2)?.unwrap_or_default(),
        user_id: text(3)?.unwrap_or_default(),
        agent_id: text(4)?.unwrap_or_default(),
        tool: text(5)?.unwrap_or_default(),
        action: text(6)?.unwrap_or_default(),
        status: text(7)?.unwrap_or_default(),
        duration_ms: number(13)?,
        in_size: number(14)?,
        out_size: number(15)?,
        input_hash: text(8)?.unwrap_or_default(),
        graph_run_id: text(9)?,
        graph_node: text(10)?,
        job_id: text(11)?,
    };
    let id = if row.try_get::<_, bool>(20)? { uuid(16)?.zip(uuid(17)?) } else { None };
    Ok(Some(match id {
        Some((id, chain)) => {
            let (id, chain) = (id, chain.to_string());
            let hash = text(12)?.unwrap_or_default();
            let entry = Entry { event, id: id.to_string(), chain, seq: number(18)?, hash };
            (Key { at, id: Some(id), place: Place::default() }, entry)
        }
        None => {
            let position = row.try_get::<_, i64>(19)?.cast_unsigned();
            let entry =
                Entry { event, id: String::new(), chain: String::new(), seq: position, hash: String::new() };
            (Key { at, id: None, place: Place { day: 0, offset: position } }, entry)
        }
    }))
}

/// A text as it is sent, or its bytes; what of them is not UTF-8 is replaced.
struct Text(String);

impl<'a> FromSql<'a> for Text {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    accepts!(TEXT, BYTEA);
}

/// A NUMERIC as the nearest number that an event can have.
fn number(text: &str) -> u64 {
    let whole = text.split('.').next().unwrap_or_default();
    match whole.parse() {
        Ok(number) => number,
        Err(_) if whole.bytes().all(|byte| byte.is_ascii_digit()) || whole == "Infinity" => u64::MAX,
        Err(_) => 0,
    }
}

fn size(entry: &Entry) -> usize {
    let stamp = entry.id.len() + entry.chain.len() + entry.hash.len();
    size_of::<Entry>() - size_of::<Event>() + entry.event.size() + stamp
}

fn order(order: Order) -> query::Order {
    match order {
        Order::OldestFirst => query::Order::OldestFirst,
        Order::NewestFirst => query::Order::NewestFirst,
    }
}

fn borrowed(values: &Values) -> impl Iterator<Item = (&(dyn ToSql + Sync), Type)> {
    values.iter().map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone()))
}

/// What a row has to be; all values are parameters.
#[derive(Default)]
struct Conditions {
    parts: Vec<String>,
    values: Values,
    beyond_ascii: bool,
}

impl Conditions {
    fn sql(&self) -> String {
        self.parts.join(" AND ")
    }

    /// The placeholder of a value.
    fn value(&mut self, value: impl ToSql + Send + Sync + 'static, kind: Type) -> String {
        self.values.push((Box::new(value), kind));
        format!("${}", self.values.len())
    }

    fn compare(&mut self, left: &str, value: impl ToSql + Send + Sync + 'static, kind: Type) {
        let value = self.value(value, kind);
        self.parts.push(format!("{left} {value}"));
    }

    /// The filter's texts. False: no row can match.
    fn texts(&mut self, filter: &Filter) -> bool {
        let plain = [
            ("tool", &filter.tool),
            ("agent_id", &filter.agent_id),
            ("workspace_id", &filter.workspace_id),
            ("user_id", &filter.user_id),
            ("action", &filter.action),
            ("status", &filter.status),
            ("req_id", &filter.req_id),
        ];
        let optional = [
            ("graph_run_id", &filter.graph_run_id),
            ("graph_node", &filter.graph_node),
            ("job_id", &filter.job_id),
        ];
        for (column, text) in plain {
            match text.as_deref() {
                // What is missing is read as empty.
                Some("") => self.parts.push(format!("({column} = '' OR {column} IS NULL)")),
                Some(text) => self.compare(&format!("{column} ="), text.to_owned(), Type::TEXT),
                None => {}
            }
        }
        for (column, text) in optional {
            if let Some(text) = text {
                self.compare(&format!("{column} ="), text.clone(), Type::TEXT);
            }
        }
        let mut given = plain.iter().chain(&optional).filter_map(|(_, text)| text.as_deref());
        self.beyond_ascii = given.clone().any(|text| !text.is_ascii());
        // PostgreSQL has no text with this sign, and takes none.
        !given.any(|text| text.contains('\0'))
    }

    /// The rows after this one, at its time or later in the order.
    fn after(&mut self, key: &Key, order: Order) {
        let at = self.value(Timestamptz::from(key.at), Type::TIMESTAMPTZ);
        let rest = match (key.id, order) {
            (Some(id), Order::OldestFirst) => {
                format!("ts > {at} OR ({OWN} AND event_id > {})", self.value(id, Type::UUID))
            }
            (Some(id), Order::NewestFirst) => {
                format!("ts < {at} OR NOT {OWN} OR event_id < {}", self.value(id, Type::UUID))
            }
            (None, order) => {
                let position = self.value(key.place.offset.cast_signed(), Type::INT8);
                match order {
                    Order::OldestFirst => format!("ts > {at} OR {OWN} OR {POSITION} > {position}"),
                    Order::NewestFirst => format!("ts < {at} OR (NOT {OWN} AND {POSITION} < {position})"),
                }
            }
        };
        self.parts.push(format!("({rest})"));
    }

    /// The rows that match but for a time that no event has, in the direction in which the filter sets no bound.
    fn uncounted(filter: &Filter, past: bool, future: bool) -> Option<Self> {
        if !past && !future {
            return None;
        }
        let mut conditions = Self::default();
        conditions.texts(filter);
        let mut times = Vec::new();
        if past {
            let first = conditions.value(Timestamptz::from(Timestamp::MIN), Type::TIMESTAMPTZ);
            times.push(format!("ts < {first}"));
        }
        if future {
            let last = conditions.value(Timestamptz::from(Timestamp::MAX), Type::TIMESTAMPTZ);
            times.push(format!("ts > {last}"));
        }
        if past && future {
            times.push("ts IS NULL".into());
        }
        conditions.parts.push(format!("({})", times.join(" OR ")));
        Some(conditions)
    }
}
