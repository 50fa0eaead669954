//! The rows of the table as data: what stands beside what, in which unit, and what is wanted of it.

use serde::{Deserialize, Serialize};

use super::measure::Run;

/// Programs that are run in turn, and the rows that their figures make.
pub(crate) struct Group {
    pub(crate) rounds: usize,
    pub(crate) runs: Vec<Run>,
    pub(crate) rows: Vec<Row>,
}

impl Group {
    pub(crate) fn new(rounds: usize) -> Self {
        Self { rounds, runs: Vec::new(), rows: Vec::new() }
    }

    /// Leaves the rows that are wanted, and the programs that they need.
    pub(crate) fn select(&mut self, wanted: impl Fn(&Row) -> bool) {
        self.rows.retain(wanted);
        let is_needed =
            |run: &Run| self.rows.iter().flat_map(|row| &row.entries).any(|entry| entry.needs(&run.key));
        self.runs.retain(is_needed);
    }
}

/// A row: a figure of this program, and those of its peers.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) unit: Unit,
    /// The first is this program's.
    pub(crate) entries: Vec<Entry>,
    pub(crate) goals: Vec<Goal>,
}

impl Row {
    pub(crate) fn new(id: impl Into<String>, what: impl Into<String>, unit: Unit) -> Self {
        Self { id: id.into(), what: what.into(), unit, entries: Vec::new(), goals: Vec::new() }
    }

    pub(crate) fn entry(mut self, name: impl Into<String>, source: Source) -> Self {
        self.entries.push(Entry { name: name.into(), source });
        self
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }
}

pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) source: Source,
}

impl Entry {
    fn needs(&self, run: &str) -> bool {
        match &self.source {
            Source::Time(key) | Source::Printed(key, _) => key == run,
            Source::Beyond(key, start) => key == run || start == run,
            Source::Missing(_) | Source::Value(_) => false,
        }
    }
}

/// Where a figure comes from. Texts are the keys of runs.
pub(crate) enum Source {
    /// The time of the process.
    Time(String),
    /// The time of the process beyond that of another one in the same round.
    Beyond(String, String),
    /// What the process prints under this name.
    Printed(String, &'static str),
    /// It is known without a run.
    Value(f64),
    /// There is none: why.
    Missing(&'static str),
}

/// What figures are shown in.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Seconds become events a second: this many were written or searched.
    EventsIn(u64),
    /// Seconds become milliseconds.
    Millis,
    /// The figures are in this unit already.
    As(&'static str),
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EventsIn(_) => "events/s",
            Self::Millis => "ms",
            Self::As(name) => name,
        }
    }

    pub(crate) fn of(self, value: f64) -> f64 {
        match self {
            Self::EventsIn(events) => events as f64 / value,
            Self::Millis => value * 1000.0,
            Self::As(_) => value,
        }
    }
}

/// Whether more of this unit is better.
pub(crate) fn more_is_better(unit: &str) -> bool {
    unit.ends_with("/s")
}

/// What is wanted of the first figure of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum Goal {
    /// At least so many times as fast as this peer.
    Ratio { peer: String, times: f64 },
    /// At least this, in the row's unit.
    AtLeast { value: f64 },
    /// At most this, in the row's unit.
    AtMost { value: f64 },
    /// At most so much memory at once, in MiB.
    Memory { mib: f64 },
}

impl Goal {
    pub(crate) fn ratio(peer: impl Into<String>, times: f64) -> Self {
        Self::Ratio { peer: peer.into(), times }
    }
}
