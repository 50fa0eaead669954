//! The formats in which a page is shown.

use std::borrow::Cow;
use std::io;

use audit_format::attributes::{self, Attribute};
use audit_format::event::{Event, Field, Kind, Value};
use audit_format::line::STAMP_FIELDS;
use audit_format::show::escaped;
use audit_host::{Entry, Error, Filter, Instance, PageRequest};
use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::output::Output;

/// A page that was shown.
pub(super) struct Shown {
    pub(super) count: u64,
    /// The cursor of the next page.
    pub(super) next: Option<String>,
    /// How many lines were skipped because they are not events.
    pub(super) skipped: u64,
}

/// Why a page was not shown.
pub(super) enum Stop {
    Store(Error),
    Output(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// A format in which pages are shown.
pub(super) trait Show {
    /// How many entries a page has at most.
    fn page_size(&self) -> u32;

    /// Reads a page and shows it.
    fn show_page(
        &mut self,
        from: &mut Instance,
        filter: &Filter,
        request: &PageRequest,
        output: &Output,
    ) -> Result<Shown, Stop>;
}

/// JSON lines as they are stored.
pub(super) struct Jsonl;

impl Show for Jsonl {
    // A large page, because each page searches the files again. The component ends a page that takes more
    // than 64 MiB of its memory.
    fn page_size(&self) -> u32 {
        50_000
    }

    fn show_page(
        &mut self,
        from: &mut Instance,
        filter: &Filter,
        request: &PageRequest,
        output: &Output,
    ) -> Result<Shown, Stop> {
        let page = from.read_jsonl(filter, request)?;
        output.write(page.lines.as_bytes())?;
        Ok(Shown { count: page.count.into(), next: page.next, skipped: page.skipped })
    }
}

/// The twenty fields of each entry as comma-separated values (RFC 4180), with control characters escaped.
#[derive(Default)]
pub(super) struct Csv {
    has_header: bool,
}

impl Show for Csv {
    fn page_size(&self) -> u32 {
        50_000
    }

    fn show_page(
        &mut self,
        from: &mut Instance,
        filter: &Filter,
        request: &PageRequest,
        output: &Output,
    ) -> Result<Shown, Stop> {
        let page = from.read(filter, request)?;
        let mut out = csv::Writer::from_writer(Vec::new());
        if !self.has_header {
            let names = Field::NAMES.iter().chain(&[attributes::NAME]).chain(&STAMP_FIELDS);
            out.write_record(names).map_err(io::Error::from)?;
            self.has_header = true;
        }
        let count = page.entries.len() as u64;
        for Entry { event, id, chain, seq, hash } in page.entries {
            let event = Event::from(event);
            for field in Field::ALL {
                out.write_field(cell(event.get(field)).as_bytes()).map_err(io::Error::from)?;
            }
            out.write_field(escaped(&json(&event.attributes)).as_bytes()).map_err(io::Error::from)?;
            for text in [id, chain, seq.to_string(), hash] {
                out.write_field(text).map_err(io::Error::from)?;
            }
            out.write_record(None::<&[u8]>).map_err(io::Error::from)?;
        }
        let text = out.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        output.write(&text)?;
        Ok(Shown { count, next: page.next, skipped: page.skipped })
    }
}

/// The value of a field as text. Empty if there is no value.
fn cell(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Text(text) => escaped(text),
        Value::Number(number) => number.to_string().into(),
        Value::Absent => "".into(),
    }
}

/// Attributes as a JSON object. Empty if there are none.
fn json(attributes: &[Attribute<'_>]) -> String {
    if attributes.is_empty() {
        return String::new();
    }
    let pair = |pair: &Attribute<'_>| (pair.key.to_string(), pair.value.to_string().into());
    serde_json::Value::Object(attributes.iter().map(pair).collect()).to_string()
}

/// Tables without empty columns, each of a limited number of entries.
pub(super) struct Table {
    width: u16,
}

/// The width in characters if the output is not a terminal.
const DEFAULT_WIDTH: u16 = 120;

/// The most entries of one table. All of them are needed to know how wide the columns are.
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
        let width = terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(width, _)| width.0);
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
        let has_attributes = events.iter().any(|event| !event.attributes.is_empty());
        let attributes = has_attributes.then_some("attributes");
        table.set_header(columns.iter().map(|(_, title)| *title).chain(attributes));
        for event in events {
            let attributes = has_attributes.then(|| pairs(&event.attributes));
            table.add_row(columns.iter().map(|(field, _)| shown(event, *field)).chain(attributes));
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
    fn page_size(&self) -> u32 {
        10_000
    }

    fn show_page(
        &mut self,
        from: &mut Instance,
        filter: &Filter,
        request: &PageRequest,
        output: &Output,
    ) -> Result<Shown, Stop> {
        let page = from.read(filter, request)?;
        let events: Vec<Event<'_>> = page.entries.into_iter().map(|entry| entry.event.into()).collect();
        for events in events.chunks(ROWS) {
            output.write(format!("{}\n", self.table(events)).as_bytes())?;
        }
        Ok(Shown { count: events.len() as u64, next: page.next, skipped: page.skipped })
    }
}

/// The value of a field as the table shows it.
fn shown(event: &Event<'_>, field: Field) -> String {
    match event.get(field) {
        Value::Text(ts) if field == Field::Ts => time(ts),
        value => cell(value).into_owned(),
    }
}

/// A time to the millisecond, without the `T` and the `Z`.
fn time(ts: &str) -> String {
    match ts.get(..23) {
        Some(time) => escaped(&time.replacen('T', " ", 1)).into_owned(),
        None => escaped(ts).into_owned(),
    }
}

/// Attributes as the table shows them.
fn pairs(attributes: &[Attribute<'_>]) -> String {
    let pair = |Attribute { key, value }: &Attribute<'_>| format!("{key}={}", escaped(value));
    attributes.iter().map(pair).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_no_empty_columns_and_keeps_its_width() {
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
    fn a_table_has_no_characters_that_control_the_terminal() {
        let event = Event {
            tool: "a\u{1b}[2Jb\rc\u{202E}d".into(),
            attributes: vec![Attribute::new("model", "m\u{9b}"), Attribute::new("server", "s")],
            ..Event::default()
        };
        let table = Table { width: 120 }.table(&[event]).to_string();
        assert!(table.contains(r"a\u001b[2Jb\rc\u202ed") && table.contains(r"model=m\u009b"), "{table}");
        assert_eq!(time("2026-11-23T06:30:00.123456Z"), "2026-11-23 06:30:00.123");
        assert_eq!(time("ä\nb"), r"ä\nb");
    }
}
