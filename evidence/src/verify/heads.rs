//! Who signed a checkpoint, and whether it agrees with those that were kept elsewhere.

use audit_log::checkpoint::{Origin, SignedCheckpoint, VerifyError};
use audit_log::note::Verifier as _;
use audit_log::tree::Hash;

use super::Options;
use super::verdict::{Cosignature, Finding, FindingKind, Head, Spot};

/// The name of the checkpoint in the folder of the log.
const CHECKPOINT: &str = "checkpoint";

/// Checks the signatures of the checkpoint of the log, and of those that were kept elsewhere.
pub fn check_signatures(
    signed: &SignedCheckpoint,
    options: &Options<'_>,
    findings: &mut Vec<Finding>,
    not_checked: &mut Vec<String>,
) -> Head {
    let mut head = Head::from(signed.unverified());
    if options.keys.is_empty() {
        not_checked.push(
            "who signed the log: no key is pinned, so whoever can write the log may have made all of it anew"
                .into(),
        );
    } else {
        check(CHECKPOINT, signed, options, findings);
        let origin = signed.unverified().origin();
        if !is_asked_for(origin, options) {
            let accepted = match options.origin {
                Some(origin) => origin.to_string(),
                None => {
                    options.keys.iter().map(|key| key.name().to_string()).collect::<Vec<_>>().join(" or ")
                }
            };
            let detail = format!("it is of the log {origin}, accepted is {accepted}");
            findings.push(finding(FindingKind::OtherLog, CHECKPOINT, detail));
        }
        let signers = signed.note().verified_by(options.keys).unwrap_or_default();
        head.signed_by = signers.iter().map(ToString::to_string).collect();
        for (name, kept) in options.against {
            check(name, kept, options, findings);
        }
    }
    match signed.cosigned_by(options.witnesses) {
        Ok(cosigned) => {
            // A log is no witness of itself.
            let others =
                cosigned.iter().filter(|one| options.keys.iter().all(|key| key.bytes() != one.key.bytes()));
            head.cosigned_by = others
                .map(|one| Cosignature { witness: one.key.name().to_string(), time: one.time.seconds() })
                .collect();
        }
        Err(error) => findings.push(finding(FindingKind::WrongSignature, CHECKPOINT, error.to_string())),
    }
    let silent = options.witnesses.iter().map(|key| key.name().to_string());
    let silent: Vec<String> =
        silent.filter(|name| head.cosigned_by.iter().all(|one| one.witness != *name)).collect();
    if !silent.is_empty() {
        not_checked.push(format!("the checkpoint has no cosignature of {}", silent.join(", ")));
    }
    head
}

/// Whether the log is the one that is meant: with one key, somebody may have sealed several.
fn is_asked_for(origin: &Origin, options: &Options<'_>) -> bool {
    match options.origin {
        Some(asked) => asked == origin,
        None => options.keys.iter().any(|key| key.name().as_ref() == origin.as_ref()),
    }
}

fn check(name: &str, signed: &SignedCheckpoint, options: &Options<'_>, findings: &mut Vec<Finding>) {
    let origin = signed.unverified().origin();
    let (kind, detail) = match signed.verify(origin, options.keys) {
        Ok(_) => return,
        Err(error @ VerifyError::Signature(_)) => (FindingKind::WrongSignature, error.to_string()),
        Err(_) => {
            let others = signed.note().signatures().iter().map(|one| format!("{}+{}", one.name(), one.id()));
            let others = others.collect::<Vec<_>>().join(", ");
            (FindingKind::Unsigned, format!("none of the pinned keys has signed it, but {others}"))
        }
    };
    findings.push(finding(kind, name, detail));
}

/// Compares the log with checkpoints that were kept elsewhere. `roots` are its roots at their sizes.
pub fn compare(
    signed: &SignedCheckpoint,
    roots: &[Option<Hash>],
    options: &Options<'_>,
    findings: &mut Vec<Finding>,
) {
    let head = signed.unverified();
    for ((name, kept), root) in options.against.iter().zip(roots) {
        let kept = kept.unverified();
        let (kind, detail) = if kept.origin() != head.origin() {
            let detail = format!("it is of the log {}, and this is {}", kept.origin(), head.origin());
            (FindingKind::Forked, detail)
        } else if kept.size() > head.size() {
            let detail = format!("it has {} events, and the log has {}", kept.size(), head.size());
            (FindingKind::RolledBack, detail)
        } else if *root != Some(kept.root()) {
            let size = kept.size();
            let detail = match root {
                Some(root) => {
                    format!("its root of {size} events is {}, that of the log is {root}", kept.root())
                }
                None => format!("the log has lost what its root of {size} events was made of"),
            };
            (FindingKind::Forked, detail)
        } else {
            continue;
        };
        findings.push(finding(kind, name, detail));
    }
}

/// A finding about a file of the log, or a checkpoint.
pub fn finding(kind: FindingKind, name: &str, detail: String) -> Finding {
    Finding { kind, place: Spot::Log { log: name.to_owned() }, count: 0, leaf: None, detail }
}
