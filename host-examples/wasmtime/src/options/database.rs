//! The options for the database: its URL and its timeouts. No message and no debug output shows the URL.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::database::{Database, Libpq};
use crate::error::Error;
use crate::warnings::Warnings;

/// The environment variables that may have the URL. The first that is set counts.
const URL_VARIABLES: [&str; 2] = ["DATABASE_URL", "POSTGRES_DSN"];

/// The environment variable with the timeout, in milliseconds.
const TIMEOUT_VARIABLE: &str = "AUDIT_DATABASE_TIMEOUT_MS";

/// The longest timeout that the variable can set, in milliseconds: an hour.
const MAX_TIMEOUT_MS: u64 = 3_600_000;

/// The URL and the timeouts of the database.
#[derive(Clone)]
pub(super) struct DatabaseOptions {
    url: Option<Url>,
    libpq: Libpq,
    timeout: Duration,
    read_timeout: Duration,
    /// What is wrong with the variable of the timeout, and what is used instead.
    warning: Option<String>,
    /// The database, once it is opened. Clones share it, so that an instance that replaces another keeps the
    /// connections.
    opened: Arc<OnceLock<Opened>>,
}

/// The database, and what is wrong with the password file.
type Opened = Result<(Database, Option<String>), Error>;

#[derive(Clone)]
struct Url {
    text: String,
    /// The variable that the URL came from. `None` if the program set it.
    variable: Option<&'static str>,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            url: None,
            libpq: Libpq::default(),
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
    /// Reads the environment by `variable`, which returns the value of a variable that is set.
    pub(super) fn from_env(variable: impl Fn(&'static str) -> Option<OsString>) -> Self {
        // Bytes that are not UTF-8 are replaced. The result is no valid URL, and is rejected like any other.
        let url = |name| {
            let text = variable(name)?.to_string_lossy().into_owned();
            Some(Url { text, variable: Some(name) })
        };
        let url = URL_VARIABLES.into_iter().find_map(url);
        let mut options = Self { url, libpq: Libpq::from_env(&variable), ..Self::default() };
        if let Some(value) = variable(TIMEOUT_VARIABLE) {
            match value.to_str().and_then(|text| text.parse().ok()) {
                Some(millis @ 1..=MAX_TIMEOUT_MS) => options.timeout = Duration::from_millis(millis),
                _ => {
                    options.warning = Some(format!(
                        "{TIMEOUT_VARIABLE}: {value:?} is not a number of milliseconds from 1 to \
                         {MAX_TIMEOUT_MS}; the default, {}, is used",
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

    /// Opens the database on the first call. `None` if there is no URL.
    pub(super) fn open(&self) -> Option<&Opened> {
        let Url { text, .. } = self.url.as_ref()?;
        let open = || Database::with_libpq(text, &self.libpq, self.timeout, self.read_timeout);
        Some(self.opened.get_or_init(open))
    }

    /// The database. `None` if there is no URL. An invalid URL is an error wherever it came from.
    pub(super) fn open_or_fail(&self, warnings: &Warnings) -> Result<Option<Database>, Error> {
        let Some(opened) = self.open() else { return Ok(None) };
        self.warn(opened, warnings);
        let variable = self.url.as_ref().and_then(|url| url.variable);
        opened.clone().map(|(database, _)| Some(database)).map_err(|error| match (error, variable) {
            (Error::Config(text), Some(variable)) => Error::Config(format!("{variable}: {text}")),
            (error, _) => error,
        })
    }

    /// The database. `None` if there is no URL. An invalid URL in the environment is a warning, and counts as
    /// none.
    pub(super) fn open_or_warn(&self, warnings: &Warnings) -> Result<Option<Database>, Error> {
        let Some(opened) = self.open() else { return Ok(None) };
        self.warn(opened, warnings);
        match (opened, self.url.as_ref().and_then(|url| url.variable)) {
            (Err(error @ Error::Config(_)), Some(variable)) => {
                warnings.warn("database-url", &format!("{variable}: {error}; no database is used"));
                Ok(None)
            }
            (opened, _) => opened.clone().map(|(database, _)| Some(database)),
        }
    }

    fn warn(&self, opened: &Opened, warnings: &Warnings) {
        if let Some(text) = &self.warning {
            warnings.warn("database-timeout", text);
        }
        if let Ok((_, Some(text))) = opened {
            warnings.warn("password-file", text);
        }
    }
}
