//! What the backends with a database share: lines become rows, and rows a page, joined with the lines that are
//! not in the database yet.

use crate::accounting::DropReason;
use crate::batch::Batch;
use crate::error::Error;
use crate::host::{Host, Row, Rows, DatabaseError};
use crate::selection::Selection;
use crate::sink::{End, Found, Sink};
use crate::warnings::Topic;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::cursor::{Key, Order, Position};
use audit_format::line::{self, Parsed, Stamp};
use audit_format::query::Query;
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use uuid::Uuid;

/// A page of so many bytes may be shorter than asked for: the next part could take as much as a page.
const FILLED_BYTES: usize = 1 << 20;

/// A line that is not in the database, and never will be.
pub struct Refusal<'l> {
    /// The line, with its newline.
    pub line: &'l [u8],
    /// Whose it is, if it is a line of a store.
    pub chain: Option<Uuid>,
    /// Why.
    pub reason: String,
}

impl Refusal<'_> {
    /// The topic of its warning.
    pub const TOPIC: Topic = Topic::Dropped(DropReason::Unwritable);
}

/// The row of a line; none: it is not a line of a store.
fn row(line: &[u8]) -> Option<Parsed<'_>> {
    let parsed = parse_stored(core::str::from_utf8(line).ok()?).ok()?;
    parsed.stamp.is_some().then_some(parsed)
}

/// The stamp of a line of a store.
pub fn stamp(line: &[u8]) -> Option<Stamp<'_>> {
    row(line)?.stamp
}

/// Stores the lines, and returns those that are refused.
pub fn insert<'l, H: Host>(host: &H, lines: &[&'l [u8]]) -> Result<Vec<Refusal<'l>>, DatabaseError> {
    let mut refusals = Vec::new();
    let mut kept: Vec<(&[u8], Option<Uuid>)> = Vec::with_capacity(lines.len());
    let mut rows: Vec<Parsed<'_>> = Vec::with_capacity(lines.len());
    for line in lines.iter().copied().filter(|line| !line.trim_ascii().is_empty()) {
        match row(line) {
            Some(row) => {
                kept.push((line, row.stamp.as_ref().map(|stamp| stamp.chain)));
                rows.push(row);
            }
            None => {
                let reason = "it is not a line of this store".to_string();
                refusals.push(Refusal { line, chain: None, reason });
            }
        }
    }
    if !rows.is_empty() {
        for refused in host.insert(rows)? {
            if let Some((line, chain)) = kept.get(refused.index).copied() {
                refusals.push(Refusal { line, chain, reason: refused.reason });
            }
        }
    }
    Ok(refusals)
}

/// Stores what waits, in batches, as long as there are at least `least` lines. `refused` gets the lines that are
/// refused. An error leaves what waits where it is.
pub fn send<H: Host>(
    host: &H,
    waiting: &mut Batch,
    batch_size: usize,
    least: usize,
    refused: &mut dyn FnMut(&Refusal<'_>),
) -> Result<(), DatabaseError> {
    let mut sent = 0;
    let mut result = Ok(());
    while sent < waiting.len() && waiting.len() - sent >= least {
        let lines: Vec<&[u8]> = waiting.lines().skip(sent).take(batch_size).map(|(_, line)| line).collect();
        match insert(host, &lines) {
            Ok(refusals) => refusals.iter().for_each(&mut *refused),
            Err(error) => {
                result = Err(error);
                break;
            }
        }
        sent += lines.len();
    }
    waiting.remove_first(sent);
    result
}

/// Hands the sink the page of what is in the database and of the lines that `offer` adds: that is asked first, so that
/// what moves into the database meanwhile is seen twice rather than never, and given once.
pub fn read<H: Host>(
    host: &H,
    query: &Query,
    sink: &mut dyn Sink,
    offer: &mut dyn FnMut(&mut Selection<'_>) -> Result<(), Error>,
) -> Result<End, Error> {
    let mut query = query.clone();
    let mut sink = Measured { sink, bytes: 0 };
    let mut whole = End::default();
    loop {
        let mut page = Selection::new(&query);
        offer(&mut page)?;
        let Rows { rows, next, skipped } = host.select(&query)?;
        for row in &rows {
            take(&mut page, row);
        }
        if let Some(key) = key_of(next, query.order)? {
            page.end_with(key);
        }
        let doubles = page.remove_doubles();
        let (count, part) = page.finish(&mut sink);
        whole.skipped += part.skipped + skipped;
        whole.unreadable.extend(part.unreadable);
        whole.next = part.next;
        query.limit -= count;
        query.after = part.next;
        if doubles == 0 || query.limit == 0 || query.after.is_none() || sink.bytes > FILLED_BYTES {
            return Ok(whole);
        }
    }
}

/// A sink, and how many bytes of lines it took.
struct Measured<'s> {
    sink: &'s mut dyn Sink,
    bytes: usize,
}

impl Sink for Measured<'_> {
    fn take(&mut self, entry: Found<'_>) {
        self.bytes += entry.line.len();
        self.sink.take(entry);
    }
}

/// What a cursor of the host stands for.
pub fn key_of(cursor: Option<String>, order: Order) -> Result<Option<Key>, DatabaseError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let key = Key::from_cursor(&cursor, order);
    key.map(Some).ok_or_else(|| DatabaseError::Other(format!("the host's cursor `{cursor}` is none")))
}

fn take(page: &mut Selection<'_>, Row { entry, position }: &Row) {
    let Ok(at) = Timestamp::parse(&entry.event.ts) else {
        page.skip();
        return;
    };
    let mut line = Vec::new();
    let key = match &entry.stamp {
        Some(stamp) => {
            line::put_entry(&entry.event, stamp, &mut line);
            Key::of_entry(at, stamp.id)
        }
        None => {
            line::put_event(&entry.event, &mut line);
            Key::of_foreign(at, Position { day: 0, offset: *position })
        }
    };
    page.take(key, line.trim_ascii());
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable(text) => Self::Unavailable(text),
            DatabaseError::NotConfigured | DatabaseError::Other(_) => Self::Other(error.to_string()),
        }
    }
}
