//! Proofs of single events and of growth, and their check without the log.

mod common;

use std::fs;

use audit_evidence::check::{Pins, Verdict, check};
use audit_evidence::prove::{self, ProveError, Which};
use audit_evidence::{Files, Log, LogFolder, Table, leaf};
use audit_log::checkpoint::SignedCheckpoint;
use audit_log::cosignature::{Cosigner, Time};
use audit_log::note::SigningKey;
use common::{MemoryTable, append, key, line, origin, own_line, seal_into};
use tempfile::TempDir;

const MONDAY: &str = "tool_audit_2026-11-23.jsonl";
const TUESDAY: &str = "tool_audit_2026-11-24.jsonl";

/// A record of lines of two days, with its log in it.
fn record(lines: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..lines {
        let file = if number % 2 == 0 { MONDAY } else { TUESDAY };
        append(&folder.path().join(file), own_line("2026-11-23", number) + "\n");
    }
    append(&folder.path().join(MONDAY), "garbage\n".to_owned() + &line("foreign", 1) + "\n");
    seal(&folder);
    folder
}

fn seal(folder: &TempDir) -> u64 {
    let outcome = seal_into(&folder.path().join("log"), &mut Files::new(folder.path())).unwrap();
    outcome.checkpoint.unverified().size()
}

fn log(folder: &TempDir) -> Log<LogFolder> {
    Log::new(LogFolder::new(folder.path().join("log")))
}

fn proof(folder: &TempDir, which: Which) -> Result<String, ProveError> {
    prove::event(&log(folder), &mut Files::new(folder.path()), which).map(|proof| proof.to_string())
}

fn id(number: u64) -> Which {
    let line: serde_json::Value = serde_json::from_str(&own_line("2026-11-23", number)).unwrap();
    Which::Id(line["id"].as_str().unwrap().parse().unwrap())
}

fn pins() -> Pins {
    Pins { log: vec![key().verifier()], ..Pins::default() }
}

fn verdict(file: &str, pins: &Pins) -> Verdict {
    check(file.as_bytes(), pins, None, &[]).unwrap().verdict
}

#[test]
fn every_event_of_daily_files_can_be_proved_by_its_id_and_by_its_index() {
    let folder = record(40);
    for number in 0..40 {
        let text = proof(&folder, id(number)).unwrap();
        let report = check(text.as_bytes(), &pins(), None, &[]).unwrap();
        assert_eq!(report.verdict, Verdict::Holds, "{report:?}");
        assert_eq!(report.event, Some(own_line("2026-11-23", number)));
        let again = proof(&folder, Which::Index(report.index.unwrap())).unwrap();
        assert_eq!(again, text);
    }
    // That of another writer is behind the last of Monday.
    let report = check(proof(&folder, Which::Index(20)).unwrap().as_bytes(), &pins(), None, &[]).unwrap();
    assert_eq!(report.verdict, Verdict::Holds);
    let body = leaf::body_of_line(line("foreign", 1).as_bytes());
    assert_eq!(report.event.map(String::into_bytes), body);
}

#[test]
fn every_event_of_a_table_can_be_proved() {
    let (log, mut rows) = (tempfile::tempdir().unwrap(), MemoryTable::default());
    rows.insert_own((1..30).chain(40..50));
    rows.0.insert(35, "no event".into());
    seal_into(log.path(), &mut Table::new(rows.clone())).unwrap();
    rows.insert_own([31, 60]);
    seal_into(log.path(), &mut Table::new(rows.clone())).unwrap();
    let log = Log::new(LogFolder::new(log.path()));
    for number in (1..30).chain(40..50).chain([31, 60]) {
        let text = prove::event(&log, &mut Table::new(rows.clone()), id(number)).unwrap().to_string();
        let report = check(text.as_bytes(), &pins(), None, &[]).unwrap();
        assert_eq!(report.verdict, Verdict::Holds);
        assert_eq!(report.event, Some(own_line("2026-11-23", number)));
        let index = Which::Index(report.index.unwrap());
        assert_eq!(prove::event(&log, &mut Table::new(rows.clone()), index).unwrap().to_string(), text);
    }
}

#[test]
fn what_cannot_be_proved_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(proof(&folder, id(0)), Err(ProveError::NoCheckpoint)));
    let folder = record(10);
    append(&folder.path().join(TUESDAY), own_line("2026-11-23", 10) + "\n");
    assert!(matches!(proof(&folder, id(10)), Err(ProveError::NotSealed { size: 11, .. })));
    assert!(matches!(proof(&folder, id(11)), Err(ProveError::NoEvent { pruned: 0, .. })));
    assert!(matches!(proof(&folder, Which::Index(11)), Err(ProveError::NoLeaf { size: 11, .. })));
    assert_eq!(seal(&folder), 12);
    assert!(proof(&folder, id(10)).is_ok());
    // A changed event is no proof of itself, and does not hide the others.
    let path = folder.path().join(MONDAY);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"seq\":2", "\"seq\":3", 1)).unwrap();
    let changed = proof(&folder, id(2)).unwrap_err();
    assert!(matches!(changed, ProveError::Changed { .. }) && changed.is_finding(), "{changed}");
    assert!(proof(&folder, Which::Index(1)).is_err_and(|error| error.is_finding()));
    assert!(proof(&folder, id(4)).is_ok());
}

