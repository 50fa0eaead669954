//! `audit hook`, run as agents run it.

#[path = "../common/mod.rs"]
mod common;

mod agents;
mod harmless;
mod install;
mod opencode;
mod together;

use std::path::PathBuf;
use std::process::{Command, Output};

use common::{Workspace, run_with_input};
use serde_json::{Value, json};

/// A hook as an agent would run it, with a home of its own in the workspace.
fn hook(workspace: &Workspace, line: &str) -> Command {
    let mut command = workspace.audit(line.split(' '));
    command.env("HOME", home(workspace)).env("XDG_CACHE_HOME", cache());
    for name in [
        "XDG_STATE_HOME",
        "XDG_CONFIG_HOME",
        "CLAUDE_PROJECT_DIR",
        "CLAUDE_CONFIG_DIR",
        "CODEX_HOME",
        "COPILOT_HOME",
    ] {
        command.env_remove(name);
    }
    command
}

/// Where the compiled component is, so that it is not compiled for each home.
fn cache() -> PathBuf {
    let given = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    given.unwrap_or_else(|| std::env::home_dir().unwrap().join(".cache"))
}

fn home(workspace: &Workspace) -> PathBuf {
    workspace.path().join("home")
}

/// The lines of the log of hooks.
fn log(workspace: &Workspace) -> String {
    std::fs::read_to_string(home(workspace).join(".local/state/audit/hook.log")).unwrap_or_default()
}

/// A call that Claude Code tells of.
fn call(n: usize) -> Value {
    json!({
        "session_id": "s", "cwd": "/", "hook_event_name": "PostToolUse", "tool_name": "Bash",
        "tool_use_id": format!("toolu_{n}"), "tool_input": {"command": "ls"}, "tool_response": {"stdout": "x"},
        "duration_ms": 5,
    })
}

/// Runs a hook, which has to be harmless.
#[track_caller]
fn send(command: Command, input: impl Into<Vec<u8>>) -> Output {
    let output = run_with_input(command, input);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice(), output.stderr.as_slice()),
        (Some(0), &b"{}\n"[..], &b""[..]),
        "{output:?}"
    );
    output
}
