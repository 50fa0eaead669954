//! The program on daily files: writing, reading, and starting, each beside its peers.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::input::{self, COMMON_AGENT, DAILY_FILE, MINUTE, RARE_TOOL};
use super::measure::Run;
use super::rows::{Goal, Group, Row, Source, Unit};
use super::{Bench, peers};

const NOT_INSTALLED: Source = Source::Missing("not installed");

/// How many events the large record has.
const LARGE: u64 = 10_000_000;

/// How many times more often than others short runs are repeated.
const SHORT: usize = 5;

/// The most milliseconds of a start.
const START_MS: f64 = 12.0;

/// A command of `audit`, with its events as files in a folder.
fn audit(program: &Path, command: &str, folder: &Path) -> Command {
    let mut audit = Command::new(program);
    audit.args([command, "--backend", "jsonl", "--dir"]).arg(folder);
    audit
}

fn script(name: &str) -> Command {
    let mut python = Command::new("python3");
    python.arg(peers::folder().join(name));
    python
}

impl Group {
    /// Adds a run of each build of the program, and its entry in the row.
    fn audit(&mut self, bench: &Bench<'_>, row: Row, run: impl Fn(usize, &Path) -> Run) -> Row {
        let programs = bench.programs.iter().enumerate();
        programs.fold(row, |row, (n, (name, program))| {
            let key = format!("{}: {name}", row.id);
            self.runs.push(run(n, program).named(&key));
            row.entry(name, Source::Time(key))
        })
    }

    /// Adds a peer's run, and its entry in the row.
    fn peer(&mut self, row: Row, name: &str, run: Option<Run>) -> Row {
        let key = format!("{}: {name}", row.id);
        let source = match run {
            Some(run) => {
                self.runs.push(run.named(&key));
                Source::Time(key)
            }
            None => NOT_INSTALLED,
        };
        row.entry(name, source)
    }

    /// Adds a query of DuckDB over the daily file of the record, on one thread and on two.
    fn duckdb(&mut self, bench: &Bench<'_>, mut row: Row, form: &str, rows: u64, tool: Option<&str>) -> Row {
        for threads in ["1", "2"] {
            let name = duckdb_name(threads);
            let Some(python) = &bench.peers.duckdb else {
                row = row.entry(name, NOT_INSTALLED);
                continue;
            };
            let mut command = Command::new(python);
            command
                .arg(peers::folder().join("duck.py"))
                .arg(record(bench).join(DAILY_FILE))
                .args([threads, form]);
            command.arg(bench.folder.join("duckdb.out")).arg(rows.to_string()).args(tool);
            let key = format!("{}: {name}", row.id);
            self.runs.push(Run::printing(command).named(&key));
            row = row.entry(name, Source::Printed(key, "query"));
        }
        row
    }
}

fn duckdb_name(threads: &str) -> &'static str {
    if threads == "1" { "DuckDB read_json, one thread" } else { "DuckDB read_json, two threads" }
}

/// The events as another program sends them.
fn input_file(bench: &Bench<'_>) -> PathBuf {
    bench.folder.join("events.jsonl")
}

/// The record that is read.
fn record(bench: &Bench<'_>) -> PathBuf {
    bench.folder.join("record")
}

fn large_record(bench: &Bench<'_>) -> PathBuf {
    bench.folder.join("large")
}

pub(crate) fn make_input(bench: &Bench<'_>) -> Result<()> {
    let path = input_file(bench);
    let mut file =
        BufWriter::new(File::create(&path).with_context(|| format!("cannot write {}", path.display()))?);
    input::write(bench.events, &mut file)?;
    file.flush().with_context(|| format!("cannot write {}", path.display()))
}

/// Has the program write the record that is read.
pub(crate) fn make_record(bench: &Bench<'_>) -> Result<()> {
    if !bench.recorded.replace(true) {
        write_record(bench, &record(bench), bench.events)?;
    }
    Ok(())
}

pub(crate) fn make_large(bench: &Bench<'_>) -> Result<()> {
    write_record(bench, &large_record(bench), LARGE)
}

pub(crate) fn remove_large(bench: &Bench<'_>) -> Result<()> {
    Ok(fs::remove_dir_all(large_record(bench))?)
}

