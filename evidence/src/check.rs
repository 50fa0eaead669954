//! Checking a proof offline: without the log, the record, or anything but the file and the keys that the reader trusts.
//!
//! A key that is found in a log or in a proof is never trusted: without a pinned key, what holds is said, and that nobody
//! is known to have signed it.

use std::fmt;

use audit_log::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use audit_log::cosignature::CosignerKey;
use audit_log::note::{Name, Signature, Verifier as _, VerifierKey};
use audit_log::proof::Proof;
use audit_log::tree::{EMPTY_ROOT, Hash, ProofError, consistency, inclusion};
use audit_log::witness::AddCheckpoint;
use serde::Serialize;

use crate::leaf;

/// Whom the reader trusts.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// The keys of the log: one has to have signed.
    pub log: Vec<VerifierKey>,
    /// The origin of the log; none: the name of the key that signed.
    pub origin: Option<Origin>,
    /// The known witnesses.
    pub witnesses: Vec<CosignerKey>,
    /// How many of them have to have signed.
    pub quorum: usize,
}

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds, signed by those who are trusted.
    Holds,
    /// Something in it is wrong.
    DoesNotHold,
    /// Nothing in it is wrong, but nobody who is trusted is known to have signed it.
    NotKnown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does not hold",
            Self::NotKnown => "not known",
        })
    }
}

/// One part of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub what: &'static str,
    /// What became of that.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
}

/// What was checked of a file, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What became of all of it.
    pub verdict: Verdict,
    /// The event, as a line; none: the file is not about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The index of its leaf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The origin of the log.
    pub origin: String,
    /// The number of leaves in the checkpoint.
    pub size: u64,
    /// The root in the checkpoint, in base 64.
    pub root: String,
    /// Each part of the check.
    pub findings: Vec<Finding>,
}

/// Why a file cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum NotChecked {
    /// It is neither of both.
    #[error("neither a proof of an event ({proof}) nor one of growth ({growth})")]
    NoProof {
        /// Why it is no proof of an event.
        proof: String,
        /// Why it is no proof of growth.
        growth: String,
    },
    /// The event is not in the file.
    #[error("the proof has no event in it (no `extra` line): give the event's line")]
    NoEvent,
    /// What was given is no event.
    #[error("what was given as the event is none: accepted is a line of the record")]
    NotAnEvent,
}

/// Checks a file: a proof of an event, or of growth.
///
/// `event` is the line of the event, for a proof that has none in it. `kept` are checkpoints that the reader has kept: those
/// that have the sizes of the file have to have its roots.
///
/// # Errors
/// Where the file is no proof.
pub fn check(
    file: &[u8],
    pins: &Pins,
    event: Option<&[u8]>,
    kept: &[SignedCheckpoint],
) -> Result<Report, NotChecked> {
    match Proof::parse(file) {
        Ok(proof) => of_event(&proof, pins, event, kept),
        Err(proof) => match AddCheckpoint::parse(file) {
            Ok(request) => Ok(of_growth(&request, pins, kept)),
            Err(growth) => Err(NotChecked::NoProof { proof: proof.to_string(), growth: growth.to_string() }),
        },
    }
}

fn of_event(
    proof: &Proof,
    pins: &Pins,
    event: Option<&[u8]>,
    kept: &[SignedCheckpoint],
) -> Result<Report, NotChecked> {
    let body = match event {
        Some(line) => leaf::body_of_line(line).ok_or(NotChecked::NotAnEvent)?,
        None if proof.extra().is_empty() => return Err(NotChecked::NoEvent),
        None => proof.extra().to_vec(),
    };
    let head = proof.checkpoint().unverified();
    let included =
        inclusion::verify(proof.index(), head.size(), Hash::of_leaf(&body), proof.hashes(), head.root());
    let event = leaf::line_of_body(&body);
    let is_event = event.as_deref().and_then(|line| leaf::body_of_line(line.as_bytes())) == Some(body);
    let mut findings = vec![outcome(
        "inclusion",
        included,
        format!("the event is leaf {} of {}", proof.index(), head.size()),
    )];
    if !is_event {
        let found = "what the proof is of is no event as a store writes it".into();
        findings.push(Finding { what: "event", verdict: Verdict::DoesNotHold, found });
    }
    findings.extend(signatures(proof.checkpoint(), pins));
    findings.extend(kept.iter().filter_map(|kept| same_root(head, kept, pins)));
    Ok(report(head, event, Some(proof.index()), findings))
}

