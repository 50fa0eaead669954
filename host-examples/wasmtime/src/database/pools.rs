//! The connection pools.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use audit_sql::failure::Names;
use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Config, Error};

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::Failure;
use crate::database::hosts::InTurn;
use crate::database::tls::Connector;
use crate::database::url::Target;

/// The most connections of a pool. More than one, because several stores may share a database.
const CONNECTIONS: usize = 4;

/// Which pool a statement uses. Writes and reads have pools of their own, because the server ends their
/// statements after different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Writes,
    Reads,
}

/// The two pools, and how long connecting and statements may take.
pub(super) struct Pools {
    writes: Pool,
    reads: Pool,
    names: Names,
    timeout: Duration,
    read_timeout: Duration,
}

impl Pools {
    pub(super) fn new(target: Target, timeout: Duration, read_timeout: Duration) -> Result<Self, String> {
        let Target { config, connector, names } = target;
        let lane = |time, recycling| {
            pool(config.clone(), connector.clone(), time, recycling).map_err(|error| error.to_string())
        };
        let writes = lane(timeout, RecyclingMethod::Fast)?;
        // A read may take longer. So that a server that hangs does not get that longer time, the pool first
        // verifies each connection, within the shorter one.
        let reads = lane(read_timeout, RecyclingMethod::Verified)?;
        Ok(Self { writes, reads, names, timeout, read_timeout })
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// An idle connection of the pool, or a new one.
    pub(super) async fn connection(&self, lane: Lane, by: Instant) -> Result<Object, Failure> {
        let connection = timeout_at(by, self.lane(lane).get()).await;
        connection.map_err(|_| Failure::TimedOut(self.timeout))?.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                Failure::Connection(error)
            }
            error => Failure::Known(SinkError::Other(error.to_string())),
        })
    }

    /// Closes the idle connections of the pool.
    pub(super) fn clear(&self, lane: Lane) {
        self.lane(lane).retain(|_, _| false);
    }

    fn lane(&self, lane: Lane) -> &Pool {
        match lane {
            Lane::Writes => &self.writes,
            Lane::Reads => &self.reads,
        }
    }

    /// How long connecting and a statement that writes may take together.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long the statement of a read may take.
    pub(super) fn read_timeout(&self) -> Duration {
        self.read_timeout
    }
}

/// Does `work` until the deadline `by`. `time` is the time it was given, for the error.
pub(super) async fn within<T>(
    by: Instant,
    time: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failure> {
    match timeout_at(by, work).await {
        Ok(answer) => answer.map_err(Failure::Statement),
        Err(_) => Err(Failure::TimedOut(time)),
    }
}

fn pool(
    config: Config,
    connector: Connector,
    time: Duration,
    recycling_method: RecyclingMethod,
) -> Result<Pool, deadpool_postgres::BuildError> {
    let manager = ManagerConfig { recycling_method };
    let manager = Manager::from_connect(config, InTurn::new(connector), manager);
    let millis = time.as_millis().clamp(1, i32::MAX as u128);
    // The server itself ends statements that nobody waits for any more. A time without an offset, in the table of another
    // program, is in UTC. A prepared statement is planned for the table as it is by then, which may have grown since.
    let limits: Arc<str> = format!(
        "SET statement_timeout = {millis}; SET lock_timeout = {millis}; SET TimeZone = 'UTC'; \
         SET plan_cache_mode = force_custom_plan"
    )
    .into();
    let limit = Hook::async_fn(move |client: &mut ClientWrapper, _| {
        let limits = Arc::clone(&limits);
        Box::pin(async move { client.batch_execute(&limits).await.map_err(HookError::Backend) })
    });
    Pool::builder(manager).max_size(CONNECTIONS).post_create(limit).build()
}
