//! How a page is shown.

use std::borrow::Cow;
use std::io::{self, Write as _};

use audit_format::event::{Event, Field, Kind, Value};
use audit_format::line::STAMP_FIELDS;
use audit_host::{Entry, Filter, Instance, PageRequest};
use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::{Shown, Stop};

pub(super) trait Show {
    /// How many entries a page has.
    fn page(&self) -> u32;

    /// Reads the page and shows it.
    fn next(&mut self, from: &mut Instance, filter: &Filter, request: &PageRequest) -> Result<Shown, Stop>;
}

/// The lines as they are stored.
pub(super) struct Jsonl;

impl Show for Jsonl {
    // Each page looks through the files again, and the component ends it at 32 MiB.
    fn page(&self) -> u32 {
        50_000
    }

    fn next(&mut self, from: &mut Instance, filter: &Filter, request: &PageRequest) -> Result<Shown, Stop> {
        let page = from.read_jsonl(filter, request)?;
        io::stdout().write_all(page.lines.as_bytes())?;
        Ok(Shown { count: page.count.into(), next: page.next, skipped: page.skipped })
    }
}

/// The nineteen fields of an entry, comma-separated (RFC 4180).
#[derive(Default)]
pub(super) struct Csv {
    has_header: bool,
}

impl Show for Csv {
    fn page(&self) -> u32 {
        50_000
    }

    fn next(&mut self, from: &mut Instance, filter: &Filter, request: &PageRequest) -> Result<Shown, Stop> {
        let page = from.read(filter, request)?;
        let mut out = csv::Writer::from_writer(Vec::new());
        if !self.has_header {
            out.write_record(Field::NAMES.iter().chain(&STAMP_FIELDS)).map_err(io::Error::from)?;
            self.has_header = true;
        }
        let count = page.entries.len() as u64;
        for Entry { event, id, chain, seq, hash } in page.entries {
            let event = Event::from(event);
            for field in Field::ALL {
                out.write_field(cell(event.get(field)).as_bytes()).map_err(io::Error::from)?;
            }
            for text in [id, chain, seq.to_string(), hash] {
                out.write_field(text).map_err(io::Error::from)?;
            }
            out.write_record(None::<&[u8]>).map_err(io::Error::from)?;
        }
        let text = out.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        io::stdout().write_all(&text)?;
        Ok(Shown { count, next: page.next, skipped: page.skipped })
    }
}

/// The value of a field; empty: it has none.
fn cell(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Text(text) => text.into(),
        Value::Number(number) => number.to_string().into(),
        Value::Absent => "".into(),
    }
}

/// A table, without the columns that are empty. The columns are those of the first page.
pub(super) struct Table {
    width: u16,
}

/// The width where there is no terminal.
const WIDTH: u16 = 120;

/// Entries of one table: its columns are as wide as the widest of them needs.
const ROWS: usize = 1000;

/// The columns and their titles.
const COLUMNS: [(Field, &str); 14] = [
    (Field::Ts, "time (UTC)"),
    (Field::AgentId, "agent"),
    (Field::Tool, "tool"),
    (Field::Action, "action"),
    (Field::Status, "status"),
    (Field::DurationMs, "ms"),
    (Field::InSize, "in"),
    (Field::OutSize, "out"),
    (Field::WorkspaceId, "workspace"),
    (Field::UserId, "user"),
    (Field::ReqId, "request"),
    (Field::GraphRunId, "run"),
    (Field::GraphNode, "node"),
    (Field::JobId, "job"),
];

impl Table {
    pub(super) fn new() -> Self {
        let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0);
        Self { width: width.max(20) }
    }

    fn table(&self, events: &[Event<'_>]) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(self.width);
        let is_number = |field: Field| field.kind() == Kind::Number;
        let has_values = |field: Field| events.iter().any(|event| !shown(event, field).is_empty());
        let columns: Vec<(Field, &str)> =
            COLUMNS.into_iter().filter(|(field, _)| is_number(*field) || has_values(*field)).collect();
        table.set_header(columns.iter().map(|(_, title)| title));
        for event in events {
            table.add_row(columns.iter().map(|(field, _)| shown(event, *field)));
        }
        for (column, (field, _)) in table.column_iter_mut().zip(columns) {
            if is_number(field) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

impl Show for Table {
    fn page(&self) -> u32 {
        10_000
    }

    fn next(&mut self, from: &mut Instance, filter: &Filter, request: &PageRequest) -> Result<Shown, Stop> {
        let page = from.read(filter, request)?;
        let events: Vec<Event<'_>> = page.entries.into_iter().map(|entry| entry.event.into()).collect();
        for events in events.chunks(ROWS) {
            writeln!(io::stdout(), "{}", self.table(events))?;
        }
        Ok(Shown { count: events.len() as u64, next: page.next, skipped: page.skipped })
    }
}

/// The value of a field as a table shows it.
fn shown(event: &Event<'_>, field: Field) -> String {
    match event.get(field) {
        Value::Text(ts) if field == Field::Ts => time(ts),
        value => plain(&cell(value)),
    }
}

/// To the millisecond, and without what each has.
fn time(ts: &str) -> String {
    match ts.get(..23) {
        Some(time) => plain(&time.replacen('T', " ", 1)),
        None => plain(ts),
    }
}

/// Lines of other writers may have what would drive a terminal.
fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control() || is_reordering(c), "\u{FFFD}")
}

/// Characters that make what follows look like something else (Unicode's bidirectional controls).
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn empty_columns_are_not_shown_and_the_width_is_kept() {
        let ts = "2026-11-23T06:30:00.123456Z";
        let long =
            Event { ts: ts.into(), tool: "a tool with a long name ".repeat(9).into(), ..Event::default() };
        let other = Event { ts: ts.into(), user_id: "somebody".into(), duration_ms: 5, ..Event::default() };
        let table = Table { width: 80 }.table(&[long, other]).to_string();
        assert!(table.contains("2026-11-23") && table.contains("somebody"), "{table}");
        assert!(table.contains("ms") && !table.contains("agent") && !table.contains("run"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    }

    #[test]
    fn a_table_cannot_drive_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\rc\u{202E}d"), "a\u{FFFD}[2Jb\u{FFFD}c\u{FFFD}d");
        assert_eq!(time("2026-11-23T06:30:00.123456Z"), "2026-11-23 06:30:00.123");
        assert_eq!(time("ä\nb"), "ä\u{FFFD}b");
    }
}
