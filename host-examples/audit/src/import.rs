//! `audit import`: copies events from JSON lines files into the database. One thread reads the files while
//! the database stores the lines that were read before.

mod files;
mod rows;

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use audit_format::Invalid;
use audit_format::time::Timestamp;
use audit_host::{Active, Database, Imported, Instance, Options, SinkError};
use indicatif::ProgressBar;

use self::files::Source;
use self::rows::Rows;
use crate::args::{HOW_TO_GIVE_A_URL, ImportArgs, WriteArgs};
use crate::input::{self, Input, MAX_NAMED_LINES, Piece};
use crate::message::{Failure, TROUBLE, count, warn, warn_line};

/// How many rows one statement stores.
const BATCH: usize = 1000;

/// From how many bytes of rows on a statement has fewer.
const BATCH_BYTES: usize = 16 << 20;

/// How long a batch that is not full waits for more lines.
const BATCH_WAIT: Duration = Duration::from_millis(200);

/// How long to wait before each further try to store a batch, in milliseconds.
const RETRY_WAITS_MS: [u64; 5] = [500, 1000, 2000, 4000, 8000];

pub(super) fn run(args: &ImportArgs, options: &Options) -> Result<ExitCode, Failure> {
    let Some(database) = options.open_database()? else {
        return Err(Failure::new(format_args!("an import needs a database; {HOW_TO_GIVE_A_URL}")));
    };
    let Some(sources) = sources(args, options)? else { return Ok(ExitCode::SUCCESS) };
    let size = sources.iter().map(size).sum::<Result<Option<u64>, Failure>>()?;
    Ok(Import::new(database, size, Rows::add).run(&sources))
}

/// Records the events of one file so that it can be done again, for `audit write --once`.
pub(super) fn write_once(args: &WriteArgs, options: &Options) -> Result<ExitCode, Failure> {
    let backend = Instance::open(&options.clone().read_only(true).warnings(|_| {}))?.status()?.backend;
    let database = match backend {
        Active::Postgres | Active::Spool => options.open_database()?,
        Active::Memory | Active::Jsonl | Active::Null => None,
    };
    let Some(database) = database else {
        return Err(Failure::new(format!(
            "--once needs a database, which knows what is recorded already: give --backend auto or postgres, and \
             {HOW_TO_GIVE_A_URL}"
        )));
    };
    let path = args.file.clone().unwrap_or_else(|| "-".into());
    let source = Source { path, is_spool: false };
    let add = |rows: &mut Rows, line: &str, out: &mut Vec<u8>| {
        rows.add_sent(line, Timestamp::from(SystemTime::now()), out)
    };
    Ok(Import::new(database, size(&source)?, add).run(&[source]))
}

/// The files that are given, else those of the folder. `None` if the folder does not exist.
fn sources(args: &ImportArgs, options: &Options) -> Result<Option<Vec<Source>>, Failure> {
    if !args.files.is_empty() {
        let source = |path: &PathBuf| Source { path: path.clone(), is_spool: false };
        return Ok(Some(args.files.iter().map(source).collect()));
    }
    // Whatever the backend is, the folder is the one that `jsonl` would use.
    let folder = options.clone().backend("jsonl").folder().unwrap_or_default();
    match files::of_folder(&folder) {
        Ok(sources) => Ok(Some(sources)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            warn(format_args!("no events: {} does not exist", folder.display()));
            Ok(None)
        }
        Err(error) => Err(input::cannot_read(&folder, &error)),
    }
}

/// The size of a file in bytes. `None` if it is not known.
fn size(Source { path, is_spool }: &Source) -> Result<Option<u64>, Failure> {
    if input::is_stdin(path) {
        return Ok(None);
    }
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(error) if *is_spool && error.kind() == io::ErrorKind::NotFound => Ok(Some(0)),
        Err(error) => Err(input::cannot_read(path, &error)),
    }
}

/// How many lines were read, and what became of them.
#[derive(Default)]
struct Counts {
    /// Lines that are events.
    read: u64,
    stored: u64,
    /// Lines that the database refuses.
    refused: u64,
    /// Lines that are no events.
    passed_over: u64,
}

/// Appends the row of a line.
type Add = fn(&mut Rows, &str, &mut Vec<u8>) -> Result<(), Invalid>;

/// An import on its way.
struct Import {
    database: Database,
    add: Add,
    bar: ProgressBar,
    /// The rows that wait, as JSON lines.
    batch: Vec<u8>,
    /// The line number of each row in the batch.
    lines: Vec<u64>,
    counts: Counts,
}

impl Import {
    /// An import of files that have `size` bytes together.
    fn new(database: Database, size: Option<u64>, add: Add) -> Self {
        let bar = input::progress_bar(size);
        Self { database, add, bar, batch: Vec::new(), lines: Vec::new(), counts: Counts::default() }
    }

    /// Imports the files, and says what became of them.
    fn run(mut self, sources: &[Source]) -> ExitCode {
        let done = sources.iter().try_for_each(|source| self.import(source));
        self.finish(done)
    }

