//! The options of `audit keygen` and `audit seal`.

use std::path::PathBuf;
use std::time::Duration;

use audit_evidence::CosignerKey;
use audit_format::show::quoted;
use audit_log::checkpoint::Origin;
use audit_log::note::{Name, VerifierKey};
use clap::Args;

use super::times::ago;

/// Where the log of a record is.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The folder of the log [default: `log` in the folder of the record; a table needs this option]
    #[arg(id = "log", long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

/// The variable that names the file with the key.
pub(crate) const KEY_FILE: &str = "AUDIT_SEAL_KEY_FILE";

const KEYGEN_HELP: &str = "\
Examples:
  audit keygen example.com/audit/prod
  audit keygen example.com/audit/prod --out /etc/audit/seal.key > seal.pub

NAME is a name that no other log has: a URL without a scheme, under a domain of yours, is best. It is also the name of the \
log that is sealed with the key.

The file has the private key, with which anybody can seal in your name: it has the mode 0600, and is never overwritten. \
stdout gets the public key, NAME+ID+KEY, on one line. Keep it where the record and the log are not, and give it to whoever \
checks the record: without it nobody can.

Both are Ed25519 keys in the form of signed notes (C2SP signed-note), which other programs for transparency logs read too.

Exit status: 0 if the key is written; 2 if not.";

#[derive(Debug, Args)]
#[command(after_help = KEYGEN_HELP)]
pub(crate) struct KeygenArgs {
    /// The name of the key and of its log, such as example.com/audit/prod
    pub(crate) name: Name,
    /// The file for the private key, which must not be there yet
    #[arg(long, value_name = "FILE", default_value = "audit-seal.key")]
    pub(crate) out: PathBuf,
}

const SEAL_HELP: &str = "\
Examples:
  audit keygen example.com/audit/prod > seal.pub
  audit seal --key audit-seal.key
  audit seal --key audit-seal.key --log /var/lib/audit-log --checkpoint-to /mnt/other-machine/audit
  audit seal --every 60s --witness https://witness.example.org --witness-key example.org/witness+…
  DATABASE_URL=postgres://sealer:secret@localhost/audit audit --backend postgres seal --log /var/lib/audit-log

Sealing takes the events that are new in the record, in the order of their days and files (in a table: of their ids), into a \
transparency log beside it, and signs how many there are and the root of the Merkle tree over all of them: the checkpoint. \
What is sealed can no longer be changed, removed, reordered or back-dated without a trace. Programs that record need \
nothing of it, and go on meanwhile. Seal often: an event that is not sealed yet is not protected by it.

The log is a folder: `checkpoint`, hash tiles in `tile/`, and `segments.jsonl`, which tells where the events are. It takes 33 \
bytes an event. Without --log it is `log` in the folder of the record; a table needs --log. Better let another user or \
another machine have it: this command reads the record, and writes nowhere but into the log.

Whoever has the key, the log and the record can make all of them anew. So the last checkpoint has to be where they cannot \
reach: --checkpoint-to puts it into folders elsewhere, and a witness (C2SP tlog-witness) signs it too. Neither takes a \
checkpoint that contradicts the one that it has. Where one of them cannot be reached, the next seal tries again.

A line without its newline waits for it. A line that is no event is declared as unreadable in segments.jsonl. Of what waits in \
the spool of `auto`, nothing is sealed before it is in the database. A row that appears late is sealed once it is there. A \
sealed file that is gone, shorter or another one is said each time, never sealed anew, and does not hold up the others. \
Only `audit verify` reads again what is sealed.

A seal that is interrupted, however that happens, leaves a log that the next one continues. One process at a time seals a log.

With --every, the command goes on until SIGTERM or SIGINT, which end it after the seal that it is at. Errors are said, and it \
goes on. docs/evidence.md has a unit for systemd.

Exit status: 0 if all that is new is sealed; 1 if it is, but a part of the record is not what was sealed or cannot be read, or \
a copy or the witness does not have the checkpoint; 2 if nothing could be sealed. With --every: 0 when it is told to end.";

#[derive(Debug, Args)]
#[command(after_help = SEAL_HELP)]
pub(crate) struct SealArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// The file with the private key, which `audit keygen` writes; nobody else may be able to read it
    /// [env: AUDIT_SEAL_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The name of the log, which never changes [default: the name of the key]
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: Option<Origin>,
    /// Go on, and seal this often, such as every 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub(crate) every: Option<Duration>,
    /// Put each checkpoint into this folder too, as the file `checkpoint`; may be given several times
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint_to: Vec<PathBuf>,
    /// Have this witness sign each checkpoint: its URL, to which /add-checkpoint is appended
    #[arg(long, value_name = "URL", requires = "witness_key")]
    pub(crate) witness: Option<String>,
    /// The public key of the witness
    #[arg(long, value_name = "KEY", requires = "witness", value_parser = witness_key)]
    pub(crate) witness_key: Option<CosignerKey>,
    /// Show what was sealed as a JSON object, on one line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A time between two seals.
fn interval(text: &str) -> Result<Duration, String> {
    match ago(text).flatten() {
        Some(every) if !every.is_zero() => Ok(every),
        _ => Err(format!(
            "{} is no time; accepted is a whole number above 0 and s, m, h, d or w, such as 60s or 5m",
            quoted(text)
        )),
    }
}

/// The key of a witness, which is also given as one of a log (type 0x01).
pub(super) fn witness_key(text: &str) -> Result<CosignerKey, String> {
    text.parse::<CosignerKey>().or_else(|error| {
        let key = text.parse::<VerifierKey>().map_err(|_| error.to_string())?;
        CosignerKey::try_from(&key).map_err(|error| error.to_string())
    })
}
