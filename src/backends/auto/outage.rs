//! An outage of the database, as the folder remembers it, so that of many instances that live for one call not each one
//! waits for a database that does not answer.
//!
//! It is an empty file, whose name says all there is to say: since when, and until when nobody has to try. The name is
//! changed by renaming, which succeeds for one of several instances that find that the time has come. That one tries.

use crate::host::Folder;
use alloc::string::String;
use audit_format::names;
use audit_format::time::Timestamp;

/// For how long nobody tries after the first failure, in microseconds. Later waits are as long as the outage has lasted,
/// up to the recovery interval.
const FIRST_WAIT: u64 = 2_000_000;

/// A time without answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When it began.
    pub since: Timestamp,
    /// When the database is to be tried again.
    until: Timestamp,
}

impl Outage {
    /// The outage that one of the names in a folder tells of: the one that lasts longest, if there are several.
    pub fn among<'n>(names: impl Iterator<Item = &'n str>) -> Option<Self> {
        let found = names.filter_map(names::outage_of).map(|(since, until)| Self { since, until });
        found.max_by_key(|outage| outage.until)
    }

    /// Whether the database is not to be tried yet. A time that is further off than the longest wait, as after the clock
    /// was set back, does not count.
    pub fn lasts(self, now: Timestamp, longest: u64) -> bool {
        now < self.until && self.until.micros().abs_diff(now.micros()) <= longest
    }

    /// Remembers that the database does not answer, and returns what the folder then says. `known` is what it said
    /// before. Where it cannot be written, each instance finds out by itself.
    pub fn note(folder: &mut impl Folder, known: Option<Self>, now: Timestamp, longest: u64) -> Self {
        if let Some(known) = known {
            let next = known.next(now, longest);
            if next == known || folder.rename(&known.name(), &next.name()).is_ok() {
                return next;
            }
        }
        let next = Self { since: now, until: now }.next(now, longest);
        let _ = folder.append(&next.name());
        next
    }

    /// Takes the next try for this instance: the others wait. False: another instance tries already, or the outage has
    /// ended.
    pub fn claim(self, folder: &mut impl Folder, now: Timestamp, longest: u64) -> (bool, Self) {
        let next = self.next(now, longest);
        (folder.rename(&self.name(), &next.name()).is_ok(), next)
    }

    /// Forgets all outages: the database answers.
    pub fn end(folder: &mut impl Folder) {
        for (name, _) in folder.list().unwrap_or_default() {
            if names::outage_of(&name).is_some() {
                let _ = folder.remove(&name);
            }
        }
    }

    /// The outage after one more failure.
    fn next(self, now: Timestamp, longest: u64) -> Self {
        let since = self.since.min(now);
        let wait = now.micros().abs_diff(since.micros()).max(FIRST_WAIT).min(longest);
        let until = now.micros().saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
        Self { since, until: Timestamp::clamped(until) }
    }

    fn name(self) -> String {
        names::outage(self.since, self.until)
    }
}
