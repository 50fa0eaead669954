//! The options of `audit verify`.

use std::path::PathBuf;

use audit_evidence::CosignerKey;
use audit_format::show::quoted;
use audit_format::time::parse_bound;
use audit_log::checkpoint::Origin;
use audit_log::note::VerifierKey;
use clap::Args;

use super::evidence::{LogArgs, witness_key};
use super::times::ago;

const VERIFY_HELP: &str = "\
Examples:
  audit verify --pubkey \"$(cat seal.pub)\"
  audit verify --pubkey \"$(cat seal.pub)\" --against /mnt/elsewhere/audit/checkpoint
  audit verify --pubkey \"$(cat seal.pub)\" --witness-key example.org/witness+… --json
  audit verify --pubkey \"$(cat seal.pub)\" --since 2026-11-01
  DATABASE_URL=postgres://auditor:secret@localhost/audit audit --backend postgres verify --log /var/lib/audit-log …

Everything is computed anew and compared: each event with the leaf that was sealed, the leaves with the tiles of the log, the \
tiles with its checkpoint, the checkpoint with those that were kept elsewhere (--against), its signature, the cosignatures of \
witnesses, and the numbers of each chain. Nothing is written. `segments.jsonl` in the log is an aid: where it is wrong or gone, \
events are found by their hashes.

Three questions are answered, each for itself:
  unaltered    is what was sealed as it was?
  not removed  is nothing of it missing, and up to which event is that proved?
  captured     what speaks for it that all calls came here at all? That is never proved: a call that was never recorded \
leaves no trace. `audit reconcile` compares with the transcripts of agents.

Without --pubkey, whoever can write the record and the log may have made both anew. Without a checkpoint from elsewhere, an \
older state of both that somebody has put back looks the same as one that never grew. The answer says so. Keys come from you: \
one that lies in the log is not trusted.

What is found is named with its place: changed, missing, inserted, reordered, duplicated, truncated, rolled back, forked, gap in \
a chain, unsigned, wrong signature, other log. What retention has removed is no finding where a sealed event says so (`audit prune`), and \
torn lines, events that wait in the spool, rows that the database has refused, and events that are not sealed yet are none.

--since leaves out days before one: their hashes stay in the tree, and their events are not read. For a table it does nothing.

Exit status: 0 if nothing was found; 1 if something was; 2 if it could not be checked, such as where the log has no \
checkpoint or a file cannot be read. What was not checked is said in any case.";

#[derive(Debug, Args)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// A checkpoint of the log that was kept elsewhere; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Vec<PathBuf>,
    /// The public key of the log, as `audit keygen` has shown it; may be given several times
    #[arg(long, value_name = "KEY")]
    pub(crate) pubkey: Vec<VerifierKey>,
    /// The name of the log [default: the name of a key of --pubkey]
    #[arg(long, value_name = "NAME", requires = "pubkey")]
    pub(crate) origin: Option<Origin>,
    /// The public key of a witness of the log; may be given several times
    #[arg(long, value_name = "KEY", value_parser = witness_key)]
    pub(crate) witness_key: Vec<CosignerKey>,
    /// Read events from this day on: a date, a time, or a time ago such as 7d
    #[arg(long, value_name = "TIME", value_parser = day)]
    pub(crate) since: Option<String>,
    /// Check the archives in this folder too: whether they have what `audit prune` has put there
    #[arg(long, value_name = "DIR")]
    pub(crate) archive: Option<PathBuf>,
    /// Show the verdict as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// The day of a time, such as `2026-11-23`.
fn day(text: &str) -> Result<String, String> {
    if let Some(ago) = ago(text).flatten() {
        let at = std::time::SystemTime::now().checked_sub(ago);
        let micros =
            at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |at| at.as_micros());
        let at = audit_format::time::Timestamp::clamped(i64::try_from(micros).unwrap_or(i64::MAX));
        return Ok(at.day().to_string());
    }
    match parse_bound(text) {
        Ok(bound) => Ok(bound.start().day().to_string()),
        Err(_) => Err(format!(
            "{} is no time; accepted are dates, times as in RFC 3339, and times ago such as 7d or 12h",
            quoted(text)
        )),
    }
}
