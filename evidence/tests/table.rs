//! Sealing a table: rows in the order of their numbers, and those that appear late.

mod common;

use std::path::Path;

use audit_evidence::leaf::{self, Line};
use audit_evidence::{Error, Files, Gap, Kind, Log, LogFolder, Place, Table};
use audit_log::tree::Hash;
use common::{MemoryTable, append, check, line, seal_into};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn table(rows: &MemoryTable) -> Table<MemoryTable> {
    Table::new(rows.clone())
}

fn leaves(log: &Path, rows: &MemoryTable) -> Vec<Hash> {
    check(&Log::new(LogFolder::new(log)), &mut table(rows))
}

fn places(log: &Path) -> Vec<(Place, Option<Gap>)> {
    let segments = Log::new(LogFolder::new(log)).segments().unwrap();
    segments.iter().map(|segment| (segment.place.clone(), segment.gap)).collect()
}

fn rows(ranges: &[[i64; 2]]) -> Place {
    Place::Rows { rows: ranges.to_vec() }
}

fn hashes(rows: &MemoryTable, ids: impl IntoIterator<Item = i64>) -> Vec<Hash> {
    let hash = |id| match leaf::of_row(&rows.0[&id]) {
        Line::Leaf(hash) => hash,
        other => panic!("{id}: {other:?}"),
    };
    ids.into_iter().map(hash).collect()
}

#[test]
fn rows_are_leaves_in_the_order_of_their_numbers_and_late_ones_come_behind() {
    let (log, mut all) = (folder(), MemoryTable::default());
    all.insert((1..=2500).filter(|id| id % 1000 != 7 && *id != 100));
    assert_eq!(seal_into(log.path(), &mut table(&all)).unwrap().new, 2496);
    all.insert([100, 1007, 2501]);
    assert_eq!(seal_into(log.path(), &mut table(&all)).unwrap().new, 3);
    // Also long after.
    for late in [7, -1, i64::MAX, i64::MIN] {
        all.insert([late]);
        let outcome = seal_into(log.path(), &mut table(&all)).unwrap();
        assert_eq!((outcome.new, outcome.troubles.len()), (1, 0), "{late}");
    }
    let first = (1..=2500).filter(|id| id % 1000 != 7 && *id != 100);
    let order = first.chain([100, 1007, 2501, 7, -1, i64::MAX, i64::MIN]);
    assert_eq!(leaves(log.path(), &all), hashes(&all, order));
    assert_eq!(seal_into(log.path(), &mut table(&all)).unwrap().new, 0);
}

#[test]
fn rows_that_are_no_events_are_declared() {
    let (log, mut all) = (folder(), MemoryTable::default());
    all.insert(1..=6);
    all.0.insert(3, "{\"ts\":\"infinity\",\"tool\":\"t\"}".into());
    all.0.insert(4, "{\"ts\":\"\",\"tool\":\"t\"}".into());
    let outcome = seal_into(log.path(), &mut table(&all)).unwrap();
    assert_eq!((outcome.new, outcome.unreadable), (4, 2));
    let gap = Some(Gap::Unreadable);
    assert_eq!(
        places(log.path()),
        [(rows(&[[1, 2]]), None), (rows(&[[3, 4]]), gap), (rows(&[[5, 6]]), None)]
    );
    assert_eq!(leaves(log.path(), &all), hashes(&all, [1, 2, 5, 6]));
    assert_eq!(seal_into(log.path(), &mut table(&all)).unwrap().unreadable, 0);
}

#[test]
fn a_table_whose_last_sealed_row_is_another_one_is_not_sealed() {
    let (log, mut all) = (folder(), MemoryTable::default());
    all.insert(1..=10);
    let sealed = seal_into(log.path(), &mut table(&all)).unwrap().checkpoint;
    let mut other = all.clone();
    other.0.insert(10, line("another", 10));
    other.insert(11..=20);
    let outcome = seal_into(log.path(), &mut table(&other)).unwrap();
    let said: Vec<String> = outcome.troubles.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["the row 10 is another one than was sealed: it was replaced or changed"]);
    assert_eq!((outcome.new, &outcome.checkpoint), (0, &sealed));
    let outcome = seal_into(log.path(), &mut table(&MemoryTable::default())).unwrap();
    let said: Vec<String> = outcome.troubles.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["the row 10 was sealed and is gone"]);
}

#[test]
fn a_log_is_of_one_kind_of_record() {
    let (log, record, mut all) = (folder(), folder(), MemoryTable::default());
    all.insert(1..=10);
    seal_into(log.path(), &mut table(&all)).unwrap();
    append(&record.path().join("tool_audit_2026-11-23.jsonl"), line("a", 0) + "\n");
    let refused = seal_into(log.path(), &mut Files::new(record.path())).unwrap_err();
    assert!(matches!(refused, Error::OtherRecord { found: Kind::Table, record: Kind::Files }), "{refused}");
}

#[test]
fn a_row_has_the_leaf_that_its_line_had_in_a_file() {
    let line = line("a", 45);
    assert_eq!(leaf::of_row(&line), leaf::of_line(line.as_bytes()));
}
