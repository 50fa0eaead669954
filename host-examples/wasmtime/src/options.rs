//! The options that a store is opened with. What follows from them is in `options/resolve.rs`.

mod database;
mod environment;
pub(crate) mod resolve;

use std::path::PathBuf;
use std::time::Duration;

use crate::bindings::exports::audit::store::control::Config;
use crate::options::database::DatabaseOptions;
use crate::options::environment::{Environment, variable};
use crate::warnings::Warnings;

/// The options that a store is opened with. An option that is not set has its default.
///
/// An invalid value that is set here is rejected with [`Error::Config`](crate::Error::Config) when the store
/// is opened. An invalid value of an environment variable is a warning, and the default is used instead, so
/// that events are kept.
///
/// ```
/// use std::time::Duration;
///
/// use audit_host::{AuditStore, Durability, Options};
///
/// # fn main() -> Result<(), audit_host::Error> {
/// # let place = tempfile::tempdir().expect("a folder");
/// # let folder = place.path().join("audit");
/// let options = Options::new()
///     .backend("jsonl")
///     .dir(&folder)
///     .durability("synced")
///     .flush_interval(Duration::from_millis(500));
/// assert_eq!(options.folder(), Some(folder));
///
/// let store = AuditStore::open(options)?;
/// assert_eq!(store.status()?.durability, Durability::Synced);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    environment: Environment,
    /// The name that was given, which may be one of no backend; `durability` likewise.
    backend: Option<String>,
    durability: Option<String>,
    /// The other settings of the component.
    config: Config,
    dir: Option<PathBuf>,
    database: DatabaseOptions,
    pub(crate) read_only: bool,
    pub(crate) guest_memory: usize,
    pub(crate) call_limit: Option<Duration>,
    pub(crate) queue_events: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) cache: bool,
    #[cfg(feature = "pooling-allocator")]
    pub(crate) pool: Option<u32>,
    pub(crate) warnings: Warnings,
    #[cfg(test)]
    pub(crate) faults: crate::faults::Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The defaults. Environment variables are not read.
    pub fn new() -> Self {
        Self {
            environment: Environment::default(),
            backend: None,
            durability: None,
            config: Config {
                backend: None,
                jsonl_dir: None,
                durability: None,
                memory_limit: None,
                batch_size: None,
                flush_interval_ms: None,
                queue_limit: None,
                recovery_interval_s: None,
            },
            dir: None,
            database: DatabaseOptions::default(),
            read_only: false,
            guest_memory: 256 << 20,
            call_limit: Some(Duration::from_secs(10)),
            queue_events: 100_000,
            queue_bytes: 64 << 20,
            cache: true,
            #[cfg(feature = "pooling-allocator")]
            pool: None,
            warnings: Warnings::default(),
            #[cfg(test)]
            faults: Default::default(),
        }
    }

    /// The options that environment variables set, and the defaults for the others. Methods called on the
    /// result take precedence over the variables.
    ///
    /// The component sees `AUDIT_BACKEND`, `AUDIT_JSONL_DIR`, `REPO_ROOT`, `AUDIT_DURABILITY`,
    /// `AUDIT_MEMORY_LIMIT`, `AUDIT_BATCH_SIZE`, `AUDIT_FLUSH_INTERVAL_MS`, `AUDIT_QUEUE_LIMIT` and
    /// `AUDIT_RECOVERY_INTERVAL_S`. The host alone reads `AUDIT_DATABASE_TIMEOUT_MS` and the database URL,
    /// which is in `DATABASE_URL` or else in `POSTGRES_DSN`. Where the URL has no password, it takes that from
    /// `PGPASSWORD`, or else from the password file of libpq, and `PGSSLROOTCERT` stands in for `sslrootcert`.
    pub fn from_env() -> Self {
        Self {
            environment: Environment::read(),
            database: DatabaseOptions::from_env(variable),
            ..Self::new()
        }
    }

    /// Where events are kept: `memory`, `jsonl`, `postgres`, `auto` or `null`, the names of
    /// [`Backend`](crate::Backend). The default is `jsonl`.
    #[must_use]
    pub fn backend(mut self, name: impl Into<String>) -> Self {
        self.backend = Some(name.into());
        self
    }

    /// The folder of the daily files and of the spool. The default is `ops/audit` in the current folder, or
    /// with [`Options::from_env`] in the folder that `REPO_ROOT` names. The store creates the folder if
    /// necessary. It is the only folder that the component can reach.
    #[must_use]
    pub fn dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.dir = Some(path.into());
        self
    }

    /// When an event counts as stored in a file: `buffered` (it is in memory until the next flush), `written`
    /// (the operating system has it) or `synced` (the disk has it). The default is `written`.
    #[must_use]
    pub fn durability(mut self, name: impl Into<String>) -> Self {
        self.durability = Some(name.into());
        self
    }

    /// How many events the backend `memory` keeps, at least 1. The default is 100 000.
    #[must_use]
    pub fn memory_limit(mut self, events: u64) -> Self {
        self.config.memory_limit = Some(events);
        self
    }

    /// How many events wait for the database until the component sends them, at least 1. The default is 50.
    #[must_use]
    pub fn batch_size(mut self, events: u64) -> Self {
        self.config.batch_size = Some(events);
        self
    }

    /// How long an event may wait in the component's memory, and how often the store flushes, in whole
    /// milliseconds. The default is 2 s.
    #[must_use]
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.config.flush_interval_ms = Some(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// How many events may wait in the component's memory, at least 1. The default is 10 000.
    #[must_use]
    pub fn queue_limit(mut self, events: u64) -> Self {
        self.config.queue_limit = Some(events);
        self
    }

    /// How long the store waits before it tries a database again that failed, in whole seconds, at least 1.
    /// The default is 300 s.
    #[must_use]
    pub fn recovery_interval(mut self, interval: Duration) -> Self {
        self.config.recovery_interval_s = Some(interval.as_secs());
        self
    }

    /// The URL of the database for the backends `postgres` and `auto`, in a form that
    /// [`Database::new`](crate::Database::new) accepts. The component never sees it, and no message shows it.
    #[must_use]
    pub fn database_url(mut self, url: impl Into<String>) -> Self {
        self.database.set_url(url.into());
        self
    }

    /// How long connecting to the database and one statement may take together, at least 1 ms. The default is
    /// 2 s. A call waits that long for a database that does not answer. The wait does not count towards
    /// [`Options::call_limit`].
    #[must_use]
    pub fn database_timeout(mut self, timeout: Duration) -> Self {
        self.database.set_timeout(timeout);
        self
    }

    /// How long the database may take for a page, at least 1 ms. The default is 10 s. A page ends early where the
    /// database does not find all of it in time, and a read goes on with its `next`.
    #[must_use]
    pub fn database_read_timeout(mut self, timeout: Duration) -> Self {
        self.database.set_read_timeout(timeout);
        self
    }

    /// Opens the store for reading only. The default is `false`. A store that only reads creates no folder
    /// and no table, rejects events, and gives the component no write access to the folder or the database.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// How much memory the component may use, in bytes, at least 1 MiB. The default is 256 MiB. A call that
    /// needs more stops the component, and [`AuditStore`](crate::AuditStore) then replaces it. A batch may have 64 MiB, of
    /// which the component makes more: with less memory than the default, write batches of at most a quarter of it.
    #[must_use]
    pub fn guest_memory(mut self, bytes: usize) -> Self {
        self.guest_memory = bytes;
        self
    }

    /// How long the component may compute in one call, at least 1 ms. The default is 10 s. The limit is
    /// checked ten times during that period, but not while the operating system reads or writes a file. Time
    /// that the database takes does not count. A call that takes longer stops the component.
    #[must_use]
    pub fn call_limit(mut self, limit: Duration) -> Self {
        self.call_limit = Some(limit);
        self
    }

    /// Sets no limit on the time of a call, for programs that a person can interrupt. The component then runs
    /// a sixth faster.
    #[must_use]
    pub fn no_call_limit(mut self) -> Self {
        self.call_limit = None;
        self
    }

    /// How many events, and how many bytes of them, may wait in the host's queue, at least 1 of each. The
    /// defaults are 100 000 events and 64 MiB. An event that [`Handle::write`](crate::Handle::write) adds
    /// beyond either limit is dropped and counted as `queue_full`.
    /// [`Handle::write_when_room`](crate::Handle::write_when_room) waits instead.
    #[must_use]
    pub fn queue(mut self, events: usize, bytes: usize) -> Self {
        self.queue_events = events;
        self.queue_bytes = bytes;
        self
    }

    /// Whether the compiled component is kept in the user's cache folder (`~/.cache/wasmtime` on Linux), so
    /// that the next start is fast. The default is `true`. Without such a folder, each start compiles the
    /// component.
    #[must_use]
    pub fn cache(mut self, cache: bool) -> Self {
        self.cache = cache;
        self
    }

    /// Keeps room ready for this many instances at once, at least 1, for programs that start one for each request: see
    /// [`Component`](crate::Component#an-instance-for-each-request). The default is to make room for each instance when it
    /// starts. It needs the feature `pooling-allocator`.
    #[cfg(feature = "pooling-allocator")]
    #[must_use]
    pub fn pool(mut self, instances: u32) -> Self {
        self.pool = Some(instances);
        self
    }

    /// The function that gets each warning, as a line without its newline. By default warnings go to stderr.
    /// The function is called on the threads that run the component, and holds them up while it runs.
    #[must_use]
    pub fn warnings(mut self, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.warnings = Warnings::new(sink);
        self
    }
}
