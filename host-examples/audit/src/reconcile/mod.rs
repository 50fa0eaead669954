//! `audit reconcile`: compares the transcripts that agents keep with the record, and records what is missing from it.

mod add;
mod agents;
mod claude;
mod codex;
mod copilot;
mod gemini;
mod lines;
mod names;
mod period;
mod record;
mod report;
mod transcript;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use audit_format::event::Event;
use audit_format::line::fitted;
use audit_format::time::Timestamp;
use audit_host::Instance;
use indicatif::ProgressBar;

use self::add::Adding;
pub(crate) use self::agents::Agent;
use self::agents::Found;
use self::lines::{Line, Lines};
use self::period::Within;
use self::record::{Record, Standing};
use self::report::{Counts, Report};
use self::transcript::{Calls, Told, Unread};
use crate::args::{ReadFrom, ReconcileArgs};
use crate::call::input::Hasher;
use crate::call::{Outcome, place};
use crate::input;
use crate::message::{Failure, TROUBLE, count, warn};
use crate::read::{named, open_quietly};

/// How old a result must be until the hook of its call must have recorded it.
const HOOK_TIME: Duration = Duration::from_secs(60);

/// So long after the last line of a transcript, a call without a result no longer runs.
const CALL_TIME: Duration = Duration::from_secs(24 * 3600);

pub(super) fn run(args: &ReconcileArgs, from: ReadFrom) -> Result<ExitCode, Failure> {
    let options = from.options.no_call_limit();
    let hasher = args.hash.hasher()?;
    let folder = match &args.within {
        Some(folder) => Some(period::named(folder)?),
        None if args.transcripts.is_empty() => from.project,
        None => None,
    };
    let within = Within::new(&args.period, folder.as_deref())?;
    let found = transcripts(args, &within)?;
    // Others must not add meanwhile what is not found here.
    let adding = args.add.then(|| Adding::open(args.agent, &options)).transpose()?;
    let mut instance = open_quietly(&options)?;
    let record = match &mut instance {
        Some(instance) => read_record(instance, args.agent, &within)?,
        None => Record::default(),
    };
    let reconciling = Reconciling {
        agent: args.agent,
        now: SystemTime::now(),
        hasher,
        within,
        record,
        adding,
        report: Report::new(args.json),
        folders: HashMap::new(),
        user: place::user(),
        counts: Counts { not_read: found.not_read, ..Counts::default() },
    };
    reconciling.run(&found.paths, instance.as_mut(), args.transcripts.is_empty())
}

