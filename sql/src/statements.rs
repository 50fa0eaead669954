//! The statements, which are text files for hosts in any language, and the parameters of those that read.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use audit_format::cursor::Order;
use audit_format::event::Field;
use audit_format::query::Filter;
use serde_json::{Value, json};

use crate::key::Key;

/// Creates the tables. Several statements.
pub const SCHEMA: &str = include_str!("../schema.sql");

/// Upgrades the table of the original program. Several statements.
pub const UPGRADE: &str = include_str!("../upgrade.sql");

/// Inserts a batch. Its one parameter, of the type TEXT, is the batch as a JSON array of its lines.
pub const INSERT: &str = include_str!("../insert.sql");

/// Inserts a batch, for drivers that send arrays in binary form. Its parameters are an array for each column: of
/// TIMESTAMPTZ for `ts`, of UUID for `event_id` and `chain`, of TEXT for all others.
pub const INSERT_ARRAYS: &str = include_str!("../insert_arrays.sql");

/// Stores a batch by COPY. Its rows follow in binary form.
pub const COPY: &str = include_str!("../copy.sql");

/// Tells whether [`COPY`] stores a batch as [`INSERT`] does. Its parameter is the identifiers of the entries (UUID[]). It
/// returns whether it does so with this table, and whether none of the entries is in it (two BOOLEAN).
pub const MAY_COPY: &str = include_str!("../may_copy.sql");

/// Tells which entries of a batch the table does not have after the batch was inserted. Its parameter is that of
/// [`INSERT`]. It returns the position in the batch, from 0 (BIGINT), and the `event_id` (TEXT).
pub const MISSING: &str = include_str!("../missing.sql");

/// How the statements that insert look for an entry that is stored already.
const KNOWN: &str = "WHERE known.event_id = batch.event_id";

/// The text of [`INSERT`], [`INSERT_ARRAYS`] or [`MISSING`] for a table with this key. Where the key has `ts`, the
/// first and the last `ts` of the batch (TIMESTAMPTZ) are two parameters more, from this number on.
pub fn keyed<'t>(text: &'t str, key: &Key, next: usize) -> Cow<'t, str> {
    if *key == Key::default() {
        return text.into();
    }
    let text = text.replace("(event_id)", &format!("({})", key.columns()));
    if !key.has("ts") {
        return text.into();
    }
    let of_batch = format!("{KNOWN} AND known.ts BETWEEN ${next} AND ${}", next + 1);
    text.replace(KNOWN, &of_batch).into()
}

/// Keeps what is known of an entry that the database refused. Its parameters are the entry's `id`, `chain`, `seq`,
/// `hash` and `ts`, and the reason, all of the type TEXT.
pub const REFUSED: &str = include_str!("../refused.sql");

/// The numbers of the entries of a chain that the database refused. Its parameter is the chain (TEXT). It returns `seq` as
/// TEXT.
pub const REFUSED_OF: &str = "SELECT seq::text AS seq FROM tool_audit_refused WHERE chain = $1::text::uuid ORDER BY tool_audit_refused.seq";

/// Reads a page in this order. Its parameters are those of [`parameters`], the cursor (TEXT) and the most rows
/// (BIGINT).
pub const fn select(order: Order) -> &'static str {
    match order {
        Order::OldestFirst => include_str!("../select_oldest.sql"),
        Order::NewestFirst => include_str!("../select_newest.sql"),
    }
}

/// The number of the row that came last (BIGINT); 0: there is none.
pub const LAST_NUMBER: &str = "SELECT coalesce(max(id), 0)::bigint FROM tool_audit_events";

/// The numbers of rows (BIGINT) that have come, in their order: those behind `$1` (BIGINT), at most `$3` (BIGINT), and those
/// that are in `$2` (BIGINT[]).
pub const ARRIVED: &str = "
    SELECT id::bigint AS id FROM tool_audit_events WHERE id = ANY ($2::bigint[])
    UNION ALL
    SELECT id FROM (
        SELECT id::bigint AS id FROM tool_audit_events WHERE id > $1::bigint ORDER BY tool_audit_events.id LIMIT $3::bigint
    ) AS next
    ORDER BY 1";

/// Reads the rows with the numbers of one more parameter, the 16th (BIGINT[]), as [`select`] reads a page, the oldest first.
pub fn select_numbered() -> String {
    let numbered = "FROM tool_audit_events WHERE id = ANY ($16::bigint[])";
    select(Order::OldestFirst).replace("FROM tool_audit_events", numbered)
}

/// The number (BIGINT) of the row with an `event_id` (TEXT).
pub const NUMBER_OF: &str = "SELECT id::bigint FROM tool_audit_events WHERE event_id = $1::text::uuid";

/// The numbers (BIGINT) of rows whose time is before an instant (TEXT), in their order: those above one (BIGINT), and at most
/// so many (BIGINT).
pub const OLDER: &str = "
    SELECT id::bigint FROM tool_audit_events
    WHERE ts < $1::text::timestamptz AND id > $2::bigint ORDER BY id LIMIT $3::bigint";

/// Whether the role may remove rows (BOOLEAN).
pub const MAY_DELETE: &str = "SELECT pg_catalog.has_table_privilege('tool_audit_events', 'DELETE')";

/// Removes the rows whose numbers are in ranges, of which the first and the last are given (two BIGINT[]), and returns the
/// number (BIGINT) of each.
pub const DELETE: &str = "
    DELETE FROM tool_audit_events
    USING unnest($1::bigint[], $2::bigint[]) AS gone (first, last)
    WHERE id BETWEEN gone.first AND gone.last RETURNING id::bigint";

