//! Records that nobody has changed have no findings, whatever has happened to them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use audit_evidence::verify::{self, Options, Verdict};
use audit_evidence::{Files, Log, Place, Segment, Table, seal};
use proptest::prelude::*;
use sha2::Digest as _;

use crate::sample::{Folder, Memory, NAME, chain_id, file, foreign, found, key, own, rehashed};

/// A log in memory.
#[derive(Clone, Default)]
struct Kept(Rc<RefCell<BTreeMap<String, Vec<u8>>>>);

impl audit_evidence::Folder for Kept {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.borrow().get(name).cloned())
    }

    fn make(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().insert(name.to_owned(), content.to_owned());
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let content = self.0.borrow_mut().remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.0.borrow_mut().insert(to.to_owned(), content);
        Ok(())
    }

    fn sync(&mut self, _: &[&str]) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, folder: &str) -> io::Result<()> {
        self.0.borrow_mut().retain(|name, _| !name.starts_with(&format!("{folder}/")));
        Ok(())
    }
}

/// A process that writes: its chain, and its next number in that.
#[derive(Clone, Copy)]
struct Writer {
    chain: u128,
    seq: u64,
}

impl Writer {
    fn next(&mut self, day: usize) -> String {
        self.seq += 1;
        own(day, self.chain, self.seq - 1)
    }
}

