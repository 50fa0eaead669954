//! What programs measure inside of themselves: the library, the component, and rows on their way into PostgreSQL.

use std::fs;
use std::process::Command;

use anyhow::Result;
use xtask::components::{self, World};

use super::measure::Run;
use super::rows::{Goal, Group, Row, Source, Unit};
use super::{Bench, peers};

const NOT_INSTALLED: Source = Source::Missing("not installed");

/// How many events one process hands over: the queues of all of them have room for so many.
const MOST_EVENTS: u64 = 200_000;

/// Handing over single events inside of a program, beside libraries for logs.
pub(crate) fn handle(bench: &Bench<'_>) -> Group {
    let mut group = Group::new(bench.rounds);
    let events = bench.events.min(MOST_EVENTS).to_string();
    let mut own = Command::new(bench.example("bench_handle"));
    own.arg(&events).env_remove("DATABASE_URL");
    group.runs.push(Run::printing(own).named("handle"));

    let mut names = Vec::new();
    let mut logger = |name: &'static str, command: Option<Command>, kind: &str| {
        let folder = bench.folder.join("log");
        let run = command.map(|mut command| {
            command.arg(&folder).args([&events, kind]);
            Run::printing(command).named(name).emptying(&folder)
        });
        names.push((name, run.is_some()));
        group.runs.extend(run);
    };
    let tracing = || bench.peers.tracing.as_ref().map(Command::new);
    logger("tracing-appender", tracing(), "blocking");
    logger("tracing-appender, non-blocking", tracing(), "non-blocking");
    let pino = || {
        let mut node = Command::new(bench.peers.node.as_ref()?);
        node.arg(peers::folder().join("pino.mjs")).arg(bench.peers.pino.as_ref()?);
        Some(node)
    };
    logger("pino", pino(), "sync");
    logger("pino, asynchronous", pino(), "async");
    let python = || {
        let mut python = Command::new("python3");
        python.arg(peers::folder().join("logging_json.py"));
        Some(python)
    };
    logger("Python's logging", python(), "file");
    logger("Python's logging, with a queue", python(), "queue");

    let events = super::show::number(bench.events.min(MOST_EVENTS) as f64);
    for (id, what, figure) in [
        ("handle-over", "until it is handed over", "write, handed over"),
        ("handle-stored", "until it is in the file", "write, stored"),
    ] {
        let mut row = Row::new(id, format!("`write` in Rust, {what}, {events} events"), Unit::As("events/s"))
            .entry("audit", Source::Printed("handle".into(), figure));
        for (name, is_there) in &names {
            let source = if *is_there { Source::Printed((*name).into(), figure) } else { NOT_INSTALLED };
            row = row.entry(*name, source);
        }
        group.rows.push(row);
    }
    group
}

/// The component in the Rust library's instance, and its size.
pub(crate) fn component(bench: &Bench<'_>) -> Group {
    let mut group = Group::new(bench.rounds);
    group.runs.push(Run::printing(Command::new(bench.example("bench_store"))).named("component"));
    for (figure, unit) in [
        ("component, from the cache", "ms"),
        ("instance", "ms"),
        ("write, one by one", "events/s"),
        ("write-batch, 1000 events each", "events/s"),
        ("write-jsonl, 1000 events each", "events/s"),
        ("read-jsonl, by tool: 1 event of 1000", "events/s"),
        ("read-jsonl, every event", "events/s"),
        ("read, every event", "events/s"),
    ] {
        let row = Row::new(format!("component: {figure}"), figure, Unit::As(unit));
        group.rows.push(row.entry("audit", Source::Printed("component".into(), figure)));
    }
    for world in World::ALL {
        let path = components::artifact(&bench.workspace.root, &bench.workspace.target_dir, world);
        let size = path.and_then(|path| Ok(fs::metadata(path)?.len()));
        let source = size.map_or(Source::Missing("not built"), |size| Source::Value(size as f64));
        let row = Row::new(
            format!("size: {}", world.name()),
            format!("size, world `{}`", world.name()),
            Unit::As("bytes"),
        );
        group.rows.push(row.entry("audit", source));
    }
    group
}

