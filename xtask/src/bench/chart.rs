//! Rows as a chart of bars: SVG with plain text, in colours that can be read on light and on dark backgrounds.

use std::fmt::Write as _;

use super::results::{Figure, Measurement};
use super::rows::more_is_better;
use super::show::number;

const WIDTH: f64 = 720.0;
/// Where bars begin, and how long the longest is. Its value stands behind it.
const BARS_FROM: f64 = 230.0;
const LONGEST: f64 = 380.0;
const LINE: f64 = 22.0;
const BAR: f64 = 14.0;
/// The line with what a row is, and the space above it.
const HEADING: f64 = 34.0;

const TEXT: &str = "#72808d";
const OWN: &str = "#2f81f7";
const PEER: &str = "#9aa5b1";

/// The chart of these rows. In each, the longest bar is the best figure.
pub(crate) fn of(rows: &[&Measurement]) -> String {
    let mut body = String::new();
    let mut y = 0.0;
    for row in rows {
        let figures: Vec<(&Figure, f64)> =
            row.figures.iter().filter_map(|figure| Some((figure, figure.median?))).collect();
        let bars: Vec<f64> = figures
            .iter()
            .map(|(_, value)| if more_is_better(&row.unit) { *value } else { 1.0 / value })
            .collect();
        let best = bars.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        y += HEADING;
        text(
            &mut body,
            0.0,
            y - 10.0,
            "start",
            "600",
            &format!("{} ({})", row.what.replace('`', ""), row.unit),
        );
        for (n, ((figure, value), bar)) in figures.iter().zip(&bars).enumerate() {
            let (length, colour) = ((LONGEST * bar / best).max(1.0), if n == 0 { OWN } else { PEER });
            let weight = if n == 0 { "600" } else { "400" };
            text(&mut body, BARS_FROM - 10.0, y + BAR - 2.0, "end", weight, &figure.name);
            let _ = writeln!(
                body,
                "<rect x=\"{BARS_FROM}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{colour}\"/>"
            );
            text(&mut body, BARS_FROM + length + 8.0, y + BAR - 2.0, "start", weight, &number(*value));
            y += LINE;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{TEXT}\">\n{body}</svg>\n"
    )
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, weight: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{text}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: &str, values: [f64; 2]) -> Measurement {
        let figure =
            |name: &str, value| Figure { name: name.into(), median: Some(value), ..Figure::default() };
        Measurement {
            group: "group".into(),
            id: "row".into(),
            what: "`a` < b & c".into(),
            unit: unit.into(),
            date: String::new(),
            goals: Vec::new(),
            figures: vec![figure("audit", values[0]), figure("peer", values[1])],
        }
    }

    fn widths(chart: &str) -> Vec<&str> {
        let bars = chart.lines().filter(|line| line.starts_with("<rect"));
        bars.map(|bar| bar.split("width=\"").nth(1).unwrap().split('"').next().unwrap()).collect()
    }

    #[test]
    fn the_best_figure_of_a_row_has_the_longest_bar() {
        assert_eq!(widths(&of(&[&row("events/s", [400.0, 100.0])])), ["380.0", "95.0"]);
        assert_eq!(widths(&of(&[&row("ms", [4.0, 1.0])])), ["95.0", "380.0"]);
        assert!(of(&[&row("ms", [4.0, 1.0])]).contains(">a &lt; b &amp; c (ms)<"));
    }
}
