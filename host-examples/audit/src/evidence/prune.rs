//! `audit prune`: events that are old enough leave the record, and their hashes stay.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;
use std::time::SystemTime;

use audit_evidence::prune::{Outcome, Policy, Step, Why, prune};
use audit_evidence::{Log, LogFolder};
use audit_format::time::Timestamp;
use indicatif::HumanCount;
use serde::Serialize;

use super::record::Source;
use super::trail::Recorder;
use crate::args::{PruneArgs, StoreArgs};
use crate::call::place;
use crate::message::{Failure, count, warn};

/// The exit status where something stays that should have gone.
const INCOMPLETE: u8 = 1;

/// What a prune has done, with `--json` on one line.
#[derive(Serialize)]
struct Report {
    dry_run: bool,
    before: String,
    events: u64,
    days: Vec<Gone>,
    /// What stays, and why.
    stays: Vec<String>,
    /// What an interrupted prune had left.
    finished: Vec<String>,
}

#[derive(Serialize)]
struct Gone {
    day: String,
    events: u64,
    archive: Option<String>,
}

pub(crate) fn run(args: PruneArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    let now = Timestamp::from(SystemTime::now());
    let before = args.before.unwrap_or_else(|| now.day().plus(args.keep.map_or(0, |days| -days)));
    let (mut source, options) = Source::open_to_write(store)?;
    source.check()?;
    let folder = source.log(&args.log)?;
    let folder = match args.dry_run {
        true => LogFolder::new(folder),
        false => LogFolder::for_sealing(folder).map_err(Failure::new)?,
    };
    let by = args.by.unwrap_or_else(place::user);
    let policy = Policy { before, now, by, archive: args.archive, dry_run: args.dry_run };
    let mut trail = Recorder::new(options);
    let mut begun = BTreeSet::new();
    let mut on_step = |step: &Step| {
        if let Step::Remove(day) = step {
            begun.insert(*day);
        }
        Ok(())
    };
    let outcome = prune(&mut Log::new(folder), &mut source, &mut trail, &policy, &mut on_step);
    if outcome.is_err() && !begun.is_empty() {
        let days: Vec<String> = begun.iter().map(ToString::to_string).collect();
        warn(format_args!(
            "pruned before what went wrong: {}; seal now, so that it is on record",
            days.join(", ")
        ));
    }
    let outcome = outcome.map_err(Failure::new)?;
    let is_complete = outcome.stays.iter().all(|stays| matches!(stays.why, Why::Held { .. }));
    let report = Report::of(&policy, outcome);
    report.stays.iter().for_each(warn);
    let text =
        if args.json { serde_json::to_string(&report).map_err(io::Error::from)? } else { report.text() };
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(ExitCode::from(if is_complete { 0 } else { INCOMPLETE }))
}

impl Report {
    fn of(policy: &Policy, outcome: Outcome) -> Self {
        let gone = outcome.parts.into_iter().map(|(part, archive)| Gone {
            day: part.day.to_string(),
            events: part.events(),
            archive: archive.map(|archive| archive.display().to_string()),
        });
        let days: Vec<Gone> = gone.collect();
        Self {
            dry_run: policy.dry_run,
            before: policy.before.to_string(),
            events: days.iter().map(|day| day.events).sum(),
            days,
            stays: outcome.stays.iter().map(ToString::to_string).collect(),
            finished: outcome.finished,
        }
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(
            self.finished.iter().map(|what| format!("{what}: what an interrupted prune had left is removed")),
        );
        for Gone { day, events, archive } in &self.days {
            let to = archive.as_ref().map(|archive| format!(" into {archive}")).unwrap_or_default();
            lines.push(format!("{day}: {}{to}", count(*events, "event")));
        }
        let verb = if self.dry_run { "would be pruned" } else { "pruned" };
        let all =
            format!("{verb}: {} events of {}", HumanCount(self.events), count(self.days.len() as u64, "day"));
        let next = match (self.dry_run, self.events) {
            (false, 1..) => "; seal now, so that it is on record",
            _ => "",
        };
        lines.push(format!("{all} before {}{next}", self.before));
        lines.join("\n")
    }
}
