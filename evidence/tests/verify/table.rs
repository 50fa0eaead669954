//! A table of which each row is changed in each way.

use audit_evidence::verify::FindingKind::*;
use audit_evidence::verify::{FindingKind, Options};

use crate::sample::{Database, Memory, foreign, found, own, rehashed};

/// Rows of three chains and another writer, some of which came late.
fn sample() -> Database {
    let mut database = Database::new();
    let mut seqs = [0; 3];
    let late = [20, 21, 57];
    let row = |id: i64, seqs: &mut [u64; 3]| {
        let chain = (id % 3) as usize;
        let line = if id % 13 == 5 { foreign(0, id as u64) } else { own(0, chain as u128, seqs[chain]) };
        seqs[chain] += u64::from(id % 13 != 5);
        line
    };
    let rows: Vec<(i64, String)> = (1..=120).map(|id| (id, row(id, &mut seqs))).collect();
    for (id, line) in &rows {
        if !late.contains(id) && id % 29 != 0 {
            database.table.rows.insert(*id, line.clone());
        } else if id % 29 == 0 && id % 13 != 5 {
            // It was refused.
            let parsed = audit_format::read::parse_stored(line).unwrap();
            let stamp = parsed.stamp.unwrap();
            database.table.refused.push((stamp.chain.to_string(), stamp.seq));
        }
        if id % 40 == 0 {
            database.seal();
        }
    }
    for id in late {
        database.table.rows.insert(id, rows[id as usize - 1].1.clone());
    }
    database.seal();
    database
}

fn each_row(change: impl Fn(&mut Memory, i64) -> Option<Vec<(FindingKind, i64)>>) {
    let mut database = sample();
    assert_eq!(found(&database.verify()), []);
    let before = database.table.clone();
    for id in before.rows.keys().copied() {
        if let Some(expected) = change(&mut database.table, id) {
            let expected: Vec<_> =
                expected.into_iter().map(|(kind, row)| (kind, format!("row {row}"))).collect();
            let verdict = database.verify();
            assert_eq!(found(&verdict), expected, "row {id}: {:#?}", verdict.findings);
        }
        database.table = before.clone();
    }
}

fn is_own(line: &str) -> bool {
    line.contains("\"chain\"")
}

#[test]
fn a_row_that_is_removed_is_missing() {
    each_row(|table, id| {
        table.rows.remove(&id);
        Some(vec![(Missing, id)])
    });
}

#[test]
fn rows_that_are_removed_together_are_one_finding() {
    let mut database = sample();
    database.table.rows.retain(|id, _| !(90..100).contains(id));
    let verdict = database.verify();
    assert_eq!(found(&verdict), [(Missing, "row 90".into())]);
    assert_eq!(verdict.findings[0].count, 10);
}

#[test]
fn each_field_of_a_row_that_is_changed_is_found() {
    for (from, to) in [
        ("T0", "T1"),
        ("\"tool\":", "\"tool\": "),
        ("\"status\":\"ok", "\"status\":\"no"),
        ("\"duration_ms\":", "\"duration_ms\":1"),
        ("\"id\":\"0", "\"id\":\"1"),
        ("\"chain\":\"0", "\"chain\":\"1"),
        ("\"seq\":", "\"seq\":1"),
        ("\"hash\":\"", "\"hash\":\"e"),
    ] {
        for rehashes in [false, true] {
            each_row(|table, id| {
                let line = table.rows.get_mut(&id)?;
                if !is_own(line) {
                    return None;
                }
                let mut changed = line.replacen(from, to, 1);
                if from == "\"hash\":\"" {
                    changed.replace_range(changed.len() - 3..changed.len() - 2, "");
                }
                *line = if rehashes { rehashed(&changed) } else { changed };
                // White space is the database's own, and says nothing.
                let is_same = from == "\"tool\":" && !rehashes || from == "\"hash\":\"" && rehashes;
                Some(if is_same { vec![] } else { vec![(Changed, id)] })
            });
        }
    }
    each_row(|table, id| {
        let line = table.rows.get_mut(&id).filter(|line| !is_own(line))?;
        *line = line.replace("other", "others");
        Some(vec![(Changed, id)])
    });
}

