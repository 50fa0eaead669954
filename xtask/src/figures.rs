//! The figures that a benchmark prints for `cargo xtask bench`: one JSON object a line, of one round. The rounds, medians and
//! ratios are made of them there.

use serde::{Deserialize, Serialize};

/// What a benchmark has measured.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is, such as `write, stored`.
    pub figure: String,
    /// Its value, in a unit that the reader of the output knows.
    pub value: f64,
}

/// Prints a figure.
pub fn print(figure: &str, value: f64) {
    println!("{}", serde_json::json!({ "figure": figure, "value": value }));
}

/// The figures in the output of a benchmark. Other lines are left out.
pub fn read(output: &str) -> Vec<Figure> {
    output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_between_other_lines() {
        let output =
            "5 rounds\n{\"figure\":\"write, \\\"stored\\\"\",\"value\":1.5e3}\n{\"figure\":\"no value\"}\n";
        assert_eq!(read(output), [Figure { figure: "write, \"stored\"".into(), value: 1500.0 }]);
    }
}
