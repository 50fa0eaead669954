//! How a page is shown.

use std::io::{self, Write as _};

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

impl Csv {
    const HEADER: [&str; 19] = [
        "ts",
        "req_id",
        "workspace_id",
        "user_id",
        "agent_id",
        "tool",
        "action",
        "status",
        "duration_ms",
        "in_size",
        "out_size",
        "input_hash",
        "graph_run_id",
        "graph_node",
        "job_id",
        "id",
        "chain",
        "seq",
        "hash",
    ];
}

impl Show for Csv {
    fn page(&self) -> u32 {
        50_000
    }

    fn next(&mut self, from: &mut Instance, filter: &Filter, request: &PageRequest) -> Result<Shown, Stop> {
        let page = from.read(filter, request)?;
        let mut out = csv::Writer::from_writer(Vec::new());
        if !self.has_header {
            out.write_record(Self::HEADER).map_err(io::Error::from)?;
            self.has_header = true;
        }
        for Entry { event, id, chain, seq, hash } in &page.entries {
            let numbers =
                [event.duration_ms, event.in_size, event.out_size, *seq].map(|number| number.to_string());
            let [duration, in_size, out_size, seq] = &numbers;
            let fields: [&str; 19] = [
                &event.ts,
                &event.req_id,
                &event.workspace_id,
                &event.user_id,
                &event.agent_id,
                &event.tool,
                &event.action,
                &event.status,
                duration,
                in_size,
                out_size,
                &event.input_hash,
                event.graph_run_id.as_deref().unwrap_or_default(),
                event.graph_node.as_deref().unwrap_or_default(),
                event.job_id.as_deref().unwrap_or_default(),
                id,
                chain,
                seq,
                hash,
            ];
            out.write_record(fields).map_err(io::Error::from)?;
        }
        let text = out.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        io::stdout().write_all(&text)?;
        Ok(Shown { count: page.entries.len() as u64, next: page.next, skipped: page.skipped })
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

struct Column {
    title: &'static str,
    is_number: bool,
    cell: fn(&Entry) -> String,
}

const COLUMNS: [Column; 14] = [
    Column { title: "time (UTC)", is_number: false, cell: |entry| time(&entry.event.ts) },
    Column { title: "agent", is_number: false, cell: |entry| plain(&entry.event.agent_id) },
    Column { title: "tool", is_number: false, cell: |entry| plain(&entry.event.tool) },
    Column { title: "action", is_number: false, cell: |entry| plain(&entry.event.action) },
    Column { title: "status", is_number: false, cell: |entry| plain(&entry.event.status) },
    Column { title: "ms", is_number: true, cell: |entry| entry.event.duration_ms.to_string() },
    Column { title: "in", is_number: true, cell: |entry| entry.event.in_size.to_string() },
    Column { title: "out", is_number: true, cell: |entry| entry.event.out_size.to_string() },
    Column { title: "workspace", is_number: false, cell: |entry| plain(&entry.event.workspace_id) },
    Column { title: "user", is_number: false, cell: |entry| plain(&entry.event.user_id) },
    Column { title: "request", is_number: false, cell: |entry| plain(&entry.event.req_id) },
    Column { title: "run", is_number: false, cell: |entry| option(entry.event.graph_run_id.as_ref()) },
    Column { title: "node", is_number: false, cell: |entry| option(entry.event.graph_node.as_ref()) },
    Column { title: "job", is_number: false, cell: |entry| option(entry.event.job_id.as_ref()) },
];

impl Table {
    pub(super) fn new() -> Self {
        let width = terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0);
        Self { width: width.max(20) }
    }

    fn table(&self, entries: &[Entry]) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(self.width);
        let shown: Vec<&Column> = COLUMNS
            .iter()
            .filter(|column| column.is_number || entries.iter().any(|entry| !(column.cell)(entry).is_empty()))
            .collect();
        table.set_header(shown.iter().map(|column| column.title));
        for entry in entries {
            table.add_row(shown.iter().map(|column| (column.cell)(entry)));
        }
        for (column, shown) in table.column_iter_mut().zip(shown) {
            if shown.is_number {
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
        for entries in page.entries.chunks(ROWS) {
            writeln!(io::stdout(), "{}", self.table(entries))?;
        }
        Ok(Shown { count: page.entries.len() as u64, next: page.next, skipped: page.skipped })
    }
}

/// To the millisecond, and without what each has.
fn time(ts: &str) -> String {
    match ts.get(..23) {
        Some(time) => plain(&time.replacen('T', " ", 1)),
        None => plain(ts),
    }
}

fn option(text: Option<&String>) -> String {
    text.map(|text| plain(text)).unwrap_or_default()
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
    use audit_host::Event;

    fn entry(event: Event) -> Entry {
        Entry { event, id: "i".into(), chain: "c".into(), seq: 0, hash: "h".into() }
    }

    #[test]
    fn empty_columns_are_not_shown_and_the_width_is_kept() {
        let ts = String::from("2026-11-23T06:30:00.123456Z");
        let long = Event { ts: ts.clone(), tool: "a tool with a long name ".repeat(9), ..Event::default() };
        let other = Event { ts, user_id: "somebody".into(), duration_ms: 5, ..Event::default() };
        let table = Table { width: 80 }.table(&[entry(long), entry(other)]).to_string();
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
