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

/// The name of the index of a day's file, `.tool_audit_YYYY-MM-DD.blocks`. It is hidden, so that whoever reads all files of
/// a folder does not take it for a part of the record.
pub fn index(day: Day) -> String {
    format!(".tool_audit_{day}.blocks")
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

/// The name of an empty file that says how many bytes of a spool file the database has:
/// `spool_<chain>_<n>_<bytes>.drained`.
pub fn drained(chain: Uuid, number: u64, bytes: u64) -> String {
    format!("spool_{chain}_{number}_{bytes}.drained")
}

/// The chain and the number of the spool file, and the bytes; none: it is not such a name.
pub fn drained_of(name: &str) -> Option<(Uuid, u64, u64)> {
    let mut parts = name.strip_prefix("spool_")?.strip_suffix(".drained")?.split('_');
    let chain = crate::id::parse(parts.next()?)?;
    let (number, bytes) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (drained(chain, number, bytes) == name).then_some((chain, number, bytes))
}

/// The name of the file that says since when the database does not answer, and until when it is not to be tried again.
pub const OUTAGE: &str = "database_outage.txt";

/// The name under which an instance writes such a file before it counts, or takes it away.
pub fn outage_of(chain: Uuid, part: &str) -> String {
    format!("database_outage_{chain}.{part}")
}

/// Whether this is the name of such a file.
pub fn is_outage_part(name: &str) -> bool {
    name.strip_prefix("database_outage_")
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(chain, _)| crate::id::parse(chain).is_some())
}

/// The name of the empty file whose time says when an instance that was closed last looked at what others have left in the
/// spool.
pub const VISITED: &str = "spool_visited";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_no_daily_file() {
        let name = index(Day::parse("2026-11-23").unwrap());
        assert_eq!(name, ".tool_audit_2026-11-23.blocks");
        assert_eq!((day_of(&name), spool_of(&name), drained_of(&name)), (None, None, None));
    }

    #[test]
    fn only_the_exact_spelling_is_a_name() {
        let chain = Uuid::from_u128(7 << 76 | 2 << 62);
        assert_eq!(spool_of(&spool(chain, 3)), Some((chain, 3)));
        assert_eq!(drained_of(&drained(chain, 3, 4096)), Some((chain, 3, 4096)));
        assert!(is_outage_part(&outage_of(chain, "new")) && !is_outage_part(OUTAGE));
        let name = drained(chain, 3, 4096);
        for name in [name.replace("_3_", "_03_"), name.replace("_4096", ""), name + "x"] {
            assert_eq!((drained_of(&name), spool_of(&name)), (None, None), "{name}");
        }
    }
}
