//! Creating and upgrading the table: the statements, and the messages for when they fail.

use crate::column::TABLE;
use crate::failure::ServerError;
use crate::table::{self, Lack, Table};
use alloc::format;
use alloc::string::String;
use core::time::Duration;

/// The time limit of an upgrade.
pub const UPGRADE: Duration = Duration::from_secs(3600);

/// How long an upgrade waits for others that use the table. Those that want to use it meanwhile wait too.
const LOCK: Duration = Duration::from_secs(5);

/// The advisory lock by which instances take turns: `audit-st` in ASCII, which no other program is likely to
/// use.
const ADVISORY_LOCK: i64 = 0x61_75_64_69_74_2d_73_74;

/// The statements that begin the transaction of an upgrade. Each statement of it sees what others have committed before.
pub fn begin() -> String {
    let (limit, lock) = (UPGRADE.as_millis(), LOCK.as_millis());
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {lock}; \
         SET LOCAL TimeZone = 'UTC'"
    )
}

/// The query whether it is this transaction's turn to upgrade. Until it is, another one upgrades.
pub fn take_turn() -> String {
    format!("SELECT pg_catalog.pg_try_advisory_xact_lock({ADVISORY_LOCK})")
}

/// The statements that add what the table lacks, and commit the transaction.
pub fn upgrade(lack: &Lack) -> String {
    format!("{}; COMMIT", lack.sql.join("; "))
}

/// The one statement that does the same, for hosts that have no transactions. It waits for its turn, and has the time that
/// the session gives a statement. Whoever had the turn before may have added what is lacking: the error is then one of a
/// name that is taken.
pub fn upgrade_at_once(lack: &Lack) -> String {
    let (lock, sql) = (LOCK.as_millis(), lack.sql.join("; "));
    format!(
        "DO $upgrade$ BEGIN SET LOCAL lock_timeout = {lock}; PERFORM pg_catalog.pg_advisory_xact_lock({ADVISORY_LOCK}); \
         {sql}; END $upgrade$"
    )
}

/// Whether the table can be used as it is, although this error kept it from being upgraded.
pub fn is_dispensable(lack: &Lack, error: &ServerError<'_>) -> bool {
    lack.only_speed && (error.is_denied() || error.only_reads())
}

/// Why the table could not be upgraded, and what to do about it; none: an upgrade may succeed later.
pub fn explain(error: &ServerError<'_>, table: &Table, lack: &Lack) -> Option<String> {
    let (role, schema, what) = (&table.role, &table.schema, lack.what.join(", "));
    let sql = lack.sql.join("; ");
    Some(if error.is_denied() && table.exists() {
        may_not_upgrade(table, lack)
    } else if error.is_denied() && schema.is_empty() {
        table::without_schema(role)
    } else if error.is_denied() {
        format!(
            "the user \"{role}\" may not create the table {TABLE} in the schema \"{schema}\"; let the \
             schema's owner run: {sql}; GRANT SELECT, INSERT ON {TABLE}, tool_audit_refused TO \"{role}\"; \
             GRANT USAGE ON SEQUENCE {TABLE}_id_seq TO \"{role}\""
        )
    } else {
        let reason = error.lasting()?;
        let advice = match error.is_not_supported() {
            true => format!(
                "; drop what depends on it, let the table's owner run the following statements, and create \
                 again what was dropped: {sql}"
            ),
            false => String::new(),
        };
        format!(
            "the table {TABLE} in the schema \"{schema}\" lacks {what}, and cannot be upgraded: \
             {reason}{advice}"
        )
    })
}

/// The message that the table's owner has to upgrade it.
pub fn may_not_upgrade(table: &Table, lack: &Lack) -> String {
    let (role, schema, what) = (&table.role, &table.schema, lack.what.join(", "));
    let sql = lack.sql.join("; ");
    format!(
        "the user \"{role}\" may not upgrade the table {TABLE} in the schema \"{schema}\", which lacks \
         {what}; let the table's owner run: {sql}"
    )
}