fn write_record(bench: &Bench<'_>, folder: &Path, events: u64) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    let (_, program) = &bench.programs[0];
    let mut child = audit(program, "write", folder).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut stdin = BufWriter::new(child.stdin.take().context("it has no input")?);
    input::write(events, &mut stdin)?;
    drop(stdin);
    let status = child.wait()?;
    if !status.success() {
        bail!("`audit write` ended with {status}");
    }
    Ok(())
}

/// Writing the events of a file into a new record.
pub(crate) fn write(bench: &Bench<'_>) -> Group {
    let mut group = Group::new(bench.rounds);
    let input = input_file(bench);
    let into = |mut command: Command, name: &str| {
        let folder = bench.folder.join(name);
        command.arg(&input).arg(&folder);
        Run::new(command).emptying(folder)
    };
    let row = Row::new(
        "write",
        format!("`audit write`, {} lines", bench.shown_events()),
        Unit::EventsIn(bench.events),
    )
    .goal(Goal::ratio("native loop", 0.7));
    let row = group.audit(bench, row, |n, program| {
        let folder = bench.folder.join(format!("written-{n}"));
        let mut command = audit(program, "write", &folder);
        command.arg(&input);
        Run::new(command).emptying(folder)
    });
    let native = into(Command::new(bench.example("native_loop")), "native");
    let row = group.peer(row, "native loop", Some(native));
    let row = group.peer(row, "loop in Python", Some(into(script("write.py"), "python")));
    group.rows.push(row);
    group
}

/// Looking for the few events of a tool among all.
pub(crate) fn search(bench: &Bench<'_>) -> Group {
    let mut group = Group::new(bench.rounds);
    let file = record(bench).join(DAILY_FILE);
    let (found, out) = (input::rare(bench.events), bench.folder.join("found.jsonl"));
    let what = format!("`audit read --tool`, {found} of {} events", bench.shown_events());
    let row = Row::new("search", what, Unit::EventsIn(bench.events))
        .goal(Goal::ratio(duckdb_name("1"), 5.0))
        .goal(Goal::ratio("grep", 0.7));
    let run = |command| Run::new(command).printing_lines(found).into_file(&out);
    let row = group.audit(bench, row, |_, program| {
        let mut command = audit(program, "read", &record(bench));
        command.args(["--tool", RARE_TOOL]);
        run(command)
    });
    let row = group.duckdb(bench, row, "json", found, Some(RARE_TOOL));
    let with = |program: &Option<PathBuf>, arguments: &[&str]| {
        let mut command = Command::new(program.as_ref()?);
        command.args(arguments).arg(&file).env("LC_ALL", "C");
        Some(run(command))
    };
    let row = group.peer(row, "grep", with(&bench.peers.grep, &["-F", &format!("\"tool\":\"{RARE_TOOL}\"")]));
    let row =
        group.peer(row, "jq", with(&bench.peers.jq, &["-c", &format!("select(.tool == \"{RARE_TOOL}\")")]));
    let mut python = script("read.py");
    python.arg(&file).arg(RARE_TOOL);
    let row = group.peer(row, "loop in Python", Some(run(python)));
    group.rows.push(row);
    group
}

/// Reads that need a small part of the record.
pub(crate) fn page(bench: &Bench<'_>) -> Group {
    pages(bench, &record(bench), bench.events, "")
}

/// The same of the large record.
pub(crate) fn large_page(bench: &Bench<'_>) -> Group {
    pages(bench, &large_record(bench), LARGE, "-large")
}

fn pages(bench: &Bench<'_>, record: &Path, events: u64, suffix: &str) -> Group {
    let mut group = Group::new(bench.rounds * SHORT);
    let empty = bench.folder.join("empty");
    for (name, program) in &bench.programs {
        group.runs.push(Run::new(audit(program, "read", &empty)).named(&format!("start{suffix}: {name}")));
    }
    let in_minute = input::in_minute(events);
    let queries: [(&str, &str, &[&str], u64); 3] = [
        ("newest", "`--newest --limit 100`", &["--newest", "--limit", "100"], 100),
        ("minute", "one minute of eleven hours", &["--from", MINUTE[0], "--to", MINUTE[1]], in_minute),
        (
            "agent",
            "`--limit 100` of an agent with a fifth of all",
            &["--agent", COMMON_AGENT, "--limit", "100"],
            100,
        ),
    ];
    for (id, what, options, found) in queries {
        let what = format!(
            "`audit read`, {what}, of {} events: beyond its start",
            super::show::number(events as f64)
        );
        let mut row =
            Row::new(format!("{id}{suffix}"), what, Unit::Millis).goal(Goal::AtMost { value: 20.0 });
        for (name, program) in &bench.programs {
            let mut command = audit(program, "read", record);
            command.args(options);
            let key = format!("{}: {name}", row.id);
            group.runs.push(
                Run::new(command)
                    .named(&key)
                    .printing_lines(found)
                    .into_file(bench.folder.join("page.jsonl")),
            );
            row = row.entry(name, Source::Beyond(key, format!("start{suffix}: {name}")));
        }
        group.rows.push(row);
    }
    group
}

