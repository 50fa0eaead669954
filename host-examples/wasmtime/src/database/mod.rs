//! The PostgreSQL database that the host keeps for the component. A few blocking calls hide connections, TLS,
//! schema and SQL. No message shows the password, or what may be a part of it.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use audit_format::event::Field;
use audit_format::query;
use audit_format::time::Timestamp;

use crate::bindings::audit::store::postgres::{RefusedRow, SinkError};
use crate::error::Error;
use crate::types::{Filter, JsonlPage, PageRequest};

mod arrays;
mod arrivals;
mod copy;
mod entries;
mod failure;
mod health;
mod hosts;
mod indexes;
mod insert;
mod libpq;
mod link;
mod numbered;
mod partitions;
mod pools;
mod refused;
mod retention;
mod schema;
mod select;
mod servers;
mod session;
mod tls;
mod url;

pub use arrivals::{Arrivals, TableSize};
pub use insert::Imported;
pub(crate) use libpq::Libpq;
use link::Link;
pub use numbered::NumberedRows;
use pools::Pools;
use url::Target;

/// A PostgreSQL database with the table `tool_audit_events`. The first insert creates or upgrades the table; reads take it
/// as it is.
///
/// A clone is cheap and shares the connections. Each call blocks until it is answered, for a limited time for
/// each statement. It may be made on any thread; an asynchronous program makes it on a thread that may block.
///
/// ```no_run
/// use audit_host::{Database, Filter, PageRequest};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let url = std::env::var("DATABASE_URL")?;
/// let database = Database::new(&url, Database::TIMEOUT, Database::READ_TIMEOUT)?;
/// if let Some(obstacle) = database.obstacle()? {
///     return Err(obstacle.into());
/// }
/// let filter = Filter { tool: Some("search".into()), ..Filter::default() };
/// let page = database.select(filter, PageRequest { limit: 20, ..PageRequest::default() })?;
/// println!("{} entries, more: {}", page.count, page.next.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    link: Arc<Link>,
    background: Arc<Background>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("server", &self.link.pools().servers().names().server)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// The default of how long connecting and one statement may take together: 2 s.
    pub const TIMEOUT: Duration = Duration::from_secs(2);
    /// The default of how long the statements of a page may take: 10 s.
    pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

    /// The database at `url`. This does not connect yet. `url` has one of the forms
    /// - `postgres://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETER=VALUE&…`
    /// - `host=HOST port=PORT user=USER password=PASSWORD dbname=DATABASE PARAMETER=VALUE …`
    ///
    /// The parameters are those of libpq that tokio-postgres knows, and `sslmode`, `sslrootcert`, `sslcert`
    /// and `sslkey`, which mean what they mean in libpq, with one exception: `sslmode=allow` counts as
    /// `prefer`, and `prefer` does not fall back to an unencrypted connection if the encrypted one fails.
    /// Without `sslrootcert`, or with `sslrootcert=system`, the certificates of the system are trusted. No environment
    /// variable is read.
    ///
    /// `timeout` is how long connecting and one statement may take together. The statements of a page of a read may take
    /// `read_timeout` in addition. Both are at least 1 ms.
    ///
    /// # Errors
    /// [`Error::Config`] says what is invalid and what is accepted, without showing the URL or the password.
    /// [`Error::Start`] if the thread for the connections cannot be started.
    pub fn new(url: &str, timeout: Duration, read_timeout: Duration) -> Result<Self, Error> {
        Self::with_libpq(url, &Libpq::default(), timeout, read_timeout).map(|(database, _)| database)
    }

    /// Like [`Database::new`], with what libpq's environment variables say where the URL does not. Also returns what is
    /// wrong with the password file.
    pub(crate) fn with_libpq(
        url: &str,
        libpq: &Libpq,
        timeout: Duration,
        read_timeout: Duration,
    ) -> Result<(Self, Option<String>), Error> {
        Self::check(timeout, read_timeout)?;
        let mut target = Target::parse(url, libpq, timeout).map_err(Error::Config)?;
        let warning = target.passwords.warning.take();
        let pools = Pools::new(target, timeout, read_timeout).map_err(Error::Start)?;
        let database = Self { link: Arc::new(Link::new(pools)), background: Arc::new(Background::start()?) };
        Ok((database, warning))
    }

    /// Rejects timeouts that are too short for any statement.
    pub(crate) fn check(timeout: Duration, read_timeout: Duration) -> Result<(), Error> {
        for (name, given) in [("database_timeout", timeout), ("database_read_timeout", read_timeout)] {
            if given < Duration::from_millis(1) {
                return Err(Error::Config(format!(
                    "{name}: {given:?} is too short; accepted is 1 ms or more"
                )));
            }
        }
        Ok(())
    }

    /// Begins to connect, so that the first insert need not wait for that. Returns at once, and has no error: the first
    /// call tells what is wrong. A connection that is not used within a second is closed.
    pub fn connect_ahead(&self) {
        let link = Arc::clone(&self.link);
        self.background.enter(|| link.connect_ahead());
    }

    /// Stores the entries, each as its JSON line with a newline, in their order, and returns once they are committed. Rows
    /// that the database refuses are returned, and the others are stored. Entries whose `id` is already stored are left
    /// unchanged. What is known of a refused entry is kept in the table `tool_audit_refused`, if the role may write to it.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] if the database does not answer, or may not have stored the batch. The same
    /// call may succeed later. [`SinkError::Other`] if the same call would fail again.
    pub fn insert(&self, lines: impl Into<String>) -> Result<Vec<RefusedRow>, SinkError> {
        self.import(lines).map(|imported| imported.refused)
    }

    /// Like [`Database::insert`], also for events of other writers: lines with an `id`, by which the event is stored once
    /// however often it is imported, and without `chain`, `seq` and `hash`.
    ///
    /// # Errors
    /// As for [`Database::insert`].
    pub fn import(&self, lines: impl Into<String>) -> Result<Imported, SinkError> {
        let (link, lines) = (Arc::clone(&self.link), lines.into());
        self.background.wait(async move { insert::store(&link, &lines).await })
    }

    /// A page of the stored entries that match the filter, as JSON lines, in the order that the WIT describes. The table is
    /// not changed. `cursor` and `next` are those of the WIT's `postgres.select`, and no others.
    ///
    /// A page ends with its time. It may then have few entries or none, and a `next` with which the read goes on.
    ///
    /// # Errors
    /// As for [`Database::insert`]. [`SinkError::Other`] also if a time or the cursor is invalid.
    pub fn select(&self, filter: Filter, page: PageRequest) -> Result<JsonlPage, SinkError> {
        self.read(filter.into(), page)
    }

    pub(crate) fn read(&self, filter: query::Filter, page: PageRequest) -> Result<JsonlPage, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move { select::page(&link, &filter, &page).await })
    }

    /// Where the table stands now, for [`Database::arrived`].
    ///
    /// # Errors
    /// As for [`Database::insert`].
    pub fn arrivals(&self) -> Result<Arrivals, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move { arrivals::now(&link).await })
    }

    /// The entries that match the filter, of those that have come into the table since: each once, whatever its `ts` is.
    /// A call takes 1000 rows at most, so the one after it may find more at once. `next` is always `None`.
    ///
    /// # Errors
    /// As for [`Database::select`]. `since` is then as it was.
    pub fn arrived(&self, filter: Filter, since: &mut Arrivals) -> Result<JsonlPage, SinkError> {
        let (link, filter, from) = (Arc::clone(&self.link), query::Filter::from(filter), since.clone());
        let (page, now) =
            self.background.wait(async move { arrivals::arrived(&link, &filter, &from).await })?;
        *since = now;
        Ok(page)
    }

    /// The `id` of the row with this `event_id`, a UUID.
    ///
    /// # Errors
    /// As for [`Database::insert`]. [`SinkError::Other`] also where the table has no such columns.
    pub fn number_of(&self, event_id: &str) -> Result<Option<i64>, SinkError> {
        let (link, event_id) = (Arc::clone(&self.link), event_id.to_owned());
        self.background.wait(async move { retention::number_of(&link, event_id).await })
    }

    /// The `id` of rows whose `ts` is before an instant, in their order: those above `after`, and at most `most`.
    ///
    /// # Errors
    /// As for [`Database::number_of`].
    pub fn older(&self, before: Timestamp, after: i64, most: u32) -> Result<Vec<i64>, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move { retention::older(&link, before, after, most).await })
    }

    /// Whether the role may remove rows with [`Database::delete`].
    ///
    /// # Errors
    /// As for [`Database::insert`].
    pub fn may_delete(&self) -> Result<bool, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move { retention::may_delete(&link).await })
    }

    /// Removes the rows whose `id` is in one of these ranges, first and last, all of them or none, and returns how many there
    /// were. It needs the privilege DELETE, which nothing else does.
    ///
    /// # Errors
    /// As for [`Database::insert`]. After [`SinkError::Unanswered`] they may be removed.
    pub fn delete(&self, ranges: &[[i64; 2]]) -> Result<u64, SinkError> {
        let (link, ranges) = (Arc::clone(&self.link), ranges.to_vec());
        self.background.wait(async move { retention::delete(&link, ranges).await })
    }

    /// The rows whose `id` is in one of these ranges, first and last, in the order of their `id`: at most `most`, and fewer
    /// where their lines are long. The ranges are in order and apart from each other. Each line is that of a page.
    ///
    /// # Errors
    /// As for [`Database::insert`]. [`SinkError::Other`] also where the table has no column `id`.
    pub fn numbered(&self, ranges: &[[i64; 2]], most: u32) -> Result<NumberedRows, SinkError> {
        let (link, ranges) = (Arc::clone(&self.link), ranges.to_vec());
        self.background.wait(async move { numbered::rows(&link, ranges, most).await })
    }

    /// The numbers of the entries of a chain, by its UUID, that the database has refused. None where the role may not read
    /// them.
    ///
    /// # Errors
    /// As for [`Database::insert`].
    pub fn refused(&self, chain: &str) -> Result<Vec<u64>, SinkError> {
        let (link, chain) = (Arc::clone(&self.link), chain.to_owned());
        self.background.wait(async move { refused::of(&link, chain).await })
    }

    /// How much is in the table. The rows of a large table are estimated.
    ///
    /// # Errors
    /// As for [`Database::insert`].
    pub fn size(&self) -> Result<TableSize, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move { arrivals::size(&link).await })
    }

    /// Creates the tables, or upgrades them, as the first insert would; an upgrade may rewrite a big table. Returns what
    /// was added; nothing if nothing was lacking.
    ///
    /// # Errors
    /// As for [`Database::insert`].
    pub fn migrate(&self) -> Result<Vec<String>, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move { link.migrate().await })
    }

    /// Makes the table one that is partitioned by day (UTC), or adds the partitions that a partitioned one needs: for the
    /// days of the rows in its default partition, which are moved, and for the days from today to 14 days ahead. A table
    /// without partitions becomes the partition of all days until today, as it is. Creates or upgrades the tables first.
    /// Returns what was added; it may be called again at any time.
    ///
    /// # Errors
    /// As for [`Database::insert`]. What was done before stays.
    pub fn partition(&self) -> Result<Vec<String>, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move { partitions::partition(&link).await })
    }

    /// Builds an index on each of these fields and `ts`, unless the table has it, while others write and read. An
    /// incomplete index that an interrupted call has left is built again. Creates or upgrades the tables first. Returns
    /// what was added.
    ///
    /// The names are those of [`Filter`], in the JSON line's spelling, such as `user_id`.
    ///
    /// # Errors
    /// As for [`Database::insert`]. [`SinkError::Other`] also for a name that reads do not filter by.
    pub fn add_indexes(&self, fields: &[&str]) -> Result<Vec<String>, SinkError> {
        let fields: Vec<Field> =
            fields.iter().map(|name| indexed(name)).collect::<Result<_, _>>().map_err(SinkError::Other)?;
        let link = Arc::clone(&self.link);
        self.background.wait(async move { indexes::add(&link, &fields).await })
    }

    /// Says what would keep the database from taking events, and what to do about it: the server is read-only, the
    /// table is something else or has a column that no insert fills, a rule, or partitions that no unique index can
    /// span, or a schema, a privilege, a policy or a partition is missing. `None` if no obstacle is known. Nothing is
    /// created or changed.
    ///
    /// # Errors
    /// As for [`Database::insert`].
    pub fn obstacle(&self) -> Result<Option<String>, SinkError> {
        let link = Arc::clone(&self.link);
        self.background.wait(async move { health::obstacle(&link).await })
    }
}

