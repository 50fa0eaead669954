//! `audit` with the backends `postgres` and `auto`, and `audit import`, on a PostgreSQL of the tests' own.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod docs;
mod import;
mod interrupted;
mod outage;
mod secrets;

use std::ffi::OsStr;
use std::process::{Command, Output};

use audit_testbed::Cluster;
use common::{Place, run, text};
use serde_json::{Value, json};

/// A folder to work in, and an empty database, which is in `DATABASE_URL`.
struct Site {
    place: Place,
    cluster: &'static Cluster,
    url: String,
}

impl Site {
    fn new() -> Self {
        let cluster = Cluster::shared();
        Self { place: Place::new(), cluster, url: cluster.database() }
    }

    /// With a table that refuses each tool `bad`.
    fn that_refuses_bad() -> Self {
        let site = Self::new();
        site.done("exec --backend postgres -- true");
        site.sql("TRUNCATE tool_audit_events RESTART IDENTITY");
        site.sql("ALTER TABLE tool_audit_events ADD CONSTRAINT good CHECK (tool <> 'bad')");
        site
    }

    fn audit<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.place.audit(arguments);
        command.env("DATABASE_URL", &self.url);
        command
    }

    /// What a command without spaces in its arguments writes to stdout, if all goes well.
    fn done(&self, line: &str) -> String {
        let output = run(self.audit(line.split(' ')));
        assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)), "{line}");
        text(&output.stdout).to_owned()
    }

    fn sql(&self, sql: &str) -> Vec<String> {
        rows(self.cluster, &self.url, sql)
    }

    fn stored(&self) -> usize {
        stored(self.cluster, &self.url)
    }
}

/// The first column of the answer.
fn rows(cluster: &Cluster, url: &str, sql: &str) -> Vec<String> {
    let column = |row: Vec<Option<String>>| row.into_iter().next().flatten().unwrap_or_default();
    cluster.sql(url, sql).into_iter().map(column).collect()
}

/// How many rows there are; 0 where there is no table.
fn stored(cluster: &Cluster, url: &str) -> usize {
    match cluster.try_sql(url, "SELECT count(*) FROM tool_audit_events") {
        Ok(rows) => rows[0][0].as_deref().unwrap().parse().unwrap(),
        Err(_) => 0,
    }
}

/// Lines as they are sent, of the tools `t0`, `t1`, …
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|n| line(n, &format!("t{n}"))).collect()
}

fn line(n: usize, tool: &str) -> String {
    let ts = format!("2026-11-23T06:{:02}:{:02}Z", n / 60 % 60, n % 60);
    json!({"ts": ts, "tool": tool, "agent_id": "planner", "in_size": n}).to_string() + "\n"
}

fn tools(jsonl: &[u8]) -> Vec<String> {
    let tool = |line| serde_json::from_str::<Value>(line).unwrap()["tool"].as_str().unwrap().to_owned();
    text(jsonl).lines().map(tool).collect()
}

/// The files in the folder of the events; none where there is no folder.
fn files(place: &Place) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(place.events_dir()) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn last_line(output: &Output) -> &str {
    text(&output.stderr).lines().last().unwrap_or_default()
}
