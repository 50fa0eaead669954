//! Builds indexes on request, while others write and read.

use audit_format::event::Field;
use audit_sql::indexes::{self, Found, attach, build};
use audit_sql::schema::UPGRADE;
use deadpool_postgres::{ClientWrapper, Object};
use tokio::time::Instant;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::Failure;
use crate::database::link::Link;
use crate::database::pools::Lane;

/// Builds an index for each of the fields, unless the table has it, and returns what was added.
pub(super) async fn add(link: &Link, fields: &[Field]) -> Result<Vec<String>, SinkError> {
    let mut added = link.migrate().await?;
    let connected = link.pools().connection(Lane::Writes, Instant::now() + link.pools().timeout()).await;
    // Taken out of the pool for good, because its limits and its lock are those of the session.
    let client = Object::take(connected.map_err(|failure| link.sink_error(failure))?);
    let work = async {
        let limits = format!("SET statement_timeout = {}; SET lock_timeout = 0", UPGRADE.as_millis());
        client.batch_execute(&limits).await?;
        if !client.query_typed_one(&indexes::turn(), &[]).await?.try_get::<_, bool>(0)? {
            return Ok(false);
        }
        for field in fields {
            if add_one(&client, field.name()).await? {
                added.push(indexes::named(field.name()));
            }
        }
        Ok(true)
    };
    let done = link.pools().within(&client, Instant::now() + UPGRADE, UPGRADE, work).await;
    match done.map_err(Failure::of_nothing_stored) {
        Ok(true) => Ok(added),
        Ok(false) => {
            Err(SinkError::Unavailable("another program is building indexes; try again later".into()))
        }
        Err(failure) => Err(link.sink_error(failure)),
    }
}

/// Returns whether something was lacking.
async fn add_one(client: &ClientWrapper, column: &str) -> Result<bool, Error> {
    let built = build(&find(client, column).await?, column);
    for statement in &built {
        client.batch_execute(statement).await?;
    }
    let attached = attach(&find(client, column).await?);
    for statement in &attached {
        client.batch_execute(statement).await?;
    }
    Ok(!built.is_empty() || !attached.is_empty())
}

async fn find(client: &ClientWrapper, column: &str) -> Result<Vec<Found>, Error> {
    let rows = client.query_typed(indexes::FIND, &[(&column, Type::TEXT)]).await?;
    let found = rows.iter().map(|row| {
        Ok(Found {
            table: row.try_get(0)?,
            parent: row.try_get(1)?,
            is_partitioned: row.try_get(2)?,
            index: row.try_get(3)?,
            is_valid: row.try_get(4)?,
            is_attached: row.try_get(5)?,
        })
    });
    found.collect()
}
