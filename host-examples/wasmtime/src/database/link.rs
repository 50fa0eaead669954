//! Runs a statement on a pooled connection, within its time. After a timeout or an error of the connection,
//! the connection is closed, so that a late answer can never be taken for that of the next statement.

use std::future::Future;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use audit_sql::key::Key;
use deadpool_postgres::{ClientWrapper, Object};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Error;

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::copy::Copying;
use crate::database::failure::Failure;
use crate::database::pools::{Lane, Pools, at_random};
use crate::database::schema::Schema;
use crate::database::select::Slow;

/// After this many uses, a connection keeps its statement prepared, which saves a sixth of the time of a
/// small batch. Not before, because a pooler may give the connection another session each time, in which a
/// prepared statement stays behind. A program that ends soon leaves none.
const PREPARES_AFTER: usize = 8;

/// How long a connection is kept that was made before it was needed.
const AHEAD: Duration = Duration::from_secs(1);

/// How long to wait before a statement is run again that the server has ended in favour of another transaction, in
/// milliseconds.
const CONTENDED: Range<u64> = 1..20;

/// A statement that uses the table.
pub(super) trait Statement: Sync {
    type Output: Send;
    const LANE: Lane;

    /// The output if there is no table. `None` if the table is to be created first.
    fn without_table(&self) -> Option<Self::Output>;

    /// Runs the statement on a connection to a database that has the table. With `prepares`, the session may
    /// keep it prepared.
    fn run(
        &self,
        client: &ClientWrapper,
        prepares: bool,
    ) -> impl Future<Output = Result<Self::Output, Error>> + Send;
}

/// The connections to the server, and what is known about its table and its sessions.
pub(super) struct Link {
    pools: Arc<Pools>,
    schema: Schema,
    slow: Slow,
    copying: Copying,
    /// A connection that is being made before it is needed.
    ahead: Mutex<Option<JoinHandle<()>>>,
    /// Whether the server turned out to be behind a pooler, whose sessions other clients use too.
    shares_sessions: AtomicBool,
}

impl Link {
    pub(super) fn new(pools: Pools) -> Self {
        Self {
            pools: Arc::new(pools),
            schema: Schema::default(),
            slow: Slow::default(),
            copying: Copying::default(),
            ahead: Mutex::default(),
            shares_sessions: AtomicBool::new(false),
        }
    }

    pub(super) fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Makes a connection that writes, and looks at the table, before it is needed. Where nobody needs it for a
    /// while, it is closed. Where it fails, the first statement finds out why.
    pub(super) fn connect_ahead(self: &Arc<Self>) {
        let link = Arc::clone(self);
        let connecting = tokio::spawn(async move {
            let by = Instant::now() + link.pools.timeout();
            let Ok(client) = link.pools.connection(Lane::Writes, by).await else { return };
            if link.schema.look(&link.pools, &client, by).await.is_err() {
                drop(Object::take(client));
            }
        });
        let link = Arc::clone(self);
        tokio::spawn(async move {
            sleep(AHEAD).await;
            link.pools.close_unused(Lane::Writes);
        });
        *self.lock_ahead() = Some(connecting);
    }

