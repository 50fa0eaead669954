//! Results as tables of texts, for a terminal and for Markdown.

use super::results::{Figure, Measurement};
use super::rows::Goal;

/// Rows of cells; the first row is the heading.
pub(crate) struct Table(pub(crate) Vec<Vec<String>>);

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self(vec![heading.iter().map(ToString::to_string).collect()])
    }

    /// With the columns aligned; all but the first to the right.
    pub(crate) fn aligned(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |n: usize| self.0.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|n| width(n).unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(|(n, (cell, width))| match n {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        self.0.iter().map(line).collect()
    }

    pub(crate) fn markdown(&self) -> String {
        let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
        let columns = self.0.first().map_or(0, Vec::len);
        let rule = format!(
            "|{}\n",
            ["---|"].into_iter().chain(vec!["--:|"; columns.saturating_sub(1)]).collect::<String>()
        );
        let mut lines = self.0.iter().map(line);
        lines.next().into_iter().chain([rule]).chain(lines).collect()
    }
}

/// Each row with its figures: this program's, and below it those of its peers.
pub(crate) fn rows<'r>(rows: impl Iterator<Item = &'r Measurement>, indent: &str) -> Table {
    let mut table = Table::new(&["", "median", "unit", "lowest to highest", "ratio", "MiB"]);
    for row in rows {
        for (n, figure) in row.figures.iter().enumerate() {
            let name = match n {
                0 if row.figures.len() > 1 && figure.name != "audit" => {
                    format!("{}: {}", row.what, figure.name)
                }
                0 => row.what.clone(),
                _ => format!("{indent}{}", figure.name),
            };
            table.0.push([vec![name], cells(figure, &row.unit)].concat());
        }
    }
    table
}

fn cells(figure: &Figure, unit: &str) -> Vec<String> {
    let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
    let Some(median) = figure.median else {
        return vec![figure.missing.clone().unwrap_or_default()];
    };
    let spread = figure.spread().map(|(low, high)| format!("{} to {}", number(low), number(high)));
    let ratio = figure.ratio.map(ratio).unwrap_or_default();
    vec![number(median), unit.into(), spread.unwrap_or_default(), ratio, optional(figure.memory_mib)]
}

/// The hosts, one on each line, with a column for each row.
pub(crate) fn by_host<'r>(rows: impl Iterator<Item = &'r Measurement> + Clone) -> Table {
    let heading: Vec<&str> = ["events/s"].into_iter().chain(rows.clone().map(|row| &*row.what)).collect();
    let mut table = Table::new(&heading);
    let mut hosts: Vec<&str> = Vec::new();
    for figure in rows.clone().flat_map(|row| &row.figures) {
        if !hosts.contains(&&*figure.name) {
            hosts.push(&figure.name);
        }
    }
    for host in hosts {
        let cell = |row: &Measurement| {
            let figure = row.figures.iter().find(|figure| figure.name == host)?;
            figure.median.map(number).or_else(|| figure.missing.clone())
        };
        let cells = rows.clone().map(|row| cell(row).unwrap_or_default());
        table.0.push([host.to_owned()].into_iter().chain(cells).collect());
    }
    table
}

/// What was wanted, and what was reached.
pub(crate) fn goals<'r>(rows: impl Iterator<Item = &'r Measurement>) -> Table {
    let mut table = Table::new(&["", "goal", "measured", "reached"]);
    for row in rows {
        for goal in &row.goals {
            let reached =
                row.is_reached(goal).map_or("not measured", |reached| if reached { "yes" } else { "no" });
            let measured = row.reached(goal).map(|value| match goal {
                Goal::Ratio { .. } => ratio(value),
                Goal::AtLeast { .. } | Goal::AtMost { .. } => format!("{} {}", number(value), row.unit),
                Goal::Memory { .. } => format!("{} MiB", number(value)),
            });
            let cells =
                [row.what.clone(), wanted(goal, &row.unit), measured.unwrap_or_default(), reached.into()];
            table.0.push(cells.into());
        }
    }
    table
}

fn wanted(goal: &Goal, unit: &str) -> String {
    match goal {
        Goal::Ratio { peer, times } => format!("{} of {peer}", ratio(*times)),
        Goal::AtLeast { value } => format!("at least {} {unit}", number(*value)),
        Goal::AtMost { value } => format!("at most {} {unit}", number(*value)),
        Goal::Memory { mib } => format!("at most {} MiB", number(*mib)),
    }
}

fn ratio(value: f64) -> String {
    format!("{}×", number(value))
}

/// Three digits, and a space for each thousand.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude < 100.0 {
        let decimals = if magnitude < 1.0 {
            3
        } else if magnitude < 10.0 {
            2
        } else {
            1
        };
        let text = format!("{value:.decimals$}");
        let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        return short.to_owned();
    }
    let digits = magnitude.log10() as i32 + 1;
    let unit = 10_f64.powi(digits - 3);
    let whole = format!("{:.0}", (value / unit).round() * unit);
    let mut grouped = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n) % 3 == 0 && digit.is_ascii_digit() && !grouped.ends_with('-') {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let shown =
            [0.0, 0.70005, 5.0, 4.256, 41.27, 417.4, 1234.0, 1_204_999.0, 999_900.0, -1234.0].map(number);
        let expected = ["0", "0.7", "5", "4.26", "41.3", "417", "1 230", "1 200 000", "1 000 000", "-1 230"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn tables_are_aligned_or_markdown() {
        let mut table = Table::new(&["", "median"]);
        table.0.push(vec!["write".into(), "1 000".into()]);
        assert_eq!(table.aligned(), "       median\nwrite   1 000\n");
        assert_eq!(table.markdown(), "|  | median |\n|---|--:|\n| write | 1 000 |\n");
    }

    #[test]
    fn a_line_of_a_host_has_its_figures_in_each_column() {
        let row = |what: &str, names: [&str; 2]| Measurement {
            group: "hosts".into(),
            id: what.into(),
            what: what.into(),
            unit: "events/s".into(),
            date: String::new(),
            goals: Vec::new(),
            figures: names
                .map(|name| Figure { name: name.into(), median: Some(5.0), ..Figure::default() })
                .into(),
        };
        let rows = [row("write", ["Rust", "Python"]), row("read", ["Rust", "Node.js"])];
        let table = by_host(rows.iter());
        assert_eq!(table.0[0], ["events/s", "write", "read"]);
        assert_eq!(table.0[1..], [["Rust", "5", "5"], ["Python", "5", ""], ["Node.js", "", "5"]]);
    }
}
