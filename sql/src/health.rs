//! Whether the database would take an event. It is asked, and nothing is tried.

use crate::column::TABLE;
use crate::schema::may_not_upgrade;
use crate::table::{self, Table};

/// Asks what could keep the database from taking events: a row for [`Health`], in the order of its fields.
///
/// The sequence of `id` is used without a privilege where it is an identity column.
pub const ASK: &str = "
    SELECT pg_catalog.pg_is_in_recovery(),
           pg_catalog.current_setting('transaction_read_only')::boolean,
           pg_catalog.quote_ident(current_user),
           pg_catalog.quote_ident(current_schema()),
           pg_catalog.has_schema_privilege(current_schema(), 'CREATE'),
           pg_catalog.has_any_column_privilege(sought.oid, 'INSERT'),
           serial.name,
           pg_catalog.has_sequence_privilege(serial.name, 'USAGE, UPDATE'),
           pg_catalog.has_any_column_privilege(sought.oid, 'SELECT'),
           pg_catalog.pg_has_role((SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = sought.oid), 'USAGE')
    FROM (SELECT pg_catalog.to_regclass('tool_audit_events')::oid AS oid) sought
    LEFT JOIN LATERAL (
        SELECT pg_catalog.pg_get_serial_sequence('tool_audit_events', 'id') AS name
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = sought.oid AND a.attname = 'id' AND NOT a.attisdropped AND a.attidentity = ''
    ) serial ON true";

/// What the database answers to [`ASK`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the server is a standby.
    pub is_standby: bool,
    /// Whether transactions only read by default.
    pub is_read_only: bool,
    /// Who asks, in quotes where SQL needs them.
    pub role: String,
    /// The schema in which a table would be created.
    pub schema: Option<String>,
    /// Whether the role may create a table there.
    pub may_create: Option<bool>,
    /// Whether it may insert into the table.
    pub may_insert: Option<bool>,
    /// The sequence that numbers the rows, where using it takes a privilege.
    pub sequence: Option<String>,
    /// Whether the role may use that.
    pub may_use_sequence: Option<bool>,
    /// Whether it may read the table.
    pub may_select: Option<bool>,
    /// Whether it owns the table.
    pub owns: Option<bool>,
}

impl Health {
    /// What keeps the database from taking events, with what to do about it; none: nothing that is known.
    pub fn obstacle(&self, table: &Table) -> Option<String> {
        self.server()
            .or_else(|| table.problem())
            .or_else(|| table.unwritable())
            .or_else(|| self.privilege(table))
    }

    /// That nothing can be written at all.
    fn server(&self) -> Option<String> {
        let text = if self.is_standby {
            "the server is a standby, which only reads; name the primary in the database URL"
        } else if self.is_read_only {
            "transactions only read by default; set default_transaction_read_only to off for the role, the database or \
             the server"
        } else {
            return None;
        };
        Some(text.into())
    }

    /// A privilege that is missing. A table that there is not is created with the first event.
    fn privilege(&self, table: &Table) -> Option<String> {
        let role = &self.role;
        let denied = |granted: Option<bool>| granted == Some(false);
        match &self.schema {
            None if !table.exists() => Some(table::without_schema(&table.role)),
            Some(schema) if !table.exists() && denied(self.may_create) => Some(format!(
                "the table {TABLE} does not exist yet, and the user {role} may not create it in the schema {schema}; \
                 let its owner run: GRANT CREATE ON SCHEMA {schema} TO {role}"
            )),
            _ if denied(self.may_insert) || denied(self.may_select) => Some(format!(
                "the user {role} may not {} the table {TABLE}; let its owner run: GRANT SELECT, INSERT ON {TABLE} TO \
                 {role}",
                if denied(self.may_select) { "read" } else { "insert into" }
            )),
            _ if denied(self.may_use_sequence) => {
                let name = self.sequence.as_deref().unwrap_or_default();
                Some(format!(
                    "the user {role} may not use the sequence {name}; let its owner run: GRANT USAGE ON SEQUENCE \
                     {name} TO {role}"
                ))
            }
            _ if !denied(self.owns) => None,
            _ => table.lack().filter(|lack| !lack.only_speed).map(|lack| may_not_upgrade(table, &lack)),
        }
    }
}
