//! Legal holds: events that retention has to leave where they are. `holds.jsonl` in the folder of the log has each change,
//! and nothing in it is ever taken back: a hold that was lifted is still seen there.

use audit_format::attributes::Attribute;
use audit_format::event::{Event, Field};
use audit_format::query::{Filter, PageRequest, Query};
use audit_format::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::error::Error;
use crate::folder::Folder;
use crate::log::Log;

/// The file with the changes.
const HOLDS: &str = "holds.jsonl";

/// A line of `holds.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldChange {
    /// When, in UTC with microseconds.
    pub ts: String,
    /// Who.
    pub by: String,
    /// Whether the hold begins or ends.
    pub change: Change,
    /// What the hold is called.
    pub id: String,
    /// Why.
    pub reason: String,
    /// Which events it holds; none where it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<HeldFilter>,
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The hold begins.
    Add,
    /// The hold ends.
    Remove,
}

/// Which events a hold holds: those that a read with this filter shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldFilter {
    /// The earliest time, RFC 3339 or a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The latest time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Fields by their names, with the texts that they have to have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The attributes that have to be there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl HeldFilter {
    /// The same as a filter of reads.
    ///
    /// # Errors
    /// Where it has a field that reads do not filter by, or a time that is none: why.
    fn query(&self) -> Result<Query, String> {
        let field = |(name, text): (&String, &String)| {
            let field = Field::named(name).filter(|field| field.is_filtered());
            field.map(|field| (field, text.clone())).ok_or_else(|| {
                let names: Vec<&str> = Field::filtered().map(Field::name).collect();
                format!("filter: {name:?} was found, accepted are {}", names.join(", "))
            })
        };
        let attributes = self.attributes.iter();
        let filter = Filter {
            from_ts: self.from.clone(),
            to_ts: self.to.clone(),
            texts: self.fields.iter().map(field).collect::<Result<_, _>>()?,
            attributes: attributes.map(|(key, value)| Attribute::new(key.clone(), value.clone())).collect(),
        };
        Query::new(filter, &PageRequest::default()).map_err(|invalid| format!("filter: {invalid}"))
    }
}

/// All changes of the holds of a record.
#[derive(Clone, Debug, Default)]
pub struct Holds {
    changes: Vec<HoldChange>,
    /// Those that hold now, by their places among the changes.
    active: Vec<(usize, Query)>,
}

impl Holds {
    /// Reads the lines of `holds.jsonl`.
    ///
    /// # Errors
    /// Where a line is none: what is not understood could be a hold.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut holds = Self::default();
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())) {
            let wrong = |reason: String| Error::Line { name: HOLDS, line, reason };
            let change = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
            holds.apply(change).map_err(wrong)?;
        }
        Ok(holds)
    }

    /// The lines of `holds.jsonl`.
    pub fn to_lines(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for change in &self.changes {
            // Texts alone: that cannot fail.
            let _ = serde_json::to_writer(&mut out, change);
            out.push(b'\n');
        }
        out
    }

    /// Adds a change.
    ///
    /// # Errors
    /// Where it makes no sense: why. The holds are then as before.
    pub fn apply(&mut self, change: HoldChange) -> Result<(), String> {
        let known = self.active.iter().position(|(place, _)| self.changes[*place].id == change.id);
        match (change.change, known) {
            (Change::Add, Some(_)) => return Err(format!("id: there is a hold {} already", change.id)),
            (Change::Add, None) => {
                let query = change.filter.clone().unwrap_or_default().query()?;
                self.active.push((self.changes.len(), query));
            }
            (Change::Remove, Some(place)) => drop(self.active.remove(place)),
            (Change::Remove, None) => {
                let ids: Vec<&str> = self.active().map(|hold| hold.id.as_str()).collect();
                let accepted = if ids.is_empty() {
                    "there is none".into()
                } else {
                    format!("accepted are {}", ids.join(", "))
                };
                return Err(format!("id: no hold is called {:?}; {accepted}", change.id));
            }
        }
        self.changes.push(change);
        Ok(())
    }

    /// The holds that are in force, in the order in which they began.
    pub fn active(&self) -> impl Iterator<Item = &HoldChange> {
        self.active.iter().map(|(place, _)| &self.changes[*place])
    }

    /// All changes, in their order.
    pub fn changes(&self) -> &[HoldChange] {
        &self.changes
    }

    /// A name that no hold has had.
    pub fn free_id(&self) -> String {
        let had = |id: &String| self.changes.iter().any(|change| change.id == *id);
        let mut ids = (self.changes.len() + 1..).map(|number| format!("hold-{number}"));
        ids.find(|id| !had(id)).unwrap_or_default()
    }

    /// The hold that holds an event of a time.
    pub fn of(&self, event: &Event<'_>, at: Timestamp) -> Option<&HoldChange> {
        let holds = |query: &Query| {
            let (from, to) = query.span();
            (from..=to).contains(&at) && query.texts_match(event)
        };
        self.active.iter().find(|(_, query)| holds(query)).map(|(place, _)| &self.changes[*place])
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }
}

