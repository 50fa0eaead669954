//! The options of `audit prune` and `audit hold`.

use std::path::PathBuf;

use audit_format::attributes::Attribute;
use audit_format::show::quoted;
use audit_format::time::Day;
use clap::{ArgGroup, Args, Subcommand};

use super::evidence::LogArgs;
use super::fields::{Filters, attribute, text};
use super::times::{Period, ago};

const PRUNE_HELP: &str = "\
Examples:
  audit prune --keep 180d --archive /mnt/archive --dry-run
  audit prune --keep 180d --archive /mnt/archive && audit seal --key audit-seal.key
  audit prune --before 2026-06-01
  DATABASE_URL=postgres://owner:secret@localhost/audit audit --backend postgres prune --keep 180d --log /var/lib/audit-log

Events of days before the date leave the record: daily files as a whole, rows of a table one by one. Their hashes stay in the \
log, so what is left can still be verified, and everybody sees that something was there.

Only what is sealed, and still is what was sealed, goes. What is held (`audit hold`), what is not sealed, what was changed, and \
today's events stay, and that is said. A daily file with one held event stays whole.

With --archive, the events of each day are written as JSON lines first, compressed with zstd, and read again before they are \
removed: `tool_audit_2026-05-01.jsonl.zst`. `audit read --dir FOLDER` shows them, and `zstdcat` does. Without --archive they \
are gone.

What was pruned, when and by whom is an event of the trail (tool `audit`, action `prune`), and a line of `pruned.jsonl` in the \
log. Seal afterwards: `audit verify` says that something was pruned, and not that it is missing, once the event is sealed.

This writes into the record and into the log. In a database, the role needs DELETE on tool_audit_events, which no other \
command needs: use another role than that of the writers. A prune that is interrupted loses nothing, and the next one goes on.

Exit status: 0 if all that is old enough went; 1 if something of it stays, for another reason than a hold; 2 if the log or the \
record cannot be used, after what a message says.";

#[derive(Debug, Args)]
#[command(after_help = PRUNE_HELP, group = ArgGroup::new("age").required(true).args(["before", "keep"]))]
pub(crate) struct PruneArgs {
    /// Prune the events of the days (UTC) before this one, such as 2026-06-01
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub(crate) before: Option<Day>,
    /// Keep the events of so many days, such as 180d or 26w, and prune older ones
    #[arg(long, value_name = "TIME", value_parser = days)]
    pub(crate) keep: Option<i32>,
    /// The folder for archives of what is pruned, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) archive: Option<PathBuf>,
    /// Show what would be pruned, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Who prunes [default: the user of this process]
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) by: Option<String>,
    /// Show what was pruned as a JSON object, on one line
    #[arg(long)]
    pub(crate) json: bool,
}

const HOLD_HELP: &str = "\
Examples:
  audit hold add --workspace acme --to 2026-11-30 --reason 'case 7'
  audit hold add --session 5f0c3f6e-8b57-4d0c-9f0e-0d7a1c2b3d4e --id incident-12 --reason 'incident 12'
  audit hold list
  audit hold remove incident-12 --reason 'closed'

While a hold is in force, `audit prune` leaves the events alone that `audit read` shows with the same filters, also those that \
are recorded later. Holds are kept in `holds.jsonl` in the log, each change with who made it and why, and each change is an \
event of the trail too (tool `audit`, action `hold`).

Exit status: 0 if it is done; 2 if it is not, or if the event could not be recorded, after what a message says.";

#[derive(Debug, Args)]
#[command(after_help = HOLD_HELP)]
pub(crate) struct HoldArgs {
    #[command(subcommand)]
    pub(crate) what: HoldCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HoldCommand {
    /// Keep events from being pruned
    Add(Box<HoldAddArgs>),
    /// End a hold
    Remove(HoldRemoveArgs),
    /// Show the holds that are in force
    List(HoldListArgs),
}

#[derive(Debug, Args)]
#[command(after_help = HOLD_HELP)]
pub(crate) struct HoldAddArgs {
    #[command(flatten)]
    pub(crate) period: Period,
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// An attribute that the event must have; may be given several times
    #[arg(long = "attr", value_name = "KEY=VALUE", value_parser = attribute(), help_heading = "Filters")]
    pub(crate) attributes: Vec<Attribute<'static>>,
    /// Hold all events, without a filter
    #[arg(long, help_heading = "Filters")]
    pub(crate) all: bool,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = text())]
    pub(crate) reason: String,
    /// What the hold is called [default: hold- and a number]
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) id: Option<String>,
    /// Who holds [default: the user of this process]
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) by: Option<String>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
#[command(after_help = HOLD_HELP)]
pub(crate) struct HoldRemoveArgs {
    /// What the hold is called
    #[arg(value_parser = text())]
    pub(crate) id: String,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = text())]
    pub(crate) reason: String,
    /// Who ends it [default: the user of this process]
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) by: Option<String>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
#[command(after_help = HOLD_HELP)]
pub(crate) struct HoldListArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Show each hold as a JSON object, on one line
    #[arg(long)]
    pub(crate) json: bool,
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text)
        .ok_or_else(|| format!("{} is no date; accepted is a date such as 2026-06-01", quoted(text)))
}

/// How many days a time has, which are whole ones.
fn days(text: &str) -> Result<i32, String> {
    let found = ago(text).flatten().map(|time| time.as_secs());
    let whole = found.filter(|seconds| *seconds > 0 && seconds % 86_400 == 0);
    whole.and_then(|seconds| i32::try_from(seconds / 86_400).ok()).ok_or_else(|| {
        format!(
            "{} is no number of days; accepted is a whole number above 0 and d or w, such as 180d or 26w",
            quoted(text)
        )
    })
}
