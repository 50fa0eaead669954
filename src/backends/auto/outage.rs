//! An outage of the database, as the folder remembers it, so that of many instances that live for one call not each one
//! waits for a database that does not answer.
//!
//! It is a small file with two times: since when the database does not answer, and until when nobody has to try. It is
//! written elsewhere and renamed, so that it is whole. When the time has come, one instance takes the file away, which
//! only one can, and leaves one with a later time. That instance tries.

use crate::host::{File, FileError, Folder};
use alloc::format;
use alloc::string::String;
use audit_format::names::{OUTAGE, outage_of};
use audit_format::time::Timestamp;
use uuid::Uuid;

/// For how long nobody tries after the first failure, in microseconds. Later waits are as long as the outage has
/// lasted, up to the recovery interval.
const FIRST_WAIT: u64 = 2_000_000;

/// How long the file is at most, in bytes.
const MAX_LEN: usize = 100;

/// A time without answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When it began.
    pub since: Timestamp,
    /// When the database is to be tried again.
    until: Timestamp,
}

impl Outage {
    /// The outage that the folder tells of.
    pub fn known(folder: &mut impl Folder) -> Option<Self> {
        Self::read(folder, OUTAGE)
    }

    fn read(folder: &mut impl Folder, name: &str) -> Option<Self> {
        let bytes = folder.open(name).and_then(|file| file.read(0, MAX_LEN)).ok()?;
        let (since, until) = core::str::from_utf8(&bytes).ok()?.strip_suffix('\n')?.split_once(' ')?;
        let time = |text: &str| Timestamp::parse_stored(text.as_bytes());
        Some(Self { since: time(since)?, until: time(until)? })
    }

    /// Whether the database is not to be tried yet. A time that is further off than the longest wait, as after the
    /// clock was set back, does not count.
    pub fn lasts(self, now: Timestamp, longest: u64) -> bool {
        now < self.until && self.until.micros().abs_diff(now.micros()) <= longest
    }

    /// The outage after one more failure. `known` is the one before it.
    pub fn after(known: Option<Self>, now: Timestamp, longest: u64) -> Self {
        let since = known.map_or(now, |known| known.since.min(now));
        let wait = now.micros().abs_diff(since.micros()).max(FIRST_WAIT).min(longest);
        let until = now.micros().saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
        Self { since, until: Timestamp::clamped(until) }
    }

    /// Has the folder remember the outage. Where it cannot be written, each instance finds out by itself.
    pub fn remember(self, folder: &mut impl Folder, chain: Uuid) {
        let written = outage_of(chain, "new");
        if self.write(folder, &written).is_err() || folder.rename(&written, OUTAGE).is_err() {
            let _ = folder.remove(&written);
        }
    }

    /// Takes the next try after this outage for this instance, and has the folder remember `next`. False: another
    /// instance tries already, or the outage has ended.
    pub fn claim(self, next: Self, folder: &mut impl Folder, chain: Uuid) -> bool {
        let taken = outage_of(chain, "old");
        if folder.rename(OUTAGE, &taken).is_err() {
            return false;
        }
        let is_ours = Self::read(folder, &taken) == Some(self);
        if is_ours {
            next.remember(folder, chain);
            let _ = folder.remove(&taken);
        } else {
            // Another instance was faster, and this is what it has left.
            let _ = folder.rename(&taken, OUTAGE);
        }
        is_ours
    }

    /// Forgets the outage: the database answers.
    pub fn end(folder: &mut impl Folder) {
        let _ = folder.remove(OUTAGE);
    }

    fn write(self, folder: &mut impl Folder, name: &str) -> Result<(), FileError> {
        let text: String = format!("{} {}\n", self.since, self.until);
        folder.append(name)?.append(text.as_bytes())
    }
}
