//! Files and tables that earlier programs have made: those of this store are read with the same results, and their hashes
//! stay valid; those of the original program are read line by line as Python reads them.
//!
//! `files.jsonl` and `table.sql` were made by this store before its events had attributes, and `read.jsonl` is what it read
//! from both. `original.py` has made the others.

use audit_fixtures::{assert_leaf_hash, database_options, open, start};
use audit_host::{Backend, Filter, Instance, Options, PageRequest};
use audit_testbed::Cluster;
use serde_json::Value;
use std::fs;
use std::path::Path;

const FILES: &str = include_str!("compatibility/files.jsonl");
const TABLE: &str = include_str!("compatibility/table.sql");
const READ: &str = include_str!("compatibility/read.jsonl");
const ORIGINAL: &str = include_str!("compatibility/original.jsonl");
const EXPECTED: &str = include_str!("compatibility/original.expected.jsonl");

fn lines(store: &mut Instance) -> String {
    let page = store.read_jsonl(&Filter::default(), &PageRequest::default()).unwrap();
    assert_eq!((page.next, page.skipped), (None, 0));
    page.lines
}

/// Puts each line into the daily file of its time.
fn fill(folder: &Path) {
    for line in FILES.split_inclusive('\n') {
        let json: Value = serde_json::from_str(line).unwrap();
        let name = format!("tool_audit_{}.jsonl", &json["ts"].as_str().unwrap()[..10]);
        let path = folder.join(name);
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, before + line).unwrap();
    }
}

#[test]
fn files_of_an_earlier_program_are_read_as_it_read_them() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let mut store = open(Backend::Jsonl, folder.path());
    assert_eq!(lines(&mut store), READ);
    for line in READ.lines().filter(|line| line.contains("\"hash\"")) {
        assert_leaf_hash(line);
    }
    store.write_jsonl("{\"ts\":\"2026-11-24T00:00:00Z\"}").unwrap();
    assert_eq!(lines(&mut store).lines().filter(|line| !line.contains("2026-11-24")).count(), 7);
}

#[test]
fn a_table_of_an_earlier_program_is_read_as_it_read_it_before_and_after_its_upgrade() {
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = cluster.database();
    cluster.execute(&url, TABLE);
    let mut store = start(&database_options("postgres", folder.path(), &url));
    assert_eq!(lines(&mut store), READ);
    store.write_jsonl("{\"ts\":\"2026-11-24T00:00:00Z\",\"attributes\":{\"model\":\"m\"}}").unwrap();
    store.flush().unwrap();
    let after: String =
        lines(&mut store).split_inclusive('\n').filter(|line| !line.contains("2026-11-24")).collect();
    assert_eq!(after, READ);
}

/// The fields that are expected, of the lines that were read.
fn assert_original(read: &str) {
    assert_eq!(read.lines().count(), EXPECTED.lines().count());
    for (line, expected) in read.lines().zip(EXPECTED.lines()) {
        let (line, expected): (Value, Value) =
            (serde_json::from_str(line).unwrap(), serde_json::from_str(expected).unwrap());
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&line[name], value, "{name} of {line}");
        }
    }
}

#[test]
fn files_of_the_original_program_are_read_as_python_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tool_audit_2026-11-23.jsonl"), ORIGINAL).unwrap();
    let mut store = start(&Options::new().dir(folder.path()).read_only(true));
    assert_original(&lines(&mut store));
}
