//! Which calls are looked at: those of a time, and of a folder.

use std::path::{Path, PathBuf};

use audit_format::query::{Filter, PageRequest, Query};
use audit_format::time::Timestamp;

use crate::args::Period;
use crate::message::Failure;

/// How far the times of an event and of a transcript may differ for one call, in microseconds: a hook is told how long a call
/// took, and a transcript when it was asked for, maybe long before it was allowed.
const SLACK: i64 = 24 * 3_600_000_000;

#[derive(Debug)]
pub(super) struct Within {
    from: Timestamp,
    to: Timestamp,
    folder: Option<PathBuf>,
}

impl Within {
    pub(super) fn new(period: &Period, folder: Option<PathBuf>) -> Result<Self, Failure> {
        let filter = Filter {
            from_ts: period.from().map(str::to_owned),
            to_ts: period.to.clone(),
            ..Filter::default()
        };
        let query = Query::new(filter, &PageRequest::default());
        let query = query.map_err(|invalid| Failure::because(invalid.field, invalid.reason))?;
        Ok(Self { from: query.from, to: query.to, folder })
    }

    pub(super) fn from(&self) -> Timestamp {
        self.from
    }

    pub(super) fn has(&self, at: Timestamp) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// Whether a call that was made in this folder counts. One without a folder does.
    pub(super) fn has_folder(&self, cwd: &str) -> bool {
        cwd.is_empty() || self.folder.as_ref().is_none_or(|folder| Path::new(cwd).starts_with(folder))
    }

    /// The filter of all events that may be of these calls.
    pub(super) fn with_slack(&self) -> Filter {
        let moved =
            |at: Timestamp, micros: i64| Timestamp::clamped(at.micros().saturating_add(micros)).to_string();
        Filter {
            from_ts: (self.from != Timestamp::MIN).then(|| moved(self.from, -SLACK)),
            to_ts: (self.to != Timestamp::MAX).then(|| moved(self.to, SLACK)),
            ..Filter::default()
        }
    }
}
