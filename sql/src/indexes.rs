//! Indexes on request, for the fields that reads filter by: the statements that build them while others write.

use crate::column::TABLE;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The query for the indexes on a column and `ts`, of the table and of its partitions, the partitions first. Its
/// parameter is the name of the column (TEXT). It returns the fields of [`Found`] in their order.
pub const FIND: &str = "
    WITH RECURSIVE tree (oid, parent, level) AS (
        SELECT 'tool_audit_events'::regclass::oid, NULL::oid, 0
        UNION ALL
        SELECT i.inhrelid, i.inhparent, tree.level + 1
        FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid
        JOIN pg_catalog.pg_class p ON p.oid = tree.oid AND p.relkind = 'p'
    )
    SELECT tree.oid::regclass::text, tree.parent::regclass::text, c.relkind = 'p',
           built.name, coalesce(built.is_valid, false), coalesce(built.is_attached, false)
    FROM tree
    JOIN pg_catalog.pg_class c ON c.oid = tree.oid
    LEFT JOIN LATERAL (
        SELECT i.indexrelid::regclass::text AS name, i.indisvalid AS is_valid,
               EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid) AS is_attached
        FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree'
        WHERE i.indrelid = tree.oid AND i.indpred IS NULL AND NOT i.indisunique AND i.indnkeyatts = 2
            AND pg_catalog.pg_get_indexdef(i.indexrelid, 1, false) = $1
            AND pg_catalog.pg_get_indexdef(i.indexrelid, 2, false) = 'ts'
        ORDER BY i.indisvalid DESC, is_attached DESC
        LIMIT 1
    ) AS built ON true
    ORDER BY tree.level DESC, 1";

/// A table, or a partition, and its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The table, as an SQL name.
    pub table: String,
    /// What it is a partition of.
    pub parent: Option<String>,
    /// Whether it has partitions itself.
    pub is_partitioned: bool,
    /// The index, as an SQL name.
    pub index: Option<String>,
    /// Whether the index is complete.
    pub is_valid: bool,
    /// Whether it is a part of the parent's index.
    pub is_attached: bool,
}

/// The statements that build the missing indexes, each to be run outside of a transaction: an incomplete one, which an
/// interrupted run has left, is dropped first.
pub fn build(found: &[Found], column: &str) -> Vec<String> {
    // A partition that somebody adds meanwhile gets the index of the whole.
    let whole = found.iter().filter(|found| found.is_partitioned && found.index.is_none());
    let whole = whole.map(|found| format!("CREATE INDEX ON ONLY {} ({column}, ts)", found.table));
    let mut statements: Vec<String> = whole.collect();
    for Found { table, index, .. } in found.iter().filter(|found| !found.is_partitioned && !found.is_valid) {
        statements.extend(index.iter().map(|index| format!("DROP INDEX CONCURRENTLY {index}")));
        statements.push(format!("CREATE INDEX CONCURRENTLY ON {table} ({column}, ts)"));
    }
    statements
}

/// The statements that make the indexes of partitions parts of the table's, once all are built. That one is valid then.
pub fn attach(found: &[Found]) -> Vec<String> {
    let index_of = |table: &String| found.iter().find(|other| other.table == *table)?.index.as_ref();
    let statement = |part: &Found| {
        let (index, whole) = (part.index.as_ref()?, index_of(part.parent.as_ref()?)?);
        (!part.is_attached).then(|| format!("ALTER INDEX {whole} ATTACH PARTITION {index}"))
    };
    found.iter().filter_map(statement).collect()
}

/// The advisory lock by which sessions take turns: `audit-ix` in ASCII, which no other program is likely to use.
const ADVISORY_LOCK: i64 = 0x61_75_64_69_74_2d_69_78;

/// Takes the turn for building indexes, for the session. It returns whether no other session has it: to wait for that
/// one would hold it up, because it waits for all statements.
pub fn turn() -> String {
    format!("SELECT pg_catalog.pg_try_advisory_lock({ADVISORY_LOCK})")
}

/// What an index is called in messages.
pub fn named(column: &str) -> String {
    format!("the index on ({column}, ts) of {TABLE}")
}
