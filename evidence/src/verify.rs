//! Checking a record against its log: everything is computed anew and compared. Events against leaves, leaves against tiles,
//! tiles against the checkpoint, the checkpoint against those that were kept elsewhere, and the numbers of each chain.
//!
//! Three questions are answered apart: whether what was sealed is as it was, whether nothing of it is missing, and what
//! speaks for it that all calls came here at all. Keys come from the caller, and are never taken from the log.
//!
//! ```
//! use audit_evidence::{Files, Log, LogFolder, seal, verify::{self, FindingKind, Options}};
//! use audit_log::note::{Name, SigningKey};
//!
//! let record = tempfile::tempdir()?;
//! let file = record.path().join("tool_audit_2026-11-23.jsonl");
//! let lines = concat!(
//!     r#"{"ts":"2026-11-23T06:30:00Z","tool":"search","status":"ok"}"#, "\n",
//!     r#"{"ts":"2026-11-23T06:31:00Z","tool":"fetch","status":"denied"}"#, "\n",
//! );
//! std::fs::write(&file, lines)?;
//! let key = SigningKey::from_seed("example.com/audit".parse::<Name>()?, &[7; 32]);
//! let mut log = Log::new(LogFolder::for_sealing(record.path().join("log"))?);
//! seal(&mut log, &mut Files::new(record.path()), &"example.com/audit".parse()?, &key)?;
//!
//! std::fs::write(&file, lines.replace("denied", "ok"))?;
//! let options = Options { keys: &[key.verifier()], ..Options::default() };
//! let verdict = verify::verify(&log, &mut Files::new(record.path()), &options, &mut |_| {})?;
//! assert_eq!(verdict.findings.len(), 1);
//! assert_eq!(verdict.findings[0].kind, FindingKind::Changed);
//! assert_eq!(verdict.findings[0].place.to_string(), "tool_audit_2026-11-23.jsonl:2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answers;
mod archives;
mod chains;
mod compare;
mod heads;
mod item;
mod ledger;
mod mend;
mod pruned;
mod search;
mod source;
mod spool;
mod tally;
mod tree;
mod verdict;

use std::path::Path;

use audit_log::checkpoint::{Origin, SignedCheckpoint};
use audit_log::cosignature::CosignerKey;
use audit_log::note::VerifierKey;

pub use archives::check_archives;
pub use source::{Each, Flow, Source, Standing, Stream};
pub use verdict::{Answer, Captured, Cosignature, Counts, Finding, FindingKind, Head, Holds, Spot, Verdict};

use crate::error::Error;
use crate::folder::Folder;
use crate::log::Log;
use crate::record::Kind;
use crate::segment::Segments;
use compare::Comparison;
use ledger::Ledger;
use pruned::{Declared, Gone};
use search::Search;
use tree::Leaves;

/// What is checked, and against what.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'o> {
    /// The keys of the log. They are to be known from elsewhere.
    pub keys: &'o [VerifierKey],
    /// The name of the log; none: that of one of the keys.
    pub origin: Option<&'o Origin>,
    /// The keys of witnesses.
    pub witnesses: &'o [CosignerKey],
    /// Checkpoints that were kept elsewhere, with names for people.
    pub against: &'o [(String, SignedCheckpoint)],
    /// The first day whose events are read, such as `2026-11-23`; none: all are. A table is read as a whole.
    pub since: Option<&'o str>,
    /// The folder of a spool, whose events are no part of the record yet, and of events that were refused.
    pub spool: Option<&'o Path>,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How much was done, of `all`: each leaf counts once in the log, and once in the record.
    pub done: u64,
    /// How much there is to do.
    pub all: u64,
}

/// Checks a record against its log. Neither is changed.
///
/// # Errors
/// Where there is no checkpoint, or something cannot be read. What was changed is a finding.
pub fn verify<F: Folder, S: Source + ?Sized>(
    log: &Log<F>,
    source: &mut S,
    options: &Options<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verdict, Error> {
    let signed = log.checkpoint()?.ok_or(Error::NothingSealed)?;
    let size = signed.unverified().size();
    let (mut done, all) = (0, 2 * size);
    let mut tick = |leaves| {
        done += leaves;
        progress(Progress { done: done.min(all), all });
    };
    let mut not_checked = Vec::new();
    // It is an aid, so a wrong one is none.
    let segments = log.segments().unwrap_or_else(|error| {
        not_checked.push(format!("where events were sealed: {error}; they were looked for by their hashes"));
        Segments::default()
    });
    let mut findings = Vec::new();
    let mut head = heads::check_signatures(&signed, options, &mut findings, &mut not_checked);
    let mended = mend::check_tree(log, &signed, source, &segments, options, &mut findings, &mut tick)?;
    let declared = Declared::read(log)?;
    let (kind, streams) = (source.kind(), source.streams()?);
    let sizes = options.against.iter().map(|(_, kept)| kept.unverified().size()).chain([size]);
    let marks = sizes.filter_map(|size| Some((size.checked_sub(1)?, None))).collect();
    let mut search = Search {
        streams,
        leaves: Leaves::new(log, size, mended),
        runs: Vec::new(),
        missing: Vec::new(),
        declared: Vec::new(),
        skipped: Vec::new(),
        since: if kind == Kind::Files { options.since.unwrap_or_default().to_owned() } else { String::new() },
        ledger: Ledger { marks, ..Ledger::default() },
        tick: &mut tick,
        source,
    };
    search::expect_all(&mut search, &segments, |first, end| declared.has(first, end))?;
    // A prune may have gone on meanwhile.
    let declared = Declared::read(log)?;
    let pruned = declared.confirmed_by(&search.ledger.tally.pruned);
    search.missing.append(&mut search.declared.clone());
    let (comparison, compared) =
        Comparison::of(&mut search, &segments, Gone { declared: &declared, pruned: &pruned })?;
    findings.extend(compared);
    head.cosigned_by.sort_by(|one, next| one.witness.cmp(&next.witness));
    answers::verdict(head, search, comparison, &pruned, options, findings, not_checked)
}
