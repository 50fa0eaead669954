//! The options of `audit prove` and `audit check`.

use std::path::PathBuf;

use audit_evidence::CosignerKey;
use audit_log::checkpoint::Origin;
use audit_log::note::VerifierKey;
use clap::{ArgGroup, Args};

use super::evidence::{LogArgs, witness_key};

const PROVE_HELP: &str = "\
Examples:
  audit prove 01a21dfc-da9d-775e-9c12-b8a0e19beb0f --out event.tlog-proof
  audit prove --index 17 --log /var/lib/audit-log | mail -s 'the event' auditor@example.org
  audit prove --from 100 --out growth.txt
  audit prove --from kept/checkpoint --to newer/checkpoint
  DATABASE_URL=postgres://sealer:secret@localhost/audit audit --backend postgres prove --index 17 --log /var/lib/audit-log

The proof of an event shows this event alone to somebody who checks it with `audit check`, or with any program that knows \
C2SP tlog-proof: nothing of the other events is in it, but hashes. The event itself is in its `extra` line, in base 64.

With --from, the proof shows that the log only grew: that the log of a later checkpoint begins with all events of an earlier \
one. It has the form of a request to a witness (C2SP tlog-witness). Both are given by their number of events, or by the file \
of a checkpoint that was kept. Without --to, the later one is the last.

The event is proved as it was sealed. One that is not sealed yet cannot be proved: run `audit seal`. One that was pruned \
neither: a message says when that was, and where its archive is.

Exit status: 0 if there is a proof; 1 if the event, the tiles or a checkpoint is not what was sealed; 2 if there is no such \
event, it is not sealed yet or was pruned, or the log or the record cannot be read.";

#[derive(Debug, Args)]
#[command(after_help = PROVE_HELP, group = ArgGroup::new("what").required(true).args(["id", "index", "from"]))]
pub(crate) struct ProveArgs {
    /// The `id` of the event
    pub(crate) id: Option<String>,
    /// The index of the event in the log, from 0: for events without an `id`
    #[arg(long)]
    pub(crate) index: Option<u64>,
    /// Prove that the log grew, from this number of events, or from the checkpoint in this file
    #[arg(long, value_name = "SIZE|FILE")]
    pub(crate) from: Option<String>,
    /// Up to this number of events, or to the checkpoint in this file [default: the last checkpoint]
    #[arg(long, value_name = "SIZE|FILE", requires = "from")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// The file for the proof [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

const CHECK_HELP: &str = "\
Examples:
  audit check event.tlog-proof --pubkey \"$(cat seal.pub)\"
  audit check event.tlog-proof --pubkey \"$(cat seal.pub)\" --witness-key witness.example/w+1a2b3c4d+BA… --json
  audit check growth.txt --pubkey \"$(cat seal.pub)\" --against kept/checkpoint

This checks a file of `audit prove` with nothing but the file and the keys: it reads no record and no log, and needs no \
network. stdout shows the event as it was sealed, and what was checked.

Get the key from whoever answers for the log, not from the log or the proof: a key that comes with what it signs is never \
trusted. Without --pubkey, this says whether the event is in the tree that the file names, and that nobody is known to have \
signed it.

A proof shows that the event was in the log when its checkpoint was signed. It does not show when that was, unless a witness \
cosigned it, and not that it still is.

Exit status: 0 if all of it holds, signed by a key that was given; 1 if something does not hold; 2 if that cannot be known: no \
key was given, a checkpoint is lacking, or the file is no proof.";

#[derive(Debug, Args)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct CheckArgs {
    /// The file with the proof; - stands for stdin
    pub(crate) file: PathBuf,
    /// A public key of the log, NAME+ID+KEY, as `audit keygen` shows it; may be given several times
    #[arg(long, value_name = "VKEY")]
    pub(crate) pubkey: Vec<VerifierKey>,
    /// The public key of a witness that has to have signed; may be given several times
    #[arg(long, value_name = "VKEY", value_parser = witness_key)]
    pub(crate) witness_key: Vec<CosignerKey>,
    /// How many of the witnesses have to have signed [default: all of them]
    #[arg(long, value_name = "COUNT", requires = "witness_key")]
    pub(crate) quorum: Option<usize>,
    /// The name of the log [default: the name of a key of --pubkey]
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: Option<Origin>,
    /// A checkpoint that was kept, which the proof has to agree with; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Vec<PathBuf>,
    /// The file with the line of the event, for a proof of another program that does not have the event in it
    #[arg(long, value_name = "FILE")]
    pub(crate) event: Option<PathBuf>,
    /// Show what was checked as a JSON object, on one line
    #[arg(long)]
    pub(crate) json: bool,
}
