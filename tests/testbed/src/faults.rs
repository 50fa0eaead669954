//! The faults of a server and of the way to it, one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::{Cluster, Stop, TABLE};
use crate::proxy::Proxy;
use crate::random::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    None,
    StoppedFast,
    StoppedAtOnce,
    Crashed,
    Paused,
    Cut,
    Refused,
    Hung,
    Slow,
    LosesAnswers,
    FullDisk,
    ReadOnly,
}

const FAULTS: [Fault; 12] = [
    Fault::None,
    Fault::StoppedFast,
    Fault::StoppedAtOnce,
    Fault::Crashed,
    Fault::Paused,
    Fault::Cut,
    Fault::Refused,
    Fault::Hung,
    Fault::Slow,
    Fault::LosesAnswers,
    Fault::FullDisk,
    Fault::ReadOnly,
];

/// A schedule of faults: the server stops, crashes, hangs, has no room or takes no writes, and the way to it is cut, slow or
/// loses answers.
pub struct Faults<'b> {
    cluster: &'b Cluster,
    proxy: &'b Proxy,
    databases: Vec<String>,
    rng: Rng,
    now: Fault,
    times: BTreeMap<Fault, u32>,
}

impl<'b> Faults<'b> {
    /// A schedule for a server, a proxy in front of it, and the databases whose table refuses writes where the disk counts as
    /// full.
    pub fn new(cluster: &'b Cluster, proxy: &'b Proxy, databases: Vec<String>, rng: Rng) -> Self {
        Self { cluster, proxy, databases, rng, now: Fault::None, times: BTreeMap::new() }
    }

    /// Ends the current fault, and begins another one.
    pub fn flip(&mut self) {
        let next = FAULTS[self.rng.usize(..FAULTS.len())];
        if next != self.now {
            self.heal();
        }
        self.begin(next);
        *self.times.entry(next).or_default() += 1;
    }

    fn begin(&mut self, fault: Fault) {
        let (cluster, proxy) = (self.cluster, self.proxy);
        let again = fault == self.now;
        self.now = fault;
        match fault {
            Fault::StoppedFast | Fault::StoppedAtOnce | Fault::Crashed | Fault::Paused if again => {}
            Fault::None => {}
            Fault::StoppedFast => cluster.stop(Stop::Fast),
            Fault::StoppedAtOnce => cluster.stop(Stop::Immediate),
            Fault::Crashed => cluster.stop(Stop::Kill),
            Fault::Paused => cluster.pause(),
            Fault::Cut => proxy.cut(),
            Fault::Refused => proxy.disconnect(),
            Fault::Hung => proxy.hang(),
            Fault::Slow => proxy.delay(Duration::from_millis(self.rng.u64(1..30))),
            // The host tries twice, so that the component sees a loss only if both answers are lost.
            Fault::LosesAnswers if self.rng.bool() => proxy.swallow_next(2),
            Fault::LosesAnswers => proxy.swallow_answers(self.rng.u64(1..5)),
            Fault::FullDisk => {
                for database in &self.databases {
                    cluster.refuse_writes(database, TABLE);
                }
            }
            Fault::ReadOnly => cluster.set("default_transaction_read_only", "on"),
        }
    }

    /// Ends the current fault.
    pub fn heal(&mut self) {
        let cluster = self.cluster;
        match std::mem::replace(&mut self.now, Fault::None) {
            Fault::StoppedFast | Fault::StoppedAtOnce | Fault::Crashed => cluster.launch(),
            Fault::Paused => cluster.resume(),
            Fault::FullDisk => {
                for database in &self.databases {
                    cluster.accept_writes(database, TABLE);
                }
            }
            Fault::ReadOnly => cluster.set("default_transaction_read_only", "off"),
            _ => self.proxy.pass(),
        }
    }

    /// How often each fault has happened.
    pub fn report(&self) -> String {
        format!("{:?}", self.times)
    }
}
