//! Where the database is, and how long it may take. No text shows the URL.

use std::ffi::OsString;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::database::Database;
use crate::error::Error;
use crate::warnings::Warnings;

/// The environment variables with the URL; the first that is set counts.
const URLS: [&str; 2] = ["DATABASE_URL", "POSTGRES_DSN"];

const TIMEOUT: &str = "AUDIT_DATABASE_TIMEOUT_MS";

/// The longest time that the environment can set, in milliseconds.
const LONGEST: u64 = 3_600_000;

/// Where the database is, and how long it may take.
#[derive(Clone)]
pub(super) struct DatabaseOptions {
    url: Option<Url>,
    timeout: Duration,
    read_timeout: Duration,
    /// What is wrong with the environment, with what is done instead.
    warning: Option<String>,
    /// Shared by clones, so that an instance that replaces another keeps the connections.
    opened: Arc<OnceLock<Result<Database, Error>>>,
}

#[derive(Clone)]
struct Url {
    text: String,
    /// None: it was set by the program.
    variable: Option<&'static str>,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            url: None,
            timeout: Database::TIMEOUT,
            read_timeout: Database::READ_TIMEOUT,
            warning: None,
            opened: Arc::default(),
        }
    }
}

impl fmt::Debug for DatabaseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, timeout, read_timeout, .. } = self;
        f.debug_struct("DatabaseOptions")
            .field("url", &url.as_ref().map(|_| format_args!("_")))
            .field("timeout", timeout)
            .field("read_timeout", read_timeout)
            .finish_non_exhaustive()
    }
}

