//! Configures agents to run this program for each call of a tool, takes that out again, and shows how things are.

mod command;
mod list;
mod merge;
mod setup;

use std::io::{self, Write as _};
use std::process::ExitCode;

use audit_format::show::escaped;
use audit_host::{Component, Options};

use self::command::Command;
pub(super) use self::list::list;
use self::setup::{Part, Place, Setup};
use super::Agent;
use crate::args::HookArgs;
use crate::config::{Change, ConfigFile};
use crate::message::{Failure, TROUBLE, warn};

/// Configures an agent, or takes that out.
pub(super) fn run(args: &HookArgs, agent: Agent, is_placed: bool) -> Result<ExitCode, Failure> {
    let place = Place::of(args)?;
    let command = Command::new(args, &place, is_placed)?;
    let setup = Setup::of(agent, &place, &command)?;
    let mut refused = Vec::new();
    let mut changes = Vec::new();
    for part in &setup.parts {
        let file = ConfigFile::read(part.path())?;
        match part.change(file, args.install) {
            Ok(change) => changes.push((part, change)),
            Err(why) => refused.push((part, why)),
        }
    }
    let mut out = io::stdout().lock();
    for (part, why) in &refused {
        warn(format_args!("{} was not changed: {why}", part.path().display()));
        if args.install {
            let path = part.path().display().to_string();
            let _ = writeln!(out, "Add this to {} by hand:\n{}", escaped(&path), part.paste());
        }
    }
    // All of them or none, so that no agent is half configured.
    if !refused.is_empty() {
        return Ok(ExitCode::from(TROUBLE));
    }
    let is_changed = changes.iter().any(|(_, change)| !change.is_none());
    for (part, change) in &changes {
        tell(&mut out, part, change, args.dry_run)?;
    }
    if args.install && is_changed && !args.dry_run {
        // It is compiled now, so that the first call need not wait for that.
        let _ = Component::load(&Options::from_env());
    }
    let _ = match (is_changed, args.dry_run, args.install) {
        (false, _, true) => writeln!(out, "{} is configured already; nothing was changed.", agent.name()),
        (false, _, false) => {
            writeln!(out, "{} has nothing of this program; nothing was changed.", agent.name())
        }
        (true, true, _) => writeln!(out, "Nothing was changed (--dry-run)."),
        (true, false, true) => writeln!(out, "{}", setup.then),
        (true, false, false) => writeln!(out, "The calls of {} are no longer recorded.", agent.name()),
    };
    Ok(ExitCode::SUCCESS)
}

/// Shows a change, and makes it.
fn tell(out: &mut impl io::Write, part: &Part, change: &Change, dry_run: bool) -> Result<(), Failure> {
    if change.is_none() {
        return Ok(());
    }
    let _ = write!(out, "{}", change.diff());
    if dry_run {
        return Ok(());
    }
    let backup = change.make()?;
    part.finish()?;
    let path = escaped(&change.path().display().to_string()).into_owned();
    let _ = match backup {
        Some(backup) => {
            writeln!(out, "Changed {path}; as it was: {}", escaped(&backup.display().to_string()))
        }
        None if change.path().exists() => writeln!(out, "Wrote {path}"),
        None => writeln!(out, "Removed {path}"),
    };
    Ok(())
}
