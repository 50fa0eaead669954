//! What a store returns to its callers: the receipt of a batch, and the status.

use crate::accounting::Counts;
use crate::settings::{Active, Settings};
use audit_format::time::Timestamp;
use uuid::Uuid;

/// The receipt of an accepted batch: the WIT record `receipt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How many events were accepted: all of the batch.
    pub accepted: u64,
    /// The chain of the instance that accepted them.
    pub chain: Uuid,
    /// The `seq` of the first event. The others follow without a gap.
    pub first_seq: u64,
}

/// The state of a store: the WIT record `store-status`.
#[derive(Clone, Debug)]
pub struct Status<'s> {
    /// The settings in use.
    pub settings: &'s Settings,
    /// What takes the events now.
    pub backend: Active,
    /// Since when it is in use.
    pub since: Timestamp,
    /// The chain of this instance.
    pub chain: Uuid,
    /// What became of the events.
    pub counts: Counts,
    /// How many accepted events differ from what was sent.
    pub mended: u64,
    /// How many bytes of other instances' lines wait on disk for the database.
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
