//! `audit import`: events from JSON lines files into the database, as they are. One thread reads while the database
//! works on what was read before.

mod files;
mod rows;

use std::fmt::Display;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use audit_host::{Database, ImportRow, Imported, Options, SinkError};
use indicatif::ProgressBar;

use self::files::Source;
use self::rows::Rows;
use super::args::{HOW_TO_GIVE_A_URL, ImportArgs};
use super::input::{self, Input, NAMED, Piece};
use super::{Failure, TROUBLE, complain, count, say};

/// How many rows go to the database at once.
const BATCH: usize = 1000;

/// How long a batch that is not full waits for more lines.
const PATIENCE: Duration = Duration::from_millis(200);

/// The waits before a batch is tried again, in milliseconds.
const WAITS: [u64; 5] = [500, 1000, 2000, 4000, 8000];

pub(super) fn run(args: &ImportArgs, options: &Options) -> Result<ExitCode, Failure> {
    let Some(database) = options.open_database()? else {
        return Err(Failure(format!("an import needs a database; {HOW_TO_GIVE_A_URL}")));
    };
    let Some(sources) = sources(args, options)? else { return Ok(ExitCode::SUCCESS) };
    let size = sources.iter().map(size).sum::<Result<Option<u64>, Failure>>()?;
    let mut import = Import {
        database,
        bar: input::bar(size),
        batch: Vec::new(),
        lines: Vec::new(),
        counts: Counts::default(),
    };
    let done = sources.iter().try_for_each(|source| import.source(source));
    Ok(import.finish(done))
}

/// The files that are given, else those of the folder; none where that does not exist.
fn sources(args: &ImportArgs, options: &Options) -> Result<Option<Vec<Source>>, Failure> {
    if !args.files.is_empty() {
        let source = |path: &PathBuf| Source { path: path.clone(), is_spool: false };
        return Ok(Some(args.files.iter().map(source).collect()));
    }
    // Whatever the backend is, the files are those that `jsonl` would use.
    let folder = options.clone().backend("jsonl").folder().unwrap_or_default();
    match files::of_folder(&folder) {
        Ok(sources) => Ok(Some(sources)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            say(format_args!("no events: {} does not exist", folder.display()));
            Ok(None)
        }
        Err(error) => Err(input::cannot_read(&folder, &error)),
    }
}

/// In bytes; none where that cannot be known.
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

/// What became of the lines.
#[derive(Default)]
struct Counts {
    /// Lines that are events.
    read: u64,
    stored: u64,
    refused: u64,
    passed_over: u64,
}

struct Import {
    database: Database,
    bar: ProgressBar,
    batch: Vec<ImportRow>,
    /// The number of the line of each row in the batch.
    lines: Vec<u64>,
    counts: Counts,
}

impl Import {
    fn source(&mut self, Source { path, is_spool }: &Source) -> Result<(), Failure> {
        let input = match Input::open(Some(path)) {
            // Its owner has drained it.
            Err(error) if *is_spool && error.kind() == io::ErrorKind::NotFound => return Ok(()),
            input => input.map_err(|error| input::cannot_read(path, &error))?,
        };
        let name = if input::is_stdin(path) { "stdin".into() } else { path.display().to_string() };
        self.lines_of(&name, &input.read()?)?;
        self.send(&name)
    }

    fn lines_of(&mut self, name: &str, pieces: &Receiver<Piece>) -> Result<(), Failure> {
        let mut rows = Rows::default();
        loop {
            match pieces.recv_timeout(PATIENCE) {
                Ok(Piece::Lines { text, first }) => {
                    for (line, number) in text.split_terminator('\n').zip(first..) {
                        if !line.trim_ascii().is_empty() {
                            self.line(name, number, &mut rows, line)?;
                        }
                    }
                    self.bar.inc(text.len() as u64);
                }
                Ok(Piece::Bad { line, reason, bytes }) => {
                    self.pass_over(name, line, format_args!("json: {reason}"));
                    self.bar.inc(bytes);
                }
                Ok(Piece::Failed { line, error }) => {
                    self.send(name)?;
                    return Err(Failure(format!("cannot read {name} from line {line} on: {error}")));
                }
                Err(RecvTimeoutError::Timeout) => self.send(name)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn line(&mut self, name: &str, number: u64, rows: &mut Rows, line: &str) -> Result<(), Failure> {
        match rows.row(line) {
            Ok(row) => {
                self.batch.push(row);
                self.lines.push(number);
            }
            Err(invalid) => self.pass_over(name, number, invalid),
        }
        if self.batch.len() >= BATCH { self.send(name) } else { Ok(()) }
    }

    fn pass_over(&mut self, name: &str, line: u64, reason: impl Display) {
        self.counts.passed_over += 1;
        self.name(name, line, reason);
    }

    fn name(&self, name: &str, line: u64, reason: impl Display) {
        if self.counts.bad() <= NAMED {
            self.bar.suspend(|| complain(format_args!("{name}:{line}: {reason}")));
        }
    }

    /// Hands the batch over.
    fn send(&mut self, name: &str) -> Result<(), Failure> {
        let Some(first) = self.lines.first() else { return Ok(()) };
        let Imported { stored, rejected } = self.store().map_err(|error| {
            let Failure(text) = error.into();
            Failure(format!(
                "{name}:{first}: {text}; what is before this line is in the database: the same import can be run again"
            ))
        })?;
        self.counts.read += self.batch.len() as u64;
        self.counts.stored += stored;
        for row in rejected {
            self.counts.refused += 1;
            let line = self.lines.get(row.index as usize).copied().unwrap_or_default();
            self.name(name, line, format_args!("the database refuses it: {}", row.reason));
        }
        self.batch.clear();
        self.lines.clear();
        Ok(())
    }

    /// Stores the batch. While the database is not available, it is tried again for some time.
    fn store(&self) -> Result<Imported, SinkError> {
        for (tried, wait) in WAITS.into_iter().enumerate() {
            match self.database.import(&self.batch) {
                Err(SinkError::Unavailable(text)) => {
                    let (wait, again, all) = (Duration::from_millis(wait), tried + 1, WAITS.len());
                    let seconds = wait.as_secs_f64();
                    let text = format!("{text}; trying again in {seconds} s ({again} of {all})");
                    self.bar.suspend(|| say(text));
                    thread::sleep(wait);
                }
                answer => return answer,
            }
        }
        self.database.import(&self.batch)
    }

    fn finish(self, done: Result<(), Failure>) -> ExitCode {
        self.bar.finish_and_clear();
        let counts = self.counts;
        if counts.bad() > NAMED {
            let _ = writeln!(io::stderr(), "and {}", count(counts.bad() - NAMED, "more line"));
        }
        let Counts { read, stored, refused, passed_over } = counts;
        // A batch whose answer was lost, and that was sent again, was there already too.
        let there = read.saturating_sub(stored + refused);
        let _ = writeln!(
            io::stderr(),
            "{} read, {stored} stored, {there} were there already, {refused} refused by the database, {} passed over",
            count(read, "event"),
            count(passed_over, "line"),
        );
        match done {
            Ok(()) if counts.bad() == 0 => ExitCode::SUCCESS,
            Ok(()) => ExitCode::FAILURE,
            Err(Failure(text)) => {
                say(text);
                ExitCode::from(TROUBLE)
            }
        }
    }
}

impl Counts {
    /// Those that are not in the database.
    fn bad(&self) -> u64 {
        self.refused + self.passed_over
    }
}
