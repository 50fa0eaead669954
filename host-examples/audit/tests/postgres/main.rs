//! `audit` with the backends `postgres` and `auto`, and `audit import`, on a PostgreSQL of the tests' own.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod docs;
mod doubt;
mod follow;
mod import;
mod interrupted;
mod libpq;
mod long_read;
mod outage;
mod reconcile;
mod retention;
mod seal;
mod secrets;
mod verify;

use std::ffi::OsStr;
use std::process::Command;

use audit_fixtures::database_with_table;
use audit_testbed::Cluster;
use common::{Workspace, run, text};

/// The tool whose events the database refuses in some tests.
const REFUSED_TOOL: &str = "bad";

/// A folder to work in and a database, whose URL is in `DATABASE_URL`.
struct Site {
    workspace: Workspace,
    cluster: &'static Cluster,
    url: String,
}

impl Site {
    /// A site with an empty database.
    fn new() -> Self {
        let cluster = Cluster::shared();
        Self { workspace: Workspace::new(), cluster, url: cluster.database() }
    }

    /// A site with an empty table that refuses [`REFUSED_TOOL`].
    fn that_refuses_a_tool() -> Self {
        let cluster = Cluster::shared();
        let url = database_with_table(cluster);
        cluster.refuse_tool(&url, REFUSED_TOOL);
        Self { workspace: Workspace::new(), cluster, url }
    }

    fn audit<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        self.audit_at(&self.url, arguments)
    }

    /// The program with another URL.
    fn audit_at<S: AsRef<OsStr>>(&self, url: &str, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.workspace.audit(arguments);
        command.env("DATABASE_URL", url);
        command
    }

    /// Runs a command that succeeds and says nothing on stderr, and returns its stdout. Its arguments have no spaces.
    #[track_caller]
    fn done(&self, line: &str) -> String {
        let output = run(self.audit(line.split(' ')));
        assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)), "{line}");
        text(&output.stdout).to_owned()
    }

    /// The first column of the answer of the database.
    fn sql(&self, sql: &str) -> Vec<String> {
        self.cluster.column(&self.url, sql)
    }

    /// How many rows the table has. It is 0 where there is no table.
    fn stored(&self) -> usize {
        self.cluster.stored(&self.url) as usize
    }
}

/// The tools of the entries.
fn tools(jsonl: &[u8]) -> Vec<String> {
    common::field(jsonl, "tool")
}
