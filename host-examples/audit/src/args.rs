//! The options, and the help that explains them.

mod fields;
mod store;

use std::ffi::OsString;
use std::path::PathBuf;

use audit_format::event::Field;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use self::fields::option;
use self::fields::{EventTexts, Filters};
pub(super) use self::store::HOW_TO_GIVE_A_URL;
use self::store::StoreArgs;

const HELP: &str = "\
Examples:
  audit exec --tool search --agent planner -- curl -s https://example.org
  audit read --tool search --newest --limit 20
  audit write events.jsonl
  DATABASE_URL=postgres://audit:secret@localhost/audit audit --backend auto exec -- make test

Each option of the store that is not given comes from its environment variable. A wrong value of an option is \
refused; a wrong value of a variable is a warning, and the default holds, so that events are kept.

Exit status: 2 if the options are wrong or the store cannot be used, else as the subcommand's help says.";

/// The audit trail of AI agents' tool calls: who called which tool, when, with what outcome, how long and how
/// large. What a tool was given and what it answered is never recorded.
#[derive(Debug, Parser)]
#[command(name = "audit", version, after_help = HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command as a tool call, and record it
    #[cfg(unix)]
    Exec(Box<ExecArgs>),
    /// Record events from JSON lines
    Write(WriteArgs),
    /// Copy the events of JSON lines files into the database
    Import(ImportArgs),
    /// Show what is recorded
    Read(Box<ReadArgs>),
    /// Show which store is in use, and what is wrong with it
    Status(StatusArgs),
}

const EXEC_HELP: &str = "\
Examples:
  audit exec -- make test
  audit exec --tool search --agent planner --run run-7 -- curl -s https://example.org | jq .
  tar c src | audit exec --tool backup -- ssh host 'cat > src.tar'

The command's input, output, errors and exit status pass through unchanged. One event is recorded when it ends, \
with its start as `ts`, its duration, its exit status as `status` (`0`, `1`, or `signal:9`), and as `input_hash` \
the SHA-256 of its arguments, the command's name first, each followed by a NUL byte.

`in_size` is how many bytes the command read from its input, where that is a file, a pipe or a socket; a \
terminal counts 0. `out_size` is how many bytes it wrote to its output and errors. They go through a pipe, also \
to a terminal: for what needs a terminal there is --tty.

Output of background processes is passed on until the command itself ends.

The command has the environment of `audit`, with DATABASE_URL if that is set there. Where it must not touch what is \
recorded, use a role with SELECT and INSERT alone, or record into files (`--backend jsonl`) and import them later.

Exit status: the command's own; 128 + the signal's number if one ended it; 127 if it is not found, 126 if it \
cannot be run, 2 if the options are wrong: it is not run then; 1 in the place of 0 if output could not be passed \
on. That the event cannot be recorded is a warning on stderr, and changes nothing.";

#[cfg(unix)]
#[derive(Debug, Args)]
#[command(after_help = EXEC_HELP)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) texts: EventTexts,
    /// Hand the terminal over for output too, for editors, pagers and shells; `out_size` is then 0
    #[arg(long)]
    pub(crate) tty: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

const WRITE_HELP: &str = "\
Examples:
  audit write events.jsonl
  jq -c '{ts: .time, tool: .name, status, in_size: .bytes}' calls.json | audit write
  echo '{\"tool\":\"search\",\"agent_id\":\"planner\",\"status\":\"ok\"}' | audit write -

Each line is a JSON object with the field names of the daily files: FIELDS. A field that is absent is empty, 0 or null; without `ts` the event gets the \
current time. Empty lines are passed over.

An invalid line is named on stderr (`line 7: ts: ...`), and the others are recorded. Under \
`auto` an event is accepted too if it waits on disk for the database.

Exit status: 0 if every line was accepted, 1 if some were rejected or refused by the database, 2 if the input \
could not be read or the events could not be stored; the line from which nothing was written is named then.";

/// The help, with the names of the fields.
fn write_help() -> String {
    let name = |field: Field| match field.older_name() {
        Some(older) => format!("{} (or {older})", field.name()),
        None => field.name().into(),
    };
    WRITE_HELP.replace("FIELDS", &Field::ALL.map(name).join(", "))
}

#[derive(Debug, Args)]
#[command(after_help = write_help())]
pub(crate) struct WriteArgs {
    /// The file with the events; - or nothing is stdin
    pub(crate) file: Option<PathBuf>,
}

