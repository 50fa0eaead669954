//! `audit status`: shows the state of the store, how much is in it, and its problems.

mod record;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use audit_format::show::escaped;
use audit_host::{Active, Backend, Instance, Options, SinkError, Status};
use indicatif::BinaryBytes;
use serde::Serialize;

use self::record::Record;
use crate::args::StatusArgs;
use crate::mask::masked;
use crate::message::Failure;

/// The state that is shown, and with `--json` its form.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    status: Status,
    /// `None` if the backend uses no database.
    database: Option<Database>,
    /// How much is recorded. `None`: the backend keeps nothing, or it is not known.
    record: Option<Record>,
}

#[derive(Serialize)]
struct Database {
    answers: bool,
    takes_events: bool,
    /// Why it does not answer, or takes no events.
    problem: Option<String>,
}

pub(super) fn run(args: &StatusArgs, options: &Options) -> Result<ExitCode, Failure> {
    // Warnings are a part of the status, and are not printed.
    let warned = Arc::<Mutex<Vec<String>>>::default();
    let sink = Arc::clone(&warned);
    let options = options.clone().read_only(true).warnings(move |line| {
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    });
    let mut status = Instance::open(&options)?.status()?;
    let database = match status.backend {
        Active::Postgres | Active::Spool => ask(&options)?,
        Active::Memory | Active::Jsonl | Active::Null => None,
    };
    let is_auto = Backend::named(&status.requested) == Some(Backend::Auto);
    if is_auto && database.as_ref().is_some_and(|database| !database.takes_events) {
        // An instance finds this out only when it writes, and this one does not write.
        status.backend = Active::Spool;
    }
    // The component has its warnings in its status too.
    for line in warned.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let text = line.strip_prefix("audit-store: ").unwrap_or(&line);
        if !status.warnings.iter().any(|warning| warning == text) {
            status.warnings.push(text.to_owned());
        }
    }
    // These texts may contain the value of a variable, which may be a URL by mistake.
    for text in [&mut status.requested, &mut status.jsonl_dir] {
        *text = masked(text);
    }
    for text in status.last_error.iter_mut().chain(&mut status.warnings) {
        *text = masked(text);
    }
    let record = match status.backend {
        Active::Jsonl => record::of_folder(&options.folder().unwrap_or_default()).ok(),
        // Under `auto`, what waits in the spool is not counted.
        Active::Postgres | Active::Spool if database.as_ref().is_some_and(|database| database.answers) => {
            options.open_database()?.and_then(|database| Some(database.size().ok()?.into()))
        }
        _ => None,
    };
    let passed_over = record.iter().flat_map(|record| &record.passed_over);
    status.warnings.extend(passed_over.map(|warning| masked(warning)));
    let report = Report { status, database, record };
    let out = match args.json {
        true => serde_json::to_string_pretty(&report).map_err(io::Error::from)? + "\n",
        false => text(report, &options),
    };
    match io::stdout().write_all(out.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Asks the database whether it would take events.
fn ask(options: &Options) -> Result<Option<Database>, Failure> {
    let Some(database) = options.open_database()? else { return Ok(None) };
    let answer = database.obstacle();
    let answers = !matches!(answer, Err(SinkError::Unavailable(_)));
    let problem = answer.unwrap_or_else(|error| Some(Failure::from(error).into_reason()));
    Ok(Some(Database { answers, takes_events: problem.is_none(), problem }))
}

/// Whether the store uses what it was asked to use.
fn is_requested(status: &Status) -> bool {
    match Backend::named(&status.requested) {
        Some(Backend::Memory) => status.backend == Active::Memory,
        Some(Backend::Jsonl) => status.backend == Active::Jsonl,
        Some(Backend::Postgres) => status.backend == Active::Postgres,
        Some(Backend::Null) => status.backend == Active::Null,
        Some(Backend::Auto) | None => false,
    }
}

/// The status as text, a line for each property.
fn text(Report { status, database, record }: Report, options: &Options) -> String {
    let folder = options.folder().map(|path| match path.is_dir() {
        true => masked(&path.display().to_string()),
        false => format!("{} (does not exist yet)", masked(&path.display().to_string())),
    });
    let backend = match is_requested(&status) {
        true => status.requested,
        false => format!("{} ({} was asked for)", status.backend, status.requested),
    };
    let database = database.map(|database| match database.problem {
        None => "answers".to_owned(),
        Some(problem) if database.answers => format!("answers, but takes no events: {problem}"),
        Some(problem) => format!("does not answer: {problem}"),
    });
    // "Up to", because only an instance that has drained a part of its files knows how much that is.
    let spool =
        format!("up to {} of other instances waits for the database", BinaryBytes(status.spooled_by_others));
    let rows = [
        ("backend", Some(backend)),
        ("since", Some(status.since)),
        ("database", database),
        ("folder", folder),
        ("events", record.as_ref().map(Record::events)),
        ("times", record.as_ref().and_then(Record::times)),
        ("durability", (!status.jsonl_dir.is_empty()).then(|| status.durability.to_string())),
        ("spool", (status.spooled_by_others > 0).then_some(spool)),
        ("last error", status.last_error),
    ];
    let mut out = String::new();
    for (name, value) in rows {
        if let Some(value) = value {
            out += &format!("{name:<11} {}\n", escaped(&value));
        }
    }
    for warning in status.warnings {
        out += &format!("{:<11} {}\n", "warning", escaped(&warning));
    }
    out
}
