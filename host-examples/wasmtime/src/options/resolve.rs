//! What the options come to: the values that the host and the component work with once options, environment
//! and defaults are put together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audit_format::listed;
use audit_format::show::quoted;

use super::Options;
use crate::bindings::exports::audit::store::control::Config;
use crate::database::Database;
use crate::error::Error;
use crate::types::{Backend, Durability};

/// The least memory, in bytes, in which the component has room for a page or a batch.
const MIN_GUEST_MEMORY: usize = 1 << 20;

impl Options {
    /// The folder of the daily files or of the spool, as the component will use it. `None` if the backend
    /// keeps no files.
    pub fn folder(&self) -> Option<PathBuf> {
        match self.requested_backend() {
            Some(Backend::Memory | Backend::Null) => return None,
            // Without a database, the component uses `jsonl` in the place of `postgres`.
            Some(Backend::Postgres) if self.database.open().is_some_and(|opened| opened.is_ok()) => {
                return None;
            }
            _ => {}
        }
        let given = self.dir.clone().filter(|dir| !dir.as_os_str().is_empty());
        Some(given.or_else(|| self.environment.get("AUDIT_JSONL_DIR").map(PathBuf::from)).unwrap_or_else(
            || Path::new(self.environment.get("REPO_ROOT").unwrap_or(".".as_ref())).join("ops/audit"),
        ))
    }

    /// Whether a method of these options has set something other than the folder that the component checks,
    /// and may reject with [`Error::Config`]. Environment variables do not count.
    pub fn is_configured(&self) -> bool {
        let Config { memory_limit, batch_size, flush_interval_ms, queue_limit, recovery_interval_s, .. } =
            &self.config;
        let numbers = [memory_limit, batch_size, flush_interval_ms, queue_limit, recovery_interval_s];
        let is_named = self.backend.is_some() || self.durability.is_some();
        is_named || numbers.into_iter().any(Option::is_some)
    }

    /// The database at the URL that is set, whatever the backend is. `None` if no URL is set. Stores with
    /// these options use the same connections. This does not connect yet.
    ///
    /// # Errors
    /// As for [`Database::new`]. If the URL came from an environment variable, the text names the variable.
    pub fn open_database(&self) -> Result<Option<Database>, Error> {
        self.database.open_or_fail(&self.warnings)
    }

    /// Begins to connect to the database, if the backend needs one, for a store that is soon opened with these options: see
    /// [`Database::connect_ahead`].
    pub fn connect_ahead(&self) {
        if let Ok(Some(database)) = self.database() {
            database.connect_ahead();
        }
    }

    /// How often a store flushes: [`Options::flush_interval`], else `AUDIT_FLUSH_INTERVAL_MS`, else 2 s; at
    /// least 10 ms and at most an hour.
    pub fn flush_interval_or_default(&self) -> Duration {
        let given = self.config.flush_interval_ms;
        let given = given.or_else(|| self.environment.number("AUDIT_FLUSH_INTERVAL_MS"));
        // To flush more often would only cost processor time.
        Duration::from_millis(given.unwrap_or(2000).clamp(10, 3_600_000))
    }

    /// How often the worker has the component try a database again that did not answer.
    pub(crate) fn recovery_interval_or_default(&self) -> Duration {
        let given = self.config.recovery_interval_s;
        let given = given.or_else(|| self.environment.number("AUDIT_RECOVERY_INTERVAL_S"));
        Duration::from_secs(given.filter(|seconds| *seconds > 0).unwrap_or(300).min(1 << 32))
    }

