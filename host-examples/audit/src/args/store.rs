//! The options of the store, which all subcommands accept.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit_format::names;
use audit_host::{Backend, Options};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum, value_parser};

use crate::call::place;
use crate::message::{Failure, warn, warn_of_store};

/// What messages say if there is no database URL.
pub(crate) const HOW_TO_GIVE_A_URL: &str = "set DATABASE_URL to its URL, such as \
    postgres://USER:PASSWORD@HOST:5432/DATABASE, or give --database-url";

/// The same limit as that of the variable: an hour.
const MAX_TIMEOUT_MS: u64 = 3_600_000;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of the store")]
pub(crate) struct StoreArgs {
    /// Where events are kept: in memory (only the newest), in daily files (jsonl), in a database (postgres),
    /// in a database or in a spool on disk while that does not answer (auto), or nowhere (null)
    /// [env: AUDIT_BACKEND] [default: jsonl]
    #[arg(long, global = true, value_name = "NAME")]
    #[arg(value_parser = PossibleValuesParser::new(Backend::ALL.map(Backend::name)).map(backend))]
    backend: Option<Backend>,
    /// The folder of the daily files and of the spool, which is created if necessary
    /// [env: AUDIT_JSONL_DIR] [default: $REPO_ROOT/ops/audit, or ops/audit]
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
    /// Whose record, in the place of --dir: that of the user ($XDG_STATE_HOME/audit, or ~/.local/state/audit), or that of
    /// the project (ops/audit in the nearest folder upwards that has .git)
    #[arg(long, global = true, value_name = "WHOSE", conflicts_with = "dir")]
    pub(crate) scope: Option<Scope>,
    /// When an event counts as stored in a file: at the next flush (buffered), when the operating system has
    /// it (written), or when the disk has it (synced) [env: AUDIT_DURABILITY] [default: written]
    #[arg(long, global = true, value_name = "NAME", value_parser = ["buffered", "written", "synced"])]
    durability: Option<String>,
    /// How many events the backend `memory` keeps at most, if their lines fit into 96 MiB
    /// [env: AUDIT_MEMORY_LIMIT] [default: 100000]
    #[arg(long, global = true, value_name = "EVENTS", value_parser = value_parser!(u64).range(1..))]
    memory_limit: Option<u64>,
    /// The database for the backends `postgres` and `auto`: postgres://USER:PASSWORD@HOST:PORT/DATABASE.
    /// Other users of the machine can see this option in the list of processes; prefer the variable. A password
    /// that is not in the URL comes from PGPASSWORD, or else from the file ~/.pgpass
    /// [env: DATABASE_URL, else POSTGRES_DSN]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// How many milliseconds connecting to the database and one statement may take together; a read may take
    /// 10 s more [env: AUDIT_DATABASE_TIMEOUT_MS] [default: 2000]
    #[arg(long, global = true, value_name = "MS")]
    #[arg(value_parser = value_parser!(u64).range(1..=MAX_TIMEOUT_MS))]
    database_timeout_ms: Option<u64>,
    /// How many events wait for the database until they are sent [env: AUDIT_BATCH_SIZE] [default: 50]
    #[arg(long, global = true, value_name = "EVENTS", value_parser = value_parser!(u64).range(1..))]
    batch_size: Option<u64>,
    /// How many milliseconds an event may wait in memory until it is written or sent
    /// [env: AUDIT_FLUSH_INTERVAL_MS] [default: 2000]
    #[arg(long, global = true, value_name = "MS")]
    flush_interval_ms: Option<u64>,
    /// How many events may wait in memory at most [env: AUDIT_QUEUE_LIMIT] [default: 10000]
    #[arg(long, global = true, value_name = "EVENTS", value_parser = value_parser!(u64).range(1..))]
    queue_limit: Option<u64>,
    /// After how many seconds a database that failed is tried again
    /// [env: AUDIT_RECOVERY_INTERVAL_S] [default: 300]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..))]
    recovery_interval_s: Option<u64>,
}

/// Whose record is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    /// That of the user
    User,
    /// That of the project
    Project,
}

impl Scope {
    /// The folder of the record, for who works in `cwd`.
    pub(crate) fn folder(self, cwd: &Path) -> Result<PathBuf, Failure> {
        match self {
            Self::User => place::user_folder().ok_or_else(|| {
                Failure::because("--scope user", "there is no home folder; set XDG_STATE_HOME, or give --dir")
            }),
            Self::Project => Ok(place::project(cwd).join(place::PROJECT_FOLDER)),
        }
    }
}

/// The records that a reader in `cwd` may mean, the nearest first: that of this folder, where programs write without any
/// setting, that of the project around it, and that of the user.
fn records(cwd: &Path) -> Vec<(&'static str, PathBuf)> {
    let here = ("this folder", cwd.join(place::PROJECT_FOLDER));
    let project = ("the project", place::project(cwd).join(place::PROJECT_FOLDER));
    let user = place::user_folder().map(|folder| ("the user", folder));
    let mut records = vec![project];
    if records.iter().all(|(_, folder)| *folder != here.1) {
        records.insert(0, here);
    }
    records.extend(user);
    records
}

/// Whether a folder has a daily file, or a spool.
fn has_events(folder: &Path) -> bool {
    let is_of_events = |name: &str| names::day_of(name).is_some() || names::spool_of(name).is_some();
    let mut entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.any(|entry| entry.file_name().to_str().is_some_and(is_of_events))
}

