//! The options of `audit reconcile`.

use std::path::PathBuf;

use clap::Args;

use super::Period;
use super::calls::HashArgs;
use crate::reconcile::Agent;

const HELP: &str = "\
Examples:
  audit reconcile claude
  audit reconcile codex --since 7d
  audit reconcile claude --add
  audit reconcile claude ~/.claude/projects/-home-me-app/5f0c3f6e-8b57-4d0c-9f0e-0d7a1c2b3d4e.jsonl
  audit reconcile copilot --scope user --json | jq -r 'select(.kind == \"missing\") | .event.tool'

Agents keep transcripts of their sessions. This compares them with the record, and says which calls are in the record, which \
are missing from it (the hook was not there, was killed, or the call was denied before), and which are in the record and in no \
transcript. No contents of a transcript are kept or shown: a call is told as an event tells it.

A call is in the record if an event has its session (`graph_run_id`) and its identifier (`req_id`), and, where that is as \
short as `call_0` and may be used again, its tool and arguments (`input_hash`); an event with the status `started` does not \
count, since the end of the call is missing. Copilot and Gemini CLI tell their hooks no identifier: there a call is also in the \
record if an event has its session, tool and arguments. If arguments are hashed with a key, this needs the same --hash-key-file. \
A session that was resumed may have the calls of another one again; they count once.

Without TRANSCRIPT, all transcripts of the agent are read, and of them the calls that belong to the record: where that is the \
record of a folder or a project, the calls that were made in the project (see --within); how many were made elsewhere is \
told. Which record that is, `audit read \
--help` tells.

With --add, the calls that are missing are recorded, with the times of the transcript and the attribute `source` = `transcript`. \
Run it again at any time: what is recorded is not missing. In files one process adds at a time; in a database each call has an \
identifier made of its session and its own, and is stored once. A call that ended less than a minute ago is left to its hook. \
A call without a result is `cancelled` if the transcript says that it was interrupted; else `lost`, once nothing was written to the \
transcript for a day. Until then it may still run, and is not missing.

With --json, each line is an object with a `kind`: `missing` and `only_recorded` have an `event`, `session` has the counts of a \
session, and `total` those of all.

Exit status: 0 if no call is missing, or all that were missing are recorded now; 1 if some are missing; 2 if a transcript or \
the record cannot be read, or calls cannot be recorded.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ReconcileArgs {
    /// The agent whose transcripts are read
    pub(crate) agent: Agent,
    /// Transcripts, or folders with transcripts [default: where the agent keeps them]
    #[arg(value_name = "TRANSCRIPT")]
    pub(crate) transcripts: Vec<PathBuf>,
    /// Record the calls that are missing
    #[arg(long)]
    pub(crate) add: bool,
    /// Only calls that were made in this folder, which has to exist, or below it [default: the project, if the record is that of a folder or of a
    /// project, and no transcript is given]
    #[arg(long, value_name = "FOLDER", help_heading = "Filters")]
    pub(crate) within: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) period: Period,
    /// Show the result as JSON lines
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) hash: HashArgs,
}