impl DatabaseOptions {
    pub(super) fn from_env(variable: impl Fn(&'static str) -> Option<OsString>) -> Self {
        // What is no text is no URL either, and refused as one.
        let url = |name| {
            let text = variable(name)?.to_string_lossy().into_owned();
            Some(Url { text, variable: Some(name) })
        };
        let mut options = Self { url: URLS.into_iter().find_map(url), ..Self::default() };
        if let Some(value) = variable(TIMEOUT) {
            match value.to_str().and_then(|text| text.parse().ok()) {
                Some(millis @ 1..=LONGEST) => options.timeout = Duration::from_millis(millis),
                _ => {
                    options.warning = Some(format!(
                        "{TIMEOUT}: {value:?} is not a number from 1 to {LONGEST}; {} is used",
                        options.timeout.as_millis()
                    ));
                }
            }
        }
        options
    }

    pub(super) fn set_url(&mut self, text: String) {
        self.url = Some(Url { text, variable: None });
        self.opened = Arc::default();
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
        self.warning = None;
        self.opened = Arc::default();
    }

    pub(super) fn set_read_timeout(&mut self, timeout: Duration) {
        self.read_timeout = timeout;
        self.opened = Arc::default();
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        Database::check(self.timeout, self.read_timeout)
    }

    /// The database, if there is a URL.
    pub(super) fn open(&self) -> Option<&Result<Database, Error>> {
        let Url { text, .. } = self.url.as_ref()?;
        Some(self.opened.get_or_init(|| Database::new(text, self.timeout, self.read_timeout)))
    }

    /// The database, if there is a URL. A wrong one is an error wherever it came from.
    pub(super) fn strictly_opened(&self, warnings: &Warnings) -> Result<Option<Database>, Error> {
        let Some(opened) = self.open() else { return Ok(None) };
        self.warn(warnings);
        let variable = self.url.as_ref().and_then(|url| url.variable);
        opened.clone().map(Some).map_err(|error| match (error, variable) {
            (Error::Config(text), Some(variable)) => Error::Config(format!("{variable}: {text}")),
            (error, _) => error,
        })
    }

    /// The database, if there is a URL. A wrong one in the environment is a warning, as if there were none.
    pub(super) fn opened(&self, warnings: &Warnings) -> Result<Option<Database>, Error> {
        let Some(opened) = self.open() else { return Ok(None) };
        self.warn(warnings);
        match (opened, self.url.as_ref().and_then(|url| url.variable)) {
            (Err(error @ Error::Config(_)), Some(variable)) => {
                warnings.warn("database-url", &format!("{variable}: {error}; there is no database"));
                Ok(None)
            }
            (opened, _) => opened.clone().map(Some),
        }
    }

    fn warn(&self, warnings: &Warnings) {
        if let Some(text) = &self.warning {
            warnings.warn("database-timeout", text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::Options;

    fn from(variables: &[(&'static str, &str)]) -> DatabaseOptions {
        DatabaseOptions::from_env(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })
    }

    fn with(variables: &[(&'static str, &str)]) -> Options {
        Options { database: from(variables), ..Options::new() }
    }

    /// What a start gets, and the warnings.
    fn opened(options: Options) -> (Result<Option<Database>, Error>, Vec<String>) {
        let warned = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&warned);
        let options = options.warnings(move |line| sink.lock().unwrap().push(line.to_owned()));
        let opened = options.database();
        drop(options);
        (opened, warned.lock().unwrap().clone())
    }

    #[test]
    fn the_first_variable_with_a_url_counts() {
        let url = |variables: &[_]| from(variables).url.map(|url| url.text);
        assert_eq!(url(&[]), None);
        assert_eq!(url(&[("POSTGRES_DSN", "b")]).as_deref(), Some("b"));
        assert_eq!(url(&[("POSTGRES_DSN", "b"), ("DATABASE_URL", "a")]).as_deref(), Some("a"));
    }

    #[test]
    fn only_backends_with_a_database_open_one() {
        for (backend, opens) in [("jsonl", false), ("null", false), ("postgres", true), ("auto", true)] {
            let (database, warned) = opened(Options::new().database_url("postgres://h").backend(backend));
            assert_eq!((database.unwrap().is_some(), warned.len()), (opens, 0), "{backend}");
        }
        assert!(opened(Options::new().database_url("postgres://h")).0.unwrap().is_none());
        assert!(opened(Options::new().backend("postgres")).0.unwrap().is_none());
        // What is not used is not looked at.
        assert!(opened(Options::new().database_url("mysql://h")).0.unwrap().is_none());
    }

    #[test]
    fn a_wrong_url_is_refused_as_an_option_and_a_warning_in_the_environment() {
        let (database, warned) = opened(Options::new().database_url("mysql://hidden").backend("auto"));
        assert!(matches!(database, Err(Error::Config(_))));
        assert!(warned.is_empty());
        let (database, warned) = opened(with(&[("POSTGRES_DSN", "mysql://hidden")]).backend("auto"));
        assert!(database.unwrap().is_none());
        assert!(matches!(&warned[..], [line] if line.contains("POSTGRES_DSN") && !line.contains("hidden")));
    }

    #[test]
    fn a_wrong_time_is_refused_as_an_option_and_a_warning_in_the_environment() {
        assert!(matches!(Options::new().database_timeout(Duration::ZERO).check(), Err(Error::Config(_))));
        assert!(matches!(
            Options::new().database_read_timeout(Duration::ZERO).check(),
            Err(Error::Config(_))
        ));
        for (value, timeout, warnings) in
            [("250", 250, 0), ("0", 2000, 1), ("soon", 2000, 1), ("3600001", 2000, 1), ("-1", 2000, 1)]
        {
            let variables = [("DATABASE_URL", "postgres://h"), (TIMEOUT, value)];
            assert_eq!(from(&variables).timeout, Duration::from_millis(timeout), "{value}");
            let (database, warned) = opened(with(&variables).backend("postgres"));
            assert_eq!((database.unwrap().is_some(), warned.len()), (true, warnings), "{warned:?}");
        }
    }

    #[test]
    fn without_a_database_the_backend_postgres_has_a_folder() {
        assert!(Options::new().backend("postgres").folder().is_some());
        assert!(Options::new().backend("postgres").database_url("mysql://h").folder().is_some());
        assert!(Options::new().backend("postgres").database_url("postgres://h").folder().is_none());
        assert!(Options::new().backend("auto").database_url("postgres://h").folder().is_some());
    }

    #[test]
    fn clones_share_the_connections_until_something_is_changed() {
        let options = Options::new().backend("postgres").database_url("postgres://h");
        let shares = |other: &Options| Arc::ptr_eq(&options.database.opened, &other.database.opened);
        assert!(shares(&options.clone()));
        assert!(!shares(&options.clone().database_url("postgres://g")));
        assert!(!shares(&options.clone().database_timeout(Duration::from_secs(1))));
    }

    #[test]
    fn the_url_is_neither_shown_nor_handed_to_the_component() {
        let options = with(&[("DATABASE_URL", "postgres://u:hidden@h/d")]).backend("postgres");
        assert!(options.database().unwrap().is_some());
        assert!(!format!("{options:?}").contains("hidden"), "{options:?}");
        assert!(options.guest_environment().iter().all(|(_, value)| !value.contains("hidden")));
        assert!(options.guest_environment().iter().all(|(name, _)| *name != "DATABASE_URL"));
    }
}
