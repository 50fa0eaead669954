//! The program against loops in Python that do the same, in turn, as whole processes.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{Workspace, setup};

const EVENTS: u64 = 200_000;
const ROUNDS: usize = 5;

/// Parses each line, dumps it, and writes it to a line-buffered file.
const WRITE: &str = "\
import json, sys
out = open(sys.argv[2], 'w', buffering=1)
for line in open(sys.argv[1]):
    out.write(json.dumps(json.loads(line)) + '\\n')
";

/// Parses every line, and prints those that match.
const READ: &str = "\
import json, sys
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event['tool'] == 'search' and event['agent_id'] == 'planner':
        sys.stdout.write(line)
";

/// Runs `audit-host`'s example of this name for release, with a server of its own.
pub fn postgres(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    setup::postgres()?;
    let run = ["run", "--release", "--package", "audit-host", "--example", "bench_postgres"];
    let run = workspace.cargo().env_remove("CARGO_BUILD_TARGET").args(run).status();
    if !run.context("cannot run cargo")?.success() {
        bail!("the benchmark failed");
    }
    Ok(())
}

/// Builds the program for release and prints times and ratios.
pub fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    let build = ["build", "--release", "--package", "audit-cli", "--bin", "audit"];
    let built = workspace.cargo().env_remove("CARGO_BUILD_TARGET").args(build).status();
    if !built.context("cannot run cargo")?.success() {
        bail!("the program `audit` was not built");
    }
    let program = workspace.target_dir.join("release").join(format!("audit{}", env::consts::EXE_SUFFIX));
    let folder = workspace.target_dir.join("bench");
    let (input, record, output) =
        (folder.join("events.jsonl"), folder.join("record"), folder.join("python.jsonl"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(&input, events()).with_context(|| format!("cannot write {}", input.display()))?;

    compare("write", || {
        // A record that is not there yet, as for the other loop.
        let _ = fs::remove_dir_all(&record);
        let ours = time(Command::new(&program).arg("write").arg("--dir").arg(&record).arg(&input))?;
        Ok((ours, time(python(WRITE).arg(&input).arg(&output))?))
    })?;
    let day = record.join("tool_audit_2026-11-23.jsonl");
    compare("read", || {
        let filters = ["--tool", "search", "--agent", "planner"];
        let ours = time(Command::new(&program).arg("read").arg("--dir").arg(&record).args(filters))?;
        Ok((ours, time(python(READ).arg(&day))?))
    })
}

fn python(program: &str) -> Command {
    let mut python = Command::new("python3");
    python.args(["-c", program]);
    python
}

fn time(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {command:?}"))?;
    let taken = start.elapsed();
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(taken)
}

/// Prints the medians, after a round that does not count.
fn compare(what: &str, mut round: impl FnMut() -> Result<(Duration, Duration)>) -> Result<()> {
    round()?;
    let rounds = (0..ROUNDS).map(|_| round()).collect::<Result<Vec<_>>>()?;
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let ours = median(rounds.iter().map(|(ours, _)| ours.as_secs_f64()).collect());
    let python = median(rounds.iter().map(|(_, python)| python.as_secs_f64()).collect());
    let ratio =
        median(rounds.iter().map(|(ours, python)| ours.as_secs_f64() / python.as_secs_f64()).collect());
    println!(
        "{what:5} of {EVENTS} events: audit {ours:.3} s, Python {python:.3} s, ratio {ratio:.3} \
         (medians of {ROUNDS} rounds)"
    );
    Ok(())
}

/// Events of one day, as another program would send them.
fn events() -> String {
    const TOOLS: [&str; 8] = ["shell", "search", "fetch", "sql", "mail", "python", "fs.read", "fs.write"];
    const AGENTS: [&str; 5] = ["planner", "coder", "reviewer", "researcher", "ops"];
    let mut state = 1_u64;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut lines = String::new();
    for n in 0..EVENTS {
        let (second, micros) = (n * 2 / 5, n * 400_000 % 1_000_000);
        let ts = format!(
            "2026-11-23T{:02}:{:02}:{:02}.{micros:06}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        );
        let hash: String = (0..8).map(|_| format!("{:08x}", next(1 << 31))).collect();
        let _ = writeln!(
            lines,
            "{{\"ts\": \"{ts}\", \"req_id\": \"req-{n:08}\", \"workspace_id\": \"ws-{}\", \"user_id\": \"user-{}\", \
             \"agent_id\": \"{}\", \"tool\": \"{}\", \"action\": \"call\", \"status\": \"ok\", \"duration_ms\": {}, \
             \"in_size\": {}, \"out_size\": {}, \"input_hash\": \"{hash}\", \"graph_run_id\": null, \"graph_node\": \
             null, \"job_id\": null}}",
            next(50),
            next(500),
            AGENTS[next(AGENTS.len())],
            TOOLS[next(TOOLS.len())],
            next(5_000),
            next(10_000),
            next(100_000),
        );
    }
    lines
}
