//! Events as a table that fits its terminal: where there is no room, long texts are shortened, and the columns that matter
//! least are left out.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::iter;
use std::ops::Not as _;

use audit_format::attributes::Attribute;
use audit_format::event::{Event, Field, Kind, Value};
use audit_format::show::is_plain;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::short::{bytes, millis};
use super::visible::visible;

/// The width in characters if the output is not a terminal.
const DEFAULT_WIDTH: usize = 120;

/// A narrower terminal gets a table of this width.
const LEAST_WIDTH: usize = 20;

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    Field(Field),
    Attributes,
}

#[derive(Debug)]
struct Column {
    shows: Shows,
    title: &'static str,
    /// So many characters of a longer text tell something.
    least: usize,
    /// The greater it is, the earlier is the column left out.
    rank: u8,
}

impl Column {
    fn is_number(&self) -> bool {
        matches!(self.shows, Shows::Field(field) if field.kind() == Kind::Number)
    }
}

const fn column(field: Field, title: &'static str, least: usize, rank: u8) -> Column {
    Column { shows: Shows::Field(field), title, least, rank }
}

/// The columns, in their order from the left.
static COLUMNS: [Column; 15] = [
    column(Field::Ts, "time (UTC)", 10, 0),
    column(Field::AgentId, "agent", 8, 6),
    column(Field::Tool, "tool", 12, 1),
    column(Field::Action, "action", 8, 3),
    column(Field::Status, "status", 9, 2),
    column(Field::DurationMs, "ms", 20, 5),
    column(Field::InSize, "in", 20, 9),
    column(Field::OutSize, "out", 20, 8),
    column(Field::WorkspaceId, "workspace", 9, 12),
    column(Field::UserId, "user", 8, 11),
    column(Field::ReqId, "request", 9, 10),
    column(Field::GraphRunId, "session", 9, 4),
    column(Field::GraphNode, "node", 8, 13),
    column(Field::JobId, "job", 9, 14),
    Column { shows: Shows::Attributes, title: "attributes", least: 14, rank: 7 },
];

/// What a table that goes on has from the beginning.
const FROM_THE_BEGINNING: [Field; 6] =
    [Field::AgentId, Field::Tool, Field::Action, Field::Status, Field::DurationMs, Field::GraphRunId];

/// By so many characters a column of a table that goes on becomes wider, so that its titles are seldom repeated.
const STEP: usize = 8;

/// How much of a time is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// `2026-11-23 06:30:00.123`
    Millis,
    /// `2026-11-23 06:30:00`
    Seconds,
    /// `11-23 06:30:00`
    NoYear,
    /// `06:30:00`, below the date as the title.
    Today,
}

impl Clock {
    fn width(self) -> usize {
        match self {
            Self::Millis => 23,
            Self::Seconds => 19,
            Self::NoYear => 14,
            Self::Today => 10,
        }
    }

    fn shown(self, ts: &str) -> String {
        let part = match self {
            Self::Millis => ts.get(..23),
            Self::Seconds => ts.get(..19),
            Self::NoYear => ts.get(5..19),
            Self::Today => ts.get(11..19),
        };
        visible(&part.unwrap_or(ts).replacen('T', " ", 1)).into_owned()
    }
}

/// What is in a column of a row.
#[derive(Clone, Debug)]
struct Cell<'t> {
    text: Cow<'t, str>,
    /// In characters of a terminal.
    width: usize,
}

impl<'t> From<Cow<'t, str>> for Cell<'t> {
    fn from(text: Cow<'t, str>) -> Self {
        let width = if is_plain(&text) { text.len() } else { text.width() };
        Self { text, width }
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Cow::<str>::Owned(text).into()
    }
}

/// What the columns show of an event.
type Row<'t> = [Cell<'t>; COLUMNS.len()];

/// The columns that there is room for, with their widths.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layout {
    clock: Clock,
    columns: Vec<(usize, usize)>,
}