/// The transcripts that are given, else those of the agent, of which those that are older than the period are left out.
fn transcripts(args: &ReconcileArgs, within: &Within) -> Result<Found, Failure> {
    let mut found = Found::default();
    for path in &args.transcripts {
        let kind = fs::metadata(path).map_err(|error| input::cannot_read(path, &error))?;
        match kind.is_dir() {
            true => found.add_folder(args.agent, path).map_err(|error| input::cannot_read(path, &error))?,
            false => found.paths.push(path.clone()),
        }
    }
    if args.transcripts.is_empty() {
        let folders = args.agent.folders();
        let mut is_there = false;
        for folder in &folders {
            is_there |= found.add_folder(args.agent, folder).is_ok();
        }
        if !is_there {
            let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            return Err(Failure::because(
                "there are no transcripts",
                format_args!(
                    "{} cannot be read; accepted are files and folders behind the agent",
                    folders.join(" and ")
                ),
            ));
        }
    }
    found.paths.retain(|path| modified(path).is_none_or(|at| Timestamp::from(at) >= within.from()));
    Ok(found)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn read_record(instance: &mut Instance, agent: Agent, within: &Within) -> Result<Record, Failure> {
    let bar = if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_message("reading the record");
    bar.enable_steady_tick(Duration::from_millis(100));
    let record = Record::read(instance, agent, within).map_err(named);
    bar.finish_and_clear();
    let record = record?;
    if record.skipped > 0 {
        let lines = count(record.skipped, "line");
        warn(format_args!("{lines} of the record passed over: no event, or their file cannot be read"));
    }
    Ok(record)
}

/// A comparison on its way.
struct Reconciling {
    agent: Agent,
    now: SystemTime,
    hasher: Hasher,
    within: Within,
    record: Record,
    adding: Option<Adding>,
    report: Report,
    /// The folders in which agents have worked.
    folders: HashMap<String, Folder>,
    user: String,
    counts: Counts,
}

/// A folder in which an agent has worked.
#[derive(Clone)]
struct Folder {
    workspace: String,
    /// Whether calls that were made in it count.
    is_within: bool,
}

impl Reconciling {
    fn run(
        mut self,
        paths: &[PathBuf],
        instance: Option<&mut Instance>,
        has_all_transcripts: bool,
    ) -> Result<ExitCode, Failure> {
        let size = paths.iter().filter_map(|path| Some(fs::metadata(path).ok()?.len())).sum();
        let bar = input::progress_bar(Some(size));
        for path in paths {
            if let Err(error) = self.transcript(path, &bar)? {
                self.counts.unreadable += 1;
                bar.suspend(|| input::cannot_read(path, &error).tell());
            }
        }
        bar.finish_and_clear();
        if let Some(adding) = self.adding.take() {
            adding.finish()?;
        }
        for (session, events) in self.record.only_recorded() {
            // Of a session whose transcript was not asked for, nothing is known.
            if has_all_transcripts || self.report.has_session(session) {
                self.report.session(session).only_recorded += events;
                self.counts.calls.only_recorded += events;
            }
        }
        if let Some(instance) = instance.filter(|_| self.counts.calls.only_recorded > 0) {
            let (report, most) = (&mut self.report, report::MOST_SHOWN);
            let shown = self.record.each_only_recorded(instance, &self.within, most, |event| {
                report.only_recorded(event);
            });
            shown.map_err(named)?;
        }
        self.report.show(&self.counts)?;
        Ok(match &self.counts {
            counts if counts.unreadable > 0 => ExitCode::from(TROUBLE),
            counts if counts.calls.missing > 0 => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        })
    }

    /// Reads a transcript. What goes wrong with it is no trouble for the others; what goes wrong with the record is.
    fn transcript(&mut self, path: &Path, bar: &ProgressBar) -> Result<io::Result<()>, Failure> {
        let file = match open(path) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        let modified = file.metadata().and_then(|file| file.modified()).map(Timestamp::from).ok();
        self.counts.transcripts += 1;
        let mut transcript = self.agent.transcript(path);
        let mut lines = Lines::new(file, (transcript.wanted(), transcript.kept()), &self.hasher);
        let mut calls = Calls::default();
        let mut shown = 0;
        loop {
            let line = match lines.next() {
                Ok(line) => line,
                Err(error) => return Ok(Err(error)),
            };
            bar.inc(lines.read - shown);
            shown = lines.read;
            let taken = match line {
                None => break,
                Some(Line::Json(line)) => {
                    let taken = transcript.take(&line, &mut calls);
                    if line.is_cut { Err(Unread::Cut) } else { taken }
                }
                Some(Line::NotJson) => Err(Unread::NotJson),
                // Its agent writes it, or will never finish it.
                Some(Line::Torn) => Ok(()),
            };
            if let Err(why) = taken {
                *self.counts.unread.entry(why).or_default() += 1;
            }
            for told in calls.done() {
                self.call(told, path)?;
            }
        }
        let is_written = modified.is_none_or(|at| self.is_about_now(at, CALL_TIME));
        for told in calls.rest() {
            let is_open = told.is_open && is_written;
            self.call(Told { is_open, ..told }, path)?;
        }
        Ok(Ok(()))
    }

    /// Whether a time is no longer ago than this, and no further ahead: a clock may be wrong.
    fn is_about_now(&self, at: Timestamp, distance: Duration) -> bool {
        (Timestamp::from(self.now - distance)..=Timestamp::from(self.now + distance)).contains(&at)
    }

    /// Looks up a call, and records it if it is missing.
    fn call(&mut self, told: Told, path: &Path) -> Result<(), Failure> {
        let folder = self.folder(&told.cwd);
        let is_in_period = told.call.began.is_none_or(|at| self.within.has(at));
        let at = told.ended.or(told.call.began);
        let may_come = told.is_open || at.is_some_and(|at| self.is_about_now(at, HOOK_TIME));
        let event = self.event(told, &folder);
        let standing = self.record.find(self.agent, &event);
        if !is_in_period {
            return Ok(());
        }
        if standing == Standing::Repeated {
            self.counts.repeated += 1;
            return Ok(());
        }
        if !folder.is_within {
            self.counts.elsewhere += 1;
            return Ok(());
        }
        let session = self.report.session(event.graph_run_id.as_deref().unwrap_or_default());
        for counts in [session, &mut self.counts.calls] {
            counts.calls += 1;
            match standing {
                Standing::Recorded => counts.recorded += 1,
                _ if may_come => counts.running += 1,
                _ if self.adding.is_some() => counts.added += 1,
                _ => counts.missing += 1,
            }
        }
        if standing == Standing::Recorded || may_come {
            return Ok(());
        }
        match &mut self.adding {
            Some(adding) => adding.add(event),
            None => Ok(self.report.missing(event, path)?),
        }
    }

    fn folder(&mut self, cwd: &str) -> Folder {
        if let Some(folder) = self.folders.get(cwd) {
            return folder.clone();
        }
        let workspace = if cwd.is_empty() { String::new() } else { place::workspace(Path::new(cwd)) };
        let folder = Folder { workspace, is_within: self.within.has_folder(cwd) };
        self.folders.insert(cwd.to_owned(), folder.clone());
        folder
    }

    /// The event that a store keeps of a call, with what its transcript does not tell.
    fn event(&self, Told { mut call, .. }: Told, folder: &Folder) -> Event<'static> {
        call.workspace.clone_from(&folder.workspace);
        call.user.clone_from(&self.user);
        if call.outcome == Outcome::Denied {
            call.attributes.push(("decision", "deny".to_owned()));
        }
        fitted(call.into_event(self.now)).0
    }
}

/// Opens a transcript. A pipe would make wait.
fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    File::open(path)
}
