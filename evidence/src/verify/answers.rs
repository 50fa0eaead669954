//! The three answers, of all that was found.

use audit_log::checkpoint::SignedCheckpoint;

use super::Options;
use super::chains::Hole;
use super::compare::Comparison;
use super::item::{Item, Stamp};
use super::pruned::Declared;
use super::search::Search;
use super::source::{Flow, Source};
use super::spool::{self, Waiting};
use super::verdict::{Answer, Captured, Counts, Finding, FindingKind, Head, Holds, Spot, Verdict};
use crate::error::Error;
use crate::folder::Folder;

/// How many holes in chains are told.
const MAX_HOLES: usize = 1000;

/// Makes the verdict.
pub fn verdict<F: Folder, S: Source + ?Sized>(
    head: Head,
    mut search: Search<'_, '_, F, S>,
    comparison: Comparison,
    pruned: &Declared,
    options: &Options<'_>,
    mut findings: Vec<Finding>,
    mut not_checked: Vec<String>,
) -> Result<Verdict, Error> {
    let mut counts = Counts { sealed: head.size, unsealed: comparison.unsealed, ..Counts::default() };
    let lost = comparison.missing.iter().map(|(first, end)| end - first).sum::<u64>();
    let gone = comparison.missing.iter();
    counts.pruned = gone.map(|(first, end)| pruned.count_in(*first, *end)).sum();
    let skipped = search.skipped.iter().map(|(first, end)| end - first).sum::<u64>();
    let unknown = search.leaves.lost().saturating_sub(lost);
    counts.not_looked_at = skipped + unknown;
    counts.as_sealed = head.size.saturating_sub(lost + comparison.changed + counts.not_looked_at);
    let (captured, holes) = captured(&mut search, options, &mut counts)?;
    tell_holes(&holes, lost + comparison.changed, counts.pruned, options, &mut findings, &mut not_checked);
    counts.foreign = search.ledger.foreign;
    counts.unreadable = search.ledger.unreadable;
    note(&search, &counts, &comparison, options, &mut not_checked);
    if counts.pruned > 0 {
        not_checked.push(format!(
            "whether {} events were to be pruned: the log says that it was done by {}, and a sealed event confirms it. \
             Whoever can write the record and the log can have that too",
            counts.pruned,
            pruned.by()
        ));
    }
    let unaltered = unaltered(&counts, options, &findings);
    let not_removed = not_removed(&head, &search, &counts, options, &findings, &mut not_checked);
    if comparison.more > 0 {
        not_checked.push(format!("{} more findings are not told", comparison.more));
    }
    Ok(Verdict { checkpoint: head, counts, unaltered, not_removed, captured, findings, not_checked })
}

/// What the events say about themselves, and the numbers of chains that nothing explains.
fn captured<F: Folder, S: Source + ?Sized>(
    search: &mut Search<'_, '_, F, S>,
    options: &Options<'_>,
    counts: &mut Counts,
) -> Result<(Captured, Vec<Hole>), Error> {
    if !search.ledger.chains.holes().is_empty() {
        read_what_came_since(search)?;
    }
    let missing = search.ledger.chains.holes();
    if let Some(folder) = options.spool {
        let chains = &mut search.ledger.chains;
        spool::read(folder, &mut |what, stamp| {
            let is_new = chains.add(stamp);
            match what {
                // What is in both is in the database already.
                Waiting::Spooled => counts.spooled += u64::from(is_new),
                Waiting::Refused => counts.refused += 1,
            }
        })?;
    }
    let mut last = None;
    for Hole { chain, .. } in search.ledger.chains.holes() {
        if last.replace(chain) == Some(chain) {
            continue;
        }
        let text = uuid(chain);
        for seq in search.source.refused(&text)? {
            counts.refused += u64::from(search.ledger.chains.fill(Stamp { chain, seq }));
        }
    }
    let mut holes = search.ledger.chains.holes();
    let is_limited = !search.since.is_empty();
    if is_limited {
        holes.retain(|hole| hole.first > 0);
    }
    let total = |holes: &[Hole]| holes.iter().map(Hole::count).fold(0, u64::saturating_add);
    let missing = missing.into_iter().filter(|hole| !is_limited || hole.first > 0);
    let missing_in_chains = total(&missing.collect::<Vec<_>>());
    let without_end = search.ledger.tally.end();
    let captured = Captured {
        sources: std::mem::take(&mut search.ledger.tally.sources),
        chains: search.ledger.chains.count(),
        missing_in_chains,
        explained: missing_in_chains.saturating_sub(total(&holes)),
        without_end,
    };
    Ok((captured, holes))
}

