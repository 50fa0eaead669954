//! What was found, as text or as JSON lines.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use audit_format::event::Event;
use audit_host::Event as HostEvent;
use serde::Serialize;

use super::transcript::Unread;
use crate::message::count;
use crate::read::table::Table;
use crate::read::visible::visible;

/// How many calls a table shows, and how many of those in the record alone are shown at all.
pub(super) const MOST_SHOWN: usize = 100;

/// How many calls there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct OfCalls {
    /// In transcripts.
    pub(super) calls: u64,
    pub(super) recorded: u64,
    pub(super) missing: u64,
    /// Recorded by this comparison.
    pub(super) added: u64,
    /// Not in the record, and may still come.
    pub(super) running: u64,
    pub(super) only_recorded: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) transcripts: u64,
    pub(super) calls: OfCalls,
    /// Calls that another transcript has told before.
    pub(super) repeated: u64,
    /// Calls that were made outside of the folder that is asked for.
    pub(super) elsewhere: u64,
    pub(super) unread: BTreeMap<Unread, u64>,
    /// Transcripts.
    pub(super) unreadable: u64,
    pub(super) not_read: u64,
}

pub(super) struct Report {
    json: bool,
    sessions: BTreeMap<String, OfCalls>,
    missing: Vec<Event<'static>>,
    only_recorded: Vec<Event<'static>>,
}

/// A line of the JSON output.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Missing {
        transcript: String,
        event: &'a HostEvent,
    },
    OnlyRecorded {
        event: &'a HostEvent,
    },
    Session {
        session: &'a str,
        #[serde(flatten)]
        counts: OfCalls,
    },
    Total {
        transcripts: u64,
        #[serde(flatten)]
        counts: OfCalls,
        repeated: u64,
        elsewhere: u64,
        lines_passed_over: BTreeMap<&'static str, u64>,
        transcripts_unreadable: u64,
        transcripts_not_read: u64,
    },
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json, sessions: BTreeMap::new(), missing: Vec::new(), only_recorded: Vec::new() }
    }

    pub(super) fn has_session(&self, session: &str) -> bool {
        self.sessions.contains_key(session)
    }

    pub(super) fn session(&mut self, session: &str) -> &mut OfCalls {
        if !self.sessions.contains_key(session) {
            self.sessions.insert(session.to_owned(), OfCalls::default());
        }
        self.sessions.entry(session.to_owned()).or_default()
    }

    /// A call is missing from the record.
    pub(super) fn missing(&mut self, event: Event<'static>, transcript: &Path) -> io::Result<()> {
        if self.json {
            let transcript = transcript.display().to_string();
            return line(&Line::Missing { transcript, event: &event.into() });
        }
        if self.missing.len() < MOST_SHOWN {
            self.missing.push(event);
        }
        Ok(())
    }

    /// A call is in the record, and in no transcript.
    pub(super) fn only_recorded(&mut self, event: &Event<'_>) {
        self.only_recorded.push(event.clone().into_owned());
    }

    pub(super) fn show(self, counts: &Counts) -> io::Result<()> {
        if self.json { self.show_json(counts) } else { self.show_text(counts) }
    }

    fn show_json(self, counts: &Counts) -> io::Result<()> {
        for event in self.only_recorded {
            line(&Line::OnlyRecorded { event: &event.into() })?;
        }
        for (session, counts) in &self.sessions {
            line(&Line::Session { session, counts: *counts })?;
        }
        line(&Line::Total {
            transcripts: counts.transcripts,
            counts: counts.calls,
            repeated: counts.repeated,
            elsewhere: counts.elsewhere,
            lines_passed_over: counts.unread.iter().map(|(why, lines)| (why.about(), *lines)).collect(),
            transcripts_unreadable: counts.unreadable,
            transcripts_not_read: counts.not_read,
        })
    }

    fn show_text(self, counts: &Counts) -> io::Result<()> {
        let mut out = String::new();
        for (session, counts) in &self.sessions {
            let session = if session.is_empty() { "without a name" } else { session };
            out += &format!("session {}: {}\n", visible(session), counts.text());
        }
        for (what, events, all) in [
            ("missing from the record", &self.missing, counts.calls.missing),
            ("in the record, and in no transcript", &self.only_recorded, counts.calls.only_recorded),
        ] {
            if all > 0 {
                out += &format!("\n{what}:\n");
                Table::new(false).show(events, &mut out);
                let more = all.saturating_sub(events.len() as u64);
                if more > 0 {
                    out += &format!("and {}\n", count(more, "more call"));
                }
                out.push('\n');
            }
        }
        out += &counts.text();
        match io::stdout().write_all(out.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }
}

impl OfCalls {
    fn text(&self) -> String {
        let mut parts = vec![count(self.calls, "call"), format!("{} recorded", self.recorded)];
        for (number, what) in [
            (self.missing, "missing"),
            (self.added, "added"),
            (self.running, "may still be recorded"),
            (self.only_recorded, "only in the record"),
        ] {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        }
        parts.join(", ")
    }
}

impl Counts {
    fn text(&self) -> String {
        let mut out = format!("{}: {}\n", count(self.transcripts, "transcript"), self.calls.text());
        if self.repeated > 0 {
            out += &format!("{} told more than once\n", count(self.repeated, "call"));
        }
        if self.elsewhere > 0 {
            let calls = count(self.elsewhere, "call");
            out += &format!("{calls} made in other folders, and not compared (see --within)\n");
        }
        for (why, lines) in &self.unread {
            out += &format!("{} passed over: {}\n", count(*lines, "line"), why.about());
        }
        if self.not_read > 0 {
            let what = count(self.not_read, "transcript");
            out += &format!("{what} passed over: compressed, in an older form, or no regular file\n");
        }
        out
    }
}

/// Writes a line of JSON.
fn line(line: &Line<'_>) -> io::Result<()> {
    let text = serde_json::to_string(line).map_err(io::Error::from)? + "\n";
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
