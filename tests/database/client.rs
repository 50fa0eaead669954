//! The two ways to the component, an `Instance` and an `AuditStore`, behind one face; and what holds for both.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use audit_host::{AuditStore, Counts, Error, Event, Instance, Options, Receipt, Status};
use audit_testbed::Cluster;

use crate::common::{component, start};

/// How long until all that waits is in the database that answers.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than the database takes on a busy machine, for tests in which it does not hang.
pub const ANSWER: Duration = Duration::from_secs(20);

/// Far more than any test takes: it flushes where it means to.
pub const NEVER: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Instance,
    Store,
}

pub const WAYS: [Way; 2] = [Way::Instance, Way::Store];

pub const BACKENDS: [&str; 2] = ["postgres", "auto"];

pub enum Client {
    Instance(Box<Instance>),
    Store(AuditStore),
}

impl Client {
    pub fn open(way: Way, options: Options) -> Self {
        match way {
            Way::Instance => Self::Instance(Box::new(start(&options))),
            Way::Store => Self::Store(AuditStore::open_with(component(), options).expect("a store opens")),
        }
    }

    pub fn write_batch(&mut self, events: &[Event]) -> Result<Receipt, Error> {
        match self {
            Self::Instance(instance) => instance.write_batch(events),
            Self::Store(store) => store.write_batch(events.to_vec()),
        }
    }

    pub fn flush(&mut self) -> Result<(), Error> {
        match self {
            Self::Instance(instance) => instance.flush(),
            Self::Store(store) => store.flush(),
        }
    }

    /// The status, in which everything is accounted for.
    #[track_caller]
    pub fn status(&mut self) -> Status {
        let status = match self {
            Self::Instance(instance) => instance.status(),
            Self::Store(store) => store.status(),
        };
        let status = status.expect("a status");
        assert_balanced(&status.counts);
        status
    }

    /// Flushes until nothing waits, in memory or in the spool.
    #[track_caller]
    pub fn settle(&mut self) -> Counts {
        let start = Instant::now();
        loop {
            let flushed = self.flush();
            let status = self.status();
            if flushed.is_ok() && status.counts.pending + status.counts.spooled == 0 {
                return status.counts;
            }
            assert!(start.elapsed() < PATIENCE, "{flushed:?}, {status:?}");
        }
    }
}

#[track_caller]
pub fn assert_balanced(counts: &Counts) {
    let Counts { received, stored, spooled, pending, rejected, dropped } = counts;
    let dropped = dropped.invalid + dropped.queue_full + dropped.unwritable;
    assert_eq!(*received, stored + spooled + pending + rejected + dropped, "{counts:?}");
}

/// A database in which the table is there.
pub fn database(cluster: &Cluster) -> String {
    let url = cluster.database();
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options::new().backend("postgres").dir(folder.path()).database_url(&url);
    let mut store = start(&options.database_timeout(ANSWER));
    store.write(&Default::default()).expect("the component works");
    store.close().expect("the first event makes the table");
    cluster.execute(&url, "TRUNCATE tool_audit_events RESTART IDENTITY");
    url
}

/// The spool's files in a folder.
pub fn spools(folder: &Path) -> Vec<PathBuf> {
    files(folder, "spool_")
}

/// The files whose names begin so.
pub fn files(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry"));
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    named.map(|entry| entry.path()).collect()
}

/// Makes the spool's files so old that anybody may take them over.
pub fn age(spools: &[PathBuf]) {
    let then = SystemTime::now() - Duration::from_secs(90);
    for path in spools {
        // One that is drained meanwhile is gone.
        if let Ok(file) = File::options().append(true).open(path) {
            file.set_times(FileTimes::new().set_modified(then)).expect("the time is set");
        }
    }
}
