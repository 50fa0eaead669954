//! The server and the way to it fail and recover at random while four stores write: both backends, on an `Instance` and
//! on an `AuditStore`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use audit_fixtures::{
    assert_chains, assert_same_events, database_options, database_with_table, random_event, rows,
};
use audit_host::{Error, Event};
use audit_testbed::{Cluster, DATABASE_BACKENDS, Faults, Proxy, Rng, seed, spools};
use tempfile::TempDir;

use crate::SetOnDrop;
use crate::client::{Client, WAYS, Way};

/// How many faults there are.
const FLIPS: usize = 60;

/// The most events of a store. With more of them, the checks would take longer than the faults.
const EVENTS: usize = 20_000;

/// A store, and everything that is known of what was written to it.
struct Writer {
    name: String,
    backend: &'static str,
    client: Client,
    folder: TempDir,
    url: String,
    rng: Rng,
    sent: usize,
    /// The events that the store said it took.
    accepted: Vec<Event>,
    /// The events that the store took, or refused because it was full. Whoever writes through a handle is not told which.
    told_nothing: Vec<Event>,
    rejected: u64,
    /// How many single events were seen to be refused.
    seen_full: u64,
    /// How often the store was seen with something in the spool, and how often with something in memory.
    seen_waiting: [u32; 2],
}

impl Writer {
    fn new(cluster: &Cluster, proxy: &Proxy, backend: &'static str, way: Way, seed: u64) -> Self {
        let (folder, url) = (tempfile::tempdir().unwrap(), database_with_table(cluster));
        let options = database_options(backend, folder.path(), proxy.url(&url));
        let options = options.database_timeout(Duration::from_millis(300)).batch_size(20).queue_limit(600);
        let options = options.flush_interval(Duration::from_millis(100));
        let mut options = options.recovery_interval(Duration::from_secs(1));
        if backend == "postgres" {
            options = options.queue(100, 1 << 20);
        }
        Self {
            name: format!("{backend}, {way:?}"),
            backend,
            client: Client::open(way, options),
            folder,
            url,
            rng: Rng::with_seed(seed),
            sent: 0,
            accepted: Vec::new(),
            told_nothing: Vec::new(),
            rejected: 0,
            seen_full: 0,
            seen_waiting: [0; 2],
        }
    }

    fn step(&mut self) {
        thread::sleep(Duration::from_micros(self.rng.u64(..16_000)));
        let kind = if self.sent < EVENTS { self.rng.u32(..10) } else { self.rng.u32(8..10) };
        match kind {
            0..5 => self.write_batch(),
            5..8 => self.write_each(),
            // The status shows why something has to wait.
            8 => drop(self.client.flush()),
            _ => thread::sleep(Duration::from_millis(5)),
        }
        let status = self.client.status();
        self.seen_waiting[0] += u32::from(status.counts.spooled > 0);
        self.seen_waiting[1] += u32::from(status.counts.pending > 0);
        assert_eq!(status.counts.received, self.sent as u64, "{}", self.name);
    }

    fn events(&mut self, most: usize) -> Vec<Event> {
        let range = self.sent..self.sent + self.rng.usize(1..=most);
        self.sent = range.end;
        range.map(|n| random_event(&mut self.rng, n.to_string())).collect()
    }

    fn write_batch(&mut self) {
        let events = self.events(90);
        match self.client.write_batch(&events) {
            Ok(receipt) => {
                assert_eq!(receipt.accepted, events.len() as u64);
                self.accepted.extend(events);
            }
            Err(Error::Unavailable(text)) => {
                assert!(self.backend == "postgres" && text.contains("is full"), "{}: {text}", self.name);
                self.rejected += events.len() as u64;
            }
            Err(error) => panic!("{}: {error}", self.name),
        }
    }

    fn write_each(&mut self) {
        for event in self.events(if self.backend == "postgres" { 60 } else { 12 }) {
            match &mut self.client {
                Client::Store(store) => {
                    store.write(event.clone());
                    self.told_nothing.push(event);
                }
                Client::Instance(instance) => {
                    instance.write(&event).expect("an instance takes single events");
                    let full = self.client.status().counts.dropped.queue_full;
                    if full == self.seen_full {
                        self.accepted.push(event);
                    }
                    self.seen_full = full;
                }
            }
        }
    }

    /// Checks what the store has stored. The server is well again, so that anything that fails now is a loss.
    fn check(mut self, cluster: &Cluster) {
        let counts = self.client.settle();
        let rows = rows(cluster, &self.url);
        println!(
            "{}: {} events; {} rejected, {} refused; {:?} times in spool and memory",
            self.name, self.sent, counts.rejected, counts.dropped.queue_full, self.seen_waiting
        );
        assert_chains(&rows, &[]);
        let stored: std::collections::BTreeSet<&str> =
            rows.iter().map(|row| row.event.req_id.as_str()).collect();
        let told_nothing = self.told_nothing.len();
        self.told_nothing.retain(|event| stored.contains(event.req_id.as_str()));
        assert_same_events(&rows, self.accepted.iter().chain(&self.told_nothing));

        let refused = self.seen_full + (told_nothing - self.told_nothing.len()) as u64;
        assert_eq!(counts.dropped.queue_full, refused, "{}", self.name);
        assert_eq!((counts.dropped.invalid, counts.dropped.unwritable), (0, 0), "{}", self.name);
        assert_eq!((counts.received, counts.rejected), (self.sent as u64, self.rejected), "{}", self.name);
        assert_eq!(counts.stored, rows.len() as u64, "{}", self.name);
        if self.backend == "auto" {
            assert_eq!(counts.stored, self.sent as u64, "{} refuses nothing", self.name);
            assert!(self.seen_waiting[0] > 0, "{} has never used its spool", self.name);
        }
        assert_eq!(spools(self.folder.path()).len(), 0, "{}", self.name);
    }
}

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use super::*;

    #[test]
    fn the_table_is_what_was_accepted_however_often_the_server_fails() {
        let seed = seed();
        let cluster = Cluster::start();
        let proxy = Proxy::to(cluster.port());
        let mut writers: Vec<Writer> = Vec::new();
        for backend in DATABASE_BACKENDS {
            for way in WAYS {
                writers.push(Writer::new(&cluster, &proxy, backend, way, seed ^ writers.len() as u64));
            }
        }
        let databases = writers.iter().map(|writer| writer.url.clone()).collect();
        let mut faults = Faults::new(&cluster, &proxy, databases, Rng::with_seed(seed));
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            for writer in &mut writers {
                let ended = &ended;
                scope.spawn(move || {
                    // A writer that fails ends the others too.
                    let _ended = SetOnDrop(ended);
                    while !ended.load(Ordering::Relaxed) {
                        writer.step();
                    }
                });
            }
            let _ended = SetOnDrop(&ended);
            let (mut flips, mut rng) = (0, Rng::with_seed(!seed));
            while flips < FLIPS && !ended.load(Ordering::Relaxed) {
                flips += 1;
                faults.flip();
                // This is up to half of the stores' timeout.
                thread::sleep(Duration::from_millis(rng.u64(..150)));
            }
        });
        faults.heal();
        println!("{}", faults.report());
        for writer in writers {
            writer.check(&cluster);
        }
    }
}
