//! How fast the hosts are, side by side: the same events, each by a benchmark of the host's own, on files and on a PostgreSQL
//! of its own.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use xtask::components::{self, World};
use xtask::{node, python};

use super::Bench;
use super::measure::Run;
use super::rows::{Group, Row, Source, Unit};
use crate::setup;

/// A host, and the names of its figures in the order of [`COLUMNS`]; without one where there is no such call, or no such
/// backend.
struct Host {
    name: &'static str,
    run: &'static str,
    figures: [Option<&'static str>; COLUMNS.len()],
}

const COLUMNS: [&str; 7] = [
    "write, handed over",
    "write, stored",
    "write-batch",
    "write-jsonl",
    "read",
    "read-jsonl",
    "into PostgreSQL",
];

const HOSTS: [Host; 6] = [
    Host {
        name: "Rust",
        run: "rust",
        figures: [
            Some("write, handed over"),
            Some("write, stored"),
            Some("write-batch"),
            Some("write-jsonl"),
            Some("read"),
            Some("read-jsonl"),
            Some("postgres"),
        ],
    },
    Host {
        name: "a guest of another runtime",
        run: "guest",
        figures: [
            Some("write, handed over"),
            Some("write, stored"),
            Some("write-batch, stored"),
            Some("write-jsonl, stored"),
            None,
            None,
            None,
        ],
    },
    Host {
        name: "the same, with an identity",
        run: "guest",
        figures: [
            Some("write, handed over, identity of the host"),
            Some("write, stored, identity of the host"),
            Some("write-batch, stored, identity of the host"),
            Some("write-jsonl, stored, identity of the host"),
            None,
            None,
            None,
        ],
    },
    Host {
        name: "Python",
        run: "python",
        figures: [
            Some("files: write, enqueued"),
            Some("files: write, on disk"),
            Some("files: write_batch of 1000"),
            Some("files: write_jsonl of 1000"),
            Some("files: read, entries"),
            Some("files: read_jsonl"),
            Some("database: write_batch of 500"),
        ],
    },
    Host {
        name: "Node.js",
        run: "node",
        figures: [
            Some("write, into the queue"),
            Some("write, until it is in the file"),
            Some("writeBatch of 1000"),
            Some("writeJsonl of 1000"),
            Some("read, entries"),
            Some("readJsonl, lines"),
            Some("PostgreSQL, rows in batches of 500"),
        ],
    },
    Host { name: "Spin", run: "spin", figures: [None, None, None, None, None, None, Some("batches of 500")] },
];

/// What the benchmarks of the hosts need.
pub(crate) fn prepare(bench: &Bench<'_>) -> Result<()> {
    let target_dir = &bench.workspace.target_dir;
    setup::postgres()?;
    setup::peers(bench.workspace)?;
    setup::node(bench.workspace)?;
    let component = components::artifact(&bench.workspace.root, target_dir, World::Full)?;
    python::with_host(target_dir)?;
    node::build(target_dir, &component).map(drop)
}

/// All hosts. Each run is one round of a benchmark, and has its own database.
pub(crate) fn hosts(bench: &Bench<'_>) -> Group {
    let target_dir = &bench.workspace.target_dir;
    let mut group = Group::new(bench.rounds);
    let script = node::package().join("scripts/bench.mjs");
    let node = node::program(target_dir).unwrap_or_else(|| "node".into());
    let python = python::venv(target_dir).join("bin/python");
    group.runs = vec![
        Run::printing(with_database(bench, &bench.example("bench_handle"), &[])).named("rust"),
        Run::printing(Command::new(bench.example("bench_guest"))).named("guest"),
        Run::printing(with_database(
            bench,
            &python,
            &["-m", "audit_store.bench", "--json", "--rounds", "1", "--events", "200000"],
        ))
        .named("python"),
        Run::printing(with_database(bench, &node, &[&script.to_string_lossy(), "--json"])).named("node"),
        Run::printing(Command::new(bench.example("rows"))).named("spin"),
    ];
    for (n, column) in COLUMNS.into_iter().enumerate() {
        let mut row = Row::new(format!("hosts: {column}"), column, Unit::As("events/s"));
        for host in HOSTS {
            if let Some(figure) = host.figures[n] {
                row = row.entry(host.name, Source::Printed(host.run.into(), figure));
            }
        }
        group.rows.push(row);
    }
    group
}

/// A command with a database of its own, whose URL is in `DATABASE_URL`.
fn with_database(bench: &Bench<'_>, program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(bench.example("with_database"));
    command.arg(program).args(arguments);
    command
}
