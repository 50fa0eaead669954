//! The plugin of OpenCode, run by Node.js as OpenCode would run it.

use std::fs;

use audit_testbed::wait_until;
use serde_json::Value;

use crate::common::{Workspace, run, text};
use crate::{home, hook};

const SCRIPT: &str = r#"
const { Audit } = await import(process.argv[2])
const hooks = await Audit({ directory: process.cwd() })
const before = (callID) => hooks["tool.execute.before"]({ tool: "bash", sessionID: "ses", callID }, { args: { command: "ls" } })
try {
  await before("good")
  await before("bad")
  await before("denied")
} catch (error) {
  console.log("refused: " + error.message)
}
await hooks["tool.execute.after"]({ tool: "bash", sessionID: "ses", callID: "good" }, { title: "", output: "a b", metadata: {} })
await hooks.event({ event: { type: "message.part.updated", properties: { part: { type: "tool", callID: "bad", state: { status: "error", error: "no" } } } } })
await hooks.event({ event: { type: "session.idle", properties: { sessionID: "ses" } } })
await hooks.event({ event: { type: "server.connected" } })
"#;

fn run_plugin(workspace: &Workspace, options: &str) -> std::process::Output {
    assert!(run(hook(workspace, &format!("hook --install opencode{options}"))).status.success());
    let script = workspace.file("script.mjs", SCRIPT);
    let plugin = home(workspace).join(".config/opencode/plugin/audit.js");
    // Node.js takes a file for a module by its name; OpenCode needs no name for that.
    let module = workspace.file("plugin.mjs", fs::read(plugin).unwrap());
    let mut node = workspace.command("node");
    node.arg(script).arg(module).env("HOME", home(workspace)).env("XDG_CACHE_HOME", crate::cache());
    run(node)
}

#[test]
fn every_call_is_recorded_with_its_outcome() {
    let workspace = Workspace::new();
    let output = run_plugin(&workspace, " --dir ops/audit");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    wait_until("all calls are recorded", || workspace.events_dir().exists() && workspace.events().len() == 3);
    let events = workspace.events();
    let status =
        |id: &str| events.iter().find(|event| event["req_id"] == id).map(|event| event["status"].clone());
    assert_eq!(
        ["good", "bad", "denied"].map(status),
        ["ok", "error", "unknown"].map(|name| Some(Value::from(name)))
    );
}

#[test]
fn no_call_happens_that_is_not_recorded_where_that_is_asked_for() {
    let workspace = Workspace::new();
    let file = workspace.file("file", "");
    let output = run_plugin(&workspace, &format!(" --fail-closed --dir {}", file.join("below").display()));
    assert!(text(&output.stdout).starts_with("refused: the call was not recorded"), "{output:?}");
    let workspace = Workspace::new();
    let output = run_plugin(&workspace, " --fail-closed --dir ops/audit");
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}