/// The field of this name, if it can have an index.
fn indexed(name: &str) -> Result<Field, String> {
    Field::named(name).filter(|field| field.is_filtered()).ok_or_else(|| {
        let names: Vec<&str> = Field::filtered().map(Field::name).collect();
        format!("\"{name}\" is no field that reads filter by; accepted are {}", names.join(", "))
    })
}

/// The runtime that the connections run on, with a thread of its own.
struct Background(Option<Runtime>);

impl Background {
    fn start() -> Result<Self, Error> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("audit-database").enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(Error::start)
    }

    /// Has the function start tasks on that thread.
    fn enter(&self, start: impl FnOnce()) {
        if let Some(runtime) = &self.0 {
            let _guard = runtime.enter();
            start();
        }
    }

    /// Runs the work on that thread, and blocks until it is done. The caller may be inside another runtime,
    /// where blocking on a future would panic, so that it waits for a message instead.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, SinkError>> + Send + 'static,
    ) -> Result<T, SinkError> {
        let ended = || SinkError::Other("the thread for the database connections has ended".into());
        let (answer, answered) = mpsc::sync_channel(1);
        let runtime = self.0.as_ref().ok_or_else(ended)?;
        runtime.spawn(async move { drop(answer.send(work.await)) });
        answered.recv().unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Does not wait for a server that hangs or for the resolution of a name.
            runtime.shutdown_background();
        }
    }
}
