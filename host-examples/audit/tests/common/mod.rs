//! The program in a folder of its own.
#![allow(dead_code, reason = "each test program uses some of it")]

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub const AUDIT: &str = env!("CARGO_BIN_EXE_audit");

/// The variable that says how long the database may take.
pub const TIMEOUT: &str = "AUDIT_DATABASE_TIMEOUT_MS";

/// A folder to work in. The program keeps its events below it.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn events_dir(&self) -> PathBuf {
        self.path().join("ops/audit")
    }

    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Any program, in this folder and without settings, but with patience for the database of a busy machine.
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
        command.current_dir(self.path()).env("AUDIT", AUDIT).env(TIMEOUT, "20000").stdin(Stdio::null());
        command
    }

    pub fn audit<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(AUDIT);
        command.args(arguments);
        command
    }

    /// A script that knows the program as `$AUDIT`.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-c", script]);
        command
    }

    /// What is recorded, oldest first.
    pub fn events(&self) -> Vec<Value> {
        let output = run(self.audit(["read", "--format", "jsonl"]));
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What is recorded, of a single event.
    pub fn event(&self) -> Value {
        let events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.into_iter().next().unwrap()
    }
}

/// Runs to the end, which has to come soon.
pub fn run(mut command: Command) -> Output {
    end_of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

pub fn run_with_input(mut command: Command, input: impl Into<Vec<u8>>) -> Output {
    let input = input.into();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It need not read all.
    let writing = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = end_of(child);
    writing.join().unwrap();
    output
}

/// Waits for the end, and brings it about if it does not come.
pub fn end_of(child: Child) -> Output {
    let id = child.id().to_string();
    let (ended, wait) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        let late = wait.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout);
        if late {
            drop(Command::new("kill").args(["-KILL", &id]).status());
        }
        late
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    assert!(!guard.join().unwrap(), "it did not end: {output:?}");
    output
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Waits until it is so.
pub fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !what() {
        assert!(Instant::now() < end, "it did not come");
        thread::sleep(Duration::from_millis(5));
    }
}