    /// Imports a file.
    fn import(&mut self, Source { path, is_spool }: &Source) -> Result<(), Failure> {
        let input = match Input::open(Some(path)) {
            // The instance that owns the spool has drained it meanwhile.
            Err(error) if *is_spool && error.kind() == io::ErrorKind::NotFound => return Ok(()),
            input => input.map_err(|error| input::cannot_read(path, &error))?,
        };
        let name = if input::is_stdin(path) { "stdin".into() } else { path.display().to_string() };
        self.import_lines(&name, &input.read()?)?;
        self.send(&name)
    }

    fn import_lines(&mut self, name: &str, pieces: &Receiver<Piece>) -> Result<(), Failure> {
        let mut rows = Rows::default();
        loop {
            match pieces.recv_timeout(BATCH_WAIT) {
                Ok(Piece::Lines { text, first, bytes, .. }) => {
                    for (line, number) in text.split_terminator('\n').zip(first..) {
                        if !line.trim_ascii().is_empty() {
                            self.add(name, number, &mut rows, line)?;
                        }
                    }
                    self.bar.inc(bytes);
                }
                Ok(Piece::Failed { line, error }) => {
                    self.send(name)?;
                    return Err(Failure::because(format!("cannot read {name} from line {line} on"), error));
                }
                Err(RecvTimeoutError::Timeout) => self.send(name)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Adds a line to the batch, and sends the batch if it is full.
    fn add(&mut self, name: &str, number: u64, rows: &mut Rows, line: &str) -> Result<(), Failure> {
        match (self.add)(rows, line, &mut self.batch) {
            Ok(()) => self.lines.push(number),
            Err(invalid) => self.pass_over(name, number, invalid),
        }
        let is_full = self.lines.len() >= BATCH || self.batch.len() >= BATCH_BYTES;
        if is_full { self.send(name) } else { Ok(()) }
    }

    fn pass_over(&mut self, name: &str, line: u64, reason: impl Display) {
        self.counts.passed_over += 1;
        self.warn_of_line(name, line, reason);
    }

    /// Names a line that is not in the database.
    fn warn_of_line(&self, name: &str, line: u64, reason: impl Display) {
        if self.counts.not_imported() <= MAX_NAMED_LINES {
            self.bar.suspend(|| warn_line(format_args!("{name}:{line}: {reason}")));
        }
    }

    /// Sends the batch to the database.
    fn send(&mut self, name: &str) -> Result<(), Failure> {
        let Some(first) = self.lines.first() else { return Ok(()) };
        let Imported { stored, refused } = self.store().map_err(|error| {
            let what = format!(
                "{name}:{first}: not imported; the lines before this one are in the database, and the same import \
                 can be run again"
            );
            Failure::because(what, Failure::from(error).into_reason())
        })?;
        self.counts.read += self.lines.len() as u64;
        self.counts.stored += stored;
        for row in refused {
            self.counts.refused += 1;
            let line = self.lines.get(row.index as usize).copied().unwrap_or_default();
            self.warn_of_line(name, line, format_args!("the database refuses it: {}", row.reason));
        }
        self.batch.clear();
        self.lines.clear();
        Ok(())
    }

    /// Stores the batch. If the database is unavailable, this retries for about a quarter of a minute.
    fn store(&self) -> Result<Imported, SinkError> {
        // What is written as JSON is UTF-8.
        let rows = String::from_utf8_lossy(&self.batch);
        for (tried, wait) in RETRY_WAITS_MS.into_iter().enumerate() {
            match self.database.import(&*rows) {
                Err(SinkError::Unavailable(text) | SinkError::Unanswered(text)) => {
                    let (wait, retry, retries) =
                        (Duration::from_millis(wait), tried + 1, RETRY_WAITS_MS.len());
                    let seconds = wait.as_secs_f64();
                    let what = format!("trying again in {seconds} s ({retry} of {retries})");
                    self.bar.suspend(|| Failure::because(what, text).tell());
                    thread::sleep(wait);
                }
                answer => return answer,
            }
        }
        self.database.import(&*rows)
    }

    /// Says what became of the lines.
    fn finish(self, done: Result<(), Failure>) -> ExitCode {
        self.bar.finish_and_clear();
        let counts = self.counts;
        if counts.not_imported() > MAX_NAMED_LINES {
            let more = count(counts.not_imported() - MAX_NAMED_LINES, "more line");
            warn_line(format_args!("and {more}"));
        }
        let Counts { read, stored, refused, passed_over } = counts;
        // The rows of a batch that was sent again because its answer was lost count as there already.
        let there = read.saturating_sub(stored + refused);
        warn_line(format_args!(
            "{} read, {stored} stored, {there} were there already, {refused} refused by the database, \
             {} passed over",
            count(read, "event"),
            count(passed_over, "line"),
        ));
        match done {
            Ok(()) if counts.not_imported() == 0 => ExitCode::SUCCESS,
            Ok(()) => ExitCode::FAILURE,
            Err(failure) => {
                failure.tell();
                ExitCode::from(TROUBLE)
            }
        }
    }
}

impl Counts {
    /// The lines that are not in the database.
    fn not_imported(&self) -> u64 {
        self.refused + self.passed_over
    }
}
