//! What the tests of sealing share.
#![allow(dead_code)]

pub mod memory;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::{collections::BTreeMap, fmt::Write as _};

use audit_evidence::events::FindRow;
use audit_evidence::{Error, Folder, Log, LogFolder, Outcome, Record, Row, RowPage, Rows, seal};
use audit_log::checkpoint::Origin;
use audit_log::note::SigningKey;
use audit_log::tree::{CompactRange, Hash, Node, NodeReader as _};

pub const NAME: &str = "example.com/audit";

pub fn origin() -> Origin {
    NAME.parse().unwrap()
}

pub fn key() -> SigningKey {
    SigningKey::from_seed(NAME.parse().unwrap(), &[7; 32])
}

/// The line of another writer.
pub fn line(tool: &str, number: u64) -> String {
    format!(r#"{{"ts":"2026-11-23T06:30:00Z","tool":"{tool}","duration_ms":{number}}}"#)
}

/// Appends bytes to a file.
pub fn append(path: &Path, bytes: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(bytes.as_ref()).unwrap();
}

/// A table in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryTable(pub BTreeMap<i64, String>);

impl MemoryTable {
    pub fn insert(&mut self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            self.0.insert(id, line("row", id.unsigned_abs()));
        }
    }
}

impl Rows for MemoryTable {
    fn rows(&mut self, ranges: &[[i64; 2]], most: u32) -> Result<RowPage, String> {
        let mut before = None;
        for [first, last] in ranges {
            assert!(first <= last && before < Some(*first), "{ranges:?}");
            before = Some(*last);
        }
        let rows = ranges.iter().flat_map(|[first, last]| self.0.range(first..=last));
        let rows = rows.take(most as usize).map(|(id, line)| Row { id: *id, line: line.clone() });
        let rows: Vec<Row> = rows.collect();
        Ok(RowPage { more: rows.len() == most as usize, rows })
    }
}

/// Seals a record into a log in a folder beside it.
pub fn seal_into(log: &Path, record: &mut impl Record) -> Result<Outcome, Error> {
    let folder = LogFolder::for_sealing(log).unwrap();
    seal(&mut Log::new(folder), record, &origin(), &key())
}

/// Checks that a log has each event where its segments say it is, and the root of those; and returns its leaves.
pub fn check<F: Folder>(log: &Log<F>, record: &mut impl Record) -> Vec<Hash> {
    let signed = log.checkpoint().unwrap().unwrap();
    let head = signed.verify(&origin(), &[key().verifier()]).unwrap();
    let segments = log.segments().unwrap();
    let mut leaves = Vec::new();
    for segment in &segments {
        assert_eq!(segment.index, leaves.len() as u64);
        let before = leaves.len();
        record
            .stands(&segment.place, &mut |found| {
                assert_eq!(found.gap, segment.gap, "{segment:?}");
                leaves.extend_from_slice(found.leaves);
                Ok(())
            })
            .unwrap();
        assert_eq!((leaves.len() - before) as u64, segment.count, "{segment:?}");
    }
    assert_eq!(leaves.len() as u64, head.size());
    let mut tree = CompactRange::new();
    tree.extend(leaves.iter().copied()).unwrap();
    assert_eq!(tree.root(), head.root());
    let mut tiled = log.tree(head.size());
    for (index, leaf) in (0..).zip(&leaves) {
        assert_eq!(tiled.node(Node { level: 0, index }).unwrap(), *leaf);
    }
    leaves
}

/// The files of a folder and the folders in it, by their names.
pub fn tree_of(folder: &Path) -> String {
    let mut out = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => writeln!(out, "{}", entry.path().strip_prefix(folder).unwrap().display()).unwrap(),
            }
        }
    }
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// The line of a store, at a time of a day.
pub fn own_line(day: &str, number: u64) -> String {
    let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
    let ts = format!("{day}T{hour:02}:{minute:02}:{second:02}.000000Z");
    // 2026-11-23, and a number.
    let id =
        uuid::Uuid::from_u128((0x019a_af00_0000_u128 << 80) | (7 << 76) | (2 << 62) | u128::from(number));
    let chain = uuid::Uuid::from_u128((0x019a_af00_0000_u128 << 80) | (7 << 76) | (2 << 62) | (1 << 60));
    let body = format!(
        r#"{{"ts":"{ts}","req_id":"","workspace_id":"w{workspace}","user_id":"","agent_id":"demo","tool":"sort","action":"exec","status":"0","duration_ms":{number},"in_size":0,"out_size":0,"input_hash":"","graph_run_id":null,"graph_node":null,"job_id":null,"id":"{id}","chain":"{chain}","seq":{number}"#,
        workspace = number % 3,
    );
    let hash = Hash::of_leaf(format!("{body}}}").as_bytes()).to_hex();
    format!("{body},\"hash\":\"{hash}\"}}")
}

impl MemoryTable {
    pub fn insert_own(&mut self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            self.0.insert(id, own_line("2026-11-23", id.unsigned_abs()));
        }
    }
}

impl FindRow for MemoryTable {
    fn find(&mut self, event_id: uuid::Uuid) -> Result<Option<i64>, String> {
        let id = format!("\"id\":\"{event_id}\"");
        Ok(self.0.iter().find(|(_, line)| line.contains(&id)).map(|(id, _)| *id))
    }
}
