//! All that a run consists of, and what has happened so far.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use audit_testbed::{Cluster, Proxy};
use tempfile::TempDir;

use crate::Plan;
use crate::clock::{self, Clock};
use crate::disk::Disk;
use crate::ledger::Ledger;
use crate::memory::Memory;
use crate::record::Record;

pub struct Site {
    pub audit: PathBuf,
    pub handle: fn() -> Command,
    pub clock: Clock,
    pub cluster: Cluster,
    pub proxy: Proxy,
    pub records: Vec<Record>,
    pub ledger: Ledger,
    pub memory: Memory,
    pub disk: Disk,
    /// What happened how often, by name.
    tally: Mutex<BTreeMap<&'static str, u64>>,
    /// The longest call of `write`, in microseconds.
    pub longest: AtomicU64,
    /// What was wrong.
    pub wrong: Mutex<Vec<String>>,
    over: AtomicBool,
    names: AtomicU64,
    /// Which faults there were.
    pub faults: Mutex<String>,
    /// Dropped last: everything is in it.
    pub folder: TempDir,
}

impl Site {
    pub fn new(plan: &Plan) -> Self {
        let folder = tempfile::Builder::new().prefix("audit-soak-").tempdir().expect("a temporary folder");
        let cluster = Cluster::start();
        let proxy = Proxy::to(cluster.port());
        let disk = Disk::new(&folder.path().join("disk"));
        let database = || {
            let direct = audit_fixtures::database_with_table(&cluster);
            Some([proxy.url(&direct), direct])
        };
        let at = |name: &str| folder.path().join(name);
        let files = |name, folder: PathBuf, log: &str| Record {
            name,
            backends: &["jsonl"],
            folder,
            urls: None,
            is_tight: false,
            log: Some(at(log)),
            archive: None,
        };
        let records = vec![
            files("files", at("files"), "log-of-files"),
            Record {
                backends: &["auto", "auto", "postgres"],
                urls: database(),
                ..files("database", at("spool"), "log-of-database")
            },
            Record {
                is_tight: true,
                ..files("files on a full disk", disk.folder().join("files"), "log-of-full")
            },
            Record {
                backends: &["auto"],
                urls: database(),
                is_tight: true,
                log: None,
                ..files("spool on a full disk", disk.folder().join("spool"), "")
            },
            Record { archive: Some(at("archive")), ..files("pruned files", at("pruned"), "log-of-pruned") },
        ];
        // A reader that finds no folder does not see one that is made later.
        let folders = records.iter().map(|record| record.folder.clone()).chain([at("scratch")]);
        folders.for_each(|folder| fs::create_dir(folder).expect("the folder can be written"));
        // Compiled here, for the processes that use the library too.
        audit_fixtures::component();
        Self {
            audit: plan.audit.clone(),
            handle: plan.handle,
            clock: Clock::start(plan.length),
            cluster,
            proxy,
            records,
            ledger: Ledger::default(),
            memory: Memory::default(),
            disk,
            tally: Mutex::default(),
            longest: AtomicU64::new(0),
            wrong: Mutex::default(),
            over: AtomicBool::new(false),
            names: AtomicU64::new(0),
            faults: Mutex::default(),
            folder,
        }
    }

    /// A name that nobody else in this run has.
    pub fn name(&self, kind: &str) -> String {
        format!("{kind}{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// A folder for what processes leave.
    pub fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    /// A command of the program `audit` on a record.
    pub fn audit(&self, record: &Record, backend: &str, line: &str) -> Command {
        let mut command = record.command(&self.audit, backend, &self.scratch());
        command.args(line.split(' ')).env(clock::VARIABLE, self.clock.text());
        command
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Waits, unless it is over before.
    pub fn sleep(&self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time && !self.is_over() {
            thread::sleep(Duration::from_millis(20).min(time));
        }
    }

    /// Does a part of the run. If it panics, that is wrong, and everything ends.
    pub fn watch(&self, name: &str, work: impl FnOnce()) {
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(work)) {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            lock(&self.wrong).push(format!("{name}: {}", text.unwrap_or_default()));
            self.end();
        }
    }

    pub fn count(&self, what: &'static str, times: u64) {
        *lock(&self.tally).entry(what).or_default() += times;
    }

    /// What happened how often.
    pub fn tally(&self) -> String {
        let tally = lock(&self.tally);
        tally.iter().map(|(what, times)| format!("{times} {what}")).collect::<Vec<_>>().join(", ")
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
