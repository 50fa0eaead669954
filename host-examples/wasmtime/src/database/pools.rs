//! The connection pools.

use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_postgres::{Client, Error};

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::Failure;
use crate::database::hosts::InTurn;
use crate::database::servers::Servers;
use crate::database::session::{Asked, Session};
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

/// How long a statement that took too long is given to be cancelled, beyond its own time.
const CANCEL: Duration = Duration::from_millis(500);

/// How long to wait before a server that has no connection left is asked for one again, in milliseconds. At random, so
/// that those who wait do not all ask at once.
const CROWDED: Range<u64> = 10..50;

/// The two pools, and how long connecting and statements may take.
pub(super) struct Pools {
    writes: Pool,
    reads: Pool,
    connector: Connector,
    servers: Arc<Servers>,
    timeout: Duration,
    read_timeout: Duration,
}

impl Pools {
    pub(super) fn new(target: Target, timeout: Duration, read_timeout: Duration) -> Result<Self, String> {
        let Target { config, connector, servers, passwords } = target;
        let (servers, asked) = (Arc::new(servers), Asked::of(&config).map(Arc::new));
        let in_turn = InTurn::new(connector.clone(), Arc::clone(&servers), passwords.of_hosts);
        let lane = |time, lock_time, recycling_method| {
            let manager = ManagerConfig { recycling_method };
            let manager = Manager::from_connect(config.clone(), in_turn.clone(), manager);
            pool(manager, time, lock_time, asked.clone()).map_err(|error| error.to_string())
        };
        let writes = lane(timeout, timeout, RecyclingMethod::Fast)?;
        // A read may take longer. So that a server that hangs does not get that longer time, the pool first
        // verifies each connection, within the shorter one. A page takes more than one statement: where the first takes
        // too long, the others need time too. The wait for a lock is shorter, which tells a table that is locked from a
        // statement that takes long.
        let of_statement = read_timeout / 5 * 2;
        let reads = lane(of_statement, of_statement / 10 * 9, RecyclingMethod::Verified)?;
        Ok(Self { writes, reads, connector, servers, timeout, read_timeout })
    }

    pub(super) fn servers(&self) -> &Servers {
        &self.servers
    }

    /// An idle connection of the pool, or a new one. Where the server has none left, others may end theirs in time.
    pub(super) async fn connection(&self, lane: Lane, by: Instant) -> Result<Object, Failure> {
        loop {
            let connection = timeout_at(by, self.lane(lane).get()).await;
            let failure = match connection.map_err(|_| Failure::TimedOut(self.timeout))? {
                Ok(connection) => return Ok(connection),
                Err(PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error))) => {
                    Failure::Connection(error)
                }
                Err(PoolError::PostCreateHook(HookError::Message(text))) => {
                    Failure::Known(SinkError::Other(text.into_owned()))
                }
                Err(error) => Failure::Known(SinkError::Other(error.to_string())),
            };
            let again = Instant::now() + at_random(CROWDED);
            if again >= by || !failure.server().is_some_and(|error| error.is_crowded()) {
                return Err(failure);
            }
            sleep_until(again).await;
        }
    }

    /// Does `work` on the connection until the deadline `by`. `time` is the time it was given, for the error. A statement
    /// that takes longer is cancelled, whatever it waits for: else it would keep its session on the server after the
    /// connection is closed, as one does that waits for a standby. [`Failure::Unanswered`] if it may have been executed.
    pub(super) async fn within<T>(
        &self,
        client: &Client,
        by: Instant,
        time: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        if let Ok(answer) = timeout_at(by, &mut work).await {
            return answer.map_err(Failure::Statement);
        }
        let cancelled = timeout(CANCEL, async {
            let sent = client.cancel_token().cancel_query(self.connector.clone()).await;
            // Only an error says for sure that nothing was stored: a statement that no longer waits for a standby has been
            // executed.
            sent.is_ok() && work.await.is_err_and(|error| error.as_db_error().is_some())
        });
        let failure = Failure::TimedOut(time);
        Err(if cancelled.await == Ok(true) { failure } else { failure.unanswered() })
    }

    /// Closes the idle connections of the pool.
    pub(super) fn clear(&self, lane: Lane) {
        self.lane(lane).retain(|_, _| false);
    }

    /// Closes the idle connections of the pool that nobody has used.
    pub(super) fn close_unused(&self, lane: Lane) {
        self.lane(lane).retain(|_, metrics| metrics.recycle_count > 0);
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

/// So many milliseconds, or any number between.
pub(super) fn at_random(millis: Range<u64>) -> Duration {
    let random = RandomState::new().hash_one(());
    Duration::from_millis(millis.start + random % (millis.end - millis.start))
}

fn pool(
    manager: Manager,
    time: Duration,
    lock_time: Duration,
    asked: Option<Arc<Asked>>,
) -> Result<Pool, deadpool_postgres::BuildError> {
    let session = Session::new(time, lock_time, asked);
    let begin = Hook::async_fn(move |client: &mut ClientWrapper, _| {
        let session = session.clone();
        Box::pin(async move { session.begin(client).await })
    });
    Pool::builder(manager).max_size(CONNECTIONS).post_create(begin).build()
}
