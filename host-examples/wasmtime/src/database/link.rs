//! The way to the server: the pooled connections, and a statement with its time on one of them. What the server
//! answers too late, or on a connection that broke, never meets the next statement.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Config, Error};

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::{Failure, Names};
use crate::database::hosts::InTurn;
use crate::database::schema::Schema;
use crate::database::tls::Connector;
use crate::database::url::Target;

/// The most connections a lane has: several stores may share a database.
const CONNECTIONS: usize = 4;

/// A connection that was used so often keeps its statement prepared, which saves a sixth of the time of a small batch.
/// Behind a pooler, which may put another session behind it each time, a program that ends soon leaves nothing there.
const PREPARES_AFTER: usize = 8;

/// A statement on the table.
pub(super) trait Statement: Sync {
    type Output: Send;
    const LANE: Lane;

    /// What it comes to where there is no table; none: one is created.
    fn without_table(&self) -> Option<Self::Output>;

    /// Carries it out, on a connection with the table; `prepares`: the session may keep what it is prepared as.
    fn run(
        &self,
        client: &ClientWrapper,
        prepares: bool,
    ) -> impl Future<Output = Result<Self::Output, Error>> + Send;
}

/// The connections for writing and those for reading are not the same: the server ends statements of each after
/// another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Writes,
    Reads,
}

/// The way to the server.
pub(super) struct Link {
    writes: Pool,
    reads: Pool,
    names: Names,
    timeout: Duration,
    read_timeout: Duration,
    schema: Schema,
    /// Whether other clients turned out to use the same sessions.
    shares_sessions: AtomicBool,
}

impl Link {
    pub(super) fn new(target: Target, timeout: Duration, read_timeout: Duration) -> Result<Self, String> {
        let Target { config, connector, names } = target;
        let lane = |time, recycling| {
            pool(config.clone(), connector.clone(), time, recycling).map_err(|error| error.to_string())
        };
        let writes = lane(timeout, RecyclingMethod::Fast)?;
        // A server that hangs does not get the longer time of a read: it has to answer something before.
        let reads = lane(read_timeout, RecyclingMethod::Verified)?;
        Ok(Self {
            writes,
            reads,
            names,
            timeout,
            read_timeout,
            schema: Schema::default(),
            shares_sessions: AtomicBool::new(false),
        })
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn server(&self) -> &str {
        &self.names.server
    }

    /// Carries the statement out. What a restart of the server or a change of the table has spoilt is done once
    /// more, within the same time.
    pub(super) async fn run<S: Statement>(self: &Arc<Self>, statement: &S) -> Result<S::Output, Failure> {
        let mut time = Time::new(self.timeout, (S::LANE == Lane::Reads).then_some(self.read_timeout));
        match self.attempt(statement, &mut time).await {
            Err(Attempt::Stale(_)) => drop(self.lane(S::LANE).retain(|_, _| false)),
            Err(Attempt::Failed(failure)) if failure.lacks_table() => self.schema.forget(),
            answer => return answer.map_err(Attempt::failure),
        }
        self.attempt(statement, &mut time).await.map_err(Attempt::failure)
    }

    async fn attempt<S: Statement>(
        self: &Arc<Self>,
        statement: &S,
        time: &mut Time,
    ) -> Result<S::Output, Attempt> {
        self.schema.wait(time.connect_by).await?;
        let client = self.connection(S::LANE, time.connect_by).await?;
        let used = Object::metrics(&client).recycle_count;
        let prepares = used >= PREPARES_AFTER && !self.shares_sessions.load(Ordering::Relaxed);
        let without = statement.without_table();
        let ensured = self.schema.ensure(self, &client, time.connect_by, without.is_none()).await;
        let answer = match (ensured, without) {
            (Ok(false), Some(answer)) => Ok(answer),
            (Ok(_), _) => {
                within(time.statement_by(), time.of_statement, statement.run(&client, prepares)).await
            }
            (Err(failure), _) => Err(failure),
        };
        answer.map_err(|failure| {
            if prepares && failure.meets_another_session() {
                self.shares_sessions.store(true, Ordering::Relaxed);
                return Attempt::Stale(failure);
            }
            if !failure.ends_connection() {
                return Attempt::Failed(failure);
            }
            drop(Object::take(client));
            match failure {
                Failure::Postgres(_) if used > 0 => Attempt::Stale(failure),
                failure => Attempt::Failed(failure),
            }
        })
    }

    /// A pooled connection, else a new one.
    pub(super) async fn connection(&self, lane: Lane, by: Instant) -> Result<Object, Failure> {
        let connection = timeout_at(by, self.lane(lane).get()).await;
        connection.map_err(|_| Failure::TimedOut(self.timeout))?.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => error.into(),
            error => Failure::Told(SinkError::Other(error.to_string())),
        })
    }

    fn lane(&self, lane: Lane) -> &Pool {
        match lane {
            Lane::Writes => &self.writes,
            Lane::Reads => &self.reads,
        }
    }

    /// How long a connection may take, and a statement that writes.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }
}

/// `work`, if it ends in time; `time` is how much it was given.
pub(super) async fn within<T>(
    by: Instant,
    time: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failure> {
    match timeout_at(by, work).await {
        Ok(answer) => answer.map_err(Failure::Postgres),
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
    // A server that is only slow does not go on with what nobody waits for.
    let limits: Arc<str> = format!("SET statement_timeout = {millis}; SET lock_timeout = {millis}").into();
    let limit = Hook::async_fn(move |client: &mut ClientWrapper, _| {
        let limits = Arc::clone(&limits);
        Box::pin(async move { client.batch_execute(&limits).await.map_err(HookError::Backend) })
    });
    Pool::builder(manager).max_size(CONNECTIONS).post_create(limit).build()
}

/// How an attempt ended.
enum Attempt {
    Failed(Failure),
    /// The connection had been used before, and is broken, because the server may have been started anew since, or is
    /// not always to the same session.
    Stale(Failure),
}

impl Attempt {
    fn failure(self) -> Failure {
        let (Self::Failed(failure) | Self::Stale(failure)) = self;
        failure
    }
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// How long a call may take.
struct Time {
    connect_by: Instant,
    of_statement: Duration,
    /// None: the statement's time begins once there is a connection.
    statement_by: Option<Instant>,
}

impl Time {
    /// `both` for a connection and a statement, or for the connection alone where the statement has its own.
    fn new(both: Duration, own: Option<Duration>) -> Self {
        let connect_by = Instant::now() + both;
        let statement_by = own.is_none().then_some(connect_by);
        Self { connect_by, of_statement: own.unwrap_or(both), statement_by }
    }

    fn statement_by(&mut self) -> Instant {
        *self.statement_by.get_or_insert_with(|| Instant::now() + self.of_statement)
    }
}
