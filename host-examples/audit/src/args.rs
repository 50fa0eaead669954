//! The options of the program and the texts of its help.

mod calls;
mod evidence;
mod fields;
mod hook;
#[cfg(unix)]
mod mcp;
mod otlp;
mod proof;
mod reconcile;
mod retention;
mod store;
mod times;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;

use audit_format::attributes::Attribute;
use audit_format::event::Field;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use self::calls::CallArgs;
pub(super) use self::evidence::{KEY_FILE, KeygenArgs, LogArgs, SealArgs};
pub(super) use self::fields::option;
use self::fields::{EventTexts, Filters, attribute, field};
pub(super) use self::hook::HookArgs;
#[cfg(unix)]
pub(super) use self::mcp::{HttpArgs, McpArgs, WrapArgs};
pub(super) use self::otlp::OtlpArgs;
pub(super) use self::proof::{CheckArgs, ProveArgs};
pub(super) use self::reconcile::ReconcileArgs;
pub(super) use self::retention::{
    HoldAddArgs, HoldArgs, HoldCommand, HoldListArgs, HoldRemoveArgs, PruneArgs,
};
pub(super) use self::store::{HOW_TO_GIVE_A_URL, ReadFrom, Scope, StoreArgs};
pub(super) use self::times::Period;
pub(super) use self::verify::VerifyArgs;

const HELP: &str = "\
Examples:
  audit hook --install claude
  audit mcp -- npx -y @modelcontextprotocol/server-filesystem .
  audit exec --tool search --agent planner -- curl -s https://example.org
  audit read --since 2h
  audit read --tool search --newest --limit 20
  DATABASE_URL=postgres://audit:secret@localhost/audit audit --backend auto exec -- make test

Each option of the store also has an environment variable. The option takes precedence; without both, the \
default is used. An invalid value of an option is an error. An invalid value of a variable is a warning, and \
the default is used instead, so that events are kept.

Exit status: 2 if the options are invalid or the store cannot be used. Otherwise see the help of the \
subcommand, such as `audit exec --help`.";

/// The audit trail of AI agents' tool calls: who called which tool, when, with what outcome, how long the
/// call took and how large its input and output were. The contents of input and output are never recorded.
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
    /// Record the calls of an agent through its hooks
    Hook(Box<HookArgs>),
    /// Record the tool calls between an MCP client and its server
    #[cfg(unix)]
    Mcp(Box<McpArgs>),
    /// Receive OpenTelemetry from agents, and record their calls of tools
    Otlp(Box<OtlpArgs>),
    /// Run a command as a tool call, and record it
    #[cfg(unix)]
    Exec(Box<ExecArgs>),
    /// Record events from JSON lines
    Write(WriteArgs),
    /// Compare the transcripts that agents keep with the record
    Reconcile(Box<ReconcileArgs>),
    /// Show the recorded events
    Read(Box<ReadArgs>),
    /// Show the state of the store, and its problems
    Status(StatusArgs),
    /// Seal what is new in the record, so that a change of it is seen
    Seal(Box<SealArgs>),
    /// Check the record against its log: what was changed, removed or added since it was sealed
    Verify(Box<VerifyArgs>),
    /// Make the key with which a record is sealed
    Keygen(KeygenArgs),
    /// Prove that one event is sealed, or that the log only grew
    Prove(ProveArgs),
    /// Check a proof, without the record and the log
    Check(Box<CheckArgs>),
    /// Remove old events from the record, and keep their hashes
    Prune(PruneArgs),
    /// Keep events from being pruned
    Hold(HoldArgs),
    /// Copy the events of JSON lines files into the database
    Import(ImportArgs),
    /// Create or upgrade the tables of the database
    Migrate(MigrateArgs),
}

const EXEC_HELP: &str = "\
Examples:
  audit exec -- make test
  audit exec --tool search --agent planner --run run-7 -- curl -s https://example.org | wc -c
  tar c src | audit exec --tool backup -- gzip > src.tar.gz

