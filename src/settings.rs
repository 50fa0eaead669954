//! The settings: those of the host's configuration, else those of environment variables, else the defaults.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::listed;
use audit_format::show::quoted;

/// The configuration that the host passes to `configure`: the WIT record `config`.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Config {
    pub backend: Option<BackendKind>,
    pub jsonl_dir: Option<String>,
    pub durability: Option<Durability>,
    pub memory_limit: Option<u64>,
    pub batch_size: Option<u64>,
    pub flush_interval_ms: Option<u64>,
    pub queue_limit: Option<u64>,
    pub recovery_interval_s: Option<u64>,
}

/// The kinds of backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    /// The newest events, in memory.
    Memory,
    /// Daily files of JSON lines.
    Jsonl,
    /// The host's database.
    Postgres,
    /// The host's database while it answers, else a spool on disk.
    Auto,
    /// Events are not kept.
    Null,
}

impl BackendKind {
    /// All kinds. The contract tests run on each.
    pub const ALL: [Self; 5] = [Self::Memory, Self::Jsonl, Self::Postgres, Self::Auto, Self::Null];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Jsonl => "jsonl",
            Self::Postgres => "postgres",
            Self::Auto => "auto",
            Self::Null => "null",
        }
    }

    /// Whether it stores events in a database.
    pub fn needs_database(self) -> bool {
        matches!(self, Self::Postgres | Self::Auto)
    }

    /// Whether it stores events in files.
    pub fn has_files(self) -> bool {
        matches!(self, Self::Jsonl | Self::Auto)
    }

    /// The backend of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The names of the backends that can be used with or without a database, for a message.
    fn names(has_database: bool) -> String {
        let usable = Self::ALL.into_iter().filter(|kind| has_database || !kind.needs_database());
        listed(&usable.map(Self::name).collect::<Vec<_>>())
    }
}

/// What takes the events now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Active {
    /// The memory.
    Memory,
    /// The daily files.
    Jsonl,
    /// The host's database.
    Postgres,
    /// Under `auto`: the spool, while the database does not answer.
    Spool,
    /// Nothing: auditing is off.
    Null,
}

impl From<BackendKind> for Active {
    /// What a backend uses that does not say so itself.
    fn from(backend: BackendKind) -> Self {
        match backend {
            BackendKind::Memory => Self::Memory,
            BackendKind::Jsonl => Self::Jsonl,
            BackendKind::Postgres | BackendKind::Auto => Self::Postgres,
            BackendKind::Null => Self::Null,
        }
    }
}

/// When an event counts as stored in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it is flushed from memory.
    Buffered,
    /// Once the operating system has accepted it.
    Written,
    /// Once it is synced to the disk.
    Synced,
}

impl Durability {
    const ALL: [Self; 3] = [Self::Buffered, Self::Written, Self::Synced];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Written => "written",
            Self::Synced => "synced",
        }
    }
}

/// Checked settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The backend in use.
    pub backend: BackendKind,
    /// The backend that was requested; another one is in use if this one cannot be used.
    pub requested: String,
    /// The folder of the daily files and the spool.
    pub jsonl_dir: String,
    /// When an event counts as stored in a file.
    pub durability: Durability,
    /// How many events the backend `memory` keeps.
    pub memory_limit: usize,
    /// How many events are sent to the database at once.
    pub batch_size: usize,
    /// How long an event may wait in memory, in milliseconds.
    pub flush_interval_ms: u64,
    /// How many events may wait in memory.
    pub queue_limit: usize,
    /// How long after a failure a write tries the database again, in seconds.
    pub recovery_interval_s: u64,
    /// What is wrong with environment variables, and what is used instead.
    pub warnings: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backend: BackendKind::Jsonl,
            requested: BackendKind::Jsonl.name().into(),
            jsonl_dir: "./ops/audit".into(),
            durability: Durability::Written,
            memory_limit: 100_000,
            batch_size: 50,
            flush_interval_ms: 2_000,
            queue_limit: 10_000,
            recovery_interval_s: 300,
            warnings: Vec::new(),
        }
    }
}

impl Settings {
    /// The settings of the environment and the defaults.
    pub fn from_environment(
        variable: &dyn Fn(&str) -> Option<String>,
        has_database: &dyn Fn() -> bool,
    ) -> Self {
        Self::resolve(&Config::default(), variable, has_database)
            .unwrap_or_else(|warning| Self { warnings: [warning].into(), ..Self::default() })
    }

