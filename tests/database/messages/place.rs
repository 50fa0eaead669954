//! Where a case happens: a database, a proxy in front of it that fails at a message, and a folder.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use audit_fixtures::{database_options, rows};
use audit_host::{Database, Entry, Options};
use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{ANSWER, Cluster, Fault, NEVER, ORIGINAL_TABLE, Proxy, Seen, Strike, wait_until};
use tempfile::TempDir;

use super::{Case, Scenario, Variant};

/// How many events go to the database at once.
pub const BATCH: u64 = 20;

/// How long the database may take where a message comes too late.
const SHORT: Duration = Duration::from_millis(400);

/// Takes all that may be left of the case before.
const EMPTY: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    DROP TABLE IF EXISTS tool_audit_events, tool_audit_refused CASCADE";

/// Sessions in which something is still going on.
const BUSY: &str = "
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state NOT IN ('idle', 'disabled')";

/// The column that only an upgraded table has.
const CHAINS: &str = "
    SELECT count(*) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relname = 'tool_audit_events' AND attname = 'chain'";

/// How the table is when a scenario begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Table {
    None,
    Original,
    Usual,
}

pub struct Place {
    cluster: &'static Cluster,
    /// The URL of the database without the proxy.
    pub url: String,
    direct: RefCell<Client>,
    pub proxy: Proxy,
    folder: TempDir,
    strike: Option<Strike>,
    /// The messages between the beginning of a scenario and its end.
    seen: RefCell<Option<Vec<Seen>>>,
}

impl Place {
    pub fn new() -> Self {
        let cluster = Cluster::shared();
        let url = cluster.database();
        let direct = Client::connect(&url, NoTls).expect("the server runs").into();
        let (proxy, folder) = (Proxy::to(cluster.port()), tempfile::tempdir().unwrap());
        Self { cluster, url, direct, proxy, folder, strike: None, seen: RefCell::default() }
    }

    /// Runs a case. Returns whether the fault has happened.
    pub fn run(&mut self, case: &Case) -> bool {
        self.proxy = Proxy::to(self.cluster.port());
        self.folder = tempfile::tempdir().unwrap();
        self.strike = Some(case.strike);
        (case.scenario.run)(self, &Variant { backend: case.scenario.backend, killed: case.killed });
        self.proxy.struck().is_some()
    }

    /// The messages of a scenario without a fault.
    pub fn messages(&self, scenario: &Scenario) -> Vec<Seen> {
        (scenario.run)(self, &Variant { backend: scenario.backend, killed: false });
        self.seen.take().unwrap_or_else(|| self.proxy.seen())
    }

    pub fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How long the database may take for an answer.
    pub fn timeout(&self) -> Duration {
        match self.strike {
            Some(Strike { fault: Fault::Delay(_), .. }) => SHORT,
            _ => ANSWER,
        }
    }

    pub fn options(&self, backend: &str) -> Options {
        database_options(backend, self.folder(), self.proxy.url(&self.url))
            .flush_interval(NEVER)
            .batch_size(BATCH)
            .database_timeout(self.timeout())
            .database_read_timeout(self.timeout())
    }

    /// The options of a store that no fault reaches.
    pub fn calm_options(&self, backend: &str) -> Options {
        database_options(backend, self.folder(), &self.url).flush_interval(NEVER).database_timeout(ANSWER)
    }

    /// The database without the proxy.
    pub fn calm_database(&self) -> Database {
        Database::new(&self.url, ANSWER, ANSWER).expect("the URL is valid")
    }

    /// The database as the host keeps it, through the proxy.
    pub fn database(&self) -> Database {
        Database::new(&self.proxy.url(&self.url), self.timeout(), self.timeout()).expect("the URL is valid")
    }

    /// Makes the table anew.
    pub fn table(&self, table: Table) {
        self.sql(EMPTY);
        match table {
            Table::None => {}
            Table::Original => self.sql(ORIGINAL_TABLE),
            Table::Usual => {
                self.calm_database().migrate().expect("the table can be made");
            }
        }
    }

    /// From here on, messages are counted.
    pub fn begin(&self) {
        match self.strike {
            Some(strike) => self.proxy.strike(strike),
            None => {
                *self.seen.borrow_mut() = None;
                self.proxy.watch();
            }
        }
    }

    /// Waits until nothing of the fault is still to come, and the server has done all that it was sent.
    pub fn calm(&self) {
        if self.proxy.struck().is_some() {
            wait_until("the fault is over", || self.proxy.is_over());
        }
        wait_until("the server has nothing to do", || self.number(BUSY) == 0);
    }

    /// Ends the fault: the server is reachable again.
    pub fn heal(&self) {
        self.calm();
        self.proxy.pass();
        self.seen.borrow_mut().get_or_insert_with(|| self.proxy.seen());
    }

    pub fn sql(&self, sql: &str) {
        self.direct.borrow_mut().batch_execute(sql).unwrap_or_else(|error| panic!("`{sql}`: {error}"));
    }

    /// The first value of an answer, a number.
    pub fn number(&self, sql: &str) -> u64 {
        let row =
            self.direct.borrow_mut().query_one(sql, &[]).unwrap_or_else(|error| panic!("`{sql}`: {error}"));
        row.get::<_, i64>(0).unsigned_abs()
    }

    /// How many rows there are, in whatever table.
    pub fn count(&self) -> u64 {
        match self.number("SELECT count(*) FROM pg_class WHERE relname = 'tool_audit_events'") {
            0 => 0,
            _ => self.number("SELECT count(*) FROM tool_audit_events"),
        }
    }

    /// How many rows of a chain there are.
    pub fn stored(&self, chain: &str) -> u64 {
        match self.has_chains() {
            false => 0,
            true => self.number(&format!("SELECT count(*) FROM tool_audit_events WHERE chain = '{chain}'")),
        }
    }

    /// All rows of stores, in the order in which they were inserted.
    pub fn rows(&self) -> Vec<Entry> {
        if self.has_chains() { rows(self.cluster, &self.url) } else { Vec::new() }
    }

    /// Whether the table is there, and was upgraded.
    fn has_chains(&self) -> bool {
        self.number(CHAINS) > 0
    }
}