Input, output, errors and exit status of the command pass through unchanged. When the command has ended, one \
event is recorded: `ts` is the start of the command, `duration_ms` how long it ran, `status` its exit status \
(`0`, `1`, or `signal:9` if a signal ended it), and `input_hash` the SHA-256 of its arguments, from the \
command's name on, each followed by a NUL byte.

`in_size` is how many bytes the command read from its input, if that is a file, a pipe or a socket. Input \
from a terminal counts as 0. `out_size` is how many bytes it wrote to its output and errors. To be counted, \
they pass through a pipe, even if they go to a terminal. Use --tty for commands that need a terminal.

Output of background processes is passed on until a tenth of a second after the command has ended.

The command has the environment of `audit`, with DATABASE_URL if that is set. If the command must not be \
able to change the record, use a database role with SELECT and INSERT alone, or record into files \
(`--backend jsonl`) and import them later.

Exit status: that of the command; 128 + the number of the signal if a signal ended it; 127 if the command is \
not found; 126 if it cannot be run; 2 if the options are invalid, in which case the command is not run; 1 in \
the place of 0 if output could not be passed on. If the event cannot be recorded, that is a warning on \
stderr and does not change the exit status.";

#[cfg(unix)]
#[derive(Debug, Args)]
#[command(after_help = EXEC_HELP)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) texts: EventTexts,
    /// An attribute, for what the fields have no place for; may be given several times
    #[arg(long = "attr", value_name = "KEY=VALUE", value_parser = attribute(), help_heading = "Fields of the event")]
    pub(crate) attributes: Vec<Attribute<'static>>,
    /// Let the command write to the terminal itself, as editors, pagers and shells need; `out_size` is then 0
    #[arg(long)]
    pub(crate) tty: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

const WRITE_HELP: &str = "\
Examples:
  echo '{\"tool\":\"search\",\"agent_id\":\"planner\",\"status\":\"ok\"}' | audit write
  audit write events.jsonl
  audit --backend auto write --once events.jsonl
  jq -c '{ts: .time, tool: .name, status, in_size: .bytes}' calls.json | audit write -

Each line is a JSON object with the field names of the daily files: FIELDS. A field that is absent is empty, \
0 or null. Without `ts`, the event gets the current time; it may also be a number of seconds or milliseconds \
since 1970. `attributes` is an object of texts. Empty lines are skipped.

No event is refused for its content: a text that is too long is cut, a number is rounded to a whole one, and \
what is not UTF-8 becomes U+FFFD. A line is invalid if it is no JSON object, has a value of the wrong type or an \
unknown field, or a `ts` that is no timestamp. The first 100 invalid lines are named on stderr (`line 7: ts: \
...`), and all other lines are recorded. Under \
`auto`, an event also counts as accepted if it is in the spool, where it waits for the database.

A database may take events and not answer. A message then says which lines may be recorded or not, and writing \
these again may record them twice. With --once that cannot happen: the identifier of an event is made of its contents \
and of how many equal ones stand before it in the file. Write the whole file again, as it was. Such events go into \
the database at once, under `auto` too, and have no place in a chain.

Exit status: 0 if every line was accepted; 1 if some lines were rejected, or refused by the database; 2 if \
the input cannot be read or events cannot be stored. In the last case, a message says from which line on \
nothing was written, or may have been.";

/// The help of `audit write`, with the names of the fields.
fn write_help() -> String {
    let name = |field: Field| match field.older_name() {
        Some(older) => format!("{} (or {older})", field.name()),
        None => field.name().into(),
    };
    WRITE_HELP.replace("FIELDS", &(Field::ALL.map(name).join(", ") + ", attributes"))
}