const IMPORT_HELP: &str = "\
Examples:
  export DATABASE_URL=postgres://audit:secret@localhost/audit
  audit import
  audit import --dir /srv/app/ops/audit
  audit import old/tool_audit_2025-*.jsonl
  audit import ops/audit/refused_*.jsonl
  zcat old.jsonl.gz | audit import -

It needs a database, and works on it whatever the backend is. Without files it takes those of the folder: the \
daily files (tool_audit_*.jsonl), then what is left of spools (spool_*.jsonl), the oldest first. The files stay as \
and where they are: they are the record until you remove them.

Lines of this store keep their id, chain, seq and hash. Lines of other writers, which have none, get an identifier \
that is made of their contents. So an import can be broken off and run again at any time: what is in the database \
already stays as it is, and nothing is there twice.

A line that is no event is named on stderr (`FILE:7: ts: ...`) and passed over. While the database does not \
answer, a batch is tried again for a quarter of a minute. What the database refused under `auto` is in the folder's \
refused_*.jsonl; it is imported by name, once the cause is mended.

Exit status: 0 if every line is in the database, 1 if some were passed over or refused by the database, 2 if the \
files cannot be read or the database cannot be used; run it again then.";

#[derive(Debug, Args)]
#[command(after_help = IMPORT_HELP)]
pub(crate) struct ImportArgs {
    /// The files; - is stdin [default: those of the folder]
    pub(crate) files: Vec<PathBuf>,
}

const READ_HELP: &str = "\
Examples:
  audit read --newest --limit 20
  audit read --from 2026-11-23 --to 2026-11-23T12:00:00+01:00 --agent planner
  audit read --tool search --format jsonl | jq .duration_ms
  audit read --run run-7 --format csv > run-7.csv

Every filter that is given has to match, whole and exactly. Times are RFC 3339 or a date, which means its first \
instant in UTC for --from and its last for --to; both are inclusive.

All events that match are shown, unless --limit is given; the cursor of what is left is then named on stderr, to \
go on with --cursor, the same filters and the same order. The CSV has what events have as they are: a spreadsheet \
takes a text that begins with = + - or @ for a formula.

Exit status: 0, also if nothing matches or the folder does not exist; 2 if the folder cannot be read or the \
database does not answer.";

#[derive(Debug, Args)]
#[command(after_help = READ_HELP)]
pub(crate) struct ReadArgs {
    /// The earliest time
    #[arg(long, value_name = "TIME", help_heading = "Filters")]
    pub(crate) from: Option<String>,
    /// The latest time
    #[arg(long, value_name = "TIME", help_heading = "Filters")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// The latest first, instead of the earliest
    #[arg(long)]
    pub(crate) newest: bool,
    /// The most events to show; 0 means all
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) limit: u64,
    /// Where to go on: what an earlier call named as its next cursor
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    /// How to show them [default: table on a terminal, else jsonl]
    #[arg(long)]
    pub(crate) format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table as wide as the terminal, without the columns that are empty
    Table,
    /// The stored JSON lines
    Jsonl,
    /// All nineteen fields, with a header
    Csv,
}

const STATUS_HELP: &str = "\
Examples:
  audit status
  AUDIT_BACKEND=jsnol audit status --json | jq .warnings
  AUDIT_BACKEND=auto audit status --json | jq -e .database.takes_events

With a database it asks that whether it would take events, and says what is in the way. Nothing is created, upgraded, \
drained or removed.

Exit status: 0, also if there are warnings, or the database does not answer or takes no events.";

#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub(crate) struct StatusArgs {
    /// As a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_options_are_consistent() {
        Cli::command().debug_assert();
    }

    #[cfg(unix)]
    #[test]
    fn everything_behind_the_command_is_the_commands() {
        let parse = |line: &str| match Cli::try_parse_from(line.split(' ')).map(|cli| cli.command) {
            Ok(Command::Exec(args)) => {
                let tool = args.texts.0.into_iter().find(|(field, _)| *field == Field::Tool);
                Ok((tool.map(|(_, tool)| tool), args.command))
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.kind()),
        };
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let command = Ok((None, words("ls -l --tool x")));
        assert_eq!(parse("audit exec ls -l --tool x"), command);
        assert_eq!(parse("audit exec -- ls -l --tool x"), command);
        assert_eq!(parse("audit exec --tool t -- ls -- -l"), Ok((Some("t".into()), words("ls -- -l"))));
        assert_eq!(parse("audit exec --bogus -- ls"), Err(clap::error::ErrorKind::UnknownArgument));
        assert_eq!(parse("audit exec --tool t"), Err(clap::error::ErrorKind::MissingRequiredArgument));
    }
}
