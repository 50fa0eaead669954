//! The results: medians, spread and ratios, as they are shown and kept in a file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::measure::Measured;
use super::rows::{Goal, Row, Source, Unit, more_is_better};

/// All rows that were measured on a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// Of each program, that of the last run.
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) rows: Vec<Measurement>,
}

/// A row with its figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) group: String,
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) unit: String,
    /// The day (UTC).
    pub(crate) date: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) goals: Vec<Goal>,
    /// The first is this program's.
    pub(crate) figures: Vec<Figure>,
}

/// What was measured of one program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    /// Why nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) median: Option<f64>,
    /// One for each round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rounds: Vec<f64>,
    /// How many times as fast as this one the row's first is: the median over the rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// The most memory of the process at once, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory_mib: Option<f64>,
    /// Seconds of processors, all threads together: the median over the rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) processor_s: Option<f64>,
}

impl Figure {
    fn of(name: &str, source: &Source, unit: Unit, measured: &BTreeMap<String, Measured>) -> Result<Self> {
        let values = |key: &str, figure: &str| -> Result<Vec<f64>> {
            let values = measured.get(key).and_then(|measured| measured.values(figure));
            let values = values.with_context(|| format!("{key} has no figure {figure:?}"))?;
            Ok(values.to_vec())
        };
        let name = name.to_owned();
        let (key, values) = match source {
            Source::Missing(why) => {
                return Ok(Self { name, missing: Some((*why).into()), ..Self::default() });
            }
            Source::Value(value) => return Ok(Self { name, median: Some(*value), ..Self::default() }),
            Source::Time(key) => (key, values(key, "")?),
            Source::Printed(key, figure) => (key, values(key, figure)?),
            Source::Beyond(key, start) => {
                let beyond =
                    values(key, "")?.into_iter().zip(values(start, "")?).map(|(all, start)| all - start);
                (key, beyond.collect())
            }
        };
        let rounds: Vec<f64> = values.into_iter().map(|value| rounded(unit.of(value))).collect();
        let needs = measured.get(key).map(|measured| measured.needs.as_slice()).unwrap_or_default();
        let memory = needs.iter().map(|needs| needs.memory).fold(0.0, f64::max);
        Ok(Self {
            name,
            median: Some(median(&rounds)),
            rounds,
            memory_mib: Some(rounded(memory / f64::from(1 << 20))),
            processor_s: Some(rounded(median(
                &needs.iter().map(|needs| needs.processor).collect::<Vec<_>>(),
            ))),
            ..Self::default()
        })
    }

    /// The lowest and the highest of all rounds.
    pub(crate) fn spread(&self) -> Option<(f64, f64)> {
        let low = self.rounds.iter().copied().reduce(f64::min)?;
        Some((low, self.rounds.iter().copied().reduce(f64::max)?))
    }
}

impl Measurement {
    /// The figures of a row.
    pub(crate) fn of(
        group: &str,
        row: &Row,
        measured: &BTreeMap<String, Measured>,
        date: &str,
    ) -> Result<Self> {
        let figures =
            row.entries.iter().map(|entry| Figure::of(&entry.name, &entry.source, row.unit, measured));
        let mut figures = figures.collect::<Result<Vec<_>>>().with_context(|| row.what.clone())?;
        if let Some((own, peers)) = figures.split_first_mut() {
            for peer in peers {
                peer.ratio = ratio(own, peer, more_is_better(row.unit.name()));
            }
        }
        Ok(Self {
            group: group.into(),
            id: row.id.clone(),
            what: row.what.clone(),
            unit: row.unit.name().into(),
            date: date.into(),
            goals: row.goals.clone(),
            figures,
        })
    }

    /// What was reached of a goal, in its unit; none: it was not measured.
    pub(crate) fn reached(&self, goal: &Goal) -> Option<f64> {
        let own = self.figures.first()?;
        match goal {
            Goal::Ratio { peer, .. } => self.figures.iter().find(|figure| figure.name == *peer)?.ratio,
            Goal::AtLeast { .. } | Goal::AtMost { .. } => own.median,
            Goal::Memory { .. } => own.memory_mib,
        }
    }

    /// Whether a goal is reached; none: it was not measured.
    pub(crate) fn is_reached(&self, goal: &Goal) -> Option<bool> {
        let reached = self.reached(goal)?;
        Some(match goal {
            Goal::Ratio { times: least, .. } | Goal::AtLeast { value: least } => reached >= *least,
            Goal::AtMost { value: most } | Goal::Memory { mib: most } => reached <= *most,
        })
    }
}