#[derive(Debug, Args)]
#[command(after_help = write_help())]
pub(crate) struct WriteArgs {
    /// Record each event once, however often the same file is written; needs a database
    #[arg(long)]
    pub(crate) once: bool,
    /// The file with the events, one on each line; - or no file stands for stdin
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

An import needs a database, and writes to it whatever --backend is. Without files, it imports those of the \
folder: first the daily files (tool_audit_*.jsonl), then what is left of spools (spool_*.jsonl), each the \
oldest first. The files stay where they are and are not changed. They remain the record until you remove \
them.

Lines of this store keep their id, chain, seq and hash. Lines of other writers have none of these, and get \
an identifier that is computed from their contents. An import can therefore be interrupted and run again at \
any time: lines that are in the database already stay unchanged, and none is stored twice.

Lines that are no events are skipped, and the first 100 of them are named on stderr (`FILE:7: ts: ...`). \
While the database does not answer, a batch is tried again for about a quarter of a minute. Under `auto`, \
the folder keeps events that the database has refused in refused_*.jsonl. These files are imported only by \
name: import them once the cause is fixed.

Exit status: 0 if every line is in the database; 1 if some lines were skipped, or refused by the database; 2 \
if the files cannot be read or the database cannot be used. In the last case, run the import again.";

#[derive(Debug, Args)]
#[command(after_help = IMPORT_HELP)]
pub(crate) struct ImportArgs {
    /// The files with the events; - stands for stdin [default: the files of the folder]
    pub(crate) files: Vec<PathBuf>,
}

const MIGRATE_HELP: &str = "\
Examples:
  DATABASE_URL=postgres://owner:secret@localhost/audit audit migrate
  audit migrate --partitioned
  audit migrate --index user run

The first event that is written does the same, if its role may; a read never changes a table. Use this command \
with the role that owns the tables, where the role of the writers may only insert and read, or to choose the \
time: an upgrade may rewrite the whole table, and others wait meanwhile. It may be run again at any time.

With --partitioned, the table has a partition for each day (UTC), and a default partition for all other times. Run it \
once a day: it adds the partitions of the next 14 days, and those of the days that the default partition has rows of, \
which it moves. A table without partitions becomes the partition of all days up to today, as it is.

With --index, others write and read while the index is built. If that is interrupted, run it again.

Exit status: 0 if the tables are complete; 2 if the database cannot be used, or the tables cannot be upgraded.";

#[derive(Debug, Args)]
#[command(after_help = MIGRATE_HELP)]
pub(crate) struct MigrateArgs {
    /// Partition the table by day, and add the partitions that it needs
    #[arg(long)]
    pub(crate) partitioned: bool,
    /// Build an index for reads that filter by this field, such as user_id (or user, as the option of `audit read`); may be
    /// given several times
    #[arg(long = "index", value_name = "FIELD", num_args = 1.., value_parser = field())]
    pub(crate) indexes: Vec<Field>,
}

const READ_HELP: &str = "\
Examples:
  audit read --newest --limit 20
  audit read --session 5f0c3f6e-8b57-4d0c-9f0e-0d7a1c2b3d4e --errors
  audit read --since 2h --tool search --format jsonl | jq .duration_ms
  audit read --from 2026-11-23 --to 2026-11-23T12:00:00+01:00 --agent planner
  audit read --follow
  audit read --unfinished --since yesterday
  audit read --run run-7 --format csv > run-7.csv

An event is shown if it matches all filters. A text matches if it is equal, upper and lower case included. A \
time is RFC 3339, or a date, which stands for its first instant in UTC in --from and for its last instant in \
--to. Both instants are included. `today` and `yesterday` are dates, `now` is a time, and so is how long ago it \
was: 90s, 15m, 2h, 7d or 2w.

A session or conversation of an agent is its run: --session is another name of --run, and the table has it in the \
column `session`.

With --errors, an event is shown if its status is not `ok`, `0` or `started`: a call that has begun has not failed. A call \
that began and has no end yet is shown with --unfinished: its event has the status `started`, and no event of another \
status has its session and its request. An end counts wherever it is, also outside of the filters. Where a request is used \
again, each end is that of one call.

With --follow, what is there is shown first: the last 10 events, or those that --from, --since or --limit ask for. Then \
each event is shown as it comes, whenever its call began, until Ctrl-C. In the files that may be a fifth of a second later, \
from a database a second. Under `auto`, an event that waits in the spool comes once the database has it.

Without --limit, all events that match are shown. With --limit, a message on stderr names the cursor of the \
rest. To go on, use it with --cursor, with the same filters and the same order. The table and CSV show control \
characters as JSON does (`\\n`, `\\u001b`). CSV has all other characters unchanged: a spreadsheet may take a text that \
begins with = + - or @ for a formula. The table also shows characters that take no room as escapes.

The table is as wide as the terminal, or 120 characters. Where there is no room, long texts end in `…`, and the columns that \
matter least are left out; long durations are `34h` and large sizes `953M`. With --wide it has everything, however wide that is.

Without --scope, --dir, AUDIT_JSONL_DIR and REPO_ROOT, the record is that of the current folder, else that of the project \
around it (see --scope), else that of the user, and the nearest that has events comes first. Where there is more than one, a message says which one is shown.

Archives of `audit prune` in the folder (tool_audit_*.jsonl.zst) are read too, with --dir FOLDER: those of the days that are \
asked for are unpacked into a temporary folder first, together with the daily files of these days. --follow reads none.

What a database does not find within some seconds is looked for part by part. On a terminal, stderr shows meanwhile how \
far the search has come.

Exit status: 0, also if no event matches or the folder does not exist; 2 if the folder cannot be read or the \
database does not answer.";

#[derive(Debug, Args)]
#[command(after_help = READ_HELP)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) period: Period,
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// An attribute that the event must have; may be given several times
    #[arg(long = "attr", value_name = "KEY=VALUE", value_parser = attribute(), help_heading = "Filters")]
    pub(crate) attributes: Vec<Attribute<'static>>,
    /// Show only calls that went wrong, or whose outcome is not known
    #[arg(long, help_heading = "Filters")]
    pub(crate) errors: bool,
    /// Show only calls that have begun and have no end
    #[arg(long, help_heading = "Filters", conflicts_with_all = ["errors", "follow", "cursor", "status"])]
    pub(crate) unfinished: bool,
    /// Go on showing each event as it comes, like `tail -f`
    #[arg(long, short, conflicts_with_all = ["newest", "cursor", "to"])]
    pub(crate) follow: bool,
    /// Show the newest events first, instead of the oldest
    #[arg(long)]
    pub(crate) newest: bool,
    /// How many events to show at most; 0 shows all [default: 0]
    #[arg(long)]
    pub(crate) limit: Option<u64>,
    /// Where to go on: the next cursor that an earlier call has named
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    /// How to show the events [default: table on a terminal, else jsonl]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Show all columns of the table with their whole texts, however wide it becomes
    #[arg(long)]
    pub(crate) wide: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table as wide as the terminal
    Table,
    /// The JSON lines as they are stored
    Jsonl,
    /// Comma-separated values of all twenty fields, with a header
    Csv,
}

const STATUS_HELP: &str = "\
Examples:
  audit status
  audit status --scope user
  audit status --json | jq '.record.events, .record.last'
  AUDIT_BACKEND=jsnol audit status --json | jq .warnings
  AUDIT_BACKEND=auto audit status --json | jq -e .database.takes_events

With a database, this asks the database whether it would take events, and shows what prevents that. Nothing \
is created, upgraded, drained or removed.

How much is recorded is in `record`, with --json: `events`, which `is_estimate` marks where a database has more than 64 MiB \
(null if the database has never estimated it); `days`, how many daily files there are (null for a database); `bytes` on the \
disk; and the times of the `first` event (null for files) and of the `last` one. In files, events are lines, and the last event \
is the latest of those at the end of the newest file. `record` is null if nothing is kept, or the folder or the database \
cannot be read.

Which record is meant where nothing says it, `audit read --help` tells.

Exit status: 0, also if there are warnings, or if the database does not answer or takes no events.";

#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub(crate) struct StatusArgs {
    /// Show the status as a JSON object
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
    fn arguments_behind_the_command_belong_to_the_command() {
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
