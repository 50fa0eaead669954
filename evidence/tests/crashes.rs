//! A seal that ends anywhere: the next one goes on, and no two checkpoints ever contradict each other.

mod common;

use audit_evidence::{Error, Log, Outcome, Table, seal};
use audit_log::tree;
use common::memory::{After, Fault, Memory};
use common::{MemoryTable, check, key, origin};

fn seal_rows(disk: &Memory, rows: &MemoryTable) -> Result<Outcome, Error> {
    seal(&mut Log::new(disk.clone()), &mut Table::new(rows.clone()), &origin(), &key())
}

/// Checks that each checkpoint that was ever signed is one of the log as it is now.
fn nothing_contradicts(disk: &Memory, rows: &MemoryTable, what: &str) {
    let log = Log::new(disk.clone());
    check(&log, &mut Table::new(rows.clone()));
    let size = log.checkpoint().unwrap().unwrap().unverified().size();
    for signed in disk.signed() {
        let signed = signed.unverified();
        assert!(signed.size() <= size, "{what}: {} of {size}", signed.size());
        let root = tree::root(signed.size(), &mut log.tree(size)).unwrap();
        assert_eq!(signed.root(), root, "{what}: size {}", signed.size());
    }
}

/// Has each call of a seal fail in its turn, and checks the next seals. In between, a row comes that is sealed first.
fn every_call_fails(before: &MemoryTable, added: std::ops::Range<i64>) {
    let disk = Memory::default();
    if !before.0.is_empty() {
        seal_rows(&disk, before).unwrap();
    }
    let mut rows = before.clone();
    rows.insert(added);
    let mut rows_later = rows.clone();
    rows_later.insert([-7, 50]);
    let faults = [
        (Fault::Fails, After::Process),
        (Fault::Ends, After::Process),
        (Fault::Ends, After::PowerCut),
        (Fault::Ends, After::EmptyFiles),
    ];
    for (fault, after) in faults {
        for call in 0.. {
            let what = format!("{fault:?} at {call}, {after:?}");
            let disk = disk.copy();
            disk.fail_at(call, fault);
            let outcome = seal_rows(&disk, &rows);
            let is_done = !disk.has_failed();
            if let Ok(outcome) = &outcome {
                disk.go_on(After::PowerCut);
                let kept = Log::new(disk.clone()).checkpoint().unwrap();
                assert_eq!(
                    kept.as_ref(),
                    Some(&outcome.checkpoint),
                    "{what}: what was sealed is on the disk"
                );
            }
            disk.go_on(after);
            // Another one may be interrupted in the same place.
            disk.fail_at(call, fault);
            let _ = seal_rows(&disk, &rows_later);
            disk.go_on(after);
            let done = seal_rows(&disk, &rows_later).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(done.checkpoint.unverified().size(), rows_later.0.len() as u64, "{what}");
            nothing_contradicts(&disk, &rows_later, &what);
            if is_done {
                assert!(call > 10, "a seal makes more than {call} calls");
                break;
            }
        }
    }
}

#[test]
fn the_first_seal_may_end_anywhere() {
    every_call_fails(&MemoryTable::default(), 1..40);
}

#[test]
fn a_seal_may_end_anywhere_while_tiles_become_full() {
    let mut before = MemoryTable::default();
    before.insert((1..=250).filter(|id| *id != 50));
    every_call_fails(&before, 251..600);
}

#[test]
fn a_seal_may_end_anywhere_while_no_tile_becomes_full() {
    let mut before = MemoryTable::default();
    before.insert((1..=300).filter(|id| *id != 50));
    every_call_fails(&before, 301..303);
}

#[test]
fn a_log_that_has_lost_its_checkpoint_is_not_begun_anew() {
    let disk = Memory::default();
    let mut rows = MemoryTable::default();
    rows.insert(1..10);
    seal_rows(&disk, &rows).unwrap();
    audit_evidence::Folder::rename(&mut disk.clone(), "checkpoint", "elsewhere").unwrap();
    assert!(matches!(seal_rows(&disk, &rows), Err(Error::NoCheckpoint)));
    audit_evidence::Folder::rename(&mut disk.clone(), "elsewhere", "checkpoint").unwrap();
    audit_evidence::Folder::rename(&mut disk.clone(), "segments.jsonl", "elsewhere").unwrap();
    assert!(matches!(seal_rows(&disk, &rows), Err(Error::Segments { found: 0, accepted: 9 })));
}

#[test]
fn nothing_is_signed_over_tiles_that_were_changed() {
    let disk = Memory::default();
    let mut rows = MemoryTable::default();
    rows.insert(1..=10);
    seal_rows(&disk, &rows).unwrap();
    let mut folder = disk.clone();
    let mut tile = audit_evidence::Folder::read(&folder, "tile/0/000.p/10").unwrap().unwrap();
    tile[40] ^= 1;
    audit_evidence::Folder::write(&mut folder, "tile/0/000.p/10", &tile).unwrap();
    rows.insert(11..=12);
    assert!(matches!(seal_rows(&disk, &rows), Err(Error::Inconsistent { size: 10, .. })));
    assert_eq!(Log::new(disk).checkpoint().unwrap().unwrap().unverified().size(), 10);
}

#[test]
fn tiles_that_are_not_full_are_removed_once_they_are() {
    let disk = Memory::default();
    let mut rows = MemoryTable::default();
    for end in [10, 20, 255] {
        rows.insert(1..=end);
        seal_rows(&disk, &rows).unwrap();
    }
    let tiles = || disk.names().into_iter().filter(|name| name.starts_with("tile/0/000")).collect::<Vec<_>>();
    assert_eq!(tiles(), ["tile/0/000.p", "tile/0/000.p/10", "tile/0/000.p/20", "tile/0/000.p/255"]);
    rows.insert(256..=300);
    seal_rows(&disk, &rows).unwrap();
    assert_eq!(tiles(), ["tile/0/000"]);
}

#[test]
fn another_key_or_another_name_does_not_go_on_with_a_log() {
    let disk = Memory::default();
    let mut rows = MemoryTable::default();
    rows.insert(1..10);
    seal_rows(&disk, &rows).unwrap();
    let seal_as = |origin: &str, seed| {
        let key = audit_log::note::SigningKey::from_seed(origin.parse().unwrap(), &[seed; 32]);
        seal(&mut Log::new(disk.clone()), &mut Table::new(rows.clone()), &origin.parse().unwrap(), &key)
    };
    assert!(matches!(seal_as("example.com/audit", 8), Err(Error::Verify(_))));
    assert!(matches!(seal_as("example.com/other", 7), Err(Error::Verify(_))));
    assert!(seal_as("example.com/audit", 7).is_ok());
}