/// The options of a command that reads.
pub(crate) struct ReadFrom {
    pub(crate) options: Options,
    /// The project, where the record is that of a folder or of a project.
    pub(crate) project: Option<PathBuf>,
}

impl From<Options> for ReadFrom {
    fn from(options: Options) -> Self {
        Self { options, project: None }
    }
}

/// The backend with this name, which clap has checked.
fn backend(name: String) -> Backend {
    Backend::named(&name).unwrap_or(Backend::Jsonl)
}

impl StoreArgs {
    /// The same options for a record in files.
    pub(crate) fn without_database(&self) -> Self {
        Self { backend: Some(Backend::Jsonl), database_url: None, ..self.clone() }
    }

    /// The backend that an option or a variable names.
    pub(crate) fn backend(&self) -> Option<Backend> {
        self.backend.or_else(|| Backend::named(&env::var("AUDIT_BACKEND").ok()?))
    }

    /// Whether the backend forgets all events when the process ends.
    pub(crate) fn keeps_nothing(&self) -> bool {
        matches!(self.backend(), Some(Backend::Memory | Backend::Null))
    }

    /// Whether an option says where the record is.
    pub(crate) fn has_place(&self) -> bool {
        self.dir.is_some() || self.scope.is_some()
    }

    /// The options for a command that reads. Where nothing says which record is meant, it is the nearest one that there is;
    /// and a message names the others.
    pub(crate) fn reading(self) -> Result<ReadFrom, Failure> {
        let (is_placed, scope) = (self.is_placed(), self.scope);
        let backend = self.backend();
        let options = self.options()?;
        if backend.is_some_and(|backend| backend != Backend::Jsonl) {
            return Ok(options.into());
        }
        let cwd = env::current_dir().unwrap_or_default();
        let project = Some(place::project(&cwd).to_owned());
        if is_placed {
            let project = project.filter(|_| scope == Some(Scope::Project));
            return Ok(ReadFrom { options, project });
        }
        let mut there: Vec<_> = records(&cwd).into_iter().filter(|(_, folder)| folder.is_dir()).collect();
        // A folder that was only made hides no record.
        there.sort_by_key(|(_, folder)| !has_events(folder));
        let mut there = there.into_iter();
        let Some((whose, folder)) = there.next() else { return Ok(ReadFrom { options, project }) };
        let is_here = folder == cwd.join(place::PROJECT_FOLDER);
        let shown = if is_here { Path::new(".").join(place::PROJECT_FOLDER) } else { folder.clone() };
        let others: Vec<String> = there
            .map(|(whose, folder)| match whose {
                "the user" => format!("--scope user shows that of the user ({})", folder.display()),
                _ => format!("--scope project shows that of the project ({})", folder.display()),
            })
            .collect();
        if !others.is_empty() || !is_here {
            let what = format!("this is the record of {whose}, {}", shown.display());
            warn([what].into_iter().chain(others).collect::<Vec<_>>().join("; "));
        }
        let project = project.filter(|_| whose != "the user");
        Ok(ReadFrom { options: if is_here { options } else { options.dir(folder) }, project })
    }

    /// Whether an option or a variable says where the record is.
    pub(crate) fn is_placed(&self) -> bool {
        let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        self.has_place() || is_set("AUDIT_JSONL_DIR") || is_set("REPO_ROOT")
    }

    /// The options of the environment, and these, which take precedence. A database that is asked for has to
    /// have a valid URL.
    pub(crate) fn options(self) -> Result<Options, Failure> {
        let mut options = Options::from_env().warnings(warn_of_store);
        if let Some(backend) = self.backend {
            options = options.backend(backend.name());
        }
        if let Some(dir) = self.dir {
            options = options.dir(dir);
        }
        if let Some(scope) = self.scope {
            options = options.dir(scope.folder(&env::current_dir().unwrap_or_default())?);
        }
        if let Some(durability) = self.durability {
            options = options.durability(durability);
        }
        if let Some(events) = self.memory_limit {
            options = options.memory_limit(events);
        }
        let url_is_given = self.database_url.is_some();
        if let Some(url) = self.database_url {
            options = options.database_url(url);
        }
        if let Some(millis) = self.database_timeout_ms {
            options = options.database_timeout(Duration::from_millis(millis));
        }
        if let Some(events) = self.batch_size {
            options = options.batch_size(events);
        }
        if let Some(millis) = self.flush_interval_ms {
            options = options.flush_interval(Duration::from_millis(millis));
        }
        if let Some(events) = self.queue_limit {
            options = options.queue_limit(events);
        }
        if let Some(seconds) = self.recovery_interval_s {
            options = options.recovery_interval(Duration::from_secs(seconds));
        }
        let needed = self.backend.filter(|backend| backend.needs_database());
        if url_is_given || needed.is_some() {
            // Warnings are left to the subcommand that uses the database.
            let database = options.clone().warnings(|_| {}).open_database()?;
            if let (None, Some(backend)) = (database, needed) {
                let name = backend.name();
                let why = format_args!("\"{name}\" needs a database; {HOW_TO_GIVE_A_URL}");
                return Err(Failure::because("backend", why));
            }
        }
        Ok(options)
    }
}