#[test]
fn segments_that_are_wrong_do_not_keep_an_event_from_being_proved() {
    let folder = record(10);
    let path = folder.path().join("log/segments.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let swapped = text.replace(MONDAY, "?").replace(TUESDAY, MONDAY).replace('?', TUESDAY);
    fs::write(&path, swapped).unwrap();
    for number in 0..10 {
        assert_eq!(verdict(&proof(&folder, id(number)).unwrap(), &pins()), Verdict::Holds);
    }
}

#[test]
fn a_tile_that_was_changed_gives_no_proof() {
    let folder = record(10);
    let path = folder.path().join("log/tile/0/000.p/11");
    let mut tile = fs::read(&path).unwrap();
    tile[100] ^= 1;
    fs::write(&path, tile).unwrap();
    let error = proof(&folder, id(0)).unwrap_err();
    assert!(matches!(error, ProveError::Inconsistent { .. }) && error.is_finding(), "{error}");
}

#[test]
fn no_key_of_the_proof_itself_is_trusted() {
    let folder = record(10);
    let text = proof(&folder, id(3)).unwrap();
    assert_eq!(verdict(&text, &Pins::default()), Verdict::NotKnown);
    let other = SigningKey::from_seed(common::NAME.parse().unwrap(), &[8; 32]).verifier();
    assert_eq!(verdict(&text, &Pins { log: vec![other], ..Pins::default() }), Verdict::DoesNotHold);
    let renamed = SigningKey::from_seed("example.com/other".parse().unwrap(), &[7; 32]).verifier();
    assert_eq!(verdict(&text, &Pins { log: vec![renamed], ..Pins::default() }), Verdict::DoesNotHold);
    let elsewhere = Pins { origin: Some("example.com/other".parse().unwrap()), ..pins() };
    assert_eq!(verdict(&text, &elsewhere), Verdict::DoesNotHold);
    assert_eq!(verdict(&text, &Pins { origin: Some(origin()), ..pins() }), Verdict::Holds);
}

#[test]
fn pinned_witnesses_have_to_have_signed() {
    let folder = record(10);
    let witness = Cosigner::from_seed("witness.example/1".parse().unwrap(), &[9; 32]);
    let pins = Pins { witnesses: vec![witness.verifier()], ..pins() };
    let text = proof(&folder, id(3)).unwrap();
    assert_eq!(verdict(&text, &pins), Verdict::DoesNotHold);
    let path = folder.path().join("log/checkpoint");
    let mut checkpoint = SignedCheckpoint::parse(&fs::read(&path).unwrap()).unwrap();
    checkpoint.add(witness.cosign(Time::new(1_800_000_000).unwrap(), checkpoint.unverified())).unwrap();
    fs::write(&path, checkpoint.to_string()).unwrap();
    let text = proof(&folder, id(3)).unwrap();
    assert_eq!(verdict(&text, &pins), Verdict::Holds);
    assert_eq!(verdict(&text, &Pins { quorum: 2, ..pins }), Verdict::DoesNotHold);
}

#[test]
fn a_proof_of_which_anything_was_changed_does_not_hold() {
    let folder = record(10);
    let text = proof(&folder, id(3)).unwrap();
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| *byte != b'\n') {
        let other = if byte == b'A' { "B" } else { "A" };
        let Some(changed) =
            text.is_char_boundary(at).then(|| text.get(..at).zip(text.get(at + 1..))).flatten()
        else {
            continue;
        };
        let changed = [changed.0, other, changed.1].concat();
        let holds = check(changed.as_bytes(), &pins(), None, &[])
            .is_ok_and(|report| report.verdict == Verdict::Holds);
        assert!(!holds, "byte {at}: {changed}");
    }
}

#[test]
fn growth_is_proved_against_a_checkpoint_that_was_kept() {
    let folder = record(10);
    let parse = |bytes: Vec<u8>| SignedCheckpoint::parse(&bytes).unwrap();
    let kept = parse(fs::read(folder.path().join("log/checkpoint")).unwrap());
    for number in 10..300 {
        append(&folder.path().join(TUESDAY), own_line("2026-11-23", number) + "\n");
    }
    assert_eq!(seal(&folder), 301);
    let log = log(&folder);
    let last = log.checkpoint().unwrap().unwrap();
    for old in [0, 1, 11, 255, 256, 300, 301] {
        let text = prove::growth(&log, old, last.clone()).unwrap().to_string();
        let report = check(text.as_bytes(), &pins(), None, std::slice::from_ref(&kept)).unwrap();
        let verdict = if [0, 11].contains(&old) { Verdict::Holds } else { Verdict::NotKnown };
        assert_eq!(report.verdict, verdict, "{old}: {report:?}");
    }
    assert!(matches!(prove::growth(&log, 302, last.clone()), Err(ProveError::Request(_))));
    // Another log of the same size and name.
    let other = record(9);
    append(&other.path().join(TUESDAY), own_line("2026-11-23", 99) + "\n");
    seal(&other);
    let forked = parse(fs::read(other.path().join("log/checkpoint")).unwrap());
    assert_eq!(forked.unverified().size(), 11);
    let text = prove::growth(&log, 11, last).unwrap().to_string();
    let report = check(text.as_bytes(), &pins(), None, &[forked]).unwrap();
    assert_eq!(report.verdict, Verdict::DoesNotHold);
}

#[test]
fn an_event_may_be_given_beside_a_proof_without_one() {
    let folder = record(10);
    let text = proof(&folder, id(3)).unwrap();
    let bare: String = text.split_inclusive('\n').filter(|line| !line.starts_with("extra ")).collect();
    assert!(check(bare.as_bytes(), &pins(), None, &[]).is_err());
    let verdict =
        |event: String| check(bare.as_bytes(), &pins(), Some(event.as_bytes()), &[]).unwrap().verdict;
    assert_eq!(verdict(own_line("2026-11-23", 3)), Verdict::Holds);
    assert_eq!(verdict(own_line("2026-11-23", 4)), Verdict::DoesNotHold);
}
