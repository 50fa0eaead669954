//! A table that is partitioned by day: the statements that make it, and that add the days that are needed.

use crate::column::TABLE;
use alloc::format;
use alloc::string::String;

/// Makes the table a partitioned one. One statement, for a transaction that [`begin`](crate::schema::begin) has begun.
pub const PARTITION: &str = include_str!("../partition.sql");

/// The query for how the table is partitioned. It returns one row, with the fields of [`Partitioned`] in their order.
pub const ASK: &str = "
    SELECT c.relkind = 'p',
           pg_catalog.quote_ident(n.nspname),
           coalesce(pg_catalog.pg_get_partkeydef(c.oid), ''),
           (
               SELECT i.inhrelid::regclass::text
               FROM pg_catalog.pg_inherits i
               JOIN pg_catalog.pg_class d ON d.oid = i.inhrelid
               WHERE i.inhparent = c.oid AND pg_catalog.pg_get_expr(d.relpartbound, d.oid) = 'DEFAULT'
           ),
           (
               SELECT string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
               FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
           )
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = 'tool_audit_events'::regclass";

/// How the table is partitioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitioned {
    /// Whether it is.
    pub is_partitioned: bool,
    /// The table's schema, quoted as an SQL identifier if necessary.
    pub schema: String,
    /// The partition key, such as `RANGE (ts)`.
    pub by: String,
    /// The default partition, as an SQL name.
    pub default: Option<String>,
    /// The columns that can be written, as SQL.
    pub columns: String,
}

impl Partitioned {
    /// Why the table can have no partitions of days, and what to do about it.
    pub fn problem(&self) -> Option<String> {
        (self.is_partitioned && self.by != "RANGE (ts)").then(|| {
            format!(
                "the table {TABLE} is partitioned by {}; accepted is a table that is partitioned by RANGE (ts), or one \
                 without partitions",
                self.by
            )
        })
    }

    /// The statement that adds a default partition.
    pub fn add_default(&self) -> String {
        let schema = &self.schema;
        format!("CREATE TABLE {schema}.{TABLE}_default PARTITION OF {schema}.{TABLE} DEFAULT")
    }

    /// The query for the days that need a partition. It returns each day, and the day after it.
    pub fn missing_days(&self) -> String {
        let default = format!("{}.{TABLE}_default", self.schema);
        let default = self.default.as_ref().unwrap_or(&default);
        include_str!("../missing_days.sql").replace("tool_audit_events_default", default)
    }

    /// The statements that add the partition of a day, and move the rows of the day to it.
    ///
    /// Writers wait for the lock on the table: one that waited for the lock on the default partition would be told that
    /// its row does not belong there any more.
    pub fn add_day(&self, day: &str, next: &str) -> String {
        let Self { schema, columns, .. } = self;
        let name = partition_of(day);
        let (table, partition) = (format!("{schema}.{TABLE}"), format!("{schema}.{name}"));
        let (first, end) = (format!("'{day} 00:00:00Z'"), format!("'{next} 00:00:00Z'"));
        let moved = self.default.as_ref().map(|default| {
            format!(
                "WITH moved AS (DELETE FROM {default} WHERE ts >= {first} AND ts < {end} RETURNING *) INSERT INTO \
                 {partition} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM moved ORDER BY id; "
            )
        });
        format!(
            "LOCK TABLE ONLY {table} IN SHARE ROW EXCLUSIVE MODE; CREATE TABLE {partition} (LIKE {table} INCLUDING \
             DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED); {}ALTER TABLE {table} ATTACH PARTITION {partition} \
             FOR VALUES FROM ({first}) TO ({end})",
            moved.unwrap_or_default()
        )
    }
}

/// The name of the partition of a day, such as `tool_audit_events_2026_11_23`.
pub fn partition_of(day: &str) -> String {
    format!("{TABLE}_{}", day.replace('-', "_"))
}
