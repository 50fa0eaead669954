//! The table, where a statement does not find it as it needs it: it is inspected, and created or upgraded. A host that has no
//! transactions does that with one statement.

use alloc::format;
use alloc::string::String;
use alloc::vec::IntoIter;

use audit_sql::column::TABLE;
use audit_sql::key::Key;
use audit_sql::schema::{self, upgrade_at_once};
use audit_sql::table::{INSPECT, Inspected, Table};

use crate::address::Address;
use crate::failure::{Error, of_nothing_stored};
use crate::link::{Connection, Fault, Value};

/// Creates the table, or adds what it lacks, and returns its key.
pub fn prepare(connection: &impl Connection, address: &Address) -> Result<Key, Error> {
    let failed = |fault: Fault| of_nothing_stored(&fault, address);
    let table = inspect(connection).map_err(failed)?;
    if let Some(problem) = table.problem().or_else(|| table.unwritable()) {
        return Err(Error::Other(problem));
    }
    if let Some(lack) = table.lack()
        && let Err(fault) = connection.execute(&upgrade_at_once(&lack), &[])
    {
        // Another instance may have added it meanwhile.
        let lacks_still = inspect(connection).map_err(failed)?.lack();
        let server = fault.server();
        let is_dispensable = server.is_some_and(|error| schema::is_dispensable(&lack, &error));
        if lacks_still.is_some() && !is_dispensable {
            let error = failed(fault.clone());
            let is_slow = server.is_some_and(|error| error.is_cancelled());
            if is_slow {
                return Err(Error::Other(too_slow(&table)));
            }
            let explained = server.and_then(|error| schema::explain(&error, &table, &lack));
            return Err(explained.map_or(error, Error::Other));
        }
    }
    table.key().map_err(Error::Other)
}

fn too_slow(table: &Table) -> String {
    format!(
        "the table {TABLE} in the schema \"{}\" has to be upgraded, which takes longer than a statement may; let the \
         program do it: audit migrate",
        table.schema
    )
}

fn inspect(connection: &impl Connection) -> Result<Table, Fault> {
    let row = connection.query(INSPECT, &[])?.into_iter().next().unwrap_or_default();
    let mut row = row.into_iter();
    let text = |row: &mut IntoIter<Value>| row.next().and_then(Value::into_text);
    let texts = |row: &mut IntoIter<Value>| row.next().map(Value::into_texts).unwrap_or_default();
    Ok(Table::new(Inspected {
        role: text(&mut row).unwrap_or_default(),
        schema: text(&mut row).unwrap_or_default(),
        kind: text(&mut row),
        columns: texts(&mut row),
        indexes: texts(&mut row),
        partitioned_by: texts(&mut row),
        foreign_partition: text(&mut row),
        unpoliced: texts(&mut row),
        rule: text(&mut row),
    }))
}
