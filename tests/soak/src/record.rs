//! The records of a run: which backend each has, and what can go wrong with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use audit_fixtures::database_options;
use audit_host::Options;

/// How long the database may take for an answer.
pub const TIMEOUT: Duration = Duration::from_millis(1_000);

/// A folder, and perhaps a database.
pub struct Record {
    pub name: &'static str,
    /// The backends that write to it, in turn.
    pub backends: &'static [&'static str],
    pub folder: PathBuf,
    /// The URL of the database, through the proxy and without it.
    pub urls: Option<[String; 2]>,
    /// Whether its disk can be full.
    pub is_tight: bool,
    /// The folder of its log, if it is sealed.
    pub log: Option<PathBuf>,
    /// The folder of archives, if it is pruned.
    pub archive: Option<PathBuf>,
}

impl Record {
    /// The backend of the `n`-th writer.
    pub fn backend(&self, n: usize) -> &'static str {
        self.backends[n % self.backends.len()]
    }

    /// A command of the program, which uses this record by one of its backends. What the user has set is not seen.
    pub fn command(&self, program: &Path, backend: &str, scratch: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "TMPDIR"));
        command.env("HOME", scratch).env("XDG_CACHE_HOME", cache()).env("AUDIT_BACKEND", backend);
        command.env("AUDIT_DATABASE_TIMEOUT_MS", TIMEOUT.as_millis().to_string());
        command.env("AUDIT_JSONL_DIR", &self.folder);
        if let Some([url, _]) = &self.urls {
            command.env("DATABASE_URL", url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(scratch);
        command
    }

    /// The URL without the proxy, for a command.
    pub fn direct<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if let Some([_, direct]) = &self.urls {
            command.env("DATABASE_URL", direct);
        }
        command
    }

    /// The options of a store that reads all of the record, without the proxy.
    pub fn options(&self) -> Options {
        let backend = if self.urls.is_some() { "auto" } else { "jsonl" };
        match &self.urls {
            Some([_, direct]) => database_options(backend, &self.folder, direct),
            None => Options::new().backend(backend).dir(&self.folder).warnings(|_| ()),
        }
    }
}

/// Where the compiled component is kept, so that it is not compiled for each process.
fn cache() -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_default().join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from)
}
