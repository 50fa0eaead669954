//! Sealing and verifying a record while it is written to, and pruning what is old. What is written is never taken for what
//! somebody has changed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use audit_testbed::Rng;

use crate::record::Record;
use crate::site::Site;

/// The name of the logs.
const ORIGIN: &str = "example.com/audit/soak";

/// How many days are kept where old ones are pruned.
const KEPT_DAYS: i64 = 2;

/// Seals and verifies a record, again and again.
pub fn seal_and_verify(site: &Site, n: usize, mut rng: Rng) {
    let record = &site.records[n];
    let log = record.log.as_deref().expect("it is sealed");
    let key = log.with_extension("key");
    let keygen = run(site, record, &format!("keygen {ORIGIN} --out {}", key.display()));
    assert_eq!(keygen.0, Some(0), "{}", keygen.1);
    let public = keygen.1.lines().next().unwrap_or_default().to_owned();
    let sealer = Sealer { site, record, log, key: &key, public };
    while !site.is_over() {
        site.sleep(Duration::from_millis(rng.u64(500..4_000)));
        sealer.seal();
        match rng.u32(..3) {
            0 => sealer.verify(),
            1 if record.archive.is_some() => sealer.prune(),
            _ => {}
        }
    }
    sealer.seal();
    sealer.verify();
}

struct Sealer<'s> {
    site: &'s Site,
    record: &'s Record,
    log: &'s Path,
    key: &'s Path,
    public: String,
}

impl Sealer<'_> {
    fn seal(&self) {
        let line = format!("seal --log {} --key {}", self.log.display(), self.key.display());
        if self.run("seal", &line) {
            self.site.count("seals", 1);
        }
    }

    fn verify(&self) {
        let line = format!("verify --log {} --pubkey {}", self.log.display(), self.public);
        if self.run("verify", &line) {
            self.site.count("verifications", 1);
        }
    }

    fn prune(&self) {
        let Some(archive) = &self.record.archive else { return };
        let (log, before) = (self.log.display(), self.site.clock.days_ago(KEPT_DAYS));
        let line = format!("prune --before {before} --log {log} --archive {}", archive.display());
        let (code, said) = run(self.site, self.record, &line);
        // What is not sealed yet stays.
        assert!(matches!(code, Some(0 | 1)), "a prune of {} ended with {code:?}: {said}", self.record.name);
        self.site.count("prunes", 1);
        self.seal();
    }

    /// Runs a command that must find nothing wrong. Whether it had a database.
    fn run(&self, what: &str, line: &str) -> bool {
        let (code, said) = run(self.site, self.record, line);
        match code {
            Some(0) => true,
            // The server is away.
            Some(2) if self.record.urls.is_some() => false,
            code => panic!("{what} of {} ended with {code:?}: {said}", self.record.name),
        }
    }
}

/// Runs a command on the record. Returns its exit status, and what it said.
fn run(site: &Site, record: &Record, line: &str) -> (Option<i32>, String) {
    let backend = if record.urls.is_some() { "postgres" } else { "jsonl" };
    let mut command = site.audit(record, backend, line);
    record.direct(&mut command).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.output().expect("the program runs");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    (output.status.code(), said.concat())
}