/// Reads events that were written while the others were read: one that was read may have come after one that was not.
fn read_what_came_since<F: Folder, S: Source + ?Sized>(
    search: &mut Search<'_, '_, F, S>,
) -> Result<(), Error> {
    let kind = search.source.kind();
    let before = std::mem::take(&mut search.streams);
    let mut regions = Vec::new();
    for stream in search.source.streams()? {
        let from = before.iter().find(|one| one.name == stream.name).map_or(0, |one| one.end);
        regions.push((stream.clone(), from.min(stream.end)));
    }
    if kind == crate::record::Kind::Table {
        search.streams = before.clone();
        let all = search.regions();
        regions = all
            .into_iter()
            .map(|(number, from, to)| {
                let mut stream = before[number].clone();
                stream.end = to;
                (stream, from)
            })
            .collect();
    }
    for (stream, from) in regions {
        let chains = &mut search.ledger.chains;
        search.source.read(&stream, from, stream.end, &mut |standing| {
            if let Item::Event { stamp: Some(stamp), .. } = Item::of(standing.text, kind) {
                chains.fill(stamp);
            }
            Ok(Flow::GoOn)
        })?;
    }
    search.streams = before;
    Ok(())
}

fn uuid(chain: u128) -> String {
    let hex = format!("{chain:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Numbers that are missing in chains are findings, unless as many events are known to be missing.
fn tell_holes(
    holes: &[Hole],
    lost: u64,
    pruned: u64,
    options: &Options<'_>,
    findings: &mut Vec<Finding>,
    not_checked: &mut Vec<String>,
) {
    let missing = holes.iter().map(Hole::count).fold(0, u64::saturating_add);
    if missing <= lost {
        if missing > 0 && pruned > 0 {
            not_checked.push(format!(
                "whether the numbers that are missing in chains, {missing}, are those of events that were pruned"
            ));
        }
        return;
    }
    if options.since.is_some() {
        not_checked.push("the numbers of chains before the first that was read".into());
    }
    for hole in holes.iter().take(MAX_HOLES) {
        let detail = if hole.first == hole.last {
            "this number is neither in the record nor refused: its event was removed before it was sealed, or lost".into()
        } else {
            format!(
                "the numbers up to {} are neither in the record nor refused: their events were removed before they were \
                 sealed, or lost",
                hole.last
            )
        };
        findings.push(Finding {
            kind: FindingKind::Gap,
            place: Spot::Chain { chain: uuid(hole.chain), seq: hole.first },
            count: hole.count(),
            leaf: None,
            detail,
        });
    }
    if holes.len() > MAX_HOLES {
        not_checked.push(format!("{} more gaps in chains are not told", holes.len() - MAX_HOLES));
    }
}

/// Says what was not looked at.
fn note<F: Folder, S: Source + ?Sized>(
    search: &Search<'_, '_, F, S>,
    counts: &Counts,
    comparison: &Comparison,
    options: &Options<'_>,
    not_checked: &mut Vec<String>,
) {
    if let Some(since) = options.since.filter(|_| !search.since.is_empty()) {
        let skipped = search.skipped.iter().map(|(first, end)| end - first).sum::<u64>();
        not_checked.push(format!(
            "{skipped} events of days before {since}: their hashes are in the tree, they were not read"
        ));
    }
    let lost = search.leaves.lost();
    if lost > 0 {
        not_checked.push(format!("{lost} events whose hashes the log has lost"));
    }
    if counts.unsealed > 0 {
        let times = comparison.unsealed_times.as_ref();
        let times = times.map_or(String::new(), |(first, last)| format!(", from {first} to {last}"));
        not_checked.push(format!(
            "{} events that are not sealed yet{times}: until the next seal, their chains alone protect them",
            counts.unsealed
        ));
    }
    if search.ledger.chains.forgotten > 0 {
        not_checked.push(format!(
            "the numbers of {} chains that were quiet for long: there are too many to remember all",
            search.ledger.chains.forgotten
        ));
    }
}

fn is_one_of(findings: &[Finding], kinds: &[FindingKind]) -> bool {
    findings.iter().any(|finding| kinds.contains(&finding.kind))
}

fn unaltered(counts: &Counts, options: &Options<'_>, findings: &[Finding]) -> Answer {
    use FindingKind::{Changed, Duplicated, Forked, Inserted, OtherLog, Reordered, Unsigned, WrongSignature};
    let Counts { sealed, as_sealed, not_looked_at, .. } = counts;
    let mut because = vec![format!("{as_sealed} of {sealed} sealed events stand as they were sealed")];
    let kinds = [Changed, Duplicated, Forked, Inserted, OtherLog, Reordered, Unsigned, WrongSignature];
    let holds = if is_one_of(findings, &kinds) {
        Holds::No
    } else if options.keys.is_empty() || *not_looked_at > 0 {
        Holds::NotProved
    } else {
        Holds::Yes
    };
    if options.keys.is_empty() {
        because.push("no key is pinned: the log agrees with the record, and both may be new".into());
    }
    if *not_looked_at > 0 {
        because.push(format!("{not_looked_at} were not looked at"));
    }
    Answer { holds, because }
}

/// Up to which event it is proved that none is missing.
fn not_removed<F: Folder, S: Source + ?Sized>(
    head: &Head,
    search: &Search<'_, '_, F, S>,
    counts: &Counts,
    options: &Options<'_>,
    findings: &[Finding],
    not_checked: &mut Vec<String>,
) -> Answer {
    use FindingKind::{Forked, Missing, RolledBack, Truncated};
    let time = |size: u64| {
        let time = size.checked_sub(1).and_then(|leaf| search.ledger.marks.get(&leaf)?.clone());
        time.map_or(String::new(), |time| format!(", the last of which is of {time}"))
    };
    let mut because = Vec::new();
    let newest = options.against.iter().max_by_key(|(_, kept)| kept.unverified().size());
    let mut proved = 0;
    if let Some((name, kept)) = newest.filter(|(_, kept)| is_good(kept, options)) {
        proved = kept.unverified().size();
        because.push(format!("{name}, which was kept elsewhere, has {proved} events{}", time(proved)));
    }
    for one in &head.cosigned_by {
        proved = proved.max(head.size);
        because.push(format!(
            "{} has seen all {} sealed events{} at {} seconds since 1970",
            one.witness,
            head.size,
            time(head.size),
            one.time
        ));
    }
    let is_unknown = because.is_empty();
    if counts.not_looked_at > 0 {
        because.push(format!("{} were not looked at", counts.not_looked_at));
    }
    let holds = if is_one_of(findings, &[Missing, Truncated, RolledBack, Forked]) {
        Holds::No
    } else if is_unknown || (proved == 0 && head.size > 0) || counts.not_looked_at > 0 {
        Holds::NotProved
    } else {
        Holds::Yes
    };
    if is_unknown || proved < head.size {
        let has = match head.size - proved {
            0 => "is there".to_owned(),
            size => format!("has its last {size} events"),
        };
        not_checked.push(format!(
            "the end and the age of the log: no checkpoint from elsewhere {has}, so an older state of record and log together \
             would look the same"
        ));
    }
    Answer { holds, because }
}

/// Whether a checkpoint from elsewhere says something: it is signed, or no key is known.
fn is_good(kept: &SignedCheckpoint, options: &Options<'_>) -> bool {
    options.keys.is_empty() || kept.verify(kept.unverified().origin(), options.keys).is_ok()
}