/// Reads rows by their numbers. Its parameters are the first and the last numbers of ranges (two BIGINT[]), and the most rows
/// (BIGINT). It returns the line and the number (BIGINT) of each.
pub const SELECT_ROWS: &str = include_str!("../select_rows.sql");

/// What the table and its indexes take, in bytes (BIGINT), and how many rows the server thinks that it has (BIGINT); NULL:
/// it does not know.
pub const SIZE: &str = "
    SELECT coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint,
           CASE WHEN bool_and(c.reltuples >= 0) THEN sum(c.reltuples)::bigint END
    FROM pg_catalog.pg_class c
    WHERE c.relkind <> 'p' AND (
        c.oid = 'tool_audit_events'::regclass
        OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree('tool_audit_events'::regclass))
    )";

/// How many rows the table has (BIGINT).
pub const COUNT: &str = "SELECT count(*) FROM tool_audit_events";

/// The times of the earliest and of the latest row (TEXT, in UTC with microseconds); NULL: there is none. Times that no event
/// can have do not count.
pub const SPAN: &str = r#"
    SELECT to_char(min(ts::timestamptz) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           to_char(max(ts::timestamptz) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    FROM tool_audit_events
    WHERE ts >= '0001-01-01T00:00:00Z' AND ts <= '9999-12-31T23:59:59.999999Z'"#;

/// Finds the time with which a window of the table ends, for reads in this order that go on in windows. Its parameters
/// are the first two of [`parameters`], the cursor (TEXT) and how many rows come before (BIGINT).
pub const fn window(order: Order) -> &'static str {
    match order {
        Order::OldestFirst => include_str!("../window_oldest.sql"),
        Order::NewestFirst => include_str!("../window_newest.sql"),
    }
}

/// Counts the matching rows with a time that no event can have. Its parameters are those of [`parameters`].
pub const COUNT_TIMELESS: &str = include_str!("../count_timeless.sql");

/// The statements of a text, each on one line and without comments.
pub(crate) fn of(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    let one_line = |statement: &str| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    code.join(" ").split(';').map(one_line).filter(|statement| !statement.is_empty()).collect()
}

/// Creates the table of the entries that the database refused, if there is none.
pub fn refused_table() -> String {
    of(SCHEMA).pop().unwrap_or_default()
}

/// The fields that reads are filtered by, in the order of the parameters from the third on.
const FILTERED: [Field; 10] = [
    Field::Tool,
    Field::AgentId,
    Field::WorkspaceId,
    Field::UserId,
    Field::Action,
    Field::Status,
    Field::ReqId,
    Field::GraphRunId,
    Field::GraphNode,
    Field::JobId,
];

/// The parameters of a read, all of the type TEXT; none is NULL. The times of the filter must be in UTC with
/// microseconds, as in the WIT.
pub fn parameters(filter: &Filter) -> Vec<Option<String>> {
    let text = |field| filter.texts.iter().find(|(known, _)| *known == field).map(|(_, text)| text.clone());
    let attributes = (!filter.attributes.is_empty()).then(|| {
        let pairs = filter.attributes.iter();
        let pairs: Vec<_> = pairs.map(|pair| json!({ "key": pair.key, "value": pair.value })).collect();
        Value::Array(pairs).to_string()
    });
    let times = [filter.from_ts.clone(), filter.to_ts.clone()];
    times.into_iter().chain(FILTERED.map(text)).chain([attributes]).collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn each_filtered_field_has_a_parameter() {
        assert!(Field::filtered().all(|field| FILTERED.contains(&field)));
        assert_eq!(parameters(&Filter::default()), vec![None; 13]);
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for (field, number) in FILTERED.iter().zip(3..) {
                assert!(select(order).contains(&format!("OR {} = ${number}", field.name())), "{field:?}");
            }
        }
    }

    #[test]
    fn rows_can_be_read_by_their_numbers() {
        let select = select_numbered();
        assert_eq!(select.matches("FROM tool_audit_events WHERE id = ANY ($16::bigint[])\n").count(), 1);
    }

    #[test]
    fn a_row_has_the_same_line_however_it_is_found() {
        let line = |sql: &'static str| {
            let (_, sql) = sql.split_once("\nSELECT\n").unwrap();
            sql.split_once(" AS line,").unwrap().0
        };
        let columns = |sql: &'static str| {
            let (_, sql) = sql.split_once("        found.*,").unwrap();
            let (made, rest) = sql.split_once("    ) AS absent,").unwrap();
            let (_, rest) = rest.split_once("    LATERAL (").unwrap();
            (made, rest.split_once("FROM tool_audit_events").unwrap().0)
        };
        for order in [Order::OldestFirst, Order::NewestFirst] {
            assert_eq!(line(SELECT_ROWS), line(select(order)));
            assert_eq!(columns(SELECT_ROWS), columns(select(order)));
        }
    }

    #[test]
    fn statements_are_taken_apart() {
        assert!(of(SCHEMA)[0].starts_with("CREATE TABLE tool_audit_events ( id BIGSERIAL PRIMARY KEY, ts"));
        assert!(refused_table().starts_with("CREATE TABLE IF NOT EXISTS tool_audit_refused ("));
        assert_eq!(of(UPGRADE).last(), of(SCHEMA).last());
    }
}
