//! The rows that come into a database.

use std::time::{Duration, Instant};

use audit_format::line;
use audit_format::read::parse_stored;
use audit_host::{Arrivals, Database, Filter, SinkError};

use crate::message::{Failure, warn};

/// How long to wait between two questions to the database.
const INTERVAL: Duration = Duration::from_secs(1);

/// The database works for at most one part in so many of the time: without an index on its numbers, a table is looked through.
const SHARE: u32 = 10;

/// How long to wait for a database that does not answer.
const AWAY: Duration = Duration::from_secs(5);

pub(super) struct Rows {
    database: Database,
    filter: Filter,
    since: Arrivals,
    /// Whether it is known not to answer.
    is_away: bool,
}

impl Rows {
    pub(super) fn open(database: Database, filter: Filter) -> Result<Self, Failure> {
        let since = database.arrivals()?;
        Ok(Self { database, filter, since, is_away: false })
    }

    /// Lines of events that have come and match, and how long to wait for the next.
    pub(super) fn arrived(&mut self) -> Result<(String, Duration), Failure> {
        let asked = Instant::now();
        match self.database.arrived(self.filter.clone(), &mut self.since) {
            Ok(page) => {
                let least = if page.count == 0 { INTERVAL } else { INTERVAL / 10 };
                let wait = least.max(asked.elapsed() * (SHARE - 1));
                if std::mem::take(&mut self.is_away) {
                    warn("the database answers again");
                }
                Ok((page.lines.lines().filter_map(as_read).collect(), wait))
            }
            Err(SinkError::Unavailable(text) | SinkError::Unanswered(text)) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    warn(format_args!("{text}; waiting for it"));
                }
                Ok((String::new(), AWAY))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The line as a read of the store gives it. A row that no store wrote has its place in the table as `seq`.
fn as_read(line: &str) -> Option<String> {
    let parsed = parse_stored(line).ok()?;
    let mut encoded = Vec::new();
    match &parsed.stamp {
        Some(stamp) => line::put_entry(&parsed.event, stamp, &mut encoded),
        None => {
            line::put_event(&parsed.event, &mut encoded);
            encoded.push(b'\n');
        }
    }
    String::from_utf8(encoded).ok()
}
