//! What the backends with a database share: inserting lines as rows, and reading a page that joins rows with
//! lines that are not in the database yet.

use crate::accounting::DropReason;
use crate::batch::Batch;
use crate::error::Error;
use crate::host::{DatabaseError, Host, RefusedRow, Rows};
use crate::selection::Selection;
use crate::sink::{End, Found, Sink};
use crate::warnings::Topic;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::cursor::{Key, Position};
use audit_format::line::Stamp;
use audit_format::query::Query;
use audit_format::read::{parse_row, parse_stored};
use audit_format::time::Timestamp;
use uuid::Uuid;

/// A page with this many bytes may be returned with fewer entries than its limit: another round of reading
/// could take as much memory as a page again.
const FILLED_BYTES: usize = 1 << 20;

/// How many lines go to the database at once where many wait, unless a batch is larger: more would save little, and the
/// statement would have to be repeated for more of them where the database refuses one.
const MOST_AT_ONCE: usize = if cfg!(test) { 1_000 } else { 5_000 };

/// How many bytes they have at most, because the host keeps copies of them. A batch may have more.
const MOST_BYTES: usize = 2 << 20;

/// The database is quick if it takes no longer than this for an insert, in microseconds. It is a small part of any time
/// within which it has to answer, so that twice as many lines do not take too long.
const QUICK_MICROS: u64 = 100_000;

/// A line that the database refuses, or that cannot become a row.
pub struct Refusal<'l> {
    /// The line, with its newline.
    pub line: &'l [u8],
    /// The chain of the line; none: no store wrote it.
    pub chain: Option<Uuid>,
    /// Why it is refused.
    pub reason: String,
}

impl<'l> Refusal<'l> {
    /// The topic of warnings about refused lines.
    pub const TOPIC: Topic = Topic::Dropped(DropReason::Unwritable);

    /// The refusal of the line of an entry.
    fn of(line: &'l [u8], reason: String) -> Self {
        Self { line, chain: stamp(line).map(|stamp| stamp.chain), reason }
    }
}

/// The stamp of a line; none: no store wrote it.
pub fn stamp(line: &[u8]) -> Option<Stamp<'_>> {
    parse_stored(core::str::from_utf8(line).ok()?).ok()?.stamp
}

/// Inserts the lines, and returns those that are refused. Empty lines are skipped.
pub fn insert<'l, H: Host>(host: &H, lines: &[&'l [u8]]) -> Result<Vec<Refusal<'l>>, DatabaseError> {
    let mut refusals = Vec::new();
    let mut sent: Vec<&[u8]> = Vec::with_capacity(lines.len());
    let mut rows = String::new();
    for line in lines.iter().copied().filter(|line| !line.trim_ascii().is_empty()) {
        match core::str::from_utf8(line) {
            Ok(text) if stamp(line).is_some() => {
                sent.push(line);
                rows.push_str(text.trim_ascii());
                rows.push('\n');
            }
            _ => {
                let reason = "it is not a JSON object with id, chain, seq and hash".to_string();
                refusals.push(Refusal { line, chain: None, reason });
            }
        }
    }
    if !rows.is_empty() {
        for refused in of_batch(host.insert(&rows)?, sent.len()) {
            refusals.push(Refusal::of(sent[refused.index], refused.reason));
        }
    }
    Ok(refusals)
}

/// The refused rows of a batch with so many rows, each once and in their order, whatever the host has said.
fn of_batch(mut refused: Vec<RefusedRow>, rows: usize) -> Vec<RefusedRow> {
    refused.retain(|row| row.index < rows);
    refused.sort_by_key(|row| row.index);
    refused.dedup_by_key(|row| row.index);
    refused
}

/// Lines that wait in memory for the database.
#[derive(Default)]
pub struct Waiting {
    /// The lines.
    pub lines: Batch,
    /// How many of the first lines the database was sent and has not acknowledged: they may be stored or not.
    unanswered: usize,
    /// How many lines a quick database takes at once, where it is more than a batch.
    at_once: usize,
}