/// Where the time of a written event goes: microseconds of processors for each event, what comes on top of the line above
/// it.
pub(crate) fn phases(bench: &Bench<'_>) -> Group {
    let mut group = Group::new(bench.rounds);
    group.runs.push(Run::printing(Command::new(bench.example("bench_write"))).named("phases"));
    for (id, what, native, component) in [
        (
            "hand-over",
            "handing lines over, finding them",
            None,
            Some("write-jsonl: hand over, find the lines (the part)"),
        ),
        (
            "encode",
            "parsing, checking, stamping, encoding",
            Some("natively: parse, check, stamp, encode (the part)"),
            Some("write-jsonl: and parse, check, stamp, encode (the part)"),
        ),
        ("hash", "hashing", Some("natively: and hash (the part)"), Some("write-jsonl: and hash (the part)")),
        (
            "append",
            "appending",
            Some("natively: and append (the part)"),
            Some("write-jsonl: and append (the part)"),
        ),
        ("all", "all of it, JSON lines", Some("natively: and append"), Some("write-jsonl: and append")),
        ("batch", "all of it, records in batches", None, Some("write-batch: and append")),
        ("single", "all of it, records one by one", None, Some("write, one by one")),
        ("handle", "all of it, through the handle", None, Some("Handle::write, until all is in the file")),
    ] {
        let mut row = Row::new(format!("phases: {id}"), what, Unit::As("us"));
        for (name, figure) in [("audit", component), ("natively", native)] {
            if let Some(figure) = figure {
                row = row.entry(name, Source::Printed("phases".into(), figure));
            }
        }
        group.rows.push(row);
    }
    group
}

/// Starting an instance for each request.
pub(crate) fn instance(bench: &Bench<'_>) -> Group {
    let mut group = Group::new(bench.rounds);
    group.runs.push(Run::printing(Command::new(bench.example("bench_instantiate"))).named("instance"));
    for (what, pooled, plain) in [
        (
            "start and drop, configured by a call",
            "start and drop, configured by a call (pool)",
            "start and drop, configured by a call (no pool)",
        ),
        (
            "start and drop, configured by variables, a folder",
            "start and drop, configured by variables, a folder (pool)",
            "start and drop, configured by variables, a folder (no pool)",
        ),
        (
            "start, write an event to a file, drop",
            "the same, and write an event to a file (pool)",
            "the same, and write an event to a file (no pool)",
        ),
    ] {
        let row = Row::new(format!("instance: {what}"), what, Unit::As("us"));
        let printed = |figure| Source::Printed("instance".into(), figure);
        group.rows.push(row.entry("with a pool", printed(pooled)).entry("without a pool", printed(plain)));
    }
    group
}

/// Rows into a PostgreSQL that waits for its disk.
pub(crate) fn postgres(bench: &Bench<'_>) -> Group {
    let mut group = Group::new(bench.rounds);
    group.runs.push(Run::printing(Command::new(bench.example("bench_postgres"))).named("postgres"));
    let printed = |figure| Source::Printed("postgres".into(), figure);
    let copy = "COPY, one transaction";
    let row = Row::new("postgres", "rows into PostgreSQL", Unit::As("rows/s"))
        .entry("batches of 500", printed("component, batches of 500"))
        .entry("batches of 50", printed("component, batches of 50"))
        .entry("batches of 5 000", printed("component, batches of 5000"))
        .entry(copy, printed(copy))
        .entry("COPY, 500 rows in each", printed("COPY, 500 rows in each"))
        .entry("prepared INSERT, a row each", printed("prepared INSERT, a row each"))
        .goal(Goal::ratio(copy, 0.7));
    group.rows.push(row);
    for figure in ["hang, median", "hang, 99.9 of 100", "hang, longest"] {
        let what =
            format!("`write` while PostgreSQL does not answer, {}", figure.trim_start_matches("hang, "));
        group
            .rows
            .push(Row::new(figure.replace(", ", "-"), what, Unit::As("us")).entry("audit", printed(figure)));
    }
    group
}

pub(crate) fn need_postgres(_: &Bench<'_>) -> Result<()> {
    crate::setup::postgres()
}
