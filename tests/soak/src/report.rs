//! What happened in a run.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::site::{Site, lock};

/// What happened in a run, and what was wrong.
pub struct Report {
    seed: u64,
    time: Duration,
    tally: String,
    faults: String,
    memory: Vec<String>,
    longest: Duration,
    disk: &'static str,
    /// What was wrong. Empty: nothing was.
    pub wrong: Vec<String>,
}

impl Report {
    pub(crate) fn of(site: Site, seed: u64, time: Duration) -> Self {
        Self {
            seed,
            time,
            tally: site.tally(),
            faults: lock(&site.faults).clone(),
            memory: site.memory.report(),
            longest: Duration::from_micros(site.longest.load(Ordering::Relaxed)),
            disk: if site.disk.is_mounted {
                "a small one that was filled"
            } else {
                "limits on the size of files"
            },
            wrong: std::mem::take(&mut *lock(&site.wrong)),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed          {}", self.seed)?;
        writeln!(f, "time          {} s", self.time.as_secs())?;
        writeln!(f, "happened      {}", self.tally)?;
        writeln!(f, "database      {}", self.faults)?;
        writeln!(f, "disk          {}", self.disk)?;
        writeln!(f, "longest write {:?}", self.longest)?;
        writeln!(f, "memory, the most in each third of the run")?;
        for line in &self.memory {
            writeln!(f, "  {line}")?;
        }
        match &self.wrong[..] {
            [] => write!(f, "nothing is wrong"),
            wrong => write!(f, "WRONG:\n  {}", wrong.join("\n  ")),
        }
    }
}