/// How many times as fast one is as the other. Rounds are compared one by one, because both were run in them under the same
/// load.
fn ratio(one: &Figure, other: &Figure, more_is_better: bool) -> Option<f64> {
    let of = |one: f64, other: f64| if more_is_better { one / other } else { other / one };
    let rounds: Vec<f64> =
        one.rounds.iter().zip(&other.rounds).map(|(one, other)| of(*one, *other)).collect();
    if rounds.is_empty() {
        Some(rounded(of(one.median?, other.median?)))
    } else {
        Some(rounded(median(&rounds)))
    }
}

/// The value in the middle; of an even number of values, the mean of the two in the middle. 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match (values.get(values.len().saturating_sub(1) / 2), values.get(values.len() / 2)) {
        (Some(low), Some(high)) => (low + high) / 2.0,
        _ => 0.0,
    }
}

/// Four digits: no measurement has more.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

impl Results {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} has no results", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Replaces the rows that were measured again, and keeps the others.
    ///
    /// # Errors
    /// If those were measured on another machine: they cannot stand beside each other.
    pub(crate) fn replace(&mut self, newer: Self) -> Result<()> {
        if self.rows.is_empty() {
            *self = newer;
            return Ok(());
        }
        if self.machine != newer.machine {
            bail!("it has the results of another machine ({}); name another file", self.machine.cpu);
        }
        self.versions.extend(newer.versions);
        for row in newer.rows {
            match self.rows.iter_mut().find(|older| (&older.group, &older.id) == (&row.group, &row.id)) {
                Some(older) => *older = row,
                None => self.rows.push(row),
            }
        }
        Ok(())
    }

    /// The rows of a group.
    pub(crate) fn group<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r Measurement> + Clone {
        self.rows.iter().filter(move |row| row.group == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::{Run, in_turn};
    use crate::bench::rows::Goal;
    use std::process::Command;

    fn figures(values: &[f64]) -> Figure {
        Figure { rounds: values.to_vec(), median: Some(median(values)), ..Figure::default() }
    }

    #[test]
    fn a_ratio_is_of_rounds_with_the_same_load() {
        // Each round is half as fast as the one before.
        let (one, other) = (figures(&[400.0, 200.0, 100.0]), figures(&[200.0, 100.0, 50.0]));
        assert_eq!(ratio(&one, &other, true), Some(2.0));
        assert_eq!(ratio(&one, &other, false), Some(0.5));
        assert_eq!(ratio(&one, &Figure::default(), true), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn a_row_has_the_figures_of_its_runs_in_its_unit_and_judges_its_goals() {
        let printing = |key: &str, seconds: f64| {
            let mut echo = Command::new("echo");
            echo.arg(format!("{{\"figure\":\"query\",\"value\":{seconds}}}"));
            Run::printing(echo).named(key)
        };
        let measured = in_turn(&mut [printing("own", 0.5), printing("peer", 2.0)], 3).unwrap();
        let row = Row::new("read", "a read", Unit::EventsIn(1000))
            .entry("audit", Source::Printed("own".into(), "query"))
            .entry("peer", Source::Printed("peer".into(), "query"))
            .entry("other", Source::Missing("not installed"))
            .goal(Goal::ratio("peer", 4.0))
            .goal(Goal::AtLeast { value: 2001.0 })
            .goal(Goal::ratio("other", 1.0));
        let row = Measurement::of("read", &row, &measured, "2026-11-23").unwrap();
        let medians: Vec<_> = row.figures.iter().map(|figure| figure.median).collect();
        assert_eq!(medians, [Some(2000.0), Some(500.0), None]);
        assert_eq!(row.figures[1].ratio, Some(4.0));
        let reached: Vec<_> = row.goals.iter().map(|goal| row.is_reached(goal)).collect();
        assert_eq!(reached, [Some(true), Some(false), None]);
    }

    #[test]
    fn rows_that_are_measured_again_replace_the_older_ones_of_the_same_machine_alone() {
        let row = |id: &str, date: &str| Measurement {
            group: "read".into(),
            id: id.into(),
            what: id.into(),
            unit: "ms".into(),
            date: date.into(),
            goals: Vec::new(),
            figures: Vec::new(),
        };
        let machine = |cpu: &str| Machine { cpu: cpu.into(), ..Machine::default() };
        let results = |cpu, rows| Results { machine: machine(cpu), rows, ..Results::default() };
        let mut all = Results::default();
        all.replace(results("a", vec![row("one", "first"), row("two", "first")])).unwrap();
        all.replace(results("a", vec![row("two", "second"), row("three", "second")])).unwrap();
        let dates: Vec<_> = all.rows.iter().map(|row| (&*row.id, &*row.date)).collect();
        assert_eq!(dates, [("one", "first"), ("two", "second"), ("three", "second")]);
        assert!(all.replace(results("b", vec![row("one", "third")])).is_err());
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), all);
    }
}
