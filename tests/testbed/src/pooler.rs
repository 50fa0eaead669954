//! PgBouncer in front of a cluster.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::process::Pid;

use crate::account::Account;
use crate::cluster::Cluster;
use crate::port::free_port;
use crate::url;
use crate::wait::wait_for;
use crate::watcher::Watcher;

const PORT_TAKEN: &str = "Address already in use";

/// A running PgBouncer, through which the user `audit` of a cluster reaches each of its databases. Dropping it ends it
/// and removes its folder.
pub struct Pooler {
    folder: PathBuf,
    account: Account,
    port: u16,
    watcher: Watcher,
    process: Option<Child>,
}

impl Pooler {
    /// Starts one with these settings, which are lines of the section `[pgbouncer]`.
    pub fn start(cluster: &Cluster, settings: &str) -> Self {
        let account = Account::find();
        let folder = tempfile::Builder::new().prefix("audit-testbed-").tempdir_in(account.temporary());
        // The watcher removes the folder.
        let folder = folder.expect("a temporary folder").keep();
        account.own(&folder);
        let watcher = Watcher::start(&folder);
        let mut pooler = Self { folder, account, port: 0, watcher, process: None };
        pooler.write("users", &format!("\"audit\" \"{}\"\n", cluster.password()));
        while !pooler.try_launch(cluster, settings) {
            let log = pooler.log();
            assert!(log.contains(PORT_TAKEN), "PgBouncer does not start: {log}");
        }
        pooler
    }

    /// The URL of a database of the cluster, with the port of the pooler in the place of the server's.
    pub fn url(&self, url: &str) -> String {
        url::with_port(url, self.port)
    }

    /// Whether it starts on a free port. Another process may have taken it first.
    fn try_launch(&mut self, cluster: &Cluster, settings: &str) -> bool {
        self.port = free_port();
        let (server, port, users) = (cluster.port(), self.port, self.folder.join("users"));
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\n{settings}\n",
            users.display()
        );
        let file = self.write("pgbouncer.ini", &settings);
        let log = File::create(self.folder.join("log")).expect("the folder can be written");
        let program = xtask::postgres::pooler().expect(
            "PgBouncer is not installed: `cargo xtask test` installs it, and so does, on Debian, \
             `apt-get install pgbouncer`",
        );
        let mut command = self.account.command(&program, &self.folder);
        command.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        self.watcher.watch(&[Pid::from_child(&process)]);
        let started = wait_for(|| match process.try_wait().expect("it is a child") {
            Some(_) => Ok(false),
            None => TcpStream::connect(("127.0.0.1", port)).map(|_| true),
        });
        self.process = Some(process);
        started
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("the folder can be written");
        self.account.own(&path);
        path
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.watcher.end();
        if let Some(mut process) = self.process.take() {
            let _ = process.wait();
        }
    }
}