#[test]
fn rows_that_are_swapped_are_reordered() {
    each_row(|table, id| {
        let (one, next) = (table.rows.get(&id)?.clone(), table.rows.get(&(id + 1))?.clone());
        table.rows.insert(id, next);
        table.rows.insert(id + 1, one);
        Some(vec![(Reordered, id)])
    });
}

#[test]
fn a_row_that_stands_there_twice_is_duplicated() {
    each_row(|table, id| {
        let line = table.rows.get(&id).filter(|line| is_own(line))?.clone();
        table.rows.insert(1000, line);
        Some(vec![(Duplicated, 1000)])
    });
}

#[test]
fn a_row_with_the_number_of_another_one_is_reordered() {
    each_row(|table, id| {
        let line = table.rows.remove(&id)?;
        table.rows.insert(1000, line);
        Some(vec![(Reordered, 1000)])
    });
}

#[test]
fn a_row_that_another_one_replaces_is_changed() {
    each_row(|table, id| {
        table.rows.insert(id, own(0, 77, 0));
        Some(vec![(Changed, id)])
    });
    each_row(|table, id| {
        let first = table.rows.get(&1)?.clone();
        table.rows.insert(id, first);
        Some(if id == 1 { vec![] } else { vec![(Changed, id)] })
    });
}

#[test]
fn a_hole_that_nothing_explains_is_a_gap_in_the_chain() {
    let mut database = Database::new();
    for seq in (0..10).filter(|seq| ![4, 5].contains(seq)) {
        database.table.rows.insert(seq as i64, own(0, 1, seq));
    }
    database.seal();
    let verdict = database.verify();
    let chain = crate::sample::chain_id(1).to_string();
    assert_eq!(found(&verdict), [(Gap, format!("chain {chain}, seq 4"))]);
    assert_eq!((verdict.findings[0].count, verdict.captured.missing_in_chains), (2, 2));
    // The database has refused one of them, and the other one comes late.
    database.table.refused.push((chain, 4));
    database.table.rows.insert(70, own(0, 1, 5));
    let verdict = database.verify();
    assert_eq!(found(&verdict), []);
    assert_eq!((verdict.counts.refused, verdict.counts.unsealed), (1, 1));
}

#[test]
fn what_waits_in_the_spool_explains_holes() {
    let mut database = Database::new();
    let folder = tempfile::tempdir().unwrap();
    for seq in (0..10).filter(|seq| ![4, 5].contains(seq)) {
        database.table.rows.insert(seq as i64, own(0, 1, seq));
    }
    database.seal();
    let chain = crate::sample::chain_id(1);
    let put = |name: String, seq| std::fs::write(folder.path().join(name), own(0, 1, seq) + "\n").unwrap();
    put(format!("spool_{chain}_0.jsonl"), 4);
    put(format!("refused_{chain}.jsonl"), 5);
    let keys = [crate::sample::key().verifier()];
    let options = Options { keys: &keys, spool: Some(folder.path()), ..Options::default() };
    let verdict = database.verify_with(&options);
    assert_eq!(found(&verdict), []);
    assert_eq!((verdict.counts.spooled, verdict.counts.refused, verdict.captured.explained), (1, 1, 2));
}

#[test]
fn rows_are_found_without_the_file_that_says_where_they_are() {
    let mut database = sample();
    std::fs::remove_file(database.log.path().join("segments.jsonl")).unwrap();
    assert_eq!(found(&database.verify()), []);
    let line = database.table.rows.get_mut(&40).unwrap();
    *line = rehashed(&line.replace("\"ok\"", "\"no\""));
    assert_eq!(found(&database.verify()), [(Changed, "row 40".into())]);
    database.table.rows.remove(&40);
    assert_eq!(found(&database.verify()), [(Missing, "row 40".into())]);
}
