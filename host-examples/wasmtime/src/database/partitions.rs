//! Makes the table one that is partitioned by day, and adds the partitions that it needs.

use audit_sql::column::TABLE;
use audit_sql::partitions::{self, PARTITION, Partitioned};
use audit_sql::schema::UPGRADE;
use deadpool_postgres::{ClientWrapper, Object};
use tokio::time::Instant;
use tokio_postgres::Error;

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::Failure;
use crate::database::link::Link;
use crate::database::pools::Lane;
use crate::database::schema::begin;

/// Partitions the table, whatever it was before, and returns what was added. Each day is a transaction of its own, so
/// that what is done stays, however the next one ends.
pub(super) async fn partition(link: &Link) -> Result<Vec<String>, SinkError> {
    let mut added = link.migrate().await?;
    let connected = link.pools().connection(Lane::Writes, Instant::now() + link.pools().timeout()).await;
    // Taken out of the pool for good: dropping the connection then also ends its transaction.
    let client = Object::take(connected.map_err(|failure| link.sink_error(failure))?);
    let by = Instant::now() + UPGRADE;
    let done = link.pools().within(&client, by, UPGRADE, add(&client, &mut added)).await;
    link.forget_table();
    match done {
        Ok(None) => Ok(added),
        Ok(Some(problem)) => Err(SinkError::Other(problem)),
        Err(failure) => Err(explained(link, failure.of_nothing_stored(), &added)),
    }
}

/// Does all of it. Returns a problem that keeps the table from being partitioned by day.
async fn add(client: &ClientWrapper, added: &mut Vec<String>) -> Result<Option<String>, Error> {
    let before = ask(client).await?;
    if let Some(problem) = before.problem() {
        return Ok(Some(problem));
    }
    if !before.is_partitioned {
        run(client, PARTITION).await?;
        added.push("the partitions by day".into());
    } else if before.default.is_none() {
        run(client, &before.add_default()).await?;
        added.push("the default partition".into());
    }
    let table = ask(client).await?;
    begin(client).await?;
    let days = client.query(&table.missing_days(), &[]).await?;
    client.batch_execute("COMMIT").await?;
    for row in days {
        let (day, next): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        run(client, &table.add_day(day, next)).await?;
        added.push(format!("the partition {}", partitions::partition_of(day)));
    }
    Ok(None)
}

async fn ask(client: &ClientWrapper) -> Result<Partitioned, Error> {
    let row = client.query_typed_one(partitions::ASK, &[]).await?;
    Ok(Partitioned {
        is_partitioned: row.try_get(0)?,
        schema: row.try_get(1)?,
        by: row.try_get(2)?,
        default: row.try_get(3)?,
        columns: row.try_get(4)?,
    })
}

/// Runs the statements in a transaction, one program at a time.
async fn run(client: &ClientWrapper, statements: &str) -> Result<(), Error> {
    begin(client).await?;
    client.batch_execute(statements).await?;
    client.batch_execute("COMMIT").await
}

/// The error with what it is about, and with what was done before.
fn explained(link: &Link, failure: Failure, added: &[String]) -> SinkError {
    let done = match added {
        [] => String::new(),
        added => format!(" (added before: {})", added.join(", ")),
    };
    let reason = failure.server().and_then(|error| match error.is_denied() {
        true => {
            Some("it takes the role that owns the table, and its schema; run it with that role".to_owned())
        }
        false => error.lasting(),
    });
    match reason {
        Some(reason) => SinkError::Other(format!("the table {TABLE} cannot be partitioned: {reason}{done}")),
        None => match link.sink_error(failure) {
            SinkError::Unavailable(text) => SinkError::Unavailable(text + &done),
            SinkError::Other(text) => SinkError::Other(text + &done),
            error @ (SinkError::Unanswered(_) | SinkError::NotConfigured) => error,
        },
    }
}
