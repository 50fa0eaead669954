//! A page of a read. The rows come in parts, because Spin holds the answer of a statement in memory as a whole, and limits it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use audit_format::query::{DEFAULT_LIMIT, Filter, PageRequest};
use audit_sql::statements;

use crate::database::{Database, Page};
use crate::failure::{Error, of_nothing_stored};
use crate::link::{Connection, Driver, Fault, Parameter, Value};

/// How many rows a statement asks for. Those of a store take 8 MiB at most.
const PART: u32 = 2000;

/// The most bytes of lines in a page.
const PAGE_BYTES: usize = 24 << 20;

/// The most bytes of a line. Another program's row may be longer; it is skipped.
const LINE_BYTES: usize = 1 << 20;

/// What Spin says where the rows of a part take more than the 128 MiB that it allows.
const TOO_LARGE: &str = "exceeds limit";

/// Selects a page.
pub fn page<D: Driver>(
    database: &Database<D>,
    filter: &Filter,
    request: &PageRequest,
) -> Result<Page, Error> {
    let connection = database.reads()?;
    let limit = match request.limit {
        0 => u32::try_from(DEFAULT_LIMIT).unwrap_or(u32::MAX),
        limit => limit,
    };
    let texts = statements::parameters(filter);
    let selecting = Selecting {
        connection: &connection,
        parameters: texts.iter().map(|text| text.as_deref().into()).collect(),
        sql: limited(statements::select(request.order)),
        limit,
    };
    let found = selecting.page(request.cursor.clone());
    match found {
        Ok(page) => Ok(page),
        // There is no table yet, and a read creates none.
        Err(fault) if fault.server().is_some_and(|error| error.code == "42P01") => Ok(Page::default()),
        // The encoding of the database lacks a character of the filter, so no row can match.
        Err(fault) if fault.server().is_some_and(|error| error.is_not_translatable()) => Ok(Page::default()),
        Err(fault) => Err(of_nothing_stored(&fault, &database.address)),
    }
}

/// The statement, with NULL in the place of lines that are too long.
fn limited(select: &str) -> String {
    format!(
        "SELECT CASE WHEN pg_catalog.octet_length(line) <= {LINE_BYTES} THEN line END, cursor FROM ({select}) AS page"
    )
}

struct Selecting<'s, C> {
    connection: &'s C,
    parameters: Vec<Parameter<'s>>,
    sql: String,
    limit: u32,
}

impl<C: Connection> Selecting<'_, C> {
    fn page(&self, cursor: Option<String>) -> Result<Page, Fault> {
        let mut page = Page::default();
        if cursor.is_none() {
            page.skipped += self.count_timeless()?;
        }
        let (mut last, mut seen, mut part) = (cursor, 0, PART);
        loop {
            let wanted = part.min(self.limit - seen);
            let rows = match self.part(last.as_deref(), wanted) {
                Ok(rows) => rows,
                Err(Fault::Broken(text)) if text.contains(TOO_LARGE) && part > 1 => {
                    part = part.div_ceil(8);
                    continue;
                }
                // What was found before is a page; the next one goes on behind it.
                Err(fault) if seen > 0 && fault.server().is_some_and(|error| error.is_cancelled()) => {
                    page.next = last;
                    return Ok(page);
                }
                Err(fault) => return Err(fault),
            };
            let is_last = rows.len() as u64 <= u64::from(wanted);
            for (line, cursor) in rows.into_iter().take(wanted as usize) {
                if page.count > 0 && page.lines.len() + line.as_ref().map_or(0, String::len) > PAGE_BYTES {
                    page.next = last;
                    return Ok(page);
                }
                seen += 1;
                last = Some(cursor);
                page.take(line);
            }
            if is_last {
                return Ok(page);
            }
            if seen == self.limit {
                page.next = last;
                return Ok(page);
            }
        }
    }

    /// The lines and cursors of the rows behind this one: as many as are wanted, and one more if there is one.
    fn part(&self, after: Option<&str>, wanted: u32) -> Result<Vec<(Option<String>, String)>, Fault> {
        let mut parameters = self.parameters.clone();
        parameters.extend([after.into(), Parameter::Number(i64::from(wanted) + 1)]);
        let rows = self.connection.query(&self.sql, &parameters)?;
        let row = |row: Vec<Value>| {
            let mut values = row.into_iter();
            let line = values.next().and_then(Value::into_text);
            let cursor = values.next().and_then(Value::into_text);
            cursor.map(|cursor| (line, cursor)).ok_or_else(|| Fault::Unusable("a row has no cursor".into()))
        };
        rows.into_iter().map(row).collect()
    }

    /// Counts the matching rows without a time that an event can have. None are counted where that takes too long.
    fn count_timeless(&self) -> Result<u64, Fault> {
        match self.connection.query(statements::COUNT_TIMELESS, &self.parameters) {
            Err(fault) if fault.server().is_some_and(|error| error.is_cancelled()) => Ok(0),
            Err(fault) => Err(fault),
            Ok(rows) => {
                let count = rows.first().and_then(|row| row.first()).and_then(Value::number);
                Ok(count.map_or(0, i64::unsigned_abs))
            }
        }
    }
}

impl Page {
    /// Adds a line; none: it is too long.
    fn take(&mut self, line: Option<String>) {
        match line {
            Some(line) => {
                self.lines.push_str(&line);
                self.lines.push('\n');
                self.count += 1;
            }
            None => self.skipped += 1,
        }
    }
}

#[cfg(test)]
mod tests;