    /// Rejects values that the host cannot work with. The component checks the others.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.guest_memory < MIN_GUEST_MEMORY {
            return Err(Error::Config(format!(
                "guest_memory: {} bytes is too little; accepted is 1 MiB (1048576 bytes) or more",
                self.guest_memory
            )));
        }
        if let Some(limit) = self.call_limit.filter(|limit| *limit < Duration::from_millis(1)) {
            return Err(Error::Config(format!(
                "call_limit: {limit:?} is too short; accepted is 1 ms or more"
            )));
        }
        #[cfg(feature = "pooling-allocator")]
        if self.pool == Some(0) {
            return Err(Error::Config("pool: 0 instances is too little; accepted is 1 or more".into()));
        }
        self.given_backend()?;
        self.given_durability()?;
        self.database.check()?;
        for (what, given) in [("events", self.queue_events), ("bytes", self.queue_bytes)] {
            if given == 0 {
                return Err(Error::Config(format!("queue: 0 {what} is too little; accepted is 1 or more")));
            }
        }
        Ok(())
    }

    /// The environment that the component sees. The folder has the name that it is preopened under.
    pub(crate) fn guest_environment(&self) -> Vec<(&'static str, String)> {
        let folder = self.folder().map(|folder| ("AUDIT_JSONL_DIR", guest_path(&folder)));
        let others =
            self.environment.iter().filter(|(name, _)| !["AUDIT_JSONL_DIR", "REPO_ROOT"].contains(name));
        others.map(|(name, value)| (name, value.to_string_lossy().into_owned())).chain(folder).collect()
    }

    /// The argument of `control.configure`. `None` if there is nothing to configure.
    ///
    /// # Errors
    /// As for [`Options::check`].
    pub(crate) fn guest_config(&self) -> Result<Option<Config>, Error> {
        if !self.is_configured() {
            return Ok(None);
        }
        let backend = self.given_backend()?.map(Into::into);
        let durability = self.given_durability()?.map(Into::into);
        Ok(Some(Config { backend, durability, ..self.config.clone() }))
    }

    fn given_backend(&self) -> Result<Option<Backend>, Error> {
        named("backend", self.backend.as_deref(), Backend::named, &Backend::ALL.map(Backend::name))
    }

    fn given_durability(&self) -> Result<Option<Durability>, Error> {
        let names = Durability::ALL.map(Durability::name);
        named("durability", self.durability.as_deref(), Durability::named, &names)
    }

    /// The database, if there is one and the backend needs it. It is the same one each time.
    pub(crate) fn database(&self) -> Result<Option<Database>, Error> {
        if self.requested_backend().is_some_and(Backend::needs_database) {
            self.database.open_or_warn(&self.warnings)
        } else {
            Ok(None)
        }
    }

    /// Options for an instance that only reads, beside one with these options. Its warnings are passed on
    /// only while the flag is set: the other instance has already warned of what is wrong with the options.
    pub(crate) fn for_reader(&self) -> (Self, Arc<AtomicBool>) {
        let pass_warnings = Arc::new(AtomicBool::new(false));
        let (warnings, passes) = (self.warnings.clone(), Arc::clone(&pass_warnings));
        let sink = move |line: &str| {
            if passes.load(Ordering::Relaxed) {
                warnings.warn_line(line);
            }
        };
        (self.clone().read_only(true).warnings(sink), pass_warnings)
    }

    fn requested_backend(&self) -> Option<Backend> {
        let given = self.backend.as_deref();
        Backend::named(given.or_else(|| self.environment.get("AUDIT_BACKEND")?.to_str())?)
    }
}

/// The case of the name that was given.
fn named<T>(
    option: &str,
    given: Option<&str>,
    case: fn(&str) -> Option<T>,
    names: &[&str],
) -> Result<Option<T>, Error> {
    let Some(name) = given else { return Ok(None) };
    let accepted = || format!("{option}: {}; accepted is one of {}", quoted(name), listed(names));
    case(name).map(Some).ok_or_else(|| Error::Config(accepted()))
}

/// The name of a folder inside the component. WASI's paths are text, so other bytes are replaced.
pub(crate) fn guest_path(folder: &Path) -> String {
    folder.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(environment: &[(&'static str, &str)]) -> Options {
        let environment = environment.iter().map(|(name, value)| (*name, value.into())).collect();
        Options { environment, ..Options::new() }
    }

    #[test]
    fn the_folder_is_the_option_else_the_variable_else_below_repo_root() {
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
    fn the_component_gets_the_environment_unchanged_except_for_the_folder() {
        let options = with(&[("AUDIT_BACKEND", "bogus"), ("REPO_ROOT", "/srv")]);
        let expected =
            [("AUDIT_BACKEND", "bogus".to_owned()), ("AUDIT_JSONL_DIR", "/srv/ops/audit".to_owned())];
        assert_eq!(options.guest_environment(), expected);
        assert!(matches!(options.guest_config(), Ok(None)));
    }

    #[test]
    fn an_invalid_interval_in_the_environment_gives_the_default() {
        let interval = |options: Options| options.flush_interval_or_default();
        assert_eq!(interval(with(&[("AUDIT_FLUSH_INTERVAL_MS", "often")])), Duration::from_secs(2));
        assert_eq!(interval(with(&[("AUDIT_FLUSH_INTERVAL_MS", "500")])), Duration::from_millis(500));
        assert_eq!(interval(Options::new().flush_interval(Duration::ZERO)), Duration::from_millis(10));
    }

    #[test]
    fn limits_too_small_to_work_with_are_rejected() {
        assert!(matches!(Options::new().guest_memory(1000).check(), Err(Error::Config(_))));
        assert!(matches!(Options::new().call_limit(Duration::ZERO).check(), Err(Error::Config(_))));
        assert!(matches!(Options::new().queue(0, 1).check(), Err(Error::Config(_))));
        assert_eq!(Options::new().check(), Ok(()));
    }
}
