//! The state of a store, and what became of each event.

use crate::backends::Reason;
use crate::settings::Settings;
use crate::time::Timestamp;
use uuid::Uuid;

/// What became of the events; the WIT record `counts`. `received` is always the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    pub received: u64,
    pub stored: u64,
    pub spooled: u64,
    pub pending: u64,
    pub rejected: u64,
    pub dropped: Dropped,
}

/// Events that did not get into the record, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Dropped {
    pub invalid: u64,
    pub queue_full: u64,
    pub unwritable: u64,
}

impl Dropped {
    pub(super) fn add(&mut self, reason: Reason) {
        match reason {
            Reason::Invalid => self.invalid += 1,
            Reason::QueueFull => self.queue_full += 1,
            Reason::Unwritable => self.unwritable += 1,
        }
    }
}

/// What an accepted batch got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How many events there were.
    pub accepted: u64,
    /// The chain that they belong to.
    pub chain: Uuid,
    /// The `seq` of the first.
    pub first_seq: u64,
}

/// The state of a store.
#[derive(Clone, Debug)]
pub struct Status<'s> {
    /// The settings in use.
    pub settings: &'s Settings,
    /// The backend in use.
    pub backend: &'static str,
    /// Since when it is in use.
    pub since: Timestamp,
    /// The chain of this instance.
    pub chain: Uuid,
    /// What became of the events.
    pub counts: Counts,
    /// How many bytes of other instances wait on disk for the database.
    pub spooled_by_others: u64,
    /// The last thing that went wrong, with its time.
    pub last_error: Option<&'s str>,
}

impl Status<'_> {
    /// The folder of the daily files, or of the spool; empty where the backend has none.
    pub fn jsonl_dir(&self) -> &str {
        if self.settings.backend.has_files() { &self.settings.jsonl_dir } else { "" }
    }
}
