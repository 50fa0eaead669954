//! How fast the program and the component are: one table, in which the program stands beside loops in Python that do the
//! same, and beside another build of it.

pub(crate) mod hosts;
pub(crate) mod mcp;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use xtask::components::{self, World};

use crate::{Workspace, setup};

const EVENTS: u64 = 200_000;

/// How often the events are written and read.
const ROUNDS: usize = 5;

/// How often the program is started.
const STARTS: usize = 50;

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

/// Appends its input to a file as a line.
const APPEND: &str = "\
import sys
open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')
";

/// Runs `audit-host`'s example `bench_postgres` for release, with a server of its own.
pub fn postgres(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    setup::postgres()?;
    release(workspace, &["run", "--package", "audit-host", "--example", "bench_postgres"])
}

/// Builds the program and its example `bench_otlp` for release, and runs the example.
pub fn otlp(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    release(workspace, &["build", "--package", "audit-cli", "--bin", "audit"])?;
    release(workspace, &["run", "--package", "audit-cli", "--example", "bench_otlp"])
}

/// Builds the program and the example `bench_store` for release, and prints the table. The arguments may name another
/// build of the program.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let other = match arguments {
        [] => None,
        [option, path] if option == "--against" => {
            Some(fs::canonicalize(path).with_context(|| format!("cannot find the program {path}"))?)
        }
        _ => bail!("`bench` takes `--against AUDIT` and nothing else: see `cargo xtask help`"),
    };
    setup::run(workspace)?;
    let targets =
        ["--package", "audit-cli", "--bin", "audit", "--package", "audit-host", "--example", "bench_store"];
    release(workspace, &[&["build"], &targets[..]].concat())?;
    let built = workspace.target_dir.join("release");
    let audit = built.join(format!("audit{}", env::consts::EXE_SUFFIX));
    let programs: Vec<&Path> =
        [Some(&audit), other.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect();

    println!("{:<50} {:>12} {:<9} ratio", "", "median", "");
    let folder = workspace.target_dir.join("bench");
    write_and_read(&folder, &programs)?;
    start(&folder.join("empty"), &programs)?;
    hook(&folder, &programs)?;
    for world in World::ALL {
        let size = fs::metadata(components::artifact(&workspace.root, &workspace.target_dir, world)?)?.len();
        row(&format!("the component of the world `{}`", world.name()), &size.to_string(), "bytes", None);
    }
    let store = built.join("examples").join(format!("bench_store{}", env::consts::EXE_SUFFIX));
    succeed(&mut Command::new(store))
}

/// Runs this command of cargo for release.
fn release(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let (command, options) = arguments.split_at(1);
    succeed(workspace.cargo().env_remove("CARGO_BUILD_TARGET").args(command).arg("--release").args(options))
}

/// Writes the events into a new record, and reads a part of them.
fn write_and_read(folder: &Path, programs: &[&Path]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let input = folder.join("events.jsonl");
    fs::write(&input, events()).with_context(|| format!("cannot write {}", input.display()))?;
    let records: Vec<PathBuf> = (0..programs.len()).map(|n| folder.join(format!("record-{n}"))).collect();

    let write = |(program, record): (&&Path, &PathBuf)| {
        let mut write = audit(program, "write", record);
        write.command.arg(&input);
        Timed { emptied: Some(record.clone()), ..write }
    };
    let mut writes: Vec<Timed> = programs.iter().zip(&records).map(write).collect();
    writes.push(python(WRITE, &[&input, &folder.join("python.jsonl")]));
    compare(&format!("audit write, {EVENTS} events"), ROUNDS, &mut writes)?;

    let read = |program: &&Path| {
        let mut read = audit(program, "read", &records[0]);
        read.command.args(["--tool", "search", "--agent", "planner"]);
        read
    };
    let mut reads: Vec<Timed> = programs.iter().map(read).collect();
    reads.push(python(READ, &[&records[0].join("tool_audit_2026-11-23.jsonl")]));
    compare(&format!("audit read, one in 40 of {EVENTS} events"), ROUNDS, &mut reads)
}

/// Starts the program where it has nothing to do. Its compiled component is in the cache after the first start.
fn start(empty: &Path, programs: &[&Path]) -> Result<()> {
    fs::create_dir_all(empty).with_context(|| format!("cannot create {}", empty.display()))?;
    let mut starts: Vec<Timed> = programs.iter().map(|program| audit(program, "read", empty)).collect();
    compare("audit read, an empty folder", STARTS, &mut starts)
}

