//! The PostgreSQL database that the host keeps for the component. All that the store needs of it are three calls,
//! which wait for their answer; connections, TLS, schema and SQL are behind them, and no text shows the password.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::bindings::audit::store::postgres::{RejectedRow, SinkError};
use crate::error::Error;
use crate::types::{Entry, Filter, Page, PageRequest};

mod failure;
mod health;
mod hosts;
mod insert;
mod link;
mod pools;
mod schema;
mod select;
mod tls;
mod url;
mod value;

pub use insert::{ImportRow, Imported};
use link::Link;
use pools::Pools;
use url::Target;

/// A PostgreSQL database with the table `tool_audit_events`, which is created or upgraded when it is first used.
///
/// A clone is cheap and shares the connections. Each call waits for its answer, and for each statement a bounded
/// time; it may be made on any thread, and in an asynchronous program on one that may block.
#[derive(Clone)]
pub struct Database {
    link: Arc<Link>,
    background: Arc<Background>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("server", &self.link.pools().names().server).finish_non_exhaustive()
    }
}

impl Database {
    /// How long a connection and a statement may take together, by default.
    pub const TIMEOUT: Duration = Duration::from_secs(2);
    /// How long the statement of a read may take, by default.
    pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

    /// The database at `url`: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETERS` or `host=HOST user=USER …`.
    /// It is not connected to yet.
    ///
    /// Of the parameters that libpq knows, those of tokio-postgres are accepted, and `sslmode`, `sslrootcert`,
    /// `sslcert` and `sslkey` with their meaning in libpq. `allow` is taken as `prefer`, which does not fall back to
    /// an unencrypted connection where the encrypted one fails. Without `sslrootcert`, or where it is `system`, the
    /// certificates of the system are trusted.
    ///
    /// `timeout` is how long a connection and a statement may take together. The statement of a read has
    /// `read_timeout` of its own.
    ///
    /// # Errors
    /// [`Error::Config`] says what is wrong and what is accepted; it shows neither the URL nor the password.
    /// [`Error::Start`] where the thread of the connections cannot be started.
    pub fn new(url: &str, timeout: Duration, read_timeout: Duration) -> Result<Self, Error> {
        Self::check(timeout, read_timeout)?;
        let target = Target::parse(url, timeout).map_err(Error::Config)?;
        let pools = Pools::new(target, timeout, read_timeout).map_err(Error::Start)?;
        Ok(Self { link: Arc::new(Link::new(pools)), background: Arc::new(Background::start()?) })
    }

    /// Refuses times that nothing could be done in.
    pub(crate) fn check(timeout: Duration, read_timeout: Duration) -> Result<(), Error> {
        for (name, given) in [("database_timeout", timeout), ("database_read_timeout", read_timeout)] {
            if given < Duration::from_millis(1) {
                return Err(Error::Config(format!("{name}: {given:?}; accepted is 1 ms or more")));
            }
        }
        Ok(())
    }

    /// Stores the entries, in their order, and answers once they are committed: all but those that the database
    /// refuses, which are named. Entries whose `id` is stored already are left as they are. Without entries it
    /// does nothing.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] where the database does not answer, or may not have stored the batch: the same
    /// call may succeed later. [`SinkError::Other`] where the same call would fail again.
    pub fn insert(&self, entries: Vec<Entry>) -> Result<Vec<RejectedRow>, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move {
            let rows = entries.into_iter().map(insert::own);
            insert::store(&link, rows).await.map(|imported| imported.rejected)
        })
    }

    /// [`Database::insert`] for rows that come from elsewhere: entries with the `id`, `chain`, `seq` and `hash`
    /// that they have, and events of other writers under a key, so that the same import may be made again.
    ///
    /// # Errors
    /// As [`Database::insert`].
    pub fn import(&self, rows: &[ImportRow]) -> Result<Imported, SinkError> {
        let (link, rows) = (Arc::clone(&self.link), rows.to_vec());
        self.background
            .wait(async move { insert::store(&link, rows.into_iter().map(ImportRow::into_row)).await })
    }

    /// The stored entries that match, a page at a time, in the order that the WIT describes.
    ///
    /// # Errors
    /// As [`Database::insert`]; [`SinkError::Other`] also for a time or a cursor that is invalid.
    pub fn select(&self, filter: Filter, page: PageRequest) -> Result<Page, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move { select::page(&link, filter, &page).await })
    }

    /// What would keep the database from taking an event: that it only reads, a table that is another thing or has a
    /// column that nothing fills, or a schema or privilege that is missing, with what to do about it. None: nothing
    /// that can be known before. Nothing is created or changed.
    ///
    /// # Errors
    /// As [`Database::insert`].
    pub fn obstacle(&self) -> Result<Option<String>, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move { health::obstacle(&link).await })
    }
}

/// The thread that the connections live on.
struct Background(Option<Runtime>);

impl Background {
    fn start() -> Result<Self, Error> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("audit-database").enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(Error::start)
    }

    /// Does the work over there, and waits. The caller may be within another runtime, where waiting for a future
    /// would panic.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, SinkError>> + Send + 'static,
    ) -> Result<T, SinkError> {
        let ended = || SinkError::Other("the thread of the database has ended".into());
        let (answer, answered) = mpsc::sync_channel(1);
        let runtime = self.0.as_ref().ok_or_else(ended)?;
        runtime.spawn(async move { drop(answer.send(work.await)) });
        answered.recv().unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waits for nothing: neither for a server that hangs nor for the resolution of a name.
            runtime.shutdown_background();
        }
    }
}
