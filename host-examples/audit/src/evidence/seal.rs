//! `audit seal`: takes what is new in the record into its log, once or again and again.

use std::collections::BTreeSet;
use std::env;
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use audit_evidence::publish::{PublishError, copy_to, cosign, is_cosigned};
use audit_evidence::{Log, LogFolder, Outcome, key, seal};
use audit_log::checkpoint::Origin;
use audit_log::note::SigningKey;
use indicatif::HumanCount;
use serde::Serialize;
use tokio::time::timeout;

use super::record::Source;
use super::witness::Witness;
use crate::args::{KEY_FILE, SealArgs, StoreArgs};
use crate::end;
use crate::message::{Failure, count, warn};

/// The exit status where all that is new is sealed, and something else is wrong.
const INCOMPLETE: u8 = 1;

/// What a seal needs, each time.
struct Sealing {
    source: Source,
    log: PathBuf,
    key: SigningKey,
    origin: Origin,
    copies: Vec<PathBuf>,
    witness: Option<Witness>,
    json: bool,
}

/// What a seal has done, with `--json` on one line.
#[derive(Serialize)]
struct Report {
    origin: String,
    size: u64,
    root: String,
    /// How many events are sealed that were not before.
    new: u64,
    /// How many lines or rows were declared now, because they are no events.
    unreadable: u64,
    /// What of the record is not as it was sealed, or cannot be read; and where the checkpoint is not.
    problems: Vec<String>,
}

pub(crate) fn run(args: SealArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    let every = args.every;
    let mut sealing = Sealing::new(args, store)?;
    if let Some(every) = every {
        return sealing.go_on(every);
    }
    let report = sealing.seal()?;
    report.problems.iter().for_each(warn);
    sealing.show(&report)?;
    Ok(ExitCode::from(if report.problems.is_empty() { 0 } else { INCOMPLETE }))
}

impl Sealing {
    fn new(args: SealArgs, store: StoreArgs) -> Result<Self, Failure> {
        let from_variable = || env::var_os(KEY_FILE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let path = args.key.or_else(from_variable).ok_or_else(|| {
            let how = "make one with `audit keygen`, and give its file with --key or AUDIT_SEAL_KEY_FILE";
            Failure::because("there is no key to seal with", how)
        })?;
        let key = key::read(&path).map_err(|error| Failure::because("--key", error))?;
        let origin = match args.origin {
            Some(origin) => origin,
            None => audit_log::note::Verifier::name(&key.verifier())
                .as_ref()
                .parse()
                .map_err(|error| Failure::because("--origin", error))?,
        };
        let source = Source::open(store)?;
        let log = source.log(&args.log)?;
        let witness = args.witness.zip(args.witness_key);
        let witness = witness.map(|(url, key)| Witness::new(&url, key)).transpose()?;
        Ok(Self { source, log, key, origin, copies: args.checkpoint_to, witness, json: args.json })
    }

    fn seal(&mut self) -> Result<Report, Failure> {
        self.source.check()?;
        let mut log = Log::new(LogFolder::for_sealing(&self.log).map_err(Failure::new)?);
        let mut outcome = seal(&mut log, &mut self.source, &self.origin, &self.key).map_err(Failure::new)?;
        let mut problems: Vec<String> = outcome.troubles.iter().map(ToString::to_string).collect();
        if let Some(witness) = &mut self.witness {
            problems.extend(ask(&mut log, &mut outcome, witness).err().map(|error| error.to_string()));
        }
        for folder in &self.copies {
            let copied = copy_to(folder, &log, &outcome.checkpoint, &self.key.verifier());
            problems.extend(copied.err().map(|error| error.to_string()));
        }
        let head = outcome.checkpoint.unverified();
        Ok(Report {
            origin: head.origin().to_string(),
            size: head.size(),
            root: head.root().to_string(),
            new: outcome.new,
            unreadable: outcome.unreadable,
            problems,
        })
    }

    /// Seals again and again, until the program is told to end. What is wrong is said once, as long as it stays so.
    fn go_on(&mut self, every: Duration) -> Result<ExitCode, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut end = pin!(runtime.block_on(async { end::told() })?);
        let mut said = BTreeSet::new();
        loop {
            let problems: BTreeSet<String> = match self.seal() {
                Ok(report) => {
                    if report.new > 0 || report.unreadable > 0 {
                        self.show(&report)?;
                    }
                    report.problems.into_iter().collect()
                }
                Err(failure) => BTreeSet::from([failure.into_text()]),
            };
            problems.difference(&said).for_each(warn);
            said = problems;
            if runtime.block_on(async { timeout(every, end.as_mut()).await }).is_ok() {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }

    fn show(&self, report: &Report) -> Result<(), Failure> {
        let line =
            if self.json { serde_json::to_string(report).map_err(io::Error::from)? } else { report.text() };
        match writeln!(io::stdout(), "{line}") {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Has the witness sign. It is told what it has signed before, as far as that is known.
fn ask(log: &mut Log<LogFolder>, outcome: &mut Outcome, witness: &mut Witness) -> Result<(), PublishError> {
    let key = witness.key.clone();
    let is_known = is_cosigned(&outcome.before, &key)?;
    let known = if is_known { outcome.before.unverified().size() } else { 0 };
    cosign(log, &mut outcome.checkpoint, &key, known, witness)?;
    Ok(())
}

impl Report {
    fn text(&self) -> String {
        let Self { size, root, new, unreadable, .. } = self;
        let all = format!("{} in all, root {root}", HumanCount(*size));
        let sealed = match new {
            0 => format!("nothing new: {all}"),
            1 => format!("sealed 1 new event: {all}"),
            _ => format!("sealed {} new events: {all}", HumanCount(*new)),
        };
        match unreadable {
            0 => sealed,
            _ => format!("{sealed}; declared unreadable: {}", count(*unreadable, "line")),
        }
    }
}
