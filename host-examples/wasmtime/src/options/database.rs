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
