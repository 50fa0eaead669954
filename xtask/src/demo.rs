//! A few calls recorded by the `audit` program, each in another way, then the record.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::peers;

use crate::{Workspace, setup};

struct Step {
    stdin: &'static str,
    audit: &'static [&'static str],
    /// What is recorded.
    command: &'static [&'static str],
    fails: bool,
}

/// A call as Claude Code tells its hooks of it.
const HOOK: &str = r#"{"hook_event_name":"PostToolUse","session_id":"5f0c","cwd":"/srv/shop","tool_name":"Bash","tool_use_id":"toolu_01","tool_input":{"command":"make test"},"tool_response":{"stdout":"ok"},"duration_ms":812}"#;

const STEPS: [Step; 4] = [
    Step {
        stdin: "",
        audit: &["exec", "--tool", "shell", "--agent", "demo"],
        command: &["ls", "-l"],
        fails: false,
    },
    Step {
        stdin: "",
        audit: &["exec", "--tool", "shell", "--agent", "demo"],
        command: &["ls", "no-such-file"],
        fails: true,
    },
    Step {
        stdin: "pear\\napple\\n",
        audit: &["exec", "--tool", "sort", "--agent", "demo"],
        command: &["sort"],
        fails: false,
    },
    Step { stdin: HOOK, audit: &["hook", "claude"], command: &[], fails: false },
];

const READ: Step = Step { stdin: "", audit: &["read", "--format", "table"], command: &[], fails: false };

/// An MCP server of npm, below the folder of its packages.
const SERVER: [&str; 3] =
    ["node", "node_modules/@modelcontextprotocol/server-everything/dist/index.js", "stdio"];

/// What a client says to it. The messages with an `id` are answered.
const MESSAGES: [&str; 4] = [
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"demo","version":"1"}}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}"#,
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"no-such-tool","arguments":{}}}"#,
];

/// Builds the program and records into an emptied `demo` in the target folder.
pub fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    let built = workspace
        .cargo()
        .env_remove("CARGO_BUILD_TARGET")
        .args(["build", "--package", "audit-cli", "--bin", "audit"])
        .status()
        .context("cannot run cargo")?;
    if !built.success() {
        bail!("the program `audit` was not built");
    }

    let record = workspace.target_dir.join("demo");
    match fs::remove_dir_all(&record) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", record.display()));
        }
        _ => {}
    }
    let program = workspace.target_dir.join("debug").join(format!("audit{}", env::consts::EXE_SUFFIX));
    for step in &STEPS {
        step.run(&workspace.root, &program, &record)?;
    }
    if peers::on_path("npm").is_some() {
        setup::npm(workspace)?;
        call_server(&workspace.root, &program, &record, &peers::npm(&workspace.target_dir))?;
    } else {
        println!("\nWith npm, this would also show an MCP server behind `audit mcp`.");
    }
    READ.run(&workspace.root, &program, &record)?;
    println!("\nThe record is in {}", record.display());
    Ok(())
}

/// Calls tools of an MCP server through `audit mcp`.
fn call_server(root: &Path, program: &Path, record: &Path, npm: &Path) -> Result<()> {
    let short = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let script = npm.join(SERVER[1]);
    println!("\n$ {} mcp --dir {} -- node {} {}", short(program), short(record), short(&script), SERVER[2]);
    let mut command = Command::new(program);
    command.args(["mcp", "--dir"]).arg(record).args(["--", SERVER[0]]).arg(script).arg(SERVER[2]);
    clear_settings(&mut command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run `audit mcp`")?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut answers = BufReader::new(stdout.context("`audit mcp` has no stdout")?).lines();
    let mut stdin = stdin.context("`audit mcp` has no stdin")?;
    for message in MESSAGES {
        writeln!(stdin, "{message}").context("cannot write to the server")?;
        let id = serde_json::from_str::<Value>(message)?["id"].clone();
        while !id.is_null() {
            let answer = answers.next().context("the server has ended")??;
            if serde_json::from_str::<Value>(&answer).is_ok_and(|answer| answer["id"] == id) {
                break;
            }
        }
    }
    drop(stdin);
    let status = child.wait().context("cannot wait for `audit mcp`")?;
    println!("(called the tools `echo` and `no-such-tool`; the server ended with {status})");
    Ok(())
}

/// Removes the variables that would lead the record elsewhere.
fn clear_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_setting) {
            command.env_remove(&name);
        }
    }
}

impl Step {
    fn run(&self, root: &Path, program: &Path, record: &Path) -> Result<()> {
        let record = record.strip_prefix(root).unwrap_or(record);
        self.echo(program.strip_prefix(root).unwrap_or(program), record);
        let mut command = Command::new(program);
        command.args(self.audit).arg("--dir").arg(record).current_dir(root);
        if !self.command.is_empty() {
            command.arg("--").args(self.command);
        }
        clear_settings(&mut command);
        let mut child = command.stdin(Stdio::piped()).spawn().context("cannot run `audit`")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(self.stdin.replace("\\n", "\n").as_bytes()).context("cannot write to `audit`")?;
        }
        let status = child.wait().context("cannot wait for `audit`")?;
        if status.success() == self.fails {
            bail!("`audit` ended with {status}");
        }
        if self.fails {
            println!("({status})");
        }
        Ok(())
    }

    fn echo(&self, program: &Path, record: &Path) {
        let pipe = if self.stdin.is_empty() { String::new() } else { format!("printf '{}' | ", self.stdin) };
        let dash = if self.command.is_empty() { "" } else { " -- " };
        println!(
            "\n$ {pipe}{} {} --dir {}{dash}{}",
            program.display(),
            self.audit.join(" "),
            record.display(),
            self.command.join(" ")
        );
    }
}

/// Whether a variable would lead the record elsewhere.
fn is_setting(name: &str) -> bool {
    name.starts_with("AUDIT_") || ["DATABASE_URL", "POSTGRES_DSN", "REPO_ROOT"].contains(&name)
}