fn of_growth(request: &AddCheckpoint, pins: &Pins, kept: &[SignedCheckpoint]) -> Report {
    let head = request.checkpoint().unverified();
    let mut findings = Vec::new();
    let old = kept.iter().find(|kept| kept.unverified().size() == request.old());
    let grew = |root| consistency::verify(request.old(), head.size(), request.hashes(), root, head.root());
    let says = format!("the log of {} leaves begins with the one of {}", head.size(), request.old());
    match old {
        Some(old) => {
            findings.push(outcome("growth", grew(old.unverified().root()), says));
            findings.extend(signatures(old, pins).into_iter().filter(|one| one.what == "signature"));
        }
        None if request.old() == 0 => findings.push(outcome("growth", grew(EMPTY_ROOT), says)),
        None => findings.push(Finding {
            what: "growth",
            verdict: Verdict::NotKnown,
            found: format!("no checkpoint of {} leaves was given to compare with", request.old()),
        }),
    }
    findings.extend(signatures(request.checkpoint(), pins));
    findings.extend(kept.iter().filter_map(|kept| same_root(head, kept, pins)));
    report(head, None, None, findings)
}

fn report(head: &Checkpoint, event: Option<String>, index: Option<u64>, findings: Vec<Finding>) -> Report {
    let any = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let verdict = match () {
        () if any(Verdict::DoesNotHold) => Verdict::DoesNotHold,
        () if any(Verdict::NotKnown) => Verdict::NotKnown,
        () => Verdict::Holds,
    };
    let (origin, root) = (head.origin().to_string(), head.root().to_string());
    Report { verdict, event, index, origin, size: head.size(), root, findings }
}

fn outcome(what: &'static str, result: Result<(), ProofError>, found: String) -> Finding {
    match result {
        Ok(()) => Finding { what, verdict: Verdict::Holds, found },
        Err(error) => Finding { what, verdict: Verdict::DoesNotHold, found: error.to_string() },
    }
}

/// Who signed a checkpoint.
fn signatures(checkpoint: &SignedCheckpoint, pins: &Pins) -> Vec<Finding> {
    let mut findings = vec![signature(checkpoint, pins)];
    if pins.witnesses.is_empty() && pins.quorum == 0 {
        return findings;
    }
    let (verdict, found) = match checkpoint.cosigned_by(&pins.witnesses) {
        Err(error) => (Verdict::DoesNotHold, error.to_string()),
        Ok(mut cosigned) => {
            // A log is no witness of itself.
            cosigned.retain(|one| pins.log.iter().all(|log| log.bytes() != one.key.bytes()));
            let names: Vec<String> = cosigned
                .iter()
                .map(|one| format!("{} at {} s since 1970", one.key.name(), one.time.seconds()))
                .collect();
            let enough = cosigned.len() >= pins.quorum.max(1);
            let verdict = if enough { Verdict::Holds } else { Verdict::DoesNotHold };
            let wanted = pins.quorum.max(1);
            let who = if names.is_empty() { "no pinned witness".into() } else { names.join(", ") };
            (verdict, format!("cosigned by {who}; accepted are {wanted} or more"))
        }
    };
    findings.push(Finding { what: "witnesses", verdict, found });
    findings
}

fn signature(checkpoint: &SignedCheckpoint, pins: &Pins) -> Finding {
    let origin = checkpoint.unverified().origin();
    let what = "signature";
    if pins.log.is_empty() {
        let names: Vec<&Name> = checkpoint.note().signatures().iter().map(Signature::name).collect();
        let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
        let found =
            format!("no key is pinned, so nobody is known to have signed; it says: {}", names.join(", "));
        return Finding { what, verdict: Verdict::NotKnown, found };
    }
    let accepted: Vec<Origin> = match &pins.origin {
        Some(origin) => vec![origin.clone()],
        None => pins.log.iter().filter_map(|key| key.name().as_ref().parse().ok()).collect(),
    };
    if !accepted.contains(origin) {
        let accepted: Vec<String> = accepted.iter().map(ToString::to_string).collect();
        let found = format!("the checkpoint is of the log {origin}, accepted is {}", accepted.join(" or "));
        return Finding { what, verdict: Verdict::DoesNotHold, found };
    }
    match checkpoint.verify(origin, &pins.log) {
        Ok(_) => {
            let found = format!("the log {origin} signed {} leaves", checkpoint.unverified().size());
            Finding { what, verdict: Verdict::Holds, found }
        }
        Err(error) => Finding { what, verdict: Verdict::DoesNotHold, found: error.to_string() },
    }
}

/// Compares with a checkpoint that was kept, if it has the same size.
fn same_root(head: &Checkpoint, kept: &SignedCheckpoint, pins: &Pins) -> Option<Finding> {
    let other = kept.unverified();
    if other.size() != head.size() {
        return None;
    }
    let what = "kept checkpoint";
    if let Some(found) = Some(signature(kept, pins)).filter(|found| found.verdict == Verdict::DoesNotHold) {
        return Some(Finding { what, ..found });
    }
    let (verdict, found) = if (other.root(), other.origin()) == (head.root(), head.origin()) {
        (Verdict::Holds, format!("the one that was kept has the same root at {} leaves", head.size()))
    } else {
        let text = format!(
            "the log has shown two roots of {} leaves: {} in the file, {} in the one that was kept",
            head.size(),
            head.root(),
            other.root()
        );
        (Verdict::DoesNotHold, text)
    };
    Some(Finding { what, verdict, found })
}
