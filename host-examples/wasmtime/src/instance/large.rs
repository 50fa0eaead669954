//! Events that are too large for the component's memory: the host makes them fit into a line before it passes them on, in
//! the way in which the component would. The component does the same for all other events, and for all other hosts.

use std::borrow::Cow;

use audit_format::line::{MAX_LEN, fitted, put_event};
use audit_format::read::parse_sent;

use super::room::MAX_SENT;
use crate::error::Error;
use crate::types::{Event, InvalidValue, Receipt};

/// Events and lines from this size on, in bytes, are made to fit.
const LARGE: usize = 64 << 10;

/// From which size on events and lines are made to fit that have so many bytes together: what is stored of a batch may fit
/// where all that was sent does not.
fn large(together: usize) -> usize {
    if together > MAX_SENT { MAX_LEN } else { LARGE }
}

/// What is passed on in the place of a large line that is invalid. A part of that line could be an event.
const INVALID: &str = "{";

/// The positions of the events that were made to fit.
pub(crate) struct Mended(Vec<u64>);

impl Mended {
    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// How many of them the component has accepted.
    pub(crate) fn stored(&self, answer: &Result<Receipt, Error>) -> u64 {
        match answer {
            Ok(_) => self.count(),
            Err(Error::Incomplete(batch)) => self.0.partition_point(|place| *place < batch.stored) as u64,
            Err(_) => 0,
        }
    }
}

/// The event, made to fit into a line if it is large, and what was changed in it.
pub(crate) fn fit(event: Event) -> (Event, Option<String>) {
    fit_from(LARGE, event)
}

fn fit_from(large: usize, event: Event) -> (Event, Option<String>) {
    if event.size() < large {
        return (event, None);
    }
    let (event, mended) = fitted(event.into());
    let changes: Vec<String> = mended.changes().map(|(change, field)| change.describe(field)).collect();
    (event.into(), (!changes.is_empty()).then(|| changes.join("; ")))
}

/// The events, with those that are large made to fit.
pub(crate) fn fit_all(events: &[Event]) -> (Cow<'_, [Event]>, Mended) {
    let mut mended = Mended(Vec::new());
    let large = large(events.iter().map(Event::size).sum());
    if events.iter().all(|event| event.size() < large) {
        return (events.into(), mended);
    }
    let mut all = Vec::with_capacity(events.len());
    for (place, event) in (0..).zip(events) {
        let (event, changes) = fit_from(large, event.clone());
        if changes.is_some() {
            mended.0.push(place);
        }
        all.push(event);
    }
    (all.into(), mended)
}

/// Lines, with those that are large made to fit.
pub(crate) struct Lines<'l> {
    pub(crate) lines: Cow<'l, str>,
    /// The positions are those among the lines that are not empty.
    pub(crate) mended: Mended,
    /// What is wrong with the first large line that is invalid. [`INVALID`] is in its place.
    pub(crate) invalid: Option<InvalidValue>,
}

pub(crate) fn fit_lines(lines: &str) -> Lines<'_> {
    let mut all = Lines { lines: lines.into(), mended: Mended(Vec::new()), invalid: None };
    let large = large(lines.len());
    if lines.len() < large || lines.split('\n').all(|line| line.len() < large) {
        return all;
    }
    let mut out = String::new();
    let mut place = 0;
    for (index, line) in (0..).zip(lines.split_inclusive('\n')) {
        let is_empty = line.trim_ascii().is_empty();
        if line.len() < large || is_empty {
            out.push_str(if is_empty { "\n" } else { line });
        } else {
            match parse_sent(line.trim_ascii()) {
                Ok(sent) => {
                    let (event, mut mended) = fitted(sent.event);
                    mended.add(sent.mended);
                    if !mended.is_empty() {
                        all.mended.0.push(place);
                    }
                    let mut json = Vec::new();
                    put_event(&event, &mut json);
                    // Encoded events are UTF-8.
                    out.push_str(&String::from_utf8(json).unwrap_or_default());
                }
                Err(invalid) => {
                    out.push_str(INVALID);
                    let invalid = InvalidValue { index, field: invalid.field, reason: invalid.reason };
                    all.invalid.get_or_insert(invalid);
                }
            }
            out.push('\n');
        }
        place += u64::from(!is_empty);
    }
    all.lines = out.into();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_lines_are_changed() {
        let text = "x".repeat(LARGE);
        let lines = format!(
            "{{\"tool\":\"a\"}}\n\n{{\"tool\":\"{text}\"}}\n{{\"odd\":\"{text}\"}}\n{{\"tool\":\"b\"}}"
        );
        let Lines { lines, mended, invalid } = fit_lines(&lines);
        let lines: Vec<&str> = lines.split('\n').collect();
        assert_eq!(
            (lines.len(), lines[0], lines[1], lines[4]),
            (5, "{\"tool\":\"a\"}", "", "{\"tool\":\"b\"}")
        );
        assert!(lines[2].len() < 4096 && parse_sent(lines[2]).unwrap().event.tool.starts_with("xxx"));
        assert!(parse_sent(lines[3]).is_err());
        assert_eq!(mended.0, [1]);
        assert_eq!(invalid.map(|value| (value.index, value.field)), Some((3, "\"odd\"".into())));
    }

    #[test]
    fn a_large_line_that_is_invalid_is_invalid_still() {
        let (spaces, rest) = (" ".repeat(LARGE), "x".repeat(LARGE));
        let events = ["{\"tool\":\"a\"}", "", "{}", "{\"ts\":\"2026-11-23T06:30:00Z\"}"];
        let lines = events.map(|event| format!("{event}{spaces}{rest}"));
        let odd = [format!("{spaces}{{\"odd\":\"{rest}\"}}"), format!("{{\"tool\":\"{rest}\"")];
        for line in lines.iter().chain(&odd) {
            let Lines { lines, invalid, .. } = fit_lines(line);
            assert!(invalid.is_some() && parse_sent(lines.trim_ascii()).is_err(), "{lines}");
            assert!(!lines.trim_ascii().is_empty());
        }
    }

    #[test]
    fn a_large_event_fits_into_a_line() {
        let (event, changes) = fit(Event { tool: "x".repeat(1 << 20), ..Event::default() });
        assert!(event.size() < 8192 && changes.is_some_and(|text| text.starts_with("tool: ")));
    }
}
