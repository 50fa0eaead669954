//! Stores a batch with one statement, or by COPY. If the database refuses a row, the batch is halved until that row is
//! found, and the others are stored.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use audit_format::line::Stamp;
use audit_format::read::parse_stored;
use audit_format::show::one_line;
use audit_format::time::Timestamp;
use audit_sql::key::Key;
use audit_sql::statements::{self, keyed};
use deadpool_postgres::ClientWrapper;
use memchr::memchr_iter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::bindings::audit::store::postgres::{RefusedRow, SinkError};
use crate::database::arrays::Arrays;
use crate::database::entries::{Entry, Time};
use crate::database::failure::Failure;
use crate::database::link::{Link, Statement};
use crate::database::pools::Lane;

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many rows were added. The others were stored already, or are in `refused`.
    pub stored: u64,
    /// The rows that are invalid or that the database refused, in their order.
    pub refused: Vec<RefusedRow>,
}

/// Why an entry counts as refused that no statement has refused.
const VANISHED: &str = "the database accepted the row without storing it, as a trigger does that drops rows";

/// Stores all lines except those that the database refuses.
pub(super) async fn store(link: &Link, lines: &str) -> Result<Imported, SinkError> {
    Storing { link, imported: Imported { stored: 0, refused: Vec::new() }, is_begun: false }.run(lines).await
}

/// A batch while it is stored.
struct Storing<'l> {
    link: &'l Link,
    imported: Imported,
    /// Whether the database may have rows of the batch, whatever comes next.
    is_begun: bool,
}

impl Storing<'_> {
    async fn run(mut self, lines: &str) -> Result<Imported, SinkError> {
        let ranges = ranges(lines);
        // A stack: the first half goes on top, so that the rows are inserted in their order.
        let mut left = Vec::from([(0, ranges.len())]);
        while let Some((start, end)) = left.pop() {
            let rows = start..end;
            let text = match &ranges[rows.clone()] {
                [] => continue,
                [only] => &lines[only.clone()],
                [first, .., last] => &lines[first.start..last.end],
            };
            let insert = Insert::new(self.link, text, rows.len(), rows.len() == ranges.len());
            let inserted = self.link.run(&insert).await;
            self.is_begun |= insert.is_committed();
            match inserted {
                Ok(Inserted { added, vanished }) => {
                    self.imported.stored += added;
                    for row in vanished.into_iter().map(|row| rows.start + row) {
                        self.refuse(row, &lines[ranges[row].clone()], VANISHED.to_owned()).await?;
                    }
                }
                // Which of them are stored is asked only once they are.
                Err(failure) if insert.is_committed() => return Err(self.failed(failure)),
                Err(failure) => match (failure.server().and_then(|error| error.refusal()), rows.len()) {
                    (Some(reason), 1) => self.refuse(rows.start, text, reason).await?,
                    (Some(_), count) => {
                        let middle = rows.start + count / 2;
                        left.extend([(middle, end), (start, middle)]);
                    }
                    (None, _) => return Err(self.failed(failure)),
                },
            }
        }
        Ok(self.imported)
    }

    /// Counts a row as refused, once what is known of it is kept. The rows behind it are stored only then: else a program that
    /// ends in between would leave a hole in the chain that nothing explains.
    async fn refuse(&mut self, row: usize, line: &str, reason: String) -> Result<(), SinkError> {
        let reason = match keep(self.link, line, &reason).await.map_err(Failure::of_nothing_stored) {
            Ok(()) => reason,
            // The same lines come again.
            Err(failure) if failure.may_pass() => return Err(self.failed(failure)),
            Err(failure) => {
                let why = why_not_kept(self.link, failure);
                format!("{reason} (nothing is kept of it in tool_audit_refused: {why})")
            }
        };
        let index = u32::try_from(row).unwrap_or(u32::MAX);
        self.imported.refused.push(RefusedRow { index, reason });
        Ok(())
    }

    /// The error of the batch. What was stored of it before stays.
    fn failed(&self, failure: Failure) -> SinkError {
        match self.link.sink_error(failure) {
            SinkError::Unavailable(text) | SinkError::Other(text) if self.is_begun => {
                SinkError::Unanswered(text)
            }
            error => error,
        }
    }
}

/// The lines, each with its newline.
fn ranges(lines: &str) -> Vec<Range<usize>> {
    let mut ends: Vec<usize> = memchr_iter(b'\n', lines.as_bytes()).map(|newline| newline + 1).collect();
    if ends.last().copied().unwrap_or(0) < lines.len() {
        ends.push(lines.len());
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends.iter().copied()).map(|(start, end)| start..end).collect()
}

/// Keeps what is known of a refused entry. Another writer's row is in no chain, which it could leave a hole in.
async fn keep(link: &Link, line: &str, reason: &str) -> Result<(), Failure> {
    let Some((ts, stamp)) =
        parse_stored(line).ok().and_then(|line| Some((line.event.ts.into_owned(), line.stamp?)))
    else {
        return Ok(());
    };
    if Timestamp::parse(&ts).is_err() {
        return Ok(());
    }
    link.run(&Keep { stamp: stamp.into_owned(), ts, reason }).await
}

fn why_not_kept(link: &Link, failure: Failure) -> String {
    if let Some(refusal) = failure.server().and_then(|error| error.refusal()) {
        return refusal;
    }
    match link.sink_error(failure) {
        SinkError::Unavailable(text) | SinkError::Unanswered(text) | SinkError::Other(text) => {
            one_line(&text)
        }
        SinkError::NotConfigured => String::new(),
    }
}

