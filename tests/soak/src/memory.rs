//! The memory of processes that run from the beginning to the end: it does not grow with what they have done.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use crate::site::{Site, lock};

/// The least length of a run after which memory is compared: before, it still grows up to what an outage needs.
const LONG: Duration = Duration::from_secs(180);

/// How much more a process may have in the last third than in the one before, in kibibytes, and as a share.
const SLACK: u64 = 32 << 10;
const SHARE: f64 = 1.25;

/// What was measured of a process.
struct Process {
    name: String,
    /// What it has had, in kibibytes.
    samples: Vec<u64>,
    runs: bool,
}

/// The processes that are measured, by their ids.
#[derive(Default)]
pub struct Memory(Mutex<BTreeMap<u32, Process>>);

impl Memory {
    pub fn add(&self, name: String, id: u32) {
        lock(&self.0).insert(id, Process { name, samples: Vec::new(), runs: true });
    }

    pub fn remove(&self, id: u32) {
        if let Some(process) = lock(&self.0).get_mut(&id) {
            process.runs = false;
        }
    }

    /// What each process had at most in each third of the run, in mebibytes.
    pub fn report(&self) -> Vec<String> {
        let processes = lock(&self.0);
        let line = |process: &Process| {
            let [first, second, last] = process.thirds().map(|kibibytes| kibibytes >> 10);
            format!("{}: {first}, {second}, {last} MiB", process.name)
        };
        processes.values().map(line).collect()
    }
}

impl Process {
    /// The most in each third of the samples.
    fn thirds(&self) -> [u64; 3] {
        let third = self.samples.len().div_ceil(3).max(1);
        let mut most = self.samples.chunks(third).map(|part| part.iter().copied().max().unwrap_or(0));
        [(); 3].map(|()| most.next().unwrap_or(0))
    }
}

/// Measures the processes now, where the system shows their memory.
pub fn sample(site: &Site) {
    for (id, process) in lock(&site.memory.0).iter_mut().filter(|(_, process)| process.runs) {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
        process.samples.extend(resident.and_then(|kibibytes| kibibytes.parse::<u64>().ok()));
    }
}

/// Checks that no process grows.
pub fn check(site: &Site, length: Duration) {
    if length < LONG {
        return;
    }
    for process in lock(&site.memory.0).values() {
        let [_, before, last] = process.thirds();
        let most = (before as f64 * SHARE) as u64 + SLACK;
        if last > most {
            let text = format!("the memory of {} grows: {before} KiB, then {last} KiB", process.name);
            lock(&site.wrong).push(text);
        }
    }
}
