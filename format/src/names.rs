//! The names of the files in the folder of a store. Where a name has other spellings, only the one that a
//! store writes counts.

use crate::time::Day;
use alloc::format;
use alloc::string::String;
use uuid::Uuid;

/// The file of a day, `tool_audit_YYYY-MM-DD.jsonl`.
pub fn daily(day: Day) -> String {
    format!("tool_audit_{day}.jsonl")
}

/// The day that a file is of.
pub fn day_of(name: &str) -> Option<Day> {
    Day::parse(name.strip_prefix("tool_audit_")?.strip_suffix(".jsonl")?)
}

/// A file of a chain's spool, `spool_<chain>_<n>.jsonl`.
pub fn spool(chain: Uuid, number: u64) -> String {
    format!("spool_{chain}_{number}.jsonl")
}

/// The chain that a file is of the spool of, and its number.
pub fn spool_of(name: &str) -> Option<(Uuid, u64)> {
    let (chain, number) = name.strip_prefix("spool_")?.strip_suffix(".jsonl")?.split_once('_')?;
    let (chain, number) = (crate::id::parse(chain)?, number.parse().ok()?);
    (spool(chain, number) == name).then_some((chain, number))
}
