//! Prepares the table once: it is inspected before the first insert, and created or upgraded if necessary. An upgrade may
//! take long on a big table. It runs as a task of its own, and a call waits for it until its own deadline. A read takes
//! the table as it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use audit_sql::column::TABLE;
use audit_sql::key::Key;
use audit_sql::schema::{self, UPGRADE};
use audit_sql::table::{INSPECT, Inspected, Table, is_usual};
use deadpool_postgres::Object;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::{Client, Error};

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::Failure;
use crate::database::pools::{Lane, Pools};

/// How often an upgrade asks whether it is its turn. It does not wait on the server, where a session that waits would go on
/// to do so after its program has ended.
const TURN: Duration = Duration::from_millis(50);

/// What is known about the table.
#[derive(Default)]
pub(super) struct Schema(Arc<Mutex<Progress>>);

#[derive(Default)]
enum Progress {
    #[default]
    Unknown,
    /// The table is as the statements that read need it.
    Readable,
    /// The table is as all statements need it, and this is its key.
    Ready(Key),
    Upgrading(Upgrade),
}

/// Receives the result of an upgrade once it has ended.
type Upgrade = watch::Receiver<Option<Result<(), SinkError>>>;

impl Schema {
    /// Inspects the table, unless it is known to be ready. For statements that write, it is created or upgraded if that is
    /// necessary. Returns whether there is a table.
    pub(super) async fn ensure(
        &self,
        pools: &Arc<Pools>,
        client: &Client,
        by: Instant,
        write: bool,
    ) -> Result<bool, Failure> {
        match *self.state() {
            Progress::Ready(_) => return Ok(true),
            Progress::Readable if !write => return Ok(true),
            _ => {}
        }
        if self.look(pools, client, by).await? {
            return Ok(true);
        }
        let table = pools.within(client, by, pools.timeout(), inspect(client)).await?;
        let unwritable = || if write { table.unwritable() } else { None };
        if let Some(problem) = table.problem().or_else(unwritable) {
            return Err(Failure::Known(SinkError::Other(problem)));
        }
        if !write {
            if !table.exists() {
                return Ok(false);
            }
            let mut state = self.state();
            if let Progress::Unknown = *state {
                *state = Progress::Readable;
            }
            return Ok(true);
        }
        if table.lack().is_some() {
            return ended(self.begin(pools), by).await.map(|()| true);
        }
        *self.state() = ready(&table);
        Ok(true)
    }

    /// Whether the table is just as this library creates it. It is ready then.
    pub(super) async fn look(&self, pools: &Pools, client: &Client, by: Instant) -> Result<bool, Failure> {
        let look = async {
            let row = client.query_typed_opt(&is_usual(), &[]).await?;
            row.map_or(Ok(false), |row| row.try_get(0))
        };
        let is_usual = pools.within(client, by, pools.timeout(), look).await?;
        if is_usual {
            *self.state() = Progress::Ready(Key::default());
        }
        Ok(is_usual)
    }

    /// Waits until an upgrade that is running has ended.
    pub(super) async fn wait(&self, by: Instant) -> Result<(), Failure> {
        let upgrade = match &*self.state() {
            Progress::Upgrading(upgrade) => upgrade.clone(),
            Progress::Unknown | Progress::Readable | Progress::Ready(_) => return Ok(()),
        };
        ended(upgrade, by).await
    }

    /// The key of the table, once it is ready.
    pub(super) fn key(&self) -> Key {
        match &*self.state() {
            Progress::Ready(key) => key.clone(),
            Progress::Unknown | Progress::Readable | Progress::Upgrading(_) => Key::default(),
        }
    }

