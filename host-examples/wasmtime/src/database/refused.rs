//! Reads which entries the database has refused, for who checks a table: they explain holes in chains.

use audit_sql::statements;
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::server_error;
use crate::database::link::{Link, Statement};
use crate::database::pools::Lane;

pub(super) async fn of(link: &Link, chain: String) -> Result<Vec<u64>, SinkError> {
    link.run(&Reading { chain }).await.map_err(|failure| link.sink_error(failure))
}

struct Reading {
    chain: String,
}

impl Statement for Reading {
    type Output = Vec<u64>;
    const LANE: Lane = Lane::Reads;

    fn without_table(&self) -> Option<Self::Output> {
        Some(Vec::new())
    }

    async fn run(&self, client: &ClientWrapper, _prepares: bool) -> Result<Self::Output, Error> {
        match client.query_typed(statements::REFUSED_OF, &[(&self.chain, Type::TEXT)]).await {
            Ok(rows) => {
                let seqs = rows.iter().map(|row| row.try_get::<_, &str>(0).map(|seq| seq.parse().ok()));
                Ok(seqs.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
            }
            // Who may read the events alone knows nothing of those that were refused.
            Err(error) if error.as_db_error().is_some_and(|error| server_error(error).is_denied()) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}
