//! Inserts a batch with one statement. If the database refuses a row, the batch is halved until that row is found, and the
//! others are stored.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::iter;
use core::ops::Range;

use audit_format::line::Stamp;
use audit_format::read::parse_stored;
use audit_format::show::one_line;
use audit_format::time::Timestamp;
use audit_sql::key::Key;
use audit_sql::statements::{self, keyed};

use crate::database::{Database, Refused};
use crate::failure::{Error, of_nothing_stored, of_sent};
use crate::link::{Connection, Driver, Fault, Parameter, Value};
use crate::table;

/// Why an entry counts as refused that no statement has refused.
const VANISHED: &str = "the database accepted the row without storing it, as a trigger does that drops rows";

/// How often a statement is run again that the server has ended in favour of another one.
const CONTENDED: usize = 3;

/// Stores all lines except those that the database refuses.
pub fn batch<D: Driver>(database: &Database<D>, lines: &str) -> Result<Vec<Refused>, Error> {
    let lines: Vec<&str> = lines.split_inclusive('\n').collect();
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let connection = database.writes()?;
    let mut refused = Vec::new();
    let mut is_begun = false;
    // What was stored of the batch before stays.
    let failed = |is_begun: bool, error: Error| if is_begun { error.unanswered() } else { error };
    // A stack: the first half goes on top, so that the rows are inserted in their order.
    let whole = 0..lines.len();
    let mut left = Vec::from([whole]);
    while let Some(rows) = left.pop() {
        let holes: Vec<(usize, String)> = match insert(database, &connection, &lines[rows.clone()]) {
            Ok(vanished) => {
                is_begun = true;
                vanished.into_iter().map(|row| (rows.start + row, VANISHED.to_owned())).collect()
            }
            Err(Failure::Refusal(reason)) if rows.len() == 1 => Vec::from([(rows.start, reason)]),
            Err(Failure::Refusal(_)) => {
                left.extend(halves(&rows));
                continue;
            }
            Err(Failure::Error(error)) => return Err(failed(is_begun, error)),
        };
        // The rows behind a hole are stored once it is explained: else nothing might ever explain it.
        for (row, reason) in holes {
            let reason = keep(database, &connection, lines[row], reason);
            let reason = reason.map_err(|error| failed(is_begun, error))?;
            refused.push(Refused { index: u32::try_from(row).unwrap_or(u32::MAX), reason });
        }
    }
    Ok(refused)
}

/// The second half, and the first.
fn halves(rows: &Range<usize>) -> [Range<usize>; 2] {
    let middle = rows.start + rows.len() / 2;
    [middle..rows.end, rows.start..middle]
}

/// Why rows were not inserted.
enum Failure {
    /// The database refuses one of them.
    Refusal(String),
    Error(Error),
}

/// Inserts the rows, and returns the positions of those that the table does not have nevertheless. A table that is not as the
/// statement needs it is made so, once.
fn insert<D: Driver>(
    database: &Database<D>,
    connection: &D::Connection,
    lines: &[&str],
) -> Result<Vec<usize>, Failure> {
    let rows = Rows::new(lines);
    let mut is_prepared = false;
    let mut contended = 0;
    loop {
        let added = rows.insert(connection, &database.key.borrow());
        let fault = match added {
            Ok(added) if added >= lines.len() as u64 => return Ok(Vec::new()),
            Ok(_) => {
                let missing = rows.missing(connection, &database.key.borrow());
                // The others are stored by now, whatever the fault.
                let failed =
                    |fault| Failure::Error(of_nothing_stored(&fault, &database.address).unanswered());
                return missing.map_err(failed);
            }
            Err(fault) => fault,
        };
        let server = fault.server();
        if let Some(reason) = server.and_then(|error| error.refusal()) {
            return Err(Failure::Refusal(database.address.without_secrets(&reason)));
        }
        if server.is_some_and(|error| error.is_contended()) && contended < CONTENDED {
            contended += 1;
            continue;
        }
        if is_prepared || !server.is_some_and(|error| error.lacks_table()) {
            return Err(Failure::Error(of_sent(&fault, &database.address)));
        }
        is_prepared = true;
        let key = table::prepare(connection, &database.address).map_err(Failure::Error)?;
        database.key.replace(key);
    }
}

/// The rows of a batch, as parameters.
struct Rows<'l> {
    lines: &'l [&'l str],
    /// The lines as a JSON array.
    json: String,
}

