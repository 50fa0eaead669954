//! Whether the database would take an event. It is asked, and nothing is tried.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_postgres::{Error, Row};

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::Failure;
use crate::database::link::{Lane, Link, within};
use crate::database::schema::may_not_upgrade;
use crate::database::table::{self, TABLE, Table};

/// The sequence of `id` is used without a privilege where it is an identity column.
const ASK: &str = "
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

/// What keeps the database from taking events; none: nothing that is known.
pub(super) async fn obstacle(link: &Arc<Link>) -> Result<Option<String>, SinkError> {
    let asked = async {
        let by = Instant::now() + link.timeout();
        let client = link.connection(Lane::Reads, by).await?;
        let ask = async {
            let table = Table::inspect(&client).await?;
            let row = client.query_typed_one(ASK, &[]).await?;
            let table_is_wrong = || table.problem().or_else(|| table.unwritable());
            Ok(server(&row)?.or_else(table_is_wrong).or(privilege(&row, &table)?))
        };
        within(by, link.timeout(), ask).await
    };
    asked.await.map_err(|failure: Failure| failure.tell(link.names()))
}

/// That nothing can be written at all.
fn server(row: &Row) -> Result<Option<String>, Error> {
    let (standby, read_only): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    let text = if standby {
        "the server is a standby, which only reads; name the primary in the database URL"
    } else if read_only {
        "transactions only read by default; set default_transaction_read_only to off for the role, the database or \
         the server"
    } else {
        return Ok(None);
    };
    Ok(Some(text.into()))
}

/// A privilege that is missing. A table that there is not is created with the first event.
fn privilege(row: &Row, table: &Table) -> Result<Option<String>, Error> {
    let (role, schema): (&str, Option<&str>) = (row.try_get(2)?, row.try_get(3)?);
    let granted = |column| Ok::<_, Error>(row.try_get::<_, Option<bool>>(column)? != Some(false));
    Ok(match schema {
        None if !table.exists() => Some(table::without_schema(&table.role)),
        Some(schema) if !table.exists() && !granted(4)? => Some(format!(
            "the table {TABLE} does not exist yet, and the user {role} may not create it in the schema {schema}; let \
             its owner run: GRANT CREATE ON SCHEMA {schema} TO {role}"
        )),
        _ if !granted(5)? || !granted(8)? => Some(format!(
            "the user {role} may not {} the table {TABLE}; let its owner run: GRANT SELECT, INSERT ON {TABLE} TO {role}",
            if granted(8)? { "insert into" } else { "read" }
        )),
        _ if !granted(7)? => {
            let name: &str = row.try_get(6)?;
            Some(format!(
                "the user {role} may not use the sequence {name}; let its owner run: GRANT USAGE ON SEQUENCE {name} TO \
                 {role}"
            ))
        }
        _ if granted(9)? => None,
        _ => table.lack().filter(|lack| !lack.only_speed).map(|lack| may_not_upgrade(table, &lack)),
    })
}
