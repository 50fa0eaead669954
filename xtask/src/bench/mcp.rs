//! How much later the answer to a call comes if `audit mcp` stands between a client and its server.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::release;
use super::results::median;
use super::show::{Table, number};
use crate::{Workspace, setup};

/// How often each way is measured, in turn with the others, and the calls in each round.
const ROUNDS: usize = 40;
const CALLS: usize = 250;

/// Answers each line at once.
const SERVER: &str = "\
import sys
out = sys.stdout.buffer
for line in sys.stdin.buffer:
    id = line[line.rindex(b':') + 1:].rstrip(b'}\\n')
    out.write(b'{\"jsonrpc\":\"2.0\",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"ok\"}]},\"id\":' + id + b'}\\n')
    out.flush()
";

/// Builds the program for release, and prints the table.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    release(workspace, &["build", "--package", "audit-cli", "--bin", "audit"])?;
    let audit = workspace.target_dir.join("release/audit");
    let folder = workspace.target_dir.join("bench/mcp");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut table = Table::new(&["", "median", "unit"]);
    for size in [100, 10_000] {
        compare(&audit, &folder, size, &mut table)?;
    }
    print!("{}", table.aligned());
    Ok(())
}

/// Calls with arguments of this size, directly and through the proxy in turn.
fn compare(audit: &Path, folder: &Path, size: usize, table: &mut Table) -> Result<()> {
    let ways: [(&str, &[&str]); 3] =
        [("no proxy", &[]), ("audit mcp", &["mcp"]), ("audit mcp --fail-closed", &["mcp", "--fail-closed"])];
    let mut servers =
        ways.iter().map(|(_, options)| Server::start(audit, folder, options)).collect::<Result<Vec<_>>>()?;
    let mut times = vec![Vec::new(); ways.len()];
    // The first round does not count: the store opens meanwhile.
    for round in 0..=ROUNDS {
        for (server, times) in servers.iter_mut().zip(&mut times) {
            let round_times = (0..CALLS).map(|n| server.call(n, size)).collect::<Result<Vec<f64>>>()?;
            if round > 0 {
                times.extend(round_times);
            }
        }
    }
    let direct = median(&times[0]);
    let mut row =
        |what: &str, seconds: f64| table.0.push(vec![what.into(), number(1e6 * seconds), "us".into()]);
    for ((name, _), times) in ways.iter().zip(&times) {
        let figure = median(times);
        row(&format!("a call with {size} bytes, {name}"), figure);
        row("  99 of 100 take at most", part(times.clone(), 0.99));
        if *name != "no proxy" {
            row("  added", figure - direct);
        }
    }
    servers.into_iter().try_for_each(Server::end)
}

/// The time that this part of all stays below.
fn part(mut times: Vec<f64>, part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = (times.len() as f64 * part) as usize;
    times[at.min(times.len() - 1)]
}

struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start(audit: &Path, folder: &Path, options: &[&str]) -> Result<Self> {
        let mut command = if options.is_empty() {
            Command::new("python3")
        } else {
            let mut command = Command::new(audit);
            command.args(["--backend", "jsonl", "--dir"]).arg(folder).args(options).args(["--", "python3"]);
            command
        };
        command.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let input = child.stdin.take().context("the server has no input")?;
        let output = BufReader::new(child.stdout.take().context("the server has no output")?);
        Ok(Self { child, input, output })
    }

    /// The seconds until the answer to a call is there.
    fn call(&mut self, n: usize, size: usize) -> Result<f64> {
        let text = "x".repeat(size);
        let message = format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\"arguments\":{{\"text\":\"{text}\"}}}},\"id\":{n}}}\n"
        );
        let mut answer = String::new();
        let start = Instant::now();
        self.input.write_all(message.as_bytes())?;
        self.output.read_line(&mut answer)?;
        let seconds = start.elapsed().as_secs_f64();
        if !answer.ends_with(&format!("\"id\":{n}}}\n")) {
            bail!("the answer to {n} is {answer:?}");
        }
        Ok(seconds)
    }

    fn end(mut self) -> Result<()> {
        drop(self.input);
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }
}
