//! The way to the server: a statement with its time on one of the connections. What the server answers too late, or on a
//! connection that broke, never meets the next statement.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use tokio::time::Instant;
use tokio_postgres::Error;

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::Failure;
use crate::database::pools::{Lane, Pools, within};
use crate::database::schema::Schema;

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

/// The way to the server.
pub(super) struct Link {
    pools: Arc<Pools>,
    schema: Schema,
    /// Whether other clients turned out to use the same sessions.
    shares_sessions: AtomicBool,
}

impl Link {
    pub(super) fn new(pools: Pools) -> Self {
        Self { pools: Arc::new(pools), schema: Schema::default(), shares_sessions: AtomicBool::new(false) }
    }

    pub(super) fn pools(&self) -> &Pools {
        &self.pools
    }

    /// What the store is told of a failure.
    pub(super) fn sink_error(&self, failure: Failure) -> SinkError {
        failure.sink_error(self.pools.names())
    }

    /// Carries the statement out. What a restart of the server or a change of the table has spoilt is done once
    /// more, within the same time.
    pub(super) async fn run<S: Statement>(&self, statement: &S) -> Result<S::Output, Failure> {
        let own = (S::LANE == Lane::Reads).then(|| self.pools.read_timeout());
        let mut time = Time::new(self.pools.timeout(), own);
        match self.attempt(statement, &mut time).await {
            Err(Attempt::Stale(_)) => self.pools.clear(S::LANE),
            Err(Attempt::Failed(failure)) if failure.server().is_some_and(|error| error.lacks_table()) => {
                self.schema.forget()
            }
            answer => return answer.map_err(Attempt::failure),
        }
        self.attempt(statement, &mut time).await.map_err(Attempt::failure)
    }

    async fn attempt<S: Statement>(&self, statement: &S, time: &mut Time) -> Result<S::Output, Attempt> {
        self.schema.wait(time.connect_by).await?;
        let client = self.pools.connection(S::LANE, time.connect_by).await?;
        let used = Object::metrics(&client).recycle_count;
        let prepares = used >= PREPARES_AFTER && !self.shares_sessions.load(Ordering::Relaxed);
        let without = statement.without_table();
        let ensured = self.schema.ensure(&self.pools, &client, time.connect_by, without.is_none()).await;
        let answer = match (ensured, without) {
            (Ok(false), Some(answer)) => Ok(answer),
            (Ok(_), _) => {
                within(time.statement_by(), time.of_statement, statement.run(&client, prepares)).await
            }
            (Err(failure), _) => Err(failure),
        };
        answer.map_err(|failure| {
            if prepares && failure.server().is_some_and(|error| error.meets_another_session()) {
                self.shares_sessions.store(true, Ordering::Relaxed);
                return Attempt::Stale(failure);
            }
            if !failure.ends_connection() {
                return Attempt::Failed(failure);
            }
            drop(Object::take(client));
            match failure {
                Failure::Statement(_) if used > 0 => Attempt::Stale(failure),
                failure => Attempt::Failed(failure),
            }
        })
    }
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
