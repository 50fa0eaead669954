//! A long run in which everything happens at once: processes write and are killed, hooks come, readers read and follow, the
//! database is away, hangs and loses answers, disks are full, the record is sealed, verified and pruned. At its end, each
//! event that was acknowledged is there once, and none is there twice.
//!
//! [`run`] does it, with the program `audit` and with processes that use the library. `cargo xtask soak` runs it for as long
//! as one likes; a test runs it for half a minute.

#![cfg(unix)]
#![deny(missing_docs)]

mod clock;
mod disk;
mod evidence;
mod handle;
mod ledger;
mod memory;
mod outages;
mod processes;
mod readers;
mod record;
mod report;
mod site;
mod writers;

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

pub use handle::run_from_environment;
pub use report::Report;

use audit_testbed::Rng;
use site::Site;

/// What a run is made of.
pub struct Plan {
    /// The program `audit`.
    pub audit: PathBuf,
    /// Makes the command of a process that calls [`run_from_environment`].
    pub handle: fn() -> Command,
    /// How long everything goes on, without the check at the end.
    pub length: Duration,
    /// What the schedule of faults and kills is made of.
    pub seed: u64,
    /// Is told from time to time how much time has gone by, and what has happened.
    pub progress: Box<dyn Fn(Duration, String)>,
}

/// Runs it. The report says what happened, and what was wrong.
pub fn run(plan: &Plan) -> Report {
    let site = Site::new(plan);
    let follower = readers::Follower::start(&site, 0);
    let began = Instant::now();
    thread::scope(|scope| {
        let mut seeds = Rng::with_seed(plan.seed);
        let mut work = |name: String, work: fn(&Site, usize, Rng), n: usize| {
            let rng = seeds.fork();
            let site = &site;
            scope.spawn(move || site.watch(&name, || work(site, n, rng)));
        };
        for (n, record) in site.records.iter().enumerate() {
            let of = |what: &str| format!("{what} of {}", record.name);
            work(of("the writers"), writers::write, n);
            work(of("the handles"), writers::handles, n);
            work(of("the steady handle"), writers::steady, n);
            work(of("the hooks"), writers::hooks, n);
            work(of("the readers"), readers::read, n);
            if record.log.is_some() {
                work(of("the seals"), evidence::seal_and_verify, n);
            }
        }
        work("the outages".into(), outages::flip, 0);
        work("the disk".into(), disk::fill, 0);
        while began.elapsed() < plan.length && !site.is_over() {
            (plan.progress)(began.elapsed(), site.tally());
            memory::sample(&site);
            thread::sleep(Duration::from_millis(500).min(plan.length));
        }
        site.end();
    });
    site.watch("the follower", || follower.end(&site));
    site.watch("the check at the end", || ledger::check(&site));
    site.watch("the memory", || memory::check(&site, plan.length));
    Report::of(site, plan.seed, began.elapsed())
}