pub(crate) struct Table {
    /// None: as wide as it becomes.
    width: Option<usize>,
    /// Whether further rows belong to the same table, so that it has no end.
    goes_on: bool,
    /// How wide the widest text of each column is; 0: it has none.
    widest: [usize; COLUMNS.len()],
    /// Of the table that goes on.
    layout: Option<Layout>,
    left_out: BTreeSet<usize>,
}

impl Table {
    /// A table as wide as the terminal.
    pub(crate) fn new(wide: bool) -> Self {
        let terminal = || terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(width, _)| width.0.into());
        Self::of_width(wide.not().then(terminal))
    }

    /// A table whose rows come one after the other.
    pub(crate) fn that_goes_on(wide: bool) -> Self {
        Self::new(wide).going_on()
    }

    fn going_on(mut self) -> Self {
        self.goes_on = true;
        for (widest, column) in self.widest.iter_mut().zip(&COLUMNS) {
            if matches!(column.shows, Shows::Field(field) if FROM_THE_BEGINNING.contains(&field)) {
                *widest = 1;
            }
        }
        self
    }

    fn of_width(width: Option<usize>) -> Self {
        let width = width.map(|width| width.max(LEAST_WIDTH));
        let (widest, left_out) = ([0; COLUMNS.len()], BTreeSet::new());
        Self { width, goes_on: false, widest, layout: None, left_out }
    }

    /// The titles of columns that were left out.
    pub(crate) fn left_out(&self) -> Vec<&'static str> {
        self.left_out.iter().filter_map(|column| Some(COLUMNS.get(*column)?.title)).collect()
    }

    /// The events as a table, or as further rows of it.
    pub(crate) fn show(&mut self, events: &[Event<'_>], out: &mut String) {
        if events.is_empty() {
            return;
        }
        let day = events.first().and_then(|event| event.ts.get(..10)).unwrap_or_default();
        let is_one_day = events.iter().all(|event| event.ts.get(..10) == Some(day));
        let rows: Vec<Row<'_>> = events.iter().map(|event| cells(event, self.width.is_none())).collect();
        if !self.goes_on {
            self.widest = [0; COLUMNS.len()];
        }
        for row in &rows {
            for (widest, cell) in self.widest.iter_mut().zip(row) {
                *widest = (*widest).max(cell.width);
            }
        }
        let short = if is_one_day && !self.goes_on { Clock::Today } else { Clock::NoYear };
        let layout = self.lay_out(short);
        if !self.goes_on || self.layout.as_ref() != Some(&layout) {
            let title = |column: usize| match (COLUMNS[column].shows, layout.clock) {
                (Shows::Field(Field::Ts), Clock::Today) => visible(day).into(),
                _ => Cow::Borrowed(COLUMNS[column].title).into(),
            };
            layout.edge("┌┬┐", "─", out);
            layout.row(&std::array::from_fn(title), out);
            layout.edge("╞╪╡", "═", out);
        }
        for (event, mut row) in events.iter().zip(rows) {
            row[0] = layout.clock.shown(&event.ts).into();
            layout.row(&row, out);
        }
        if self.goes_on {
            self.layout = Some(layout);
        } else {
            layout.edge("└┴┘", "─", out);
        }
    }

    /// Fits the columns into the width.
    fn lay_out(&mut self, short: Clock) -> Layout {
        let mut columns: Vec<usize> = (0..COLUMNS.len())
            .filter(|column| self.widest[*column] > 0 || COLUMNS[*column].is_number())
            .collect();
        let step = if self.goes_on { STEP } else { 1 };
        let natural =
            |column: usize| self.widest[column].next_multiple_of(step).max(COLUMNS[column].title.len());
        let Some(room) = self.width else {
            let columns = columns
                .into_iter()
                .map(|column| (column, natural(column).max(if column == 0 { 23 } else { 0 })));
            return Layout { clock: Clock::Millis, columns: columns.collect() };
        };
        let least = |column: usize, clock: Clock| match COLUMNS[column].shows {
            Shows::Field(Field::Ts) => clock.width(),
            _ => natural(column).min(COLUMNS[column].least.max(COLUMNS[column].title.len())),
        };
        let needed = |columns: &[usize], clock: Clock| {
            columns.iter().map(|column| least(*column, clock) + 3).sum::<usize>() + 1
        };
        while needed(&columns, short) > room && columns.len() > 1 {
            let Some(last) = (0..columns.len()).max_by_key(|at| COLUMNS[columns[*at]].rank) else { break };
            self.left_out.insert(columns.remove(last));
        }
        let clocks = [Clock::Millis, Clock::Seconds];
        let clock = clocks.into_iter().find(|clock| needed(&columns, *clock) <= room).unwrap_or(short);
        let mut left = room.saturating_sub(needed(&columns, clock));
        let mut columns: Vec<(usize, usize)> =
            columns.into_iter().map(|column| (column, least(column, clock))).collect();
        let mut by_rank: Vec<&mut (usize, usize)> =
            columns.iter_mut().filter(|(column, _)| *column > 0).collect();
        by_rank.sort_by_key(|(column, _)| COLUMNS[*column].rank);
        for (column, width) in by_rank {
            let more = natural(*column).saturating_sub(*width).min(left);
            *width += more;
            left -= more;
        }
        Layout { clock, columns }
    }
}