fn writers() -> [Writer; 3] {
    [1, 2, 3].map(|chain| Writer { chain, seq: 0 })
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Write {
        writer: usize,
        day: usize,
        count: u64,
    },
    Foreign {
        day: usize,
    },
    /// A write ends in the middle: the disk is full, or the process is killed.
    Torn {
        writer: usize,
        day: usize,
        len: usize,
        goes_on: bool,
    },
    Garbage {
        day: usize,
        text: String,
    },
    /// A process ends, and another one begins.
    Crash {
        writer: usize,
    },
    Seal,
    Verify,
    Prune {
        day: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (writer, day) = (0..3_usize, 0..3_usize);
    prop_oneof![
        6 => (writer.clone(), day.clone(), 1..4_u64).prop_map(|(writer, day, count)| Step::Write { writer, day, count }),
        1 => day.clone().prop_map(|day| Step::Foreign { day }),
        2 => (writer.clone(), day.clone(), 1..600_usize, any::<bool>())
            .prop_map(|(writer, day, len, goes_on)| Step::Torn { writer, day, len, goes_on }),
        1 => (day.clone(), "[ {}x\n]{0,9}").prop_map(|(day, text)| Step::Garbage { day, text }),
        1 => writer.prop_map(|writer| Step::Crash { writer }),
        2 => Just(Step::Seal),
        1 => Just(Step::Verify),
        1 => day.prop_map(|day| Step::Prune { day }),
    ]
}

/// A folder whose log is in memory.
struct History {
    folder: tempfile::TempDir,
    log: Kept,
    writers: [Writer; 3],
    next_chain: u128,
    pruned: BTreeSet<usize>,
}

impl History {
    /// Appends whole lines, as a store does: behind a torn line it begins a new one.
    fn append(&self, day: usize, text: &str) {
        let path = self.folder.path().join(file(day));
        let is_torn = fs::read(&path).is_ok_and(|bytes| bytes.last().is_some_and(|byte| *byte != b'\n'));
        append(&path, if is_torn { "\n" } else { "" });
        append(&path, text);
    }

    fn seal(&self) {
        let mut log = Log::new(self.log.clone());
        let outcome =
            seal(&mut log, &mut Files::new(self.folder.path()), &NAME.parse().unwrap(), &key()).unwrap();
        let is_right = |trouble: &audit_evidence::Trouble| !trouble.is_of_sealed() || !self.pruned.is_empty();
        assert!(outcome.troubles.iter().all(is_right), "{:?}", outcome.troubles);
    }

    fn verify(&self) -> Verdict {
        let options = Options { keys: &[key().verifier()], ..Options::default() };
        let log = Log::new(self.log.clone());
        verify::verify(&log, &mut Files::new(self.folder.path()), &options, &mut |_| {}).unwrap()
    }

    fn run(&mut self, step: &Step) {
        let open = |day: usize| (day..3).find(|day| !self.pruned.contains(day));
        match step {
            Step::Write { writer, day, count } => {
                let Some(day) = open(*day) else { return };
                for _ in 0..*count {
                    let line = self.writers[*writer].next(day);
                    self.append(day, &(line + "\n"));
                }
            }
            Step::Foreign { day } => {
                let Some(day) = open(*day) else { return };
                self.append(day, &(foreign(day, self.next_chain as u64) + "\n"));
                self.next_chain += 1;
            }
            Step::Torn { writer, day, len, goes_on } => {
                let Some(day) = open(*day) else { return };
                let mut torn = self.writers[*writer];
                // Each line has an identifier of its own, also where its number comes again.
                let id = format!("\"id\":\"{:08x}", self.next_chain);
                let line = rehashed(&torn.next(day).replace("\"id\":\"00000000", &id));
                self.next_chain += 1;
                self.append(day, &line[..line.len().min(*len)]);
                // An event that was not stored has no number.
                if !goes_on {
                    self.run(&Step::Crash { writer: *writer });
                }
            }
            Step::Garbage { day, text } => {
                let Some(day) = open(*day) else { return };
                append(&self.folder.path().join(file(day)), text);
            }
            Step::Crash { writer } => {
                self.writers[*writer] = Writer { chain: self.next_chain, seq: 0 };
                self.next_chain += 1;
            }
            Step::Seal => self.seal(),
            Step::Verify => assert_eq!(found(&self.verify()), []),
            Step::Prune { day } => self.prune(*day),
        }
    }

    /// Removes the file of a day, all of which is sealed, and records that.
    fn prune(&mut self, day: usize) {
        let Ok(metadata) = fs::metadata(self.folder.path().join(file(day))) else { return };
        let log = Log::new(self.log.clone());
        let segments = log.segments().unwrap();
        let is_sealed = segments.files().get(file(day).as_str()).is_some_and(|one| one.end == metadata.len());
        if day == 2 || !is_sealed || self.pruned.contains(&day) {
            return;
        }
        let is_of =
            |segment: &&Segment| matches!(&segment.place, Place::Lines { file: of, .. } if *of == file(day));
        let declared: String = segments
            .iter()
            .filter(is_of)
            .map(|Segment { index, count, .. }| {
                format!("{{\"ts\":\"2026-11-27T10:00:0{day}.000000Z\",\"by\":\"ops\",\"size\":9,\"index\":{index},\"count\":{count},\"file\":\"{}\",\"from\":0,\"to\":1,\"archive\":null}}\n", file(day))
            })
            .collect();
        let mut files = self.log.0.borrow_mut();
        let all = files.entry("pruned.jsonl".into()).or_default();
        all.extend(declared.bytes());
        let hash: String = sha2::Sha256::digest(&*all).iter().map(|byte| format!("{byte:02x}")).collect();
        drop(files);
        fs::remove_file(self.folder.path().join(file(day))).unwrap();
        self.pruned.insert(day);
        let line = own(2, self.next_chain, 0).replace("tool-0", "audit").replace("\"call\"", "\"prune\"");
        let line = line.replace("28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f", &hash);
        self.next_chain += 1;
        self.append(2, &(rehashed(&line) + "\n"));
        self.seal();
    }
}

#[derive(Clone, Debug)]
enum RowStep {
    Insert {
        writer: usize,
    },
    Foreign,
    Refuse {
        writer: usize,
    },
    /// A transaction that ends later. Its writer waits for it.
    Begin {
        writer: usize,
    },
    End {
        writer: usize,
    },
    /// The database is away.
    Spool {
        writer: usize,
    },
    Drain {
        writer: usize,
    },
    Seal,
    Verify,
}

fn row_step() -> impl Strategy<Value = RowStep> {
    let writer = 0..3_usize;
    prop_oneof![
        6 => writer.clone().prop_map(|writer| RowStep::Insert { writer }),
        1 => Just(RowStep::Foreign),
        1 => writer.clone().prop_map(|writer| RowStep::Refuse { writer }),
        2 => writer.clone().prop_map(|writer| RowStep::Begin { writer }),
        2 => writer.clone().prop_map(|writer| RowStep::End { writer }),
        2 => writer.clone().prop_map(|writer| RowStep::Spool { writer }),
        1 => writer.prop_map(|writer| RowStep::Drain { writer }),
        2 => Just(RowStep::Seal),
        1 => Just(RowStep::Verify),
    ]
}

struct RowHistory {
    table: Memory,
    log: Kept,
    spool: tempfile::TempDir,
    writers: [Writer; 3],
    begun: [Option<(i64, String)>; 3],
    spooled: [Vec<String>; 3],
    next: i64,
}

impl RowHistory {
    fn insert(&mut self, line: String) {
        self.table.rows.insert(self.next, line);
        self.next += 1;
    }

    fn end(&mut self, writer: usize) {
        if let Some((id, line)) = self.begun[writer].take() {
            self.table.rows.insert(id, line);
        }
    }

    fn spool(&self, writer: usize) -> std::path::PathBuf {
        self.spool.path().join(format!("spool_{}_0.jsonl", chain_id(self.writers[writer].chain)))
    }

    fn run(&mut self, step: &RowStep) {
        match *step {
            RowStep::Insert { writer } if self.spooled[writer].is_empty() => {
                self.end(writer);
                let line = self.writers[writer].next(0);
                self.insert(line);
            }
            RowStep::Insert { writer } | RowStep::Spool { writer } => {
                self.end(writer);
                let line = self.writers[writer].next(0);
                append(&self.spool(writer), &format!("{line}\n"));
                self.spooled[writer].push(line);
            }
            RowStep::Drain { writer } => {
                for line in std::mem::take(&mut self.spooled[writer]) {
                    self.insert(line);
                }
                let _ = fs::remove_file(self.spool(writer));
            }
            RowStep::Foreign => self.insert(foreign(0, self.next as u64)),
            RowStep::Refuse { writer } => {
                if self.spooled[writer].is_empty() {
                    self.end(writer);
                    let Writer { chain, seq } = self.writers[writer];
                    self.writers[writer].next(0);
                    self.table.refused.push((chain_id(chain).to_string(), seq));
                    self.next += 1;
                }
            }
            RowStep::Begin { writer } => {
                if self.spooled[writer].is_empty() {
                    self.end(writer);
                    self.begun[writer] = Some((self.next, self.writers[writer].next(0)));
                    self.next += 1;
                }
            }
            RowStep::End { writer } => self.end(writer),
            RowStep::Seal => {
                let mut log = Log::new(self.log.clone());
                let mut table = Table::new(self.table.clone());
                seal(&mut log, &mut table, &NAME.parse().unwrap(), &key()).unwrap();
            }
            RowStep::Verify => {
                let keys = [key().verifier()];
                let options = Options { keys: &keys, spool: Some(self.spool.path()), ..Options::default() };
                let log = Log::new(self.log.clone());
                let mut table = Table::new(self.table.clone());
                let verdict = verify::verify(&log, &mut table, &options, &mut |_| {}).unwrap();
                assert_eq!(found(&verdict), []);
                let rows = self.table.rows.len() as u64;
                let counts = verdict.counts;
                assert_eq!((counts.as_sealed + counts.unsealed, counts.as_sealed), (rows, counts.sealed));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn files_that_nobody_has_changed_have_no_findings(steps in prop::collection::vec(step(), 1..40)) {
        let mut history = History {
            folder: tempfile::tempdir().unwrap(),
            log: Kept::default(),
            writers: writers(),
            next_chain: 10,
            pruned: BTreeSet::new(),
        };
        history.seal();
        for step in &steps {
            history.run(step);
        }
        assert_eq!(found(&history.verify()), []);
        history.seal();
        let verdict = history.verify();
        assert_eq!(found(&verdict), []);
        let counts = verdict.counts;
        assert_eq!(counts.as_sealed + counts.pruned, counts.sealed);
        // Nothing rests on where the segments say that events are.
        history.log.0.borrow_mut().remove("segments.jsonl");
        let verdict = history.verify();
        assert_eq!(found(&verdict), []);
        assert_eq!(verdict.counts.as_sealed + verdict.counts.pruned, counts.sealed);
    }

    #[test]
    fn a_table_that_nobody_has_changed_has_no_findings(steps in prop::collection::vec(row_step(), 1..60)) {
        let mut history = RowHistory {
            table: Memory::default(),
            log: Kept::default(),
            spool: tempfile::tempdir().unwrap(),
            writers: writers(),
            begun: [None, None, None],
            spooled: [vec![], vec![], vec![]],
            next: 1,
        };
        for step in [RowStep::Seal].iter().chain(&steps).chain(&[RowStep::Verify, RowStep::Seal, RowStep::Verify]) {
            history.run(step);
        }
    }
}

#[test]
fn writers_may_go_on_while_their_record_is_sealed_and_checked() {
    const EVENTS: u64 = 300;
    let folder = Folder::new();
    folder.seal();
    let writing = AtomicU64::new(3);
    thread::scope(|scope| {
        for chain in 0..3 {
            let (path, writing) = (folder.path(), &writing);
            scope.spawn(move || {
                let mut writer = Writer { chain, seq: 0 };
                while writer.seq < EVENTS {
                    // From day to day, so that one of two that follow each other is in another file.
                    let day = (writer.seq % 3) as usize;
                    append(&path.join(file(day)), &(writer.next(day) + "\n"));
                }
                writing.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while writing.load(Ordering::Relaxed) > 0 {
            assert_eq!(found(&folder.verify()), []);
            folder.seal();
            assert_eq!(found(&folder.verify()), []);
        }
    });
    folder.seal();
    let verdict = folder.verify();
    assert_eq!((found(&verdict), verdict.counts.unsealed), (vec![], 0));
}
