//! The program `audit` in a folder of its own.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::ffi::OsStr;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use audit_testbed::{ANSWER, PATIENCE};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const AUDIT: &str = env!("CARGO_BIN_EXE_audit");

/// The variable that says how long the database may take.
pub const TIMEOUT: &str = "AUDIT_DATABASE_TIMEOUT_MS";

/// A folder to work in. The program keeps its events below it.
pub struct Workspace(TempDir);

impl Workspace {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the program keeps its events, unless it is told otherwise.
    pub fn events_dir(&self) -> PathBuf {
        self.path().join("ops/audit")
    }

    /// The daily file of [`line`].
    pub fn daily_file(&self) -> PathBuf {
        self.events_dir().join("tool_audit_2026-11-23.jsonl")
    }

    /// Writes a file into the folder, and returns its path.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// The names of the files in which the program keeps its events.
    pub fn file_names(&self) -> Vec<String> {
        let paths = audit_testbed::files(&self.events_dir(), "");
        paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    /// A command of any program in this folder. None of the settings of `audit` is made but the timeout, which is long
    /// enough for a busy machine.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let is_setting = |name: &str| {
            let others = ["REPO_ROOT", "DATABASE_URL", "POSTGRES_DSN"];
            ["AUDIT_", "PG"].iter().any(|start| name.starts_with(start)) || others.contains(&name)
        };
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_setting) {
                command.env_remove(name);
            }
        }
        command.current_dir(self.path()).env("AUDIT", AUDIT).env(TIMEOUT, ANSWER.as_millis().to_string());
        // The record of whoever runs the tests is none of theirs.
        command.env("XDG_STATE_HOME", self.path().join("state"));
        command.stdin(Stdio::null());
        command
    }

    /// A command of the program `audit`.
    pub fn audit<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(AUDIT);
        command.args(arguments);
        command
    }

    /// A shell script, in which `$AUDIT` is the program.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-c", script]);
        command
    }

    /// All recorded events, oldest first.
    pub fn events(&self) -> Vec<Value> {
        let output = run(self.audit(["read", "--format", "jsonl"]));
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The only recorded event.
    pub fn event(&self) -> Value {
        let events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.into_iter().next().unwrap()
    }

    /// The tools of all recorded events, oldest first.
    pub fn tools(&self) -> Vec<String> {
        self.events().iter().map(|event| event["tool"].as_str().unwrap().to_owned()).collect()
    }
}

/// Runs a command to its end, which has to come soon.
pub fn run(mut command: Command) -> Output {
    end_of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// Runs a command with this input.
pub fn run_with_input(mut command: Command, input: impl Into<Vec<u8>>) -> Output {
    let input = input.into();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The command need not read all of its input.
    let writing = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = end_of(child);
    writing.join().unwrap();
    output
}

/// Waits for the end of a process, and kills it if the end does not come.
pub fn end_of(child: Child) -> Output {
    let id = child.id().to_string();
    let (ended, wait) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        let late = wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
        if late {
            drop(Command::new("kill").args(["-KILL", &id]).status());
        }
        late
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    assert!(!guard.join().unwrap(), "the process did not end: {output:?}");
    output
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub fn last_line(output: &Output) -> &str {
    text(&output.stderr).lines().last().unwrap_or_default()
}

/// Checks the last line of stderr and the exit status. The line consists of numbers, each with a few words that say what
/// it counts, such as `3 accepted, 1 rejected`. Of these words, the given ones matter.
#[track_caller]
pub fn assert_summary(output: &Output, expected: &[(usize, &str)], code: i32) {
    let parts: Vec<&str> = last_line(output).split(", ").collect();
    let says = |(part, (number, words)): (&&str, &(usize, &str))| {
        part.starts_with(&format!("{number} ")) && part.contains(words)
    };
    let all = parts.len() == expected.len() && parts.iter().zip(expected).all(says);
    assert!(all, "{expected:?} is not in {output:?}");
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

/// Checks how many lines were accepted and how many were rejected.
#[track_caller]
pub fn assert_accepted(output: &Output, accepted: usize, rejected: usize) {
    let code = i32::from(rejected > 0);
    assert_summary(output, &[(accepted, "accepted"), (rejected, "rejected")], code);
}

/// Checks that all lines were accepted, and that nothing else was said.
#[track_caller]
pub fn assert_all_accepted(output: &Output, accepted: usize) {
    assert_accepted(output, accepted, 0);
    assert_eq!(text(&output.stderr).lines().count(), 1, "{output:?}");
}

/// The `n`-th line of JSON that another program sends, an event of this tool. All of them have the same time, so that
/// reads return them in the order in which they were stored.
pub fn line(n: usize, tool: &str) -> String {
    json!({"ts": "2026-11-23T06:30:00Z", "tool": tool, "agent_id": "planner", "in_size": n}).to_string()
        + "\n"
}

/// Lines of the tools `t0`, `t1` and so on.
pub fn lines(numbers: Range<usize>) -> String {
    numbers.map(|n| line(n, &format!("t{n}"))).collect()
}

/// The tools of [`lines`].
pub fn tools_of_lines(numbers: Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("t{n}")).collect()
}

/// This field of each line of JSON.
pub fn field(jsonl: &[u8], name: &str) -> Vec<String> {
    let field = |line| serde_json::from_str::<Value>(line).unwrap()[name].as_str().unwrap().to_owned();
    text(jsonl).lines().map(field).collect()
}

/// Follows the cursors of `audit read` from page to page. The command gets the option of each cursor. Returns this field
/// of all entries.
pub fn every_page(read: impl Fn() -> Command, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut command = read();
        command.args(cursor.iter().flat_map(|cursor| ["--cursor", cursor]));
        let output = run(command);
        found.extend(field(&output.stdout, name));
        let Some(next) = text(&output.stderr).strip_prefix("audit: next cursor: ") else { return found };
        cursor = Some(next.trim().to_owned());
    }
}
