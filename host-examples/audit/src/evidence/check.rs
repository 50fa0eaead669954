//! `audit check`: checks a proof with nothing but the file and the keys that are given.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use audit_evidence::check::{Pins, Report, Verdict, check};
use audit_format::show::escaped;

use super::prove::read_checkpoint;
use crate::args::CheckArgs;
use crate::input;
use crate::message::Failure;

/// No proof is longer, in bytes: an event of 8 MiB in base 64, and what is around it.
const MAX_BYTES: u64 = 16 << 20;

pub(crate) fn run(args: CheckArgs) -> Result<ExitCode, Failure> {
    let file = read(&args.file)?;
    let event = args.event.as_deref().map(read).transpose()?;
    let kept = args.against.iter().map(|path| read_checkpoint("--against", path));
    let kept = kept.collect::<Result<Vec<_>, _>>()?;
    let quorum = args.quorum.unwrap_or(args.witness_key.len());
    let pins = Pins { log: args.pubkey, origin: args.origin, witnesses: args.witness_key, quorum };
    let report = check(&file, &pins, event.as_deref(), &kept)
        .map_err(|error| Failure::because(args.file.display().to_string(), error))?;
    let text = if args.json {
        serde_json::to_string(&report).map_err(io::Error::from)? + "\n"
    } else {
        shown(&report)
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(ExitCode::from(match report.verdict {
        Verdict::Holds => 0,
        Verdict::DoesNotHold => 1,
        Verdict::NotKnown => 2,
    }))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let done = if input::is_stdin(path) {
        io::stdin().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    done.map_err(|error| input::cannot_read(path, &error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::because(
            path.display().to_string(),
            "it is longer than any proof: accepted are 16 MiB",
        ));
    }
    Ok(bytes)
}

/// What was checked, a line each, after the event.
fn shown(report: &Report) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(report.event.as_deref().map(|event| escaped(event).into_owned()));
    lines.push(format!("{:<13} {}", "log", escaped(&report.origin)));
    for finding in &report.findings {
        let what = format!("{}: {}", finding.verdict, finding.found);
        lines.push(format!("{:<13} {}", finding.what, escaped(&what)));
    }
    lines.push(format!("{:<13} {}", "in all", report.verdict));
    lines.join("\n") + "\n"
}
