//! The table is made ready once: looked at when the database is first used, and created or upgraded where it has to
//! be. An upgrade may take long on a big table; it is a task of its own, and calls wait for it only so long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::failure::Failure;
use crate::database::link::{Lane, Link, within};
use crate::database::table::{self, Lack, TABLE, Table};

/// The longest that an upgrade may take.
const UPGRADE: Duration = Duration::from_secs(3600);

/// How long it waits for others who use the table, and makes those wait who come after it.
const LOCK: Duration = Duration::from_secs(5);

/// Instances take turns by this number, which no other program is likely to use: `audit-st` in ASCII.
const TURN: i64 = 0x61_75_64_69_74_2d_73_74;

/// Whether the table is as the statements need it.
#[derive(Default)]
pub(super) struct Schema(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Unknown,
    Ready,
    Upgrading(Upgrade),
}

/// Tells how it went, once it has ended.
type Upgrade = watch::Receiver<Option<Result<(), SinkError>>>;

impl Schema {
    /// Looks at the table if nobody has yet. Where it has to be changed, that is begun. False: there is none, and
    /// `create`, which is for those who write, does not ask for one.
    pub(super) async fn ensure(
        &self,
        link: &Arc<Link>,
        client: &Client,
        by: Instant,
        create: bool,
    ) -> Result<bool, Failure> {
        if let State::Ready = *self.state() {
            return Ok(true);
        }
        let table = within(by, link.timeout(), Table::inspect(client)).await?;
        let unwritable = || if create { table.unwritable() } else { None };
        if let Some(problem) = table.problem().or_else(unwritable) {
            return Err(Failure::Told(SinkError::Other(problem)));
        }
        if !table.exists() && !create {
            return Ok(false);
        }
        if table.lack().is_some() {
            return ended(self.begin(link), by).await.map(|()| true);
        }
        *self.state() = State::Ready;
        Ok(true)
    }

    /// Waits for an upgrade, if there is one.
    pub(super) async fn wait(&self, by: Instant) -> Result<(), Failure> {
        let upgrade = match &*self.state() {
            State::Upgrading(upgrade) => upgrade.clone(),
            State::Unknown | State::Ready => return Ok(()),
        };
        ended(upgrade, by).await
    }

    /// Looks at the table again next time.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        if let State::Ready = *state {
            *state = State::Unknown;
        }
    }

    /// Begins an upgrade, unless there is one.
    fn begin(&self, link: &Arc<Link>) -> Upgrade {
        let mut state = self.state();
        if let State::Upgrading(upgrade) = &*state {
            return upgrade.clone();
        }
        let (ended, upgrade) = watch::channel(None);
        *state = State::Upgrading(upgrade.clone());
        let link = Arc::clone(link);
        tokio::spawn(async move {
            let upgraded = timeout(UPGRADE, upgrade_table(&link)).await;
            let upgraded = upgraded.unwrap_or(Err(Failure::TimedOut(UPGRADE)));
            let upgraded = upgraded.map_err(|failure| failure.tell(link.names()));
            *link.schema().state() = if upgraded.is_ok() { State::Ready } else { State::Unknown };
            ended.send_replace(Some(upgraded));
        });
        upgrade
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the upgrade has ended.
async fn ended(mut upgrade: Upgrade, by: Instant) -> Result<(), Failure> {
    let told = match timeout_at(by, upgrade.wait_for(Option::is_some)).await {
        Ok(Ok(ended)) => match &*ended {
            Some(Err(error)) => error.clone(),
            _ => return Ok(()),
        },
        Ok(Err(_)) => SinkError::Unavailable(format!("the upgrade of the table {TABLE} was broken off")),
        Err(_) => SinkError::Unavailable(format!(
            "the table {TABLE} is being upgraded, which takes long where it has many rows"
        )),
    };
    Err(Failure::Told(told))
}

async fn upgrade_table(link: &Link) -> Result<(), Failure> {
    let by = Instant::now() + link.timeout();
    // For good: a connection that is dropped takes its transaction with it.
    let client = Object::take(link.connection(Lane::Writes, by).await?);
    let (limit, lock) = (UPGRADE.as_millis(), LOCK.as_millis());
    let begin = format!(
        "BEGIN; SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = 0; SET LOCAL TimeZone = 'UTC'; \
         SELECT pg_catalog.pg_advisory_xact_lock({TURN}); SET LOCAL lock_timeout = {lock}"
    );
    client.batch_execute(&begin).await?;
    let table = Table::inspect(&client).await?;
    let Some(lack) = table.lack() else { return Ok(()) };
    let statements = lack.sql.join("; ");
    let upgraded = client.batch_execute(&format!("{statements}; COMMIT")).await;
    upgraded.or_else(|error| explain(error.into(), &table, &lack))
}

/// Why the table could not be upgraded, and what to do about it.
fn explain(failure: Failure, table: &Table, lack: &Lack) -> Result<(), Failure> {
    let denied = [SqlState::INSUFFICIENT_PRIVILEGE, SqlState::INVALID_SCHEMA_NAME];
    let denied = failure.code().is_some_and(|code| denied.contains(code));
    let read_only = failure.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
    if lack.only_speed && (denied || read_only) {
        return Ok(());
    }
    let (role, schema, what) = (&table.role, &table.schema, lack.what.join(", "));
    let sql = lack.sql.join("; ");
    let text = if denied && table.exists() {
        may_not_upgrade(table, lack)
    } else if denied && schema.is_empty() {
        table::without_schema(role)
    } else if denied {
        format!(
            "the user \"{role}\" may not create the table {TABLE} in the schema \"{schema}\"; let the schema's owner \
             run: {sql}; GRANT SELECT, INSERT ON {TABLE} TO \"{role}\"; GRANT USAGE ON SEQUENCE {TABLE}_id_seq TO \
             \"{role}\""
        )
    } else if let Some(reason) = failure.lasting() {
        let advice = match failure.code() {
            Some(&SqlState::FEATURE_NOT_SUPPORTED) if table.is_partitioned() => format!(
                "; accepted is one without partitions, or with event_id as their partition key; rename it, and another \
                 is created: ALTER TABLE {TABLE} RENAME TO {TABLE}_partitioned"
            ),
            Some(&SqlState::FEATURE_NOT_SUPPORTED) => {
                format!("; drop what depends on it, and create that again after its owner has run: {sql}")
            }
            _ => String::new(),
        };
        format!(
            "the table {TABLE} in the schema \"{schema}\" cannot be upgraded, which lacks {what}: {reason}{advice}"
        )
    } else {
        return Err(failure);
    };
    Err(Failure::Told(SinkError::Other(text)))
}

pub(super) fn may_not_upgrade(table: &Table, lack: &Lack) -> String {
    let (role, schema, what) = (&table.role, &table.schema, lack.what.join(", "));
    let sql = lack.sql.join("; ");
    format!(
        "the user \"{role}\" may not upgrade the table {TABLE} in the schema \"{schema}\", which lacks {what}; let its \
         owner run: {sql}"
    )
}
