//! Records that tests change, and what a check of them says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use audit_evidence::verify::{self, Finding, FindingKind, Options, Verdict};
use audit_evidence::{Files, Log, LogFolder, Record, Row, RowPage, Rows, Table, seal};
use audit_format::attributes::Attribute;
use audit_format::event::{Dated, Event};
use audit_format::time::Timestamp;
use audit_format::{leaf, line};
use audit_log::checkpoint::SignedCheckpoint;
use audit_log::note::SigningKey;
use tempfile::TempDir;
use uuid::Uuid;

pub const NAME: &str = "example.com/audit";

pub const DAYS: [&str; 3] = ["2026-11-23", "2026-11-24", "2026-11-25"];

pub fn key() -> SigningKey {
    SigningKey::from_seed(NAME.parse().unwrap(), &[7; 32])
}

pub fn file(day: usize) -> String {
    format!("tool_audit_{}.jsonl", DAYS[day])
}

/// The line of a store, without its newline.
pub fn own(day: usize, chain: u128, seq: u64) -> String {
    let event = Event {
        ts: format!("{}T06:{:02}:{:02}.{:06}Z", DAYS[day], seq / 60 % 60, seq % 60, chain % 1_000_000).into(),
        req_id: format!("r{chain}-{seq}").into(),
        workspace_id: "w".into(),
        user_id: "u".into(),
        agent_id: "planner".into(),
        tool: format!("tool-{}", seq % 7).into(),
        action: "call".into(),
        status: "ok".into(),
        duration_ms: seq * 3,
        in_size: 10,
        out_size: 20 + seq,
        input_hash: "28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f".into(),
        graph_run_id: Some("g".into()),
        graph_node: None,
        job_id: None,
        attributes: vec![Attribute::new("source", "test")],
    };
    let mut event = Dated::new(event, Timestamp::clamped(0)).unwrap();
    let id = Uuid::from_u128(7 << 76 | 2 << 62 | chain << 20 | u128::from(seq));
    let mut out = Vec::new();
    line::encode(&mut event, id, chain_id(chain), seq, &mut out);
    let end = out.len();
    leaf::seal(&mut out, std::iter::once(0..end));
    String::from_utf8(out).unwrap().trim_end().to_owned()
}

pub fn chain_id(chain: u128) -> Uuid {
    Uuid::from_u128(1 << 100 | 7 << 76 | 2 << 62 | chain)
}

/// The line of another writer.
pub fn foreign(day: usize, number: u64) -> String {
    format!(r#"{{"ts": "{}T07:30:00+01:00", "tool": "other", "duration_ms": {number}.0}}"#, DAYS[day])
}

/// Gives a line the hash of its content, as who changes it would.
pub fn rehashed(line: &str) -> String {
    let mut bytes = line.as_bytes().to_vec();
    bytes.push(b'\n');
    let end = bytes.len();
    leaf::seal(&mut bytes, std::iter::once(0..end));
    String::from_utf8(bytes).unwrap().trim_end().to_owned()
}

/// A folder with a record, and its log in it.
pub struct Folder(pub TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Three days, four chains, another writer, a torn line and a blank one, sealed in several steps.
    pub fn sample(size: u64) -> Self {
        let folder = Self::new();
        let mut lines: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let step = size / 3;
        let mut seqs = [0; 4];
        for number in 0..size {
            let day = (number / step).min(2) as usize;
            let chain = (number * 7 % 4) as usize;
            let lines = lines.entry(day).or_default();
            lines.push(own(day, chain as u128, seqs[chain]));
            seqs[chain] += 1;
            match number % 23 {
                5 => lines.push(foreign(day, number)),
                11 => lines.push("{\"ts\":\"2026-11-23T06:3".into()),
                17 => lines.push(String::new()),
                _ => {}
            }
            if number % 41 == 40 {
                folder.put(&lines_of(&[(day, lines)]));
                folder.seal();
            }
        }
        let all: Vec<(usize, &Vec<String>)> = lines.iter().map(|(day, lines)| (*day, lines)).collect();
        folder.put(&lines_of(&all));
        folder.seal();
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, day: usize) -> PathBuf {
        self.path().join(file(day))
    }

    pub fn log(&self) -> Log<LogFolder> {
        Log::new(LogFolder::new(self.path().join("log")))
    }

    pub fn put(&self, files: &BTreeMap<usize, String>) {
        for (day, text) in files {
            fs::write(self.file(*day), text).unwrap();
        }
    }

    pub fn lines(&self, day: usize) -> Vec<String> {
        let text = fs::read_to_string(self.file(day)).unwrap();
        text.strip_suffix('\n').unwrap().split('\n').map(str::to_owned).collect()
    }

    pub fn write(&self, day: usize, lines: &[String]) {
        fs::write(self.file(day), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }

    pub fn seal(&self) -> SignedCheckpoint {
        seal_with(&self.path().join("log"), &mut Files::new(self.path()), &key())
    }

    pub fn verify(&self) -> Verdict {
        self.verify_with(&Options { keys: &[key().verifier()], ..Options::default() })
    }

    pub fn verify_with(&self, options: &Options<'_>) -> Verdict {
        verify::verify(&self.log(), &mut Files::new(self.path()), options, &mut |_| {}).unwrap()
    }
}

fn lines_of(files: &[(usize, &Vec<String>)]) -> BTreeMap<usize, String> {
    files
        .iter()
        .map(|(day, lines)| (*day, lines.iter().map(|line| format!("{line}\n")).collect::<String>()))
        .collect()
}

pub fn seal_with(log: &Path, record: &mut impl Record, key: &SigningKey) -> SignedCheckpoint {
    let mut log = Log::new(LogFolder::for_sealing(log).unwrap());
    let outcome = seal(&mut log, record, &NAME.parse().unwrap(), key).unwrap();
    outcome.checkpoint
}

/// A table in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub rows: BTreeMap<i64, String>,
    /// By chain: what was refused.
    pub refused: Vec<(String, u64)>,
}

impl Rows for Memory {
    fn rows(&mut self, ranges: &[[i64; 2]], most: u32) -> Result<RowPage, String> {
        let rows = ranges.iter().flat_map(|[first, last]| self.rows.range(first..=last));
        let rows = rows.take(most as usize).map(|(id, line)| Row { id: *id, line: line.clone() });
        let rows: Vec<Row> = rows.collect();
        Ok(RowPage { more: rows.len() == most as usize, rows })
    }

    fn refused(&mut self, chain: &str) -> Result<Vec<u64>, String> {
        Ok(self.refused.iter().filter(|(of, _)| of == chain).map(|(_, seq)| *seq).collect())
    }
}

/// A table with its log.
pub struct Database {
    pub table: Memory,
    pub log: TempDir,
}

impl Database {
    pub fn new() -> Self {
        Self { table: Memory::default(), log: tempfile::tempdir().unwrap() }
    }

    pub fn seal(&self) -> SignedCheckpoint {
        seal_with(self.log.path(), &mut Table::new(self.table.clone()), &key())
    }

    pub fn verify(&self) -> Verdict {
        self.verify_with(&Options { keys: &[key().verifier()], ..Options::default() })
    }

    pub fn verify_with(&self, options: &Options<'_>) -> Verdict {
        let log = Log::new(LogFolder::new(self.log.path()));
        verify::verify(&log, &mut Table::new(self.table.clone()), options, &mut |_| {}).unwrap()
    }
}

/// What was found: kinds and places.
pub fn found(verdict: &Verdict) -> Vec<(FindingKind, String)> {
    verdict.findings.iter().map(|Finding { kind, place, .. }| (*kind, place.to_string())).collect()
}
