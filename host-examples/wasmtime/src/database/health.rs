//! Asks the database whether it would take an event.

use audit_sql::health::{ASK, Health};
use tokio::time::Instant;
use tokio_postgres::Error;

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::Failure;
use crate::database::link::Link;
use crate::database::pools::Lane;
use crate::database::schema::inspect;

/// What keeps the database from taking events. `None` if no obstacle is known.
pub(super) async fn obstacle(link: &Link) -> Result<Option<String>, SinkError> {
    let asked = async {
        let pools = link.pools();
        let by = Instant::now() + pools.timeout();
        let client = pools.connection(Lane::Reads, by).await?;
        let ask = async {
            let table = inspect(&client).await?;
            let row = client.query_typed_one(ASK, &[]).await?;
            let health = Health {
                is_standby: row.try_get(0)?,
                is_read_only: row.try_get(1)?,
                role: row.try_get(2)?,
                schema: row.try_get(3)?,
                may_create: row.try_get(4)?,
                not_insertable: row.try_get(5)?,
                sequence: row.try_get(6)?,
                may_use_sequence: row.try_get(7)?,
                not_readable: row.try_get(8)?,
                owns: row.try_get(9)?,
                has_partition_for_now: row.try_get(10)?,
            };
            Ok::<_, Error>(health.obstacle(&table))
        };
        pools.within(&client, by, pools.timeout(), ask).await
    };
    asked.await.map_err(|failure: Failure| link.sink_error(failure.of_nothing_stored()))
}