impl Layout {
    /// A line between the parts of a table, with what it has at its left end, between columns and at its right end.
    fn edge(&self, corners: &str, line: &str, out: &mut String) {
        let mut corners = corners.chars();
        let (left, middle, right) = (corners.next(), corners.next(), corners.next());
        for (at, (_, width)) in self.columns.iter().enumerate() {
            out.extend(if at == 0 { left } else { middle });
            out.push_str(&line.repeat(width + 2));
        }
        out.extend(right);
        out.push('\n');
    }

    fn row(&self, row: &Row<'_>, out: &mut String) {
        for (at, (column, width)) in self.columns.iter().enumerate() {
            out.push_str(if at == 0 { "│ " } else { "┆ " });
            let cell = &row[*column];
            let is_short = cell.width <= *width;
            let short = is_short.not().then(|| Cell::from(shortened(&cell.text, *width)));
            let cell = short.as_ref().unwrap_or(cell);
            let padding = iter::repeat_n(' ', width.saturating_sub(cell.width));
            if COLUMNS[*column].is_number() {
                out.extend(padding);
                out.push_str(&cell.text);
            } else {
                out.push_str(&cell.text);
                out.extend(padding);
            }
            out.push(' ');
        }
        out.push_str("│\n");
    }
}

/// The start of a text that is wider, and `…`.
fn shortened(text: &str, width: usize) -> String {
    let mut kept = String::new();
    let mut used = 1;
    for char in text.chars() {
        used += char.width().unwrap_or_default();
        if used > width {
            break;
        }
        kept.push(char);
    }
    kept + "…"
}

/// What the columns show of an event. Where there is no room, long numbers are shorter.
fn cells<'e>(event: &'e Event<'_>, is_wide: bool) -> Row<'e> {
    let text = |column: &Column| match column.shows {
        Shows::Field(Field::Ts) => Clock::Millis.shown(&event.ts).into(),
        Shows::Field(field) => match event.get(field) {
            // 0 of an event that tells no duration and no size.
            Value::Absent => Cow::Borrowed(""),
            Value::Text(text) => visible(text),
            Value::Number(number) if is_wide => number.to_string().into(),
            Value::Number(number) if field == Field::DurationMs => millis(number).into(),
            Value::Number(number) => bytes(number).into(),
        },
        Shows::Attributes => pairs(&event.attributes).into(),
    };
    COLUMNS.each_ref().map(|column| text(column).into())
}

/// Attributes as the table shows them.
fn pairs(attributes: &[Attribute<'_>]) -> String {
    let pair = |Attribute { key, value }: &Attribute<'_>| format!("{}={}", visible(key), visible(value));
    attributes.iter().map(pair).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
