//! The names of the files in the folder of a store. Only the exact spelling that a store writes is
//! recognized.

use crate::time::Day;
use alloc::format;
use alloc::string::String;
use uuid::Uuid;

/// The name of a day's file, `tool_audit_YYYY-MM-DD.jsonl`.
pub fn daily(day: Day) -> String {
    format!("tool_audit_{day}.jsonl")
}

/// The day of a daily file; none: it is not the name of one.
pub fn day_of(name: &str) -> Option<Day> {
    Day::parse(name.strip_prefix("tool_audit_")?.strip_suffix(".jsonl")?)
}

/// The name of a spool file, `spool_<chain>_<n>.jsonl`.
pub fn spool(chain: Uuid, number: u64) -> String {
    format!("spool_{chain}_{number}.jsonl")
}

/// The chain and the number of a spool file; none: it is not the name of one.
pub fn spool_of(name: &str) -> Option<(Uuid, u64)> {
    let (chain, number) = name.strip_prefix("spool_")?.strip_suffix(".jsonl")?.split_once('_')?;
    let (chain, number) = (crate::id::parse(chain)?, number.parse().ok()?);
    (spool(chain, number) == name).then_some((chain, number))
}