    /// Has the table inspected again before the next statement.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        if let Progress::Ready(_) | Progress::Readable = *state {
            *state = Progress::Unknown;
        }
    }

    /// Starts an upgrade, unless one is running.
    fn begin(&self, pools: &Arc<Pools>) -> Upgrade {
        let mut state = self.state();
        if let Progress::Upgrading(upgrade) = &*state {
            return upgrade.clone();
        }
        let (ended, upgrade) = watch::channel(None);
        *state = Progress::Upgrading(upgrade.clone());
        let (pools, progress) = (Arc::clone(pools), Arc::clone(&self.0));
        tokio::spawn(async move {
            let upgraded = timeout(UPGRADE, upgrade_table(&pools)).await;
            let upgraded = upgraded.unwrap_or(Err(Failure::TimedOut(UPGRADE)));
            let upgraded =
                upgraded.map_err(|failure| failure.of_nothing_stored().sink_error(pools.servers()));
            let (progressed, upgraded) = match upgraded {
                Ok(table) => (ready(&table), Ok(())),
                Err(error) => (Progress::Unknown, Err(error)),
            };
            *lock(&progress) = progressed;
            ended.send_replace(Some(upgraded));
        });
        upgrade
    }

    /// Creates or upgrades the table, however long that takes, and returns what it lacked.
    pub(super) async fn migrate(&self, pools: &Arc<Pools>) -> Result<Vec<String>, Failure> {
        let by = Instant::now() + pools.timeout();
        let client = pools.connection(Lane::Writes, by).await?;
        let table = pools.within(&client, by, pools.timeout(), inspect(&client)).await?;
        drop(client);
        if let Some(problem) = table.problem().or_else(|| table.key().err()) {
            return Err(Failure::Known(SinkError::Other(problem)));
        }
        let Some(lack) = table.lack() else { return Ok(Vec::new()) };
        ended(self.begin(pools), Instant::now() + UPGRADE).await?;
        Ok(lack.what)
    }

    fn state(&self) -> MutexGuard<'_, Progress> {
        lock(&self.0)
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A table that lacks nothing.
fn ready(table: &Table) -> Progress {
    Progress::Ready(table.key().unwrap_or_default())
}

/// Begins a transaction that changes tables, once it is its turn.
pub(super) async fn begin(client: &Client) -> Result<(), Error> {
    client.batch_execute(&schema::begin()).await?;
    let turn = schema::take_turn();
    while !client.query_typed_one(&turn, &[]).await?.try_get::<_, bool>(0)? {
        sleep(TURN).await;
    }
    Ok(())
}

/// Inspects the table.
pub(super) async fn inspect(client: &Client) -> Result<Table, Error> {
    let row = client.query_typed_one(INSPECT, &[]).await?;
    Ok(Table::new(Inspected {
        role: row.try_get(0)?,
        schema: row.try_get(1)?,
        kind: row.try_get(2)?,
        columns: row.try_get(3)?,
        indexes: row.try_get(4)?,
        partitioned_by: row.try_get(5)?,
        foreign_partition: row.try_get(6)?,
        unpoliced: row.try_get(7)?,
        rule: row.try_get(8)?,
    }))
}

/// Waits until the upgrade has ended.
async fn ended(mut upgrade: Upgrade, by: Instant) -> Result<(), Failure> {
    let error = match timeout_at(by, upgrade.wait_for(Option::is_some)).await {
        Ok(Ok(ended)) => match &*ended {
            Some(Err(error)) => error.clone(),
            _ => return Ok(()),
        },
        Ok(Err(_)) => SinkError::Unavailable(format!("the upgrade of the table {TABLE} was interrupted")),
        Err(_) => SinkError::Unavailable(format!(
            "the table {TABLE} is being upgraded, which takes long for many rows; try again later"
        )),
    };
    Err(Failure::Known(error))
}

/// Returns the table as it was before the upgrade, which does not change its key.
async fn upgrade_table(pools: &Pools) -> Result<Table, Failure> {
    let by = Instant::now() + pools.timeout();
    // Taken out of the pool for good: dropping the connection then also ends its transaction.
    let client = Object::take(pools.connection(Lane::Writes, by).await?);
    begin(&client).await?;
    let table = inspect(&client).await?;
    let Some(lack) = table.lack() else { return Ok(table) };
    let Err(error) = client.batch_execute(&schema::upgrade(&lack)).await else { return Ok(table) };
    let failure = Failure::from(error);
    let explained = match failure.server() {
        Some(error) if schema::is_dispensable(&lack, &error) => return Ok(table),
        Some(error) => schema::explain(&error, &table, &lack),
        None => None,
    };
    Err(explained.map_or(failure, |text| Failure::Known(SinkError::Other(text))))
}
