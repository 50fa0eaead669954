//! `audit verify`: checks a record against its log.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

use audit_evidence::verify::{self, Answer, Captured, Holds, Options, Progress, Verdict};
use audit_evidence::{Log, LogFolder};
use audit_format::show::escaped;
use audit_log::checkpoint::SignedCheckpoint;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::record::Source;
use crate::args::{StoreArgs, VerifyArgs};
use crate::message::{Failure, count};

/// How many steps of the bar are taken at once.
const STEP: u64 = 4096;

pub(crate) fn run(args: &VerifyArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    let spool = store.clone().options()?.folder();
    let mut source = Source::open(store)?;
    source.check()?;
    let folder = source.log(&args.log)?;
    let own = fs::canonicalize(folder.join("checkpoint")).ok();
    let against = args
        .against
        .iter()
        .map(|path| {
            let name = path.display().to_string();
            if own.is_some() && fs::canonicalize(path).ok() == own {
                let why = "it is the checkpoint of the log itself: accepted is one that was kept elsewhere";
                return Err(Failure::because(format!("--against: {name}"), why));
            }
            let bytes = fs::read(path).map_err(|error| Failure::because(&name, error))?;
            let kept = SignedCheckpoint::parse(&bytes).map_err(|error| Failure::because(&name, error))?;
            Ok((name, kept))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let options = Options {
        keys: &args.pubkey,
        origin: args.origin.as_ref(),
        witnesses: &args.witness_key,
        against: &against,
        since: args.since.as_deref(),
        spool: spool.as_deref(),
    };
    let log = Log::new(LogFolder::new(&folder));
    let bar = bar();
    let mut shown = 0;
    let verdict = verify::verify(&log, &mut source, &options, &mut |Progress { done, all }| {
        if done >= shown + STEP || done == all {
            shown = done;
            bar.set_length(all);
            bar.set_position(done);
        }
    });
    bar.finish_and_clear();
    let failed = |error| Failure::because(folder.display().to_string(), error);
    let mut verdict = verdict.map_err(failed)?;
    if let Some(archive) = &args.archive {
        verify::check_archives(&log, archive, &mut verdict).map_err(failed)?;
    }
    let out = match args.json {
        true => serde_json::to_string_pretty(&verdict).map_err(io::Error::from)? + "\n",
        false => text(&verdict),
    };
    match io::stdout().write_all(out.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(if verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A bar on the terminal of stderr, and nothing where that is none.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}

/// The verdict for people.
fn text(verdict: &Verdict) -> String {
    let mut out = String::new();
    let head = &verdict.checkpoint;
    let signed = match head.signed_by.is_empty() {
        true => "no pinned key has signed it".to_owned(),
        false => format!("signed by {}", head.signed_by.join(", ")),
    };
    row(
        &mut out,
        "checkpoint",
        &format!("{}, {}, root {}", head.origin, count(head.size, "event"), head.root),
    );
    row(&mut out, "", &signed);
    row(&mut out, "events", &counts(verdict));
    answer(&mut out, "unaltered", &verdict.unaltered);
    answer(&mut out, "not removed", &verdict.not_removed);
    captured(&mut out, &verdict.captured);
    for finding in &verdict.findings {
        row(&mut out, "FOUND", &finding.to_string());
    }
    for text in &verdict.not_checked {
        row(&mut out, "not checked", text);
    }
    let found = verdict.findings.len() as u64;
    let result = if found == 0 { "nothing was found".to_owned() } else { count(found, "finding") };
    row(&mut out, "result", &result);
    out
}

fn row(out: &mut String, name: &str, text: &str) {
    // Writing into a text cannot fail.
    let _ = writeln!(out, "{name:<12} {}", escaped(text));
}

fn counts(verdict: &Verdict) -> String {
    let counts = &verdict.counts;
    let all = [
        (counts.sealed, "sealed"),
        (counts.as_sealed, "of them as they were"),
        (counts.pruned, "pruned"),
        (counts.not_looked_at, "not looked at"),
        (counts.unsealed, "not sealed yet"),
        (counts.foreign, "of other writers"),
        (counts.spooled, "in the spool"),
        (counts.refused, "refused"),
        (counts.unreadable, "lines that are no event"),
    ];
    let shown = all.iter().enumerate().filter(|(place, (number, _))| *place < 2 || *number > 0);
    shown.map(|(_, (number, what))| format!("{number} {what}")).collect::<Vec<_>>().join(", ")
}

fn answer(out: &mut String, name: &str, Answer { holds, because }: &Answer) {
    let holds = match holds {
        Holds::Yes => "yes",
        Holds::No => "NO",
        Holds::NotProved => "not proved",
    };
    let because = if because.is_empty() { String::new() } else { format!(": {}", because.join("; ")) };
    row(out, name, &format!("{holds}{because}"));
}

fn captured(out: &mut String, captured: &Captured) {
    let sources: Vec<String> = captured
        .sources
        .iter()
        .map(|(name, number)| match name.is_empty() {
            true => format!("{number} of no named source"),
            false => format!("{number} of {name}"),
        })
        .collect();
    let sources = if sources.is_empty() { "no events".to_owned() } else { sources.join(", ") };
    let mut parts = vec![sources, count(captured.chains, "chain")];
    let missing = captured.missing_in_chains;
    let explained = match captured.explained {
        0 => String::new(),
        explained => format!(", {explained} of which are explained"),
    };
    parts.push(format!("{} missing in them{explained}", count(missing, "number")));
    parts.push(format!("{} without an end", count(captured.without_end, "call")));
    row(out, "captured", &format!("never proved: {}", parts.join("; ")));
}