impl<'l> Rows<'l> {
    fn new(lines: &'l [&'l str]) -> Self {
        let objects: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        Self { lines, json: format!("[{}]", objects.join(",")) }
    }

    /// Inserts them, and returns how many were added.
    fn insert(&self, connection: &impl Connection, key: &Key) -> Result<u64, Fault> {
        self.with_parameters(key, |parameters| {
            connection.execute(&of_texts(statements::INSERT, key), parameters)
        })
    }

    /// The positions of those that the table does not have.
    fn missing(&self, connection: &impl Connection, key: &Key) -> Result<Vec<usize>, Fault> {
        let missing = self.with_parameters(key, |parameters| {
            connection.query(&of_texts(statements::MISSING, key), parameters)
        })?;
        let position = |row: &Vec<Value>| usize::try_from(row.first().and_then(Value::number)?).ok();
        Ok(missing.iter().filter_map(position).filter(|row| *row < self.lines.len()).collect())
    }

    fn with_parameters<T>(&self, key: &Key, run: impl FnOnce(&[Parameter<'_>]) -> T) -> T {
        let bounds = self.bounds(key);
        let bounds = bounds.iter().flatten().map(|bound| Parameter::Text(bound));
        let parameters: Vec<Parameter<'_>> = iter::once(Parameter::Text(&self.json)).chain(bounds).collect();
        run(&parameters)
    }

    /// The first and the last `ts` of the batch, if the key has it. Where one is unreadable, those of any event.
    fn bounds(&self, key: &Key) -> Option<[String; 2]> {
        if !key.has("ts") {
            return None;
        }
        let ts = |line: &&str| Timestamp::parse(&parse_stored(line).ok()?.event.ts).ok();
        let times: Option<Vec<Timestamp>> = self.lines.iter().map(ts).collect();
        let ends = times.and_then(|times| Some((*times.iter().min()?, *times.iter().max()?)));
        let (first, last) = ends.unwrap_or((Timestamp::MIN, Timestamp::MAX));
        Some([first.to_string(), last.to_string()])
    }
}

/// The text of a statement for a table with this key, with its bounds as texts: Spin has no parameter of the type TIMESTAMPTZ.
/// PostgreSQL writes the year 0000 as 0001 BC.
fn of_texts(statement: &str, key: &Key) -> String {
    let text = keyed(statement, key, 2);
    let bound = |number: u32| {
        format!(
            "(CASE WHEN ${number}::text LIKE '0000-%' THEN '0001' || substr(${number}, 5) || ' BC' \
             ELSE ${number} END)::timestamptz"
        )
    };
    text.replace("BETWEEN $2 AND $3", &format!("BETWEEN {} AND {}", bound(2), bound(3)))
}

/// Keeps what is known of a refused entry, and returns the reason. Another writer's row is in no chain, which it could leave a
/// hole in. Where nothing is kept of it, and another try would fail too, the reason says why.
fn keep<D: Driver>(
    database: &Database<D>,
    connection: &D::Connection,
    line: &str,
    reason: String,
) -> Result<String, Error> {
    let parsed = parse_stored(line).ok();
    let Some((ts, stamp)) = parsed.and_then(|line| Some((line.event.ts, line.stamp?))) else {
        return Ok(reason);
    };
    if Timestamp::parse(&ts).is_err() {
        return Ok(reason);
    }
    let Stamp { id, chain, seq, hash } = stamp;
    let texts = [id.to_string(), chain.to_string(), seq.to_string(), hash.into_owned()];
    let texts = texts.iter().map(String::as_str).chain([&*ts, &*reason]);
    let parameters: Vec<Parameter<'_>> = texts.map(Parameter::Text).collect();
    let keep = || connection.execute(statements::REFUSED, &parameters).map(drop);
    let kept = match keep() {
        // An older program has made the other table.
        Err(fault) if fault.server().is_some_and(|error| error.code == "42P01") => {
            connection.execute(&statements::refused_table(), &[]).and_then(|_| keep())
        }
        kept => kept,
    };
    let Err(fault) = kept else { return Ok(reason) };
    match of_sent(&fault, &database.address) {
        Error::Unavailable(_) | Error::Unanswered(_) => Err(of_nothing_stored(&fault, &database.address)),
        Error::Other(why) => {
            Ok(format!("{reason} (nothing is kept of it in tool_audit_refused: {})", one_line(&why)))
        }
    }
}

#[cfg(test)]
mod tests;