/// Records one call of an agent, as its hook does, beside a hook in Python that appends a line, and beside a program that does
/// nothing.
fn hook(folder: &Path, programs: &[&Path]) -> Result<()> {
    let hook = |(n, program): (usize, &&Path)| {
        // Of one record, the second program would leave out what the first has recorded.
        let mut hook = audit(program, "hook", &folder.join(format!("hooks-{n}")));
        hook.command.arg("claude");
        hook
    };
    let mut hooks: Vec<Timed> = programs.iter().enumerate().map(hook).collect();
    hooks.push(python(APPEND, &[&folder.join("hooks.jsonl")]));
    hooks.push(Timed::new("true", Command::new("true")));
    for hook in &mut hooks {
        hook.input = Some(call);
    }
    compare("audit hook", STARTS, &mut hooks)
}

/// A call as Claude Code tells its hooks of it.
fn call(n: u64) -> String {
    let output = "x".repeat(2000);
    format!(
        r#"{{"session_id":"s","cwd":"/","hook_event_name":"PostToolUse","tool_name":"Bash","tool_use_id":"{}-{n}","tool_input":{{"command":"ls"}},"tool_response":{{"stdout":"{output}"}},"duration_ms":5}}"#,
        std::process::id()
    )
}

/// A command that is timed as a whole process.
struct Timed {
    name: String,
    command: Command,
    /// What it reads in its n-th run.
    input: Option<fn(u64) -> String>,
    runs: u64,
    /// The folder that is removed before each run.
    emptied: Option<PathBuf>,
}

impl Timed {
    fn new(name: impl Into<String>, command: Command) -> Self {
        Self { name: name.into(), command, input: None, runs: 0, emptied: None }
    }

    fn seconds(&mut self) -> Result<f64> {
        if let Some(folder) = &self.emptied {
            let _ = fs::remove_dir_all(folder);
        }
        let input = self.input.map(|input| input(self.runs));
        self.runs += 1;
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let mut child = self.command.spawn().with_context(|| format!("cannot run {:?}", self.command))?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A program that reads nothing may have ended.
            let _ = stdin.write_all(input.as_bytes());
        }
        let status = child.wait()?;
        let seconds = start.elapsed().as_secs_f64();
        if !status.success() {
            bail!("{:?} ended with {status}", self.command);
        }
        Ok(seconds)
    }
}

/// A command of `audit`, with its events as files in a folder.
fn audit(program: &Path, command: &str, folder: &Path) -> Timed {
    let mut audit = Command::new(program);
    audit.args([command, "--backend", "jsonl", "--dir"]).arg(folder);
    Timed::new(program.display().to_string(), audit)
}

fn python(program: &str, arguments: &[&Path]) -> Timed {
    let mut python = Command::new("python3");
    python.args(["-c", program]).args(arguments);
    Timed::new("the same in Python", python)
}

/// Runs a command, which has to succeed.
fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// Runs the commands in turn, after a round that does not count. Prints the median of each. For each but the first, the
/// ratio is the part of its time that the first one takes, as the median of all rounds.
fn compare(what: &str, rounds: usize, timed: &mut [Timed]) -> Result<()> {
    let mut round = || timed.iter_mut().map(Timed::seconds).collect::<Result<Vec<f64>>>();
    round()?;
    let rounds = (0..rounds).map(|_| round()).collect::<Result<Vec<_>>>()?;
    let seconds = |n: usize| median(rounds.iter().map(|round| round[n]).collect());
    let (factor, unit) = if seconds(0) < 0.1 { (1000.0, "ms") } else { (1.0, "s") };
    for (n, Timed { name, .. }) in timed.iter().enumerate() {
        let figure = factor * seconds(n);
        let ratio = (n > 0).then(|| median(rounds.iter().map(|round| round[0] / round[n]).collect()));
        let name = if n == 0 { what } else { &format!("  {name}") };
        row(name, &format!("{figure:.3}"), unit, ratio);
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints a row of the table. The example `bench_store` prints its rows in the same way.
fn row(what: &str, figure: &str, unit: &str, ratio: Option<f64>) {
    let ratio = ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
    println!("{}", format!("{what:<50} {figure:>12} {unit:<9} {ratio}").trim_end());
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
