//! Whether the database would accept events: found out by a query, without writing anything.

use crate::column::{TABLE, is_written};
use crate::schema::may_not_upgrade;
use crate::table::{self, Table};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The query for what could keep the database from accepting events. It returns one row, with the fields of
/// [`Health`] in their order.
///
/// No sequence is returned if `id` is an identity column, because using that takes no privilege.
pub const ASK: &str = "
    SELECT pg_catalog.pg_is_in_recovery(),
           pg_catalog.current_setting('transaction_read_only')::boolean,
           pg_catalog.quote_ident(current_user),
           pg_catalog.quote_ident(current_schema()),
           pg_catalog.has_schema_privilege(current_schema(), 'CREATE'),
           ARRAY(
               SELECT a.attname::text FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = named.oid AND a.attnum > 0 AND NOT a.attisdropped
                   AND NOT pg_catalog.has_column_privilege(named.oid, a.attnum, 'INSERT')
               ORDER BY a.attnum
           ),
           serial.name,
           pg_catalog.has_sequence_privilege(serial.name, 'USAGE, UPDATE'),
           ARRAY(
               SELECT a.attname::text FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = named.oid AND a.attnum > 0 AND NOT a.attisdropped
                   AND NOT pg_catalog.has_column_privilege(named.oid, a.attnum, 'SELECT')
               ORDER BY a.attnum
           ),
           pg_catalog.pg_has_role(
               (SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = named.oid), 'USAGE'
           ),
           (
               SELECT EXISTS (
                   SELECT FROM pg_catalog.pg_inherits i
                   JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
                   CROSS JOIN LATERAL pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
                   LEFT JOIN LATERAL regexp_match(bound, '^FOR VALUES FROM [(](.*)[)] TO [(](.*)[)]$') AS r ON true
                   WHERE i.inhparent = p.partrelid AND (bound = 'DEFAULT'
                       OR (r[1] = 'MINVALUE' OR btrim(nullif(r[1], 'MINVALUE'), chr(39))::timestamptz <= now())
                           AND (r[2] = 'MAXVALUE' OR btrim(nullif(r[2], 'MAXVALUE'), chr(39))::timestamptz > now()))
               )
               FROM pg_catalog.pg_partitioned_table p
               WHERE p.partrelid = named.oid AND pg_catalog.pg_get_partkeydef(p.partrelid) = 'RANGE (ts)'
           )
    FROM (SELECT pg_catalog.to_regclass('tool_audit_events')::oid AS oid) named
    LEFT JOIN LATERAL (
        SELECT pg_catalog.pg_get_serial_sequence('tool_audit_events', 'id') AS name
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = named.oid AND a.attname = 'id' AND NOT a.attisdropped AND a.attidentity = ''
    ) serial ON true";

/// The row that [`ASK`] returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the server is a standby.
    pub is_standby: bool,
    /// Whether transactions are read-only by default.
    pub is_read_only: bool,
    /// The current role, quoted as an SQL identifier if necessary.
    pub role: String,
    /// The schema in which a table would be created.
    pub schema: Option<String>,
    /// Whether the role may create a table in the schema.
    pub may_create: Option<bool>,
    /// The columns of the table that the role may not insert values into.
    pub not_insertable: Vec<String>,
    /// The sequence that numbers the rows, if using it takes a privilege.
    pub sequence: Option<String>,
    /// Whether the role may use the sequence.
    pub may_use_sequence: Option<bool>,
    /// The columns of the table that the role may not read.
    pub not_readable: Vec<String>,
    /// Whether the role owns the table.
    pub owns: Option<bool>,
    /// Whether there is a partition for events of this instant, if the table is partitioned by ranges of `ts`.
    pub has_partition_for_now: Option<bool>,
}

impl Health {
    /// What keeps the database from accepting events, and what to do about it; none: nothing that is known.
    pub fn obstacle(&self, table: &Table) -> Option<String> {
        self.server()
            .or_else(|| table.problem())
            .or_else(|| table.unwritable())
            .or_else(|| self.partition())
            .or_else(|| self.privilege(table))
    }

    /// Why the server accepts no writes at all.
    fn server(&self) -> Option<String> {
        let text = if self.is_standby {
            "the server is a standby, which is read-only; name the primary in the database URL"
        } else if self.is_read_only {
            "transactions are read-only by default; set default_transaction_read_only to off for the role, \
             the database or the server"
        } else {
            return None;
        };
        Some(text.into())
    }

    /// The missing partition for the events of this instant.
    fn partition(&self) -> Option<String> {
        (self.has_partition_for_now == Some(false)).then(|| {
            format!(
                "the table {TABLE} has no partition for the events of today, and no default partition; let its owner run \
                 `audit migrate --partitioned`, or: CREATE TABLE {TABLE}_default PARTITION OF {TABLE} DEFAULT"
            )
        })
    }

    /// A column that an insert needs and that the role may not use. A writer reads the key alone.
    fn column_denied(&self, table: &Table) -> Option<String> {
        let role = &self.role;
        let key = table.key().unwrap_or_default();
        let unread = self.not_readable.iter().find(|column| key.has(column));
        let unwritten = self.not_insertable.iter().find(|column| is_written(column));
        let (does, column) =
            unread.map(|column| ("read", column)).or(unwritten.map(|column| ("insert into", column)))?;
        Some(format!(
            "the user {role} may not {does} the column {column} of the table {TABLE}; a user that only writes needs \
             INSERT and SELECT ({}), and one that reads too SELECT on all columns; let its owner run: GRANT SELECT, \
             INSERT ON {TABLE} TO {role}",
            key.columns()
        ))
    }

    /// A missing privilege. A table that does not exist yet is created with the first event.
    fn privilege(&self, table: &Table) -> Option<String> {
        let role = &self.role;
        let denied = |granted: Option<bool>| granted == Some(false);
        match &self.schema {
            None if !table.exists() => Some(table::without_schema(&table.role)),
            Some(schema) if !table.exists() && denied(self.may_create) => Some(format!(
                "the table {TABLE} does not exist yet, and the user {role} may not create it in the schema \
                 {schema}; let its owner run: GRANT CREATE ON SCHEMA {schema} TO {role}"
            )),
            _ if let Some(denied) = self.column_denied(table) => Some(denied),
            _ if denied(self.may_use_sequence) => {
                let name = self.sequence.as_deref().unwrap_or_default();
                Some(format!(
                    "the user {role} may not use the sequence {name}; let its owner run: GRANT USAGE ON \
                     SEQUENCE {name} TO {role}"
                ))
            }
            _ if !denied(self.owns) => None,
            _ => table.lack().filter(|lack| !lack.only_speed).map(|lack| may_not_upgrade(table, &lack)),
        }
    }
}
