//! `audit mcp --wrap` and `--unwrap` change the configuration of a client, and what they make of it runs.

use std::fs;

use serde_json::{Value, json};

use crate::client::{Client, toy};
use crate::common::{AUDIT, Workspace, run, text};
use crate::short;

#[test]
fn a_wrapped_configuration_records_and_comes_back_to_what_it_was() {
    let workspace = Workspace::new();
    let state = workspace.path().join("state");
    let before = format!(
        "{{\n\t\"mcpServers\" : {{\n\t\t\"toy\": {{\"command\": \"python3\", \"args\": [{:?}], \"env\": {{\"K\": \"v\"}}}},\n\t\t\"none\": {{\"command\": \"true\", \"args\": []}},\n\t\t\"web\": {{\"type\": \"http\", \"url\": \"https://mcp.example.org/mcp\"}}\n\t}}\n}}",
        toy()
    );
    let file = workspace.file(".mcp.json", &before);
    let audit = |options: &[&str]| {
        let mut command = workspace.audit(["mcp"]);
        command.args(options).env("XDG_STATE_HOME", &state);
        let output = run(command);
        assert!(output.status.success(), "{output:?}");
        (text(&output.stdout).to_owned(), text(&output.stderr).to_owned())
    };
    let (shown, said) = audit(&["--wrap", ".mcp.json", "--starts", "--dry-run"]);
    assert!(shown.contains("+++ .mcp.json") && shown.contains("Nothing was changed"), "{shown}");
    assert!(said.contains("audit mcp --http 8080 --to https://mcp.example.org/mcp"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);

    audit(&["--starts", "--wrap", ".mcp.json"]);
    let wrapped = fs::read_to_string(&file).unwrap();
    let servers: Value = serde_json::from_str::<Value>(&wrapped).unwrap()["mcpServers"].clone();
    let expected = json!(["mcp", "--starts", "--scope", "user", "--", "python3", toy()]);
    assert_eq!((&servers["toy"]["args"], &servers["toy"]["command"]), (&expected, &json!(AUDIT)));
    assert_eq!(servers["toy"]["env"], json!({"K": "v"}));
    assert_eq!(fs::read_to_string(workspace.path().join(".mcp.json.before-audit")).unwrap(), before);
    let (shown, _) = audit(&["--starts", "--wrap", ".mcp.json"]);
    assert!(shown.contains("Nothing is to be changed"), "{shown}");
    assert_eq!(fs::read_to_string(&file).unwrap(), wrapped);

    // As a client would run it.
    let mut command = workspace.command(servers["toy"]["command"].as_str().unwrap());
    command.args(servers["toy"]["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()));
    command.env("XDG_STATE_HOME", &state);
    let mut client = Client::start(command);
    client.call(1, "echo", json!({}));
    client.message();
    client.close();
    let mut read = workspace.audit(["read", "--scope", "user", "--format", "jsonl"]);
    read.env("XDG_STATE_HOME", &state);
    let output = run(read);
    let events: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(short(&events), ["echo started", "echo ok"]);
    assert!(!workspace.events_dir().exists());

    audit(&["--unwrap", ".mcp.json"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    assert!(!workspace.path().join(".mcp.json.before-audit").exists());
}

#[test]
fn what_was_changed_since_stays_when_a_configuration_is_unwrapped() {
    let workspace = Workspace::new();
    let file = workspace.file("mcp.json", r#"{"servers": {"a": {"command": "true", "args": ["x"]}}}"#);
    assert!(run(workspace.audit(["--dir", "records", "mcp", "--wrap", "mcp.json"])).status.success());
    let mut wrapped: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let folder = workspace.path().canonicalize().unwrap().join("records");
    let args = wrapped["servers"]["a"]["args"].clone();
    assert_eq!(args, json!(["--dir", folder, "mcp", "--", "true", "x"]));
    wrapped["servers"]["b"] = json!({"command": "new"});
    fs::write(&file, wrapped.to_string()).unwrap();
    assert!(run(workspace.audit(["mcp", "--unwrap", "mcp.json"])).status.success());
    let after: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let expected = json!({"servers": {"a": {"command": "true", "args": ["x"]}, "b": {"command": "new"}}});
    assert_eq!(after, expected);
}

#[test]
fn a_configuration_that_cannot_be_changed_is_left_as_it_is() {
    let workspace = Workspace::new();
    for (name, contents, why) in [
        ("comments.json", "{ // mine\n \"mcpServers\": {} }", "comments"),
        ("other.json", "{\"a\": 1}", "no MCP servers"),
        (
            "twice.json",
            r#"{"mcpServers": {"a": {"command": "s"}}, "mcpServers": {}}"#,
            "\"mcpServers\" is twice",
        ),
        ("within.json", r#"{"mcpServers": {"a": {"command": "s", "command": "t"}}}"#, "\"command\" is twice"),
        ("list.json", r#"{"mcpServers": {"x": {"command": "s", "args": "a b"}}}"#, "the server x: `args`"),
    ] {
        let file = workspace.file(name, contents);
        let output = run(workspace.audit(["mcp", "--wrap", name]));
        assert_eq!(output.status.code(), Some(2), "{name}");
        let said = text(&output.stderr);
        assert!(said.contains(&format!("{name} was not changed")) && said.contains(why), "{said}");
        assert_eq!(fs::read_to_string(file).unwrap(), contents);
    }
    for (options, named) in [
        (&["--wrap", "none.json"][..], "none.json"),
        (&["--database-url", "postgres://h/d", "--wrap", "other.json"], "--database-url"),
        (&["--wrap", "a", "--unwrap", "b"], "--unwrap"),
        (&["--dry-run", "--", "true"], "--dry-run"),
    ] {
        let mut command = workspace.audit(["mcp"]);
        command.args(options);
        let output = run(command);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(named), "{output:?}");
    }
}

#[test]
fn a_wrapped_server_starts_whatever_the_values_of_options_look_like_and_whatever_this_program_is_called() {
    let workspace = Workspace::new();
    let renamed = workspace.path().join("recorder");
    fs::copy(AUDIT, &renamed).unwrap();
    let before = format!(r#"{{"mcpServers": {{"toy": {{"command": "python3", "args": [{:?}]}}}}}}"#, toy());
    let file = workspace.file("mcp.json", &before);
    let records = workspace.path().join("records");
    let wrap = |options: &[&str]| {
        let mut command = workspace.command(&renamed);
        command.arg("--dir").arg(&records).arg("mcp").args(options);
        assert!(run(command).status.success());
        fs::read_to_string(&file).unwrap()
    };
    let wrapped = wrap(&["--agent=--foo", "--wrap", "mcp.json"]);
    assert_eq!(wrap(&["--agent=--foo", "--wrap", "mcp.json"]), wrapped);
    let servers: Value = serde_json::from_str::<Value>(&wrapped).unwrap()["mcpServers"].clone();
    let mut command = workspace.command(servers["toy"]["command"].as_str().unwrap());
    command.args(servers["toy"]["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()));
    let mut client = Client::start(command);
    client.call(1, "echo", json!({}));
    client.message();
    client.close();
    let mut read = workspace.audit(["read", "--format", "jsonl", "--dir"]);
    read.arg(&records);
    let event: Value = serde_json::from_slice(&run(read).stdout).unwrap();
    assert_eq!((&event["agent_id"], &event["status"]), (&json!("--foo"), &json!("ok")));
    assert_eq!(wrap(&["--unwrap", "mcp.json"]), before);
}
