//! Whether the database would take an event. It is asked, and nothing is tried.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_postgres::Row;

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::Failure;
use crate::database::link::{Lane, Link, within};
use crate::database::table::TABLE;

/// A table that is missing is created with the first event; of one that there is, the sequence of `id` is used
/// without a privilege where it is an identity column.
const ASK: &str = "
    SELECT pg_catalog.pg_is_in_recovery(),
           pg_catalog.current_setting('transaction_read_only')::boolean,
           pg_catalog.quote_ident(current_user),
           pg_catalog.quote_ident(coalesce(current_schema(), '')),
           coalesce(pg_catalog.has_schema_privilege(current_schema(), 'CREATE'), false),
           sought.oid IS NULL,
           pg_catalog.has_any_column_privilege(sought.oid, 'INSERT'),
           serial.name,
           pg_catalog.has_sequence_privilege(serial.name, 'USAGE, UPDATE')
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
        // A connection of reads is there after one.
        let client = link.connection(Lane::Reads, by).await?;
        let row = within(by, link.timeout(), client.query_typed_one(ASK, &[])).await?;
        obstacle_in(&row).map_err(Failure::from)
    };
    asked.await.map_err(|failure| failure.tell(link.names()))
}

fn obstacle_in(row: &Row) -> Result<Option<String>, tokio_postgres::Error> {
    let (standby, read_only): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    if standby {
        return Ok(Some(
            "the server is a standby, which only reads; name the primary in the database URL".into(),
        ));
    }
    if read_only {
        let text = "transactions only read by default; set default_transaction_read_only to off for the role, the \
                    database or the server";
        return Ok(Some(text.into()));
    }
    let (role, schema): (String, String) = (row.try_get(2)?, row.try_get(3)?);
    let (may_create, missing): (bool, bool) = (row.try_get(4)?, row.try_get(5)?);
    if missing {
        let text = format!(
            "the table {TABLE} does not exist yet, and the user {role} may not create it in the schema {schema}; let \
             its owner run: GRANT CREATE ON SCHEMA {schema} TO {role}"
        );
        return Ok((!may_create).then_some(text));
    }
    let (insert, sequence): (Option<bool>, Option<bool>) = (row.try_get(6)?, row.try_get(8)?);
    if insert == Some(false) {
        let text = format!(
            "the user {role} may not insert into the table {TABLE}; let its owner run: GRANT SELECT, INSERT ON {TABLE} \
             TO {role}"
        );
        return Ok(Some(text));
    }
    if sequence == Some(false) {
        let name: String = row.try_get(7)?;
        let text = format!(
            "the user {role} may not use the sequence {name}; let its owner run: GRANT USAGE ON SEQUENCE {name} TO {role}"
        );
        return Ok(Some(text));
    }
    Ok(None)
}
