//! What a store is opened with.

mod database;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bindings::exports::audit::store::control::Config;
use crate::database::Database;
use crate::error::Error;
use crate::options::database::DatabaseOptions;
use crate::types::Backend;
use crate::warnings::Warnings;

/// The environment variables that the component knows.
const VARIABLES: [&str; 9] = [
    "AUDIT_BACKEND",
    "AUDIT_JSONL_DIR",
    "REPO_ROOT",
    "AUDIT_DURABILITY",
    "AUDIT_MEMORY_LIMIT",
    "AUDIT_BATCH_SIZE",
    "AUDIT_FLUSH_INTERVAL_MS",
    "AUDIT_QUEUE_LIMIT",
    "AUDIT_RECOVERY_INTERVAL_S",
];

/// Under this the component has no room for a page or a batch.
const LEAST_GUEST_MEMORY: usize = 1 << 20;

/// What a store is opened with. What is not set has its default.
///
/// A wrong value that is set here is refused with [`Error::Config`]; a wrong value in an environment variable
/// is a warning, and the default holds, so that events are kept.
#[derive(Clone, Debug)]
pub struct Options {
    environment: Vec<(&'static str, OsString)>,
    config: Config,
    dir: Option<PathBuf>,
    database: DatabaseOptions,
    pub(crate) read_only: bool,
    pub(crate) guest_memory: usize,
    pub(crate) call_limit: Option<Duration>,
    pub(crate) queue_events: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) cache: bool,
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
    /// The defaults. The environment is not looked at.
    pub fn new() -> Self {
        Self {
            environment: Vec::new(),
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
            warnings: Warnings::default(),
            #[cfg(test)]
            faults: Default::default(),
        }
    }

