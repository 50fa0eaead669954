//! A PostgreSQL of the tests' own: on a free port of 127.0.0.1, in a temporary folder, no service. Nothing of it is
//! left when the test process is gone, whatever ended that.

mod faults;
mod launch;
mod table;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use postgres::error::Error;
use rustix::process::Pid;

use crate::account::Account;
use crate::odd;
use crate::sql::{self, Rows};
use crate::watcher::Watcher;

pub use faults::{DISK_FULL, REFUSAL, Stop};
pub use table::{DATABASE_BACKENDS, ORIGINAL_TABLE, ROLE_PASSWORD, TABLE, WRITE_AND_READ};

/// These settings make the server small and quick. Without fsync, what was committed still outlives a killed server. It
/// would be lost only if the whole machine went down.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
# As many tests run at once as there are processors, and each of their stores keeps connections of its own.
max_connections = 200
shared_buffers = '16MB'
# Shared memory is files in the folder, not in /dev/shm, so that it goes with the folder.
dynamic_shared_memory_type = mmap
max_wal_senders = 0
wal_level = minimal
# The default is a gigabyte, which a temporary folder in memory may not have.
max_wal_size = '64MB'
min_wal_size = '32MB'
fsync = off
";

/// A running or stopped PostgreSQL with one superuser, `audit`, who has a password.
///
/// Dropping it ends the server and removes its folder.
pub struct Cluster {
    programs: PathBuf,
    account: Account,
    folder: PathBuf,
    port: u16,
    password: String,
    databases: AtomicU32,
    state: Mutex<State>,
}

struct State {
    watcher: Watcher,
    postmaster: Option<Child>,
    /// The children of the postmaster that [`Cluster::pause`] has stopped.
    paused: Vec<Pid>,
}

impl Cluster {
    /// Starts a new cluster, which takes about a second.
    pub fn start() -> Self {
        let mut cluster = Self::initialize();
        cluster.launch_on_free_port();
        if odd::is_asked_for() {
            cluster.execute(&cluster.url("template1"), odd::TEMPLATE);
        }
        cluster
    }

    /// The cluster that all tests of a process share. The first test that asks for it starts it.
    ///
    /// A test that stops, pauses or sets anything needs a cluster of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn initialize() -> Self {
        let programs = xtask::postgres::programs();
        let programs = programs.expect(
            "PostgreSQL is not installed: `cargo xtask test` installs it, and so does, on Debian, \
             `apt-get install postgresql`",
        );
        let account = Account::find();
        let temporary = account.temporary();
        let folder = tempfile::Builder::new().prefix("audit-testbed-").tempdir_in(temporary);
        // The watcher removes the folder.
        let folder = folder.expect("a temporary folder").keep();
        account.own(&folder);
        let state = State { watcher: Watcher::start(&folder), postmaster: None, paused: Vec::new() };
        let password = std::iter::repeat_with(fastrand::alphanumeric).take(20).collect();
        let databases = AtomicU32::new(0);
        let cluster = Self { programs, account, folder, port: 0, password, databases, state: state.into() };
        cluster.initdb();
        cluster
    }

    fn initdb(&self) {
        let password = self.folder.join("password");
        fs::write(&password, &self.password).expect("the folder can be written");
        self.account.own(&password);
        let mut initdb = self.account.command(&self.programs.join("initdb"), &self.folder);
        initdb.args([
            "--no-sync",
            "--auth=scram-sha-256",
            "--username=audit",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        initdb.arg("--pgdata").arg(self.data()).arg("--pwfile").arg(&password);
        initdb.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = initdb.spawn().unwrap_or_else(|error| panic!("cannot run {initdb:?}: {error}"));
        self.state().watcher.watch(&[Pid::from_child(&child)]);
        let output = child.wait_with_output().expect("initdb runs");
        assert!(output.status.success(), "{initdb:?}: {}", String::from_utf8_lossy(&output.stderr));
        let path = self.data().join("postgresql.conf");
        let mut settings = fs::read_to_string(&path).expect("initdb has written it") + SETTINGS;
        if odd::is_asked_for() {
            settings += odd::SETTINGS;
        }
        // Each process of the server shows this name.
        let name = self.folder.file_name().expect("it has a name").display();
        fs::write(&path, format!("{settings}cluster_name = '{name}'\n")).expect("the folder can be written");
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A lock that a failed test has poisoned is taken all the same, so that the server can be stopped.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The port on 127.0.0.1, the same after each launch.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of the user `audit`. It has letters and digits, and is another one in each cluster.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The folder with everything that belongs to the cluster.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the server has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// `postgres://audit:PASSWORD@127.0.0.1:PORT/DATABASE`
    pub fn url(&self, database: &str) -> String {
        format!("postgres://audit:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Creates an empty database and returns its URL.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&self.url("postgres"), &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Runs statements on a connection of their own, and returns the rows of all answers.
    pub fn sql(&self, url: &str, sql: &str) -> Rows {
        sql::sql(url, sql)
    }

    /// Runs statements on a connection of their own.
    pub fn execute(&self, url: &str, sql: &str) {
        sql::sql(url, sql);
    }

    /// Like [`Cluster::sql`], for what may fail.
    ///
    /// # Errors
    /// Where the connection fails, or a statement.
    pub fn try_sql(&self, url: &str, sql: &str) -> Result<Rows, Error> {
        sql::try_sql(url, sql)
    }

    /// Sets a parameter of the whole server, such as `default_transaction_read_only`. New sessions have it at once, and
    /// open ones take it over soon. A parameter that needs a restart holds after the next launch.
    pub fn set(&self, name: &str, value: &str) {
        let url = self.url("postgres");
        self.execute(&url, &format!("ALTER SYSTEM SET {name} = {}", sql::literal(value)));
        let before = sql::sql(&url, "SELECT pg_conf_load_time()");
        self.execute(&url, "SELECT pg_reload_conf()");
        self.wait_until(|| sql::try_sql(&url, "SELECT pg_conf_load_time()").is_ok_and(|now| now != before));
    }

    /// Makes the server offer TLS with this certificate and key, to new connections.
    pub fn tls(&self, certificate: &str, key: &str) {
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.data().join(name);
            fs::write(&path, text).expect("the folder can be written");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("the file can be restricted");
            self.account.own(&path);
        }
        self.set("ssl", "on");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.watcher.end();
        if let Some(mut postmaster) = state.postmaster.take() {
            let _ = postmaster.wait();
        }
    }
}