/// Rows as JSON lines, and as entries if a store wrote all of them.
struct Insert<'l> {
    link: &'l Link,
    lines: &'l str,
    rows: usize,
    entries: Option<Vec<Entry<'l>>>,
    /// Whether they are the whole batch, of which the database has refused no row yet.
    whole: bool,
    /// Whether a statement that stores the rows has ended well, in whatever attempt.
    committed: AtomicBool,
}

/// The parameters of a statement, with their types.
type Values<'v> = Vec<(&'v (dyn ToSql + Sync), Type)>;

/// The values, and behind them the bounds of the batch.
fn bounded<'v>(mut values: Values<'v>, bounds: &'v [Time]) -> Values<'v> {
    values.extend(bounds.iter().map(|time| (time as &(dyn ToSql + Sync), Type::TIMESTAMPTZ)));
    values
}

/// What became of a batch.
struct Inserted {
    /// How many rows were added.
    added: u64,
    /// The positions of the entries that the table does not have nevertheless.
    vanished: Vec<usize>,
}

impl Statement for Insert<'_> {
    type Output = Inserted;
    const LANE: Lane = Lane::Writes;

    fn without_table(&self) -> Option<Inserted> {
        None
    }

    async fn run(&self, client: &ClientWrapper, prepares: bool) -> Result<Inserted, Error> {
        let key = self.link.key();
        let added = match self.copy(client, prepares, &key).await? {
            Some(added) => added,
            None => self.add(client, prepares, &key).await?,
        };
        self.committed.store(true, Ordering::Relaxed);
        if added >= self.rows as u64 {
            return Ok(Inserted { added, vanished: Vec::new() });
        }
        let (json, bounds) = (self.json(), self.bounds(&key));
        let values = bounded(vec![(&json, Type::TEXT)], &bounds);
        let missing = client.query_typed(&keyed(statements::MISSING, &key, 2), &values).await?;
        let position = |row: &Row| row.try_get::<_, i64>(0).map(|place| place.unsigned_abs() as usize);
        Ok(Inserted { added, vanished: missing.iter().map(position).collect::<Result<_, _>>()? })
    }
}

impl<'l> Insert<'l> {
    fn new(link: &'l Link, lines: &'l str, rows: usize, whole: bool) -> Self {
        Self { link, lines, rows, entries: Entry::all(lines), whole, committed: AtomicBool::new(false) }
    }

    fn is_committed(&self) -> bool {
        self.committed.load(Ordering::Relaxed)
    }

    /// Copies the rows, where that is possible. A session that may not keep a statement cannot begin to copy.
    async fn copy(&self, client: &ClientWrapper, prepares: bool, key: &Key) -> Result<Option<u64>, Error> {
        match &self.entries {
            Some(entries) if prepares && self.whole && *key == Key::default() => {
                self.link.copying().copy(client, entries).await
            }
            _ => Ok(None),
        }
    }

    async fn add(&self, client: &ClientWrapper, prepares: bool, key: &Key) -> Result<u64, Error> {
        let bounds = self.bounds(key);
        let Some(entries) = &self.entries else {
            let json = self.json();
            let values = bounded(vec![(&json, Type::TEXT)], &bounds);
            return client.execute_typed(&keyed(statements::INSERT, key, 2), &values).await;
        };
        let arrays = Arrays::of(entries);
        let values = arrays.typed();
        let insert = keyed(statements::INSERT_ARRAYS, key, values.len() + 1);
        let values = bounded(values, &bounds);
        if prepares {
            let types: Vec<Type> = values.iter().map(|(_, kind)| kind.clone()).collect();
            let statement = client.prepare_typed_cached(&insert, &types).await?;
            let values: Vec<_> = values.into_iter().map(|(value, _)| value).collect();
            return client.execute(&statement, &values).await;
        }
        client.execute_typed(&insert, &values).await
    }

    /// The first and the last `ts` of the batch, if the key has it. Where one is unreadable, those of any event.
    fn bounds(&self, key: &Key) -> Vec<Time> {
        if !key.has("ts") {
            return Vec::new();
        }
        let ts = |line| Timestamp::parse(&parse_stored(line).ok()?.event.ts).ok();
        let times: Option<Vec<Timestamp>> = self.lines.lines().map(ts).collect();
        let ends = times.and_then(|times| Some((*times.iter().min()?, *times.iter().max()?)));
        let (first, last) = ends.unwrap_or((Timestamp::MIN, Timestamp::MAX));
        vec![Time(first), Time(last)]
    }

    /// The lines as a JSON array.
    fn json(&self) -> String {
        format!("[{}]", self.lines.trim_end().replace('\n', ","))
    }
}

/// What is known of an entry that the database refused.
struct Keep<'r> {
    stamp: Stamp<'static>,
    ts: String,
    reason: &'r str,
}

impl Statement for Keep<'_> {
    type Output = ();
    const LANE: Lane = Lane::Writes;

    fn without_table(&self) -> Option<()> {
        None
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<(), Error> {
        let Stamp { id, chain, seq, hash } = &self.stamp;
        let texts = [id.to_string(), chain.to_string(), seq.to_string(), hash.to_string()];
        let texts: Vec<&str> = texts.iter().map(String::as_str).chain([&*self.ts, self.reason]).collect();
        let values: Values<'_> = texts.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
        match client.execute_typed(statements::REFUSED, &values).await {
            // An older program has made the other table.
            Err(error) if error.code().is_some_and(|code| code.code() == "42P01") => {
                client.batch_execute(&statements::refused_table()).await?;
                client.execute_typed(statements::REFUSED, &values).await
            }
            answer => answer,
        }
        .map(drop)
    }
}