    /// What the environment says: `AUDIT_BACKEND`, `AUDIT_JSONL_DIR`, `REPO_ROOT`, `AUDIT_DURABILITY`,
    /// `AUDIT_MEMORY_LIMIT`, `AUDIT_BATCH_SIZE`, `AUDIT_FLUSH_INTERVAL_MS`, `AUDIT_QUEUE_LIMIT` and
    /// `AUDIT_RECOVERY_INTERVAL_S`; and for the host itself, without the component seeing them, `DATABASE_URL` or
    /// else `POSTGRES_DSN`, and `AUDIT_DATABASE_TIMEOUT_MS`. What is set on it later goes before.
    pub fn from_env() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(|value| (name, value));
        let database = DatabaseOptions::from_env(|name| set(name).map(|(_, value)| value));
        Self { environment: VARIABLES.into_iter().filter_map(set).collect(), database, ..Self::new() }
    }

    /// `memory`, `jsonl` (the default), `postgres`, `auto` or `null`.
    #[must_use]
    pub fn backend(mut self, name: impl Into<String>) -> Self {
        self.config.backend = Some(name.into());
        self
    }

    /// The folder of the daily files; `ops/audit` in `REPO_ROOT` or the current folder by default. It is
    /// created if need be, and the only one that the component can reach.
    #[must_use]
    pub fn dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.dir = Some(path.into());
        self
    }

    /// When an event counts as stored in a file: `buffered` (in memory, until the next flush), `written` (the
    /// operating system has it; the default) or `synced` (the disk has it).
    #[must_use]
    pub fn durability(mut self, name: impl Into<String>) -> Self {
        self.config.durability = Some(name.into());
        self
    }

    /// How many events the backend `memory` keeps, from 1; 100 000 by default.
    #[must_use]
    pub fn memory_limit(mut self, events: u64) -> Self {
        self.config.memory_limit = Some(events);
        self
    }

    /// How many events go to the database at once, from 1; 50 by default.
    #[must_use]
    pub fn batch_size(mut self, events: u64) -> Self {
        self.config.batch_size = Some(events);
        self
    }

    /// How long an event may wait in the component's memory, and how often the store flushes; 2 s by default.
    #[must_use]
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.config.flush_interval_ms = Some(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// How many events may wait in the component's memory, from 1; 10 000 by default.
    #[must_use]
    pub fn queue_limit(mut self, events: u64) -> Self {
        self.config.queue_limit = Some(events);
        self
    }

    /// How long until a database that failed is tried again, in whole seconds from 1; 300 s by default.
    #[must_use]
    pub fn recovery_interval(mut self, interval: Duration) -> Self {
        self.config.recovery_interval_s = Some(interval.as_secs());
        self
    }

    /// The database of the backends `postgres` and `auto`, as [`Database::new`] reads it. The component never sees
    /// it.
    #[must_use]
    pub fn database_url(mut self, url: impl Into<String>) -> Self {
        self.database.set_url(url.into());
        self
    }

    /// How long a connection to the database and a statement may take together; 2 s by default. A call waits so
    /// long for a database that does not answer; it does not count as time of the component.
    #[must_use]
    pub fn database_timeout(mut self, timeout: Duration) -> Self {
        self.database.set_timeout(timeout);
        self
    }

    /// How long the database may take to find a page; 10 s by default.
    #[must_use]
    pub fn database_read_timeout(mut self, timeout: Duration) -> Self {
        self.database.set_read_timeout(timeout);
        self
    }

    /// Opens for reading: no folder and no table is created, and the component can write neither into a folder nor
    /// into a database. Events are refused. A table that another program has made is upgraded all the same: before
    /// that it cannot be read.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// The most memory that the component may take, in bytes from 1 MiB; 256 MiB by default. A call that needs
    /// more stops the component; [`AuditStore`](crate::AuditStore) then replaces it.
    #[must_use]
    pub fn guest_memory(mut self, bytes: usize) -> Self {
        self.guest_memory = bytes;
        self
    }

    /// The longest that the component may compute in one call; 10 s by default. It is checked at ten points in
    /// that time, and not while the operating system writes or reads a file. The time that the database takes does
    /// not count.
    #[must_use]
    pub fn call_limit(mut self, limit: Duration) -> Self {
        self.call_limit = Some(limit);
        self
    }

    /// Lets the component compute as long as it takes: for programs that somebody watches. It is then a sixth
    /// faster.
    #[must_use]
    pub fn no_call_limit(mut self) -> Self {
        self.call_limit = None;
        self
    }

    /// How much [`Handle::write`](crate::Handle::write) may leave waiting in the host, in events and in bytes;
    /// 100 000 and 64 MiB by default. Beyond either, the newest event is refused and counted as `queue_full`.
    #[must_use]
    pub fn queue(mut self, events: usize, bytes: usize) -> Self {
        self.queue_events = events;
        self.queue_bytes = bytes;
        self
    }

    /// Whether the compiled component is kept in the user's cache folder (`~/.cache/wasmtime` on Linux), so
    /// that the next start is fast; true by default. Where there is no such folder it does without.
    #[must_use]
    pub fn cache(mut self, cache: bool) -> Self {
        self.cache = cache;
        self
    }

    /// Who gets the warnings, a line each without its newline; by default they go to stderr. It is called on
    /// the thread that runs the component.
    #[must_use]
    pub fn warnings(mut self, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.warnings = Warnings::new(sink);
        self
    }

    /// The options of an instance that only reads beside one with these: what is wrong with them was warned of.
    pub(crate) fn beside(&self) -> (Self, Arc<AtomicBool>) {
        let speaks = Arc::new(AtomicBool::new(false));
        let (sink, may_speak) = (self.warnings.clone(), Arc::clone(&speaks));
        let warn = move |line: &str| {
            if may_speak.load(Ordering::Relaxed) {
                sink.line(line);
            }
        };
        (self.clone().read_only(true).warnings(warn), speaks)
    }

    /// The folder of the daily files, as the component will use it; none where the backend has none.
    pub fn folder(&self) -> Option<PathBuf> {
        match self.requested_backend() {
            Some(Backend::Memory | Backend::Null) => return None,
            // Without a database it is `jsonl`.
            Some(Backend::Postgres) if self.database.open().is_some_and(|opened| opened.is_ok()) => {
                return None;
            }
            _ => {}
        }
        let given = self.dir.clone().filter(|dir| !dir.as_os_str().is_empty());
        Some(given.or_else(|| self.variable("AUDIT_JSONL_DIR").map(PathBuf::from)).unwrap_or_else(|| {
            Path::new(self.variable("REPO_ROOT").unwrap_or(".".as_ref())).join("ops/audit")
        }))
    }

    /// Whether anything but the folder is set that the component might refuse.
    pub fn is_configured(&self) -> bool {
        let Config {
            backend,
            jsonl_dir: _,
            durability,
            memory_limit,
            batch_size,
            flush_interval_ms,
            queue_limit,
            recovery_interval_s,
        } = &self.config;
        let numbers = [memory_limit, batch_size, flush_interval_ms, queue_limit, recovery_interval_s];
        backend.is_some() || durability.is_some() || numbers.into_iter().any(Option::is_some)
    }

    /// The database at the URL that is set, whatever the backend; none: no URL is set. It is the one that a store
    /// with these options uses, and not connected to yet.
    ///
    /// # Errors
    /// As [`Database::new`]; the text names the variable that the URL came from.
    pub fn open_database(&self) -> Result<Option<Database>, Error> {
        self.database.strictly_opened(&self.warnings)
    }

    /// Refuses what the host would not work with; the component refuses the rest.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.guest_memory < LEAST_GUEST_MEMORY {
            return Err(Error::Config(format!(
                "guest_memory: {} bytes; accepted is 1 MiB or more",
                self.guest_memory
            )));
        }
        if let Some(limit) = self.call_limit.filter(|limit| *limit < Duration::from_millis(1)) {
            return Err(Error::Config(format!("call_limit: {limit:?}; accepted is 1 ms or more")));
        }
        self.database.check()?;
        if self.queue_events == 0 || self.queue_bytes == 0 {
            return Err(Error::Config("queue: 0; accepted is 1 or more".into()));
        }
        Ok(())
    }

    /// The environment of the component. The folder goes under the text that it is preopened as.
    pub(crate) fn guest_environment(&self) -> Vec<(&'static str, String)> {
        let others =
            self.environment.iter().filter(|(name, _)| *name != "AUDIT_JSONL_DIR" && *name != "REPO_ROOT");
        let folder = self.folder().map(|folder| ("AUDIT_JSONL_DIR", guest_path(&folder)));
        others.map(|(name, value)| (*name, value.to_string_lossy().into_owned())).chain(folder).collect()
    }

    /// What `control.configure` is called with, if there is anything.
    pub(crate) fn guest_config(&self) -> Option<&Config> {
        self.is_configured().then_some(&self.config)
    }

    /// How often what waits is flushed.
    pub fn tick(&self) -> Duration {
        let given = self.config.flush_interval_ms.or_else(|| self.number("AUDIT_FLUSH_INTERVAL_MS"));
        // Oftener would only burn time: a flush of nothing takes microseconds.
        Duration::from_millis(given.unwrap_or(2000).clamp(10, 3_600_000))
    }

    /// How often the worker has the component try a database again.
    pub(crate) fn recovery_interval_or_default(&self) -> Duration {
        let given = self.config.recovery_interval_s.or_else(|| self.number("AUDIT_RECOVERY_INTERVAL_S"));
        Duration::from_secs(given.filter(|seconds| *seconds > 0).unwrap_or(300).min(1 << 32))
    }

    fn number(&self, variable: &str) -> Option<u64> {
        self.variable(variable)?.to_str()?.parse().ok()
    }

    /// The database, where there is one and the backend needs it. The same one each time.
    pub(crate) fn database(&self) -> Result<Option<Database>, Error> {
        match self.requested_backend() {
            Some(Backend::Postgres | Backend::Auto) => self.database.opened(&self.warnings),
            _ => Ok(None),
        }
    }

    fn requested_backend(&self) -> Option<Backend> {
        let name = self.config.backend.as_deref().or_else(|| self.variable("AUDIT_BACKEND")?.to_str());
        Backend::named(name?)
    }

    fn variable(&self, name: &str) -> Option<&std::ffi::OsStr> {
        self.environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }
}

