//! How the table is made ready: the statements, and what to do where they are refused.

use crate::column::TABLE;
use crate::failure::ServerError;
use crate::table::{self, Lack, Table};
use std::time::Duration;

/// The longest that an upgrade may take.
pub const UPGRADE: Duration = Duration::from_secs(3600);

/// How long it waits for others who use the table, and makes those wait who come after it.
const LOCK: Duration = Duration::from_secs(5);

/// Instances take turns by this number, which no other program is likely to use: `audit-st` in ASCII.
const TURN: i64 = 0x61_75_64_69_74_2d_73_74;

/// Begins the transaction of an upgrade, and waits for its turn.
pub fn begin() -> String {
    let (limit, lock) = (UPGRADE.as_millis(), LOCK.as_millis());
    format!(
        "BEGIN; SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = 0; SET LOCAL TimeZone = 'UTC'; \
         SELECT pg_catalog.pg_advisory_xact_lock({TURN}); SET LOCAL lock_timeout = {lock}"
    )
}

/// Adds what the table lacks, and ends the transaction.
pub fn upgrade(lack: &Lack) -> String {
    format!("{}; COMMIT", lack.sql.join("; "))
}

/// Whether the table may stay as it is, where it cannot be upgraded because of this error.
pub fn is_dispensable(lack: &Lack, error: &ServerError<'_>) -> bool {
    lack.only_speed && (error.is_denied() || error.only_reads())
}

/// Why the table could not be upgraded, and what to do about it; none: it may be upgraded later.
pub fn explain(error: &ServerError<'_>, table: &Table, lack: &Lack) -> Option<String> {
    let (role, schema, what) = (&table.role, &table.schema, lack.what.join(", "));
    let sql = lack.sql.join("; ");
    Some(if error.is_denied() && table.exists() {
        may_not_upgrade(table, lack)
    } else if error.is_denied() && schema.is_empty() {
        table::without_schema(role)
    } else if error.is_denied() {
        format!(
            "the user \"{role}\" may not create the table {TABLE} in the schema \"{schema}\"; let the schema's owner \
             run: {sql}; GRANT SELECT, INSERT ON {TABLE} TO \"{role}\"; GRANT USAGE ON SEQUENCE {TABLE}_id_seq TO \
             \"{role}\""
        )
    } else {
        let reason = error.lasting()?;
        let advice = match (error.is_not_supported(), table.is_partitioned()) {
            (true, true) => format!(
                "; accepted is one without partitions, or with event_id as their partition key; rename it, and another \
                 is created: ALTER TABLE {TABLE} RENAME TO {TABLE}_partitioned"
            ),
            (true, false) => {
                format!("; drop what depends on it, and create that again after its owner has run: {sql}")
            }
            (false, _) => String::new(),
        };
        format!(
            "the table {TABLE} in the schema \"{schema}\" cannot be upgraded, which lacks {what}: {reason}{advice}"
        )
    })
}

/// That somebody else has to upgrade the table.
pub fn may_not_upgrade(table: &Table, lack: &Lack) -> String {
    let (role, schema, what) = (&table.role, &table.schema, lack.what.join(", "));
    let sql = lack.sql.join("; ");
    format!(
        "the user \"{role}\" may not upgrade the table {TABLE} in the schema \"{schema}\", which lacks {what}; let its \
         owner run: {sql}"
    )
}
