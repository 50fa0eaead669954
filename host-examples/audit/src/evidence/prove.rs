//! `audit prove`: shows one event, or the growth of the log, to somebody who has neither.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

use audit_evidence::prove::{self, ProveError, Which};
use audit_evidence::{Log, LogFolder};
use audit_log::checkpoint::SignedCheckpoint;

use super::record::Source;
use crate::args::{ProveArgs, StoreArgs};
use crate::message::{Failure, warn};

/// The exit status where something is not what was sealed.
const FOUND: u8 = 1;

pub(crate) fn run(args: &ProveArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    let mut source = Source::open(store)?;
    source.check()?;
    let folder = source.log(&args.log)?;
    let log = Log::new(LogFolder::new(folder));
    let proof = match &args.from {
        Some(from) => growth(&log, from, args.to.as_deref())?,
        None => prove::event(&log, &mut source, which(args)?).map(|proof| proof.to_string()),
    };
    match proof {
        Ok(text) => put(&text, args.out.as_deref()),
        Err(error) if error.is_finding() => {
            warn(error);
            Ok(ExitCode::from(FOUND))
        }
        Err(error) => Err(Failure::new(error)),
    }
}

fn which(args: &ProveArgs) -> Result<Which, Failure> {
    match (&args.id, args.index) {
        (_, Some(index)) => Ok(Which::Index(index)),
        (id, None) => {
            let id = id.as_deref().unwrap_or_default();
            let wrong =
                "accepted is the id of an event, such as 01a21dfc-da9d-775e-9c12-b8a0e19beb0f, or --index";
            id.parse().map(Which::Id).map_err(|_| Failure::because("ID", wrong))
        }
    }
}

/// The end of a proof of growth, as it is given.
enum End {
    Size(u64),
    Kept(Box<SignedCheckpoint>),
}

impl End {
    fn of(option: &str, given: &str) -> Result<Self, Failure> {
        if let Ok(size) = given.parse() {
            return Ok(Self::Size(size));
        }
        read_checkpoint(option, Path::new(given)).map(|kept| Self::Kept(Box::new(kept)))
    }

    fn size(&self) -> u64 {
        match self {
            Self::Size(size) => *size,
            Self::Kept(kept) => kept.unverified().size(),
        }
    }
}

/// The checkpoint in a file that an option names.
pub(super) fn read_checkpoint(option: &str, path: &Path) -> Result<SignedCheckpoint, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::because(format!("{option}: {}", path.display()), error);
    let bytes = fs::read(path).map_err(|error| failed(&error))?;
    SignedCheckpoint::parse(&bytes).map_err(|error| failed(&error))
}

fn growth(log: &Log<LogFolder>, from: &str, to: Option<&str>) -> Result<Result<String, ProveError>, Failure> {
    let from = End::of("--from", from)?;
    let to = to.map(|to| End::of("--to", to)).transpose()?;
    let last = log.checkpoint().map_err(Failure::new)?;
    let Some(last) = last else { return Ok(Err(ProveError::NoCheckpoint)) };
    let size = last.unverified().size();
    let checkpoint = match to {
        None => last,
        Some(End::Size(to)) if to == size => last,
        Some(End::Size(to)) => return Ok(Err(ProveError::NoSuchCheckpoint { to, size })),
        Some(End::Kept(kept)) => *kept,
    };
    let request = prove::growth(log, from.size(), checkpoint);
    // The log may have another root now than the one that was kept.
    if let (Ok(request), End::Kept(kept)) = (&request, &from) {
        let (old, new) = (kept.unverified(), request.checkpoint().unverified());
        let what = "the checkpoint of --from";
        if let Err(source) = audit_log::tree::consistency::verify(
            old.size(),
            new.size(),
            request.hashes(),
            old.root(),
            new.root(),
        ) {
            return Ok(Err(ProveError::Inconsistent { what, size: new.size(), source }));
        }
    }
    Ok(request.map(|request| request.to_string()))
}

fn put(text: &str, out: Option<&Path>) -> Result<ExitCode, Failure> {
    let written = match out {
        Some(path) => fs::write(path, text)
            .map_err(|error| Failure::because(format!("--out: {}", path.display()), error)),
        None => match io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        },
    };
    written.map(|()| ExitCode::SUCCESS)
}