    fn lock_ahead(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reads that are too slow for one statement.
    pub(super) fn slow(&self) -> &Slow {
        &self.slow
    }

    /// What is known about COPY into the table.
    pub(super) fn copying(&self) -> &Copying {
        &self.copying
    }

    /// The key of the table, for a statement that runs.
    pub(super) fn key(&self) -> Key {
        self.schema.key()
    }

    /// Has the table inspected again, because it was changed.
    pub(super) fn forget_table(&self) {
        self.schema.forget();
    }

    /// The error that the component gets for a failure.
    pub(super) fn sink_error(&self, failure: Failure) -> SinkError {
        failure.sink_error(self.pools.servers())
    }

    /// Runs the statement. If a restart of the server has broken the connection, or the table has changed, it is run once
    /// more within the same time; and as often as there is time for if the server ends it in favour of another transaction.
    pub(super) async fn run<S: Statement>(&self, statement: &S) -> Result<S::Output, Failure> {
        let own = (S::LANE == Lane::Reads).then(|| self.pools.read_timeout());
        let mut time = Time::new(self.pools.timeout(), own);
        let (mut is_repeated, mut unanswered) = (false, false);
        loop {
            let attempt = match self.attempt(statement, &mut time).await {
                Ok(output) => return Ok(output),
                Err(attempt) => attempt,
            };
            let (is_stale, failure) = match attempt {
                Attempt::Stale(failure) => (true, failure),
                Attempt::Failed(failure) => (false, failure),
            };
            // What one try may have stored stays in doubt until another one succeeds.
            unanswered |= failure.is_unanswered();
            let server = failure.server();
            if server.is_some_and(|error| error.is_contended()) && Instant::now() < time.connect_by {
                sleep(at_random(CONTENDED)).await;
                continue;
            }
            if is_repeated || !(is_stale || server.is_some_and(|error| error.lacks_table())) {
                return Err(if unanswered { failure.unanswered() } else { failure });
            }
            is_repeated = true;
            if is_stale { self.pools.clear(S::LANE) } else { self.schema.forget() }
        }
    }

    /// Creates or upgrades the table.
    pub(super) async fn migrate(&self) -> Result<Vec<String>, SinkError> {
        self.schema.migrate(&self.pools).await.map_err(|failure| self.sink_error(failure))
    }

    async fn attempt<S: Statement>(&self, statement: &S, time: &mut Time) -> Result<S::Output, Attempt> {
        let ahead = self.lock_ahead().take();
        if let Some(connecting) = ahead {
            let _ = timeout_at(time.connect_by, connecting).await;
        }
        self.schema.wait(time.connect_by).await?;
        let client = self.pools.connection(S::LANE, time.connect_by).await?;
        let used = Object::metrics(&client).recycle_count;
        let prepares = used >= PREPARES_AFTER && !self.shares_sessions.load(Ordering::Relaxed);
        let without = statement.without_table();
        let ensured = self.schema.ensure(&self.pools, &client, time.connect_by, without.is_none()).await;
        let answer = match (ensured, without) {
            (Ok(false), Some(answer)) => Ok(answer),
            (Ok(_), _) => {
                let (by, run) = (time.statement_by(), statement.run(&client, prepares));
                let answer = self.pools.within(&client, by, time.of_statement, run).await;
                answer.map_err(|failure| match S::LANE {
                    Lane::Writes => failure.of_sent_statement(),
                    Lane::Reads => failure.of_nothing_stored(),
                })
            }
            (Err(failure), _) => Err(failure.of_nothing_stored()),
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
            if used > 0 && failure.broke() { Attempt::Stale(failure) } else { Attempt::Failed(failure) }
        })
    }
}

/// How an attempt failed.
enum Attempt {
    Failed(Failure),
    /// The connection had worked before, so the failure may be due to its age: the server may have been
    /// restarted since, or a pooler may have switched the session. A new connection may work.
    Stale(Failure),
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The deadlines of a call.
struct Time {
    connect_by: Instant,
    of_statement: Duration,
    /// `None` until there is a connection, if the time of the statement begins only then.
    statement_by: Option<Instant>,
}

impl Time {
    /// `both` is the time for connecting and the statement together, or only for connecting if the statement
    /// has a time of its `own`.
    fn new(both: Duration, own: Option<Duration>) -> Self {
        let connect_by = Instant::now() + both;
        let statement_by = own.is_none().then_some(connect_by);
        Self { connect_by, of_statement: own.unwrap_or(both), statement_by }
    }

    fn statement_by(&mut self) -> Instant {
        *self.statement_by.get_or_insert_with(|| Instant::now() + self.of_statement)
    }
}
