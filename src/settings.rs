//! The configuration: what the host sets, what the environment says, and the defaults.

use crate::backends::Kind;
use crate::error::listed;
use crate::time::quoted;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Settings as the host gives them; the WIT record `config`.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Config {
    pub backend: Option<String>,
    pub jsonl_dir: Option<String>,
    pub durability: Option<String>,
    pub memory_limit: Option<u64>,
    pub batch_size: Option<u64>,
    pub flush_interval_ms: Option<u64>,
    pub queue_limit: Option<u64>,
    pub recovery_interval_s: Option<u64>,
}

/// When an event counts as stored in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it is flushed from memory.
    Buffered,
    /// Once the operating system has it.
    Written,
    /// Once the disk has it.
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
    pub backend: Kind,
    /// The backend that was asked for.
    pub requested: String,
    /// The folder of the daily files.
    pub jsonl_dir: String,
    /// When an event counts as stored in a file.
    pub durability: Durability,
    /// How many events `memory` keeps.
    pub memory_limit: usize,
    /// How many events go to the database at once.
    pub batch_size: usize,
    /// How long an event may wait in memory, in milliseconds.
    pub flush_interval_ms: u64,
    /// How many events may wait in memory.
    pub queue_limit: usize,
    /// How long until a database that failed is tried again, in seconds.
    pub recovery_interval_s: u64,
    /// What is wrong with the environment, and what is done instead.
    pub warnings: Vec<String>,
}

/// A wrong setting: where it came from, what it says, and what is accepted.
struct Wrong {
    source: Source,
    found: String,
    accepted: String,
}

enum Source {
    Config(&'static str),
    Variable(&'static str),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Source::Config(name) | Source::Variable(name)) = self.source;
        write!(f, "{name}: {}; accepted is {}", self.found, self.accepted)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backend: Kind::Jsonl,
            requested: Kind::Jsonl.name().into(),
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
    /// The settings that the environment and the defaults give.
    pub fn from_environment(
        variable: &dyn Fn(&str) -> Option<String>,
        has_database: &dyn Fn() -> bool,
    ) -> Self {
        Self::resolve(&Config::default(), variable, has_database)
            .unwrap_or_else(|warning| Self { warnings: [warning].into(), ..Self::default() })
    }

    /// The settings that `config`, then the environment, then the defaults give. What is wrong in `config` is
    /// an error; what is wrong in the environment is a warning, and the default holds.
    pub fn resolve(
        config: &Config,
        variable: &dyn Fn(&str) -> Option<String>,
        has_database: &dyn Fn() -> bool,
    ) -> Result<Self, String> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut resolving = Resolving { variable: &variable, warnings: Vec::new() };
        let default = Self::default();
        let (requested, backend) = resolving
            .text("backend", &config.backend, "AUDIT_BACKEND", |name| match Kind::named(name) {
                Some(kind) if kind.needs_database() && !has_database() => {
                    Err(format!("one of {}: the host has no database", Kind::WITHOUT_DATABASE))
                }
                Some(kind) => Ok((name.to_string(), kind)),
                None if matches!(name, "postgres" | "auto") => {
                    Err(format!("one of {}: this build has no database", Kind::WITHOUT_DATABASE))
                }
                None => Err(format!("one of {}", Kind::NAMES)),
            })?
            .unwrap_or_else(|| {
                let requested = variable("AUDIT_BACKEND").unwrap_or_else(|| Kind::Jsonl.name().into());
                (requested, Kind::Jsonl)
            });
        let jsonl_dir = config.jsonl_dir.clone().filter(|dir| !dir.is_empty());
        let jsonl_dir = jsonl_dir.or_else(|| variable("AUDIT_JSONL_DIR")).unwrap_or_else(|| {
            let root = variable("REPO_ROOT").unwrap_or_else(|| ".".into());
            format!("{}/ops/audit", root.trim_end_matches('/'))
        });
        let durabilities = listed(&Durability::ALL.map(Durability::name));
        let durability = resolving.text("durability", &config.durability, "AUDIT_DURABILITY", |name| {
            let found = Durability::ALL.into_iter().find(|durability| durability.name() == name);
            found.ok_or_else(|| format!("one of {durabilities}"))
        })?;
        let memory_limit = resolving.number(
            "memory_limit",
            config.memory_limit,
            "AUDIT_MEMORY_LIMIT",
            1,
            default.memory_limit as u64,
        )?;
        let batch_size = resolving.number(
            "batch_size",
            config.batch_size,
            "AUDIT_BATCH_SIZE",
            1,
            default.batch_size as u64,
        )?;
        let flush_interval_ms = resolving.number(
            "flush_interval_ms",
            config.flush_interval_ms,
            "AUDIT_FLUSH_INTERVAL_MS",
            0,
            default.flush_interval_ms,
        )?;
        let queue_limit = resolving.number(
            "queue_limit",
            config.queue_limit,
            "AUDIT_QUEUE_LIMIT",
            1,
            default.queue_limit as u64,
        )?;
        let recovery_interval_s = resolving.number(
            "recovery_interval_s",
            config.recovery_interval_s,
            "AUDIT_RECOVERY_INTERVAL_S",
            1,
            default.recovery_interval_s,
        )?;
        Ok(Self {
            backend,
            requested,
            jsonl_dir,
            durability: durability.unwrap_or(default.durability),
            memory_limit: usize::try_from(memory_limit).unwrap_or(usize::MAX),
            batch_size: usize::try_from(batch_size).unwrap_or(usize::MAX),
            flush_interval_ms,
            queue_limit: usize::try_from(queue_limit).unwrap_or(usize::MAX),
            recovery_interval_s,
            warnings: resolving.warnings,
        })
    }
}

struct Resolving<'v> {
    variable: &'v dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

impl Resolving<'_> {
    /// The value that `read` makes of the setting's text; `None`: nothing usable was given. `read` fails with
    /// what is accepted.
    fn text<T>(
        &mut self,
        name: &'static str,
        given: &Option<String>,
        variable: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let wrong = |source, text: &str, accepted| Wrong { source, found: quoted(text), accepted };
        if let Some(text) = given {
            let value = read(text).map_err(|accepted| wrong(Source::Config(name), text, accepted));
            return value.map(Some).map_err(|wrong| wrong.to_string());
        }
        let Some(text) = (self.variable)(variable) else { return Ok(None) };
        match read(&text) {
            Ok(value) => Ok(Some(value)),
            Err(accepted) => {
                self.warn(&wrong(Source::Variable(variable), &text, accepted), name);
                Ok(None)
            }
        }
    }

    fn number(
        &mut self,
        name: &'static str,
        given: Option<u64>,
        variable: &'static str,
        least: u64,
        default: u64,
    ) -> Result<u64, String> {
        let read = |text: &str| match text.parse::<u64>() {
            Ok(number) if number >= least => Ok(number),
            _ => Err(format!("a whole number from {least}")),
        };
        let given = given.map(|number| number.to_string());
        Ok(self.text(name, &given, variable, read)?.unwrap_or(default))
    }

    fn warn(&mut self, wrong: &Wrong, name: &str) {
        let default = if name == "backend" { Kind::Jsonl.name() } else { "the default" };
        self.warnings.push(format!("{wrong}; {default} is used"));
    }
}