impl Waiting {
    /// Inserts the lines in batches, as long as at least `least` of them wait. Where more than a batch waits, a quick
    /// database gets more at once. `on_refusal` gets the lines that are refused. On an error, the lines that were not
    /// inserted keep waiting.
    pub fn send<H: Host>(
        &mut self,
        host: &H,
        batch_size: usize,
        least: usize,
        on_refusal: &mut dyn FnMut(&Refusal<'_>),
    ) -> Result<(), DatabaseError> {
        let lines = &self.lines;
        let mut sent = 0;
        let mut result = Ok(());
        while sent < lines.len() && lines.len() - sent >= least {
            let most = batch_size.max(self.at_once);
            let end = sent + fitting(lines, sent, most, batch_size);
            let asked = host.now();
            // Encoded lines are UTF-8.
            let inserted = host.insert(core::str::from_utf8(lines.part(sent..end)).unwrap_or_default());
            let is_quick = host.now().micros().abs_diff(asked.micros()) <= QUICK_MICROS;
            self.at_once = match &inserted {
                Ok(_) if is_quick && end - sent == most => MOST_AT_ONCE.min(2 * most),
                Ok(_) if is_quick => self.at_once,
                _ => 0,
            };
            match inserted {
                Ok(refused) => {
                    for RefusedRow { index, reason } in of_batch(refused, end - sent) {
                        on_refusal(&Refusal::of(lines.part(sent + index..sent + index + 1), reason));
                    }
                }
                Err(error) => {
                    if let DatabaseError::Unanswered(_) = error {
                        self.unanswered = self.unanswered.max(end);
                    }
                    result = Err(error);
                    break;
                }
            }
            sent = end;
        }
        self.lines.remove_first(sent);
        self.unanswered = self.unanswered.saturating_sub(sent);
        result
    }

    /// Forgets the lines, which are kept elsewhere.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.unanswered = 0;
    }

    /// The error for the lines that wait because of this one.
    pub fn error(&self, error: Error) -> Error {
        match error {
            // An earlier answer was lost, whatever has gone wrong since.
            Error::Unavailable(text) | Error::Access(text) | Error::Other(text) if self.unanswered > 0 => {
                Error::Unanswered(text).with_unstored(self.lines.len())
            }
            error => error.with_unstored(self.lines.len()),
        }
    }
}

/// How many of the lines from `start` on go to the database at once: at most `most`, and beyond a batch no more than
/// [`MOST_BYTES`].
fn fitting(lines: &Batch, start: usize, most: usize, batch_size: usize) -> usize {
    let mut count = most.min(lines.len() - start);
    while count > batch_size && lines.part(start..start + count).len() > MOST_BYTES {
        count = batch_size.max(count / 2);
    }
    count
}

/// Reads a page that joins the rows of the database with the lines that `offer` adds. `offer` is called
/// before the database: a line that moves into the database meanwhile is then found twice instead of never,
/// and its duplicate is removed.
pub fn read<H: Host>(
    host: &H,
    query: &Query,
    sink: &mut dyn Sink,
    offer: &mut dyn FnMut(&mut Selection<'_>) -> Result<(), Error>,
) -> Result<End, Error> {
    let mut query = query.clone();
    let mut sink = Measured { sink, bytes: 0 };
    let mut total = End::default();
    loop {
        let mut page = Selection::new(&query);
        offer(&mut page)?;
        let Rows { lines, next, skipped } = host.select(&query)?;
        for line in lines.lines() {
            take_row(&mut page, line);
        }
        if let Some(key) = next {
            page.end_with(key);
        }
        let duplicates = page.remove_duplicates();
        let (count, end) = page.finish(&mut sink);
        total.skipped += end.skipped + skipped;
        total.unreadable.extend(end.unreadable);
        total.next = end.next;
        query.limit -= count;
        query.after = end.next;
        // Where duplicates were removed, another round fills the page up.
        if duplicates == 0 || query.limit == 0 || query.after.is_none() || sink.bytes > FILLED_BYTES {
            return Ok(total);
        }
    }
}

/// A sink, and how many bytes of lines it has taken.
struct Measured<'s> {
    sink: &'s mut dyn Sink,
    bytes: usize,
}

impl Sink for Measured<'_> {
    fn take(&mut self, entry: Found<'_>) {
        self.bytes += entry.line.len();
        self.sink.take(entry);
    }

    fn take_all(&mut self, lines: String, count: usize) -> Option<String> {
        let bytes = lines.len();
        let rest = self.sink.take_all(lines, count);
        if rest.is_none() {
            self.bytes += bytes;
        }
        rest
    }
}

/// Offers a row to the page; one without a valid `ts` is skipped.
fn take_row(page: &mut Selection<'_>, line: &str) {
    let row = parse_row(line).ok();
    let row = row.and_then(|(row, place)| Some((Timestamp::parse(&row.event.ts).ok()?, row.stamp, place)));
    let Some((at, stamp, place)) = row else {
        page.skip();
        return;
    };
    let key = match stamp {
        Some(stamp) => Key::of_entry(at, stamp.id),
        None => Key::of_foreign(at, Position { day: 0, offset: place }),
    };
    page.take(key, line);
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable(text) => Self::Unavailable(text),
            DatabaseError::Unanswered(text) => Self::Unanswered(text),
            DatabaseError::NotConfigured | DatabaseError::Other(_) => Self::Other(error.to_string()),
        }
    }
}