/// Reading everything, in each form.
pub(crate) fn everything(bench: &Bench<'_>) -> Group {
    let mut group = Group::new(bench.rounds);
    let file = record(bench).join(DAILY_FILE);
    let memory = Goal::Memory { mib: 64.0 };
    for (form, least) in [("jsonl", 1_200_000.0), ("csv", 400_000.0), ("table", 400_000.0)] {
        let what = format!("`audit read --format {form}`, all {} events", bench.shown_events());
        let mut row = Row::new(format!("everything-{form}"), what, Unit::EventsIn(bench.events))
            .goal(Goal::AtLeast { value: least })
            .goal(memory.clone());
        row = group.audit(bench, row, |_, program| {
            let mut command = audit(program, "read", &record(bench));
            command.args(["--format", form]);
            let run = Run::new(command);
            match form {
                "jsonl" => run.printing_lines(bench.events),
                "csv" => run.printing_lines(bench.events + 1),
                _ => run,
            }
        });
        row = match (form, &bench.peers.cat) {
            ("jsonl", Some(cat)) => {
                let mut command = Command::new(cat);
                command.arg(&file);
                group.peer(row, "cat", Some(Run::new(command).printing_lines(bench.events)))
            }
            ("jsonl", None) => group.peer(row, "cat", None),
            _ => group.duckdb(bench, row, "csv", bench.events, None),
        };
        group.rows.push(row);
    }
    group
}

/// Starting the program where it has little to do. Its compiled component is in the cache after the first start.
pub(crate) fn start(bench: &Bench<'_>) -> Group {
    let mut group = Group::new(bench.rounds * SHORT);
    let nothing = || Some(Run::new(Command::new("true")));
    let goal = || Goal::AtMost { value: START_MS };

    let row = Row::new("start-read", "`audit read`, an empty folder", Unit::Millis).goal(goal());
    let row =
        group.audit(bench, row, |_, program| Run::new(audit(program, "read", &bench.folder.join("empty"))));
    let row = group.peer(row, "true", nothing());
    group.rows.push(row);

    let row = Row::new("start-exec", "`audit exec -- true`", Unit::Millis).goal(goal());
    let row = group.audit(bench, row, |n, program| {
        let folder = bench.folder.join(format!("exec-{n}"));
        let mut command = audit(program, "exec", &folder);
        command.args(["--", "true"]);
        Run::new(command)
    });
    let row = group.peer(row, "true", nothing());
    group.rows.push(row);

    let row = Row::new("hook", "`audit hook`, one call of an agent", Unit::Millis);
    let row = group.audit(bench, row, |n, program| {
        // Of one record, the second program would leave out what the first has recorded.
        let mut command = audit(program, "hook", &bench.folder.join(format!("hooks-{n}")));
        command.arg("claude");
        Run::new(command).reading(call)
    });
    let mut python = script("append.py");
    python.arg(bench.folder.join("hooks.jsonl"));
    let row = group.peer(row, "hook in Python that appends a line", Some(Run::new(python).reading(call)));
    let row = group.peer(row, "true", nothing());
    group.rows.push(row);
    group
}

/// A call as Claude Code tells its hooks of it.
fn call(n: u64) -> String {
    let output = "x".repeat(2000);
    format!(
        r#"{{"session_id":"s","cwd":"/","hook_event_name":"PostToolUse","tool_name":"Bash","tool_use_id":"{}-{n}","tool_input":{{"command":"ls"}},"tool_response":{{"stdout":"{output}"}},"duration_ms":5}}"#,
        std::process::id()
    )
}
