//! The state of a store, and what a caller gets.

use crate::accounting::Counts;
use crate::settings::Settings;
use audit_format::time::Timestamp;
use uuid::Uuid;

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