impl<F: Folder> Log<F> {
    /// The holds of the record.
    ///
    /// # Errors
    /// Where they cannot be read, or understood.
    pub fn holds(&self) -> Result<Holds, Error> {
        Holds::parse(&self.text(HOLDS)?)
    }

    /// Writes the holds, onto the disk.
    ///
    /// # Errors
    /// Where they cannot be written. They are then as before.
    pub fn put_holds(&mut self, holds: &Holds) -> Result<(), Error> {
        self.put_text(HOLDS, &holds.to_lines())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit_format::read::parse_stored;

    const LINES: &str = concat!(
        r#"{"ts":"2026-11-27T10:00:00.000000Z","by":"ops","change":"add","id":"case-7","reason":"inquiry","filter":{"to":"2026-11-24","fields":{"workspace_id":"w1"},"attributes":{"model":"m"}}}"#,
        "\n",
        r#"{"ts":"2026-11-27T10:00:00.000000Z","by":"ops","change":"add","id":"hold-2","reason":"","filter":{"fields":{"graph_run_id":"s"}}}"#,
        "\n",
        r#"{"ts":"2026-11-27T10:00:01.000000Z","by":"ops","change":"remove","id":"hold-2","reason":"over"}"#,
        "\n",
    );

    fn held(holds: &Holds, line: &str) -> Option<String> {
        let event = parse_stored(line).unwrap().event;
        let at = Timestamp::parse(&event.ts).unwrap();
        holds.of(&event, at).map(|hold| hold.id.clone())
    }

    #[test]
    fn a_hold_holds_what_a_read_with_its_filter_shows_until_it_is_removed() {
        let holds = Holds::parse(LINES.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(holds.to_lines()).unwrap(), LINES);
        let line =
            r#"{"ts":"2026-11-24T23:59:59.9Z","workspace_id":"w1","attributes":{"model":"m","x":"y"}}"#;
        assert_eq!(held(&holds, line).as_deref(), Some("case-7"));
        for other in [line.replace("-24T", "-25T"), line.replace("w1", "w2"), line.replace("\"m\"", "\"n\"")]
        {
            assert_eq!(held(&holds, &other), None, "{other}");
        }
        let session = r#"{"ts":"2027-01-01T00:00:00Z","graph_run_id":"s"}"#;
        assert_eq!(held(&holds, session), None);
        let first: String = LINES.split_inclusive('\n').take(2).collect();
        assert_eq!(held(&Holds::parse(first.as_bytes()).unwrap(), session).as_deref(), Some("hold-2"));
        assert_eq!(holds.free_id(), "hold-4");
    }

    #[test]
    fn a_hold_that_is_not_understood_is_no_hold_less() {
        for (line, named) in [
            (LINES.replacen("workspace_id", "workspace", 1), "line 1: filter: \"workspace\" was found"),
            (LINES.replacen("\"to\"", "\"until\"", 1), "line 1: unknown field `until`"),
            (LINES.replacen("2026-11-24", "soon", 1), "line 1: filter: to_ts"),
            (LINES.replace("hold-2", "case-7"), "line 2: id: there is a hold case-7 already"),
            (
                LINES.replace("\"remove\",\"id\":\"hold-2\"", "\"remove\",\"id\":\"x\""),
                "accepted are case-7, hold-2",
            ),
        ] {
            let error = Holds::parse(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