    /// The settings of `config`, else of the environment, else the defaults. `variable` looks up an
    /// environment variable; an empty one counts as unset.
    ///
    /// # Errors
    /// If a setting in `config` is invalid. An invalid environment variable is a warning, and the default is
    /// used.
    pub fn resolve(
        config: &Config,
        variable: &dyn Fn(&str) -> Option<String>,
        has_database: &dyn Fn() -> bool,
    ) -> Result<Self, String> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut resolver = Resolver { variable: &variable, warnings: Vec::new() };
        let default = Self::default();
        let (requested, backend) = resolver.backend(config, has_database)?;
        let jsonl_dir = config.jsonl_dir.clone().filter(|dir| !dir.is_empty());
        let jsonl_dir = jsonl_dir.or_else(|| variable("AUDIT_JSONL_DIR")).unwrap_or_else(|| {
            let root = variable("REPO_ROOT").unwrap_or_else(|| ".".into());
            format!("{}/ops/audit", root.trim_end_matches('/'))
        });
        let durability = config.durability.map(|durability| durability.name().into());
        let durability = resolver.text("durability", &durability, |name| {
            let found = Durability::ALL.into_iter().find(|durability| durability.name() == name);
            found.ok_or_else(|| format!("one of {}", listed(&Durability::ALL.map(Durability::name))))
        })?;
        Ok(Self {
            backend,
            requested,
            jsonl_dir,
            durability: durability.unwrap_or(default.durability),
            memory_limit: resolver.count("memory_limit", config.memory_limit, default.memory_limit)?,
            batch_size: resolver.count("batch_size", config.batch_size, default.batch_size)?,
            flush_interval_ms: resolver
                .number("flush_interval_ms", config.flush_interval_ms, 0)?
                .unwrap_or(default.flush_interval_ms),
            queue_limit: resolver.count("queue_limit", config.queue_limit, default.queue_limit)?,
            recovery_interval_s: resolver
                .number("recovery_interval_s", config.recovery_interval_s, 1)?
                .unwrap_or(default.recovery_interval_s),
            warnings: resolver.warnings,
        })
    }
}

/// Looks up settings: in the configuration, else in the variable `AUDIT_` followed by the name in capitals.
struct Resolver<'v> {
    variable: &'v dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

impl Resolver<'_> {
    /// The name of the backend that was requested, and the kind to use.
    fn backend(
        &mut self,
        config: &Config,
        has_database: &dyn Fn() -> bool,
    ) -> Result<(String, BackendKind), String> {
        let given = config.backend.map(|backend| backend.name().into());
        let found = self.text("backend", &given, |name| match BackendKind::named(name) {
            Some(kind) if kind.needs_database() && !has_database() => {
                Err(format!("one of {}: the host has no database", BackendKind::names(false)))
            }
            Some(kind) => Ok((name.to_string(), kind)),
            None => Err(format!("one of {}", BackendKind::names(has_database()))),
        })?;
        Ok(found.unwrap_or_else(|| {
            let requested = (self.variable)("AUDIT_BACKEND");
            (requested.unwrap_or_else(|| BackendKind::Jsonl.name().into()), BackendKind::Jsonl)
        }))
    }

    /// The setting's value, parsed from its text; none: it is not set, or is invalid in the environment.
    /// `parse` fails with what is accepted.
    fn text<T>(
        &mut self,
        name: &str,
        given: &Option<String>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let Some((source, text)) = self.find(name, given) else { return Ok(None) };
        match parse(&text) {
            Ok(value) => Ok(Some(value)),
            Err(accepted) => {
                let problem = format!("{source}: {}; accepted is {accepted}", quoted(&text));
                self.reject(name, given.is_some(), problem).map(|()| None)
            }
        }
    }

    /// Where the setting is set, as named in messages, and its text.
    fn find(&self, name: &str, given: &Option<String>) -> Option<(String, String)> {
        match given {
            Some(text) => Some((name.into(), text.clone())),
            None => {
                let variable = format!("AUDIT_{}", name.to_ascii_uppercase());
                let text = (self.variable)(&variable)?;
                Some((variable, text))
            }
        }
    }

    /// An invalid setting is an error if it was given in the configuration, else a warning.
    fn reject(&mut self, name: &str, is_given: bool, problem: String) -> Result<(), String> {
        if is_given {
            return Err(problem);
        }
        let default = if name == "backend" { BackendKind::Jsonl.name() } else { "the default" };
        self.warnings.push(format!("{problem}; {default} is used"));
        Ok(())
    }

    /// A whole number, `least` or more.
    fn number(&mut self, name: &str, given: Option<u64>, least: u64) -> Result<Option<u64>, String> {
        let given = given.map(|number| number.to_string());
        self.text(name, &given, |text| match text.parse() {
            Ok(number) if number >= least => Ok(number),
            _ => Err(format!("a whole number from {least}")),
        })
    }

    /// A whole number from 1, as a size in memory.
    fn count(&mut self, name: &str, given: Option<u64>, default: usize) -> Result<usize, String> {
        let number = self.number(name, given, 1)?;
        Ok(number.map_or(default, |number| usize::try_from(number).unwrap_or(usize::MAX)))
    }
}