/// The name of a folder inside the component, which knows text only.
pub(crate) fn guest_path(folder: &Path) -> String {
    folder.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(environment: &[(&'static str, &str)]) -> Options {
        let environment = environment.iter().map(|(name, value)| (*name, OsString::from(value))).collect();
        Options { environment, ..Options::new() }
    }

    #[test]
    fn the_folder_is_the_option_else_the_variable_else_below_the_root() {
        let folder = |options: Options| options.folder().map(|path| guest_path(&path));
        assert_eq!(folder(with(&[])).as_deref(), Some("./ops/audit"));
        assert_eq!(folder(with(&[("REPO_ROOT", "/srv/")])).as_deref(), Some("/srv/ops/audit"));
        let both = [("REPO_ROOT", "/srv"), ("AUDIT_JSONL_DIR", "/var/audit")];
        assert_eq!(folder(with(&both)).as_deref(), Some("/var/audit"));
        assert_eq!(folder(with(&both).dir("here")).as_deref(), Some("here"));
        assert_eq!(folder(with(&both).dir("")).as_deref(), Some("/var/audit"));
    }

    #[test]
    fn only_backends_with_files_have_a_folder() {
        assert_eq!(with(&[("AUDIT_BACKEND", "memory")]).folder(), None);
        assert_eq!(Options::new().backend("null").folder(), None);
        assert!(with(&[("AUDIT_BACKEND", "null")]).backend("jsonl").folder().is_some());
        assert!(with(&[("AUDIT_BACKEND", "bogus")]).folder().is_some());
    }

    #[test]
    fn the_component_gets_the_environment_as_it_is() {
        let options = with(&[("AUDIT_BACKEND", "bogus"), ("REPO_ROOT", "/srv")]);
        let expected =
            [("AUDIT_BACKEND", "bogus".to_owned()), ("AUDIT_JSONL_DIR", "/srv/ops/audit".to_owned())];
        assert_eq!(options.guest_environment(), expected);
        assert!(options.guest_config().is_none());
    }

    #[test]
    fn a_wrong_interval_in_the_environment_is_the_default() {
        assert_eq!(with(&[("AUDIT_FLUSH_INTERVAL_MS", "often")]).tick(), Duration::from_secs(2));
        assert_eq!(with(&[("AUDIT_FLUSH_INTERVAL_MS", "500")]).tick(), Duration::from_millis(500));
        assert_eq!(Options::new().flush_interval(Duration::ZERO).tick(), Duration::from_millis(10));
    }

    #[test]
    fn limits_that_nothing_could_work_with_are_refused() {
        assert!(matches!(Options::new().guest_memory(1000).check(), Err(Error::Config(_))));
        assert!(matches!(Options::new().call_limit(Duration::ZERO).check(), Err(Error::Config(_))));
        assert!(matches!(Options::new().queue(0, 1).check(), Err(Error::Config(_))));
        assert_eq!(Options::new().check(), Ok(()));
    }
}
