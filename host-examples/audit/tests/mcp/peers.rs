//! The servers and clients of others, which get the same from each other with and without the proxy.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use audit_testbed::{free_port, wait_until};
use serde_json::{Value, json};
use xtask::peers;

use crate::client::Client;
use crate::common::{AUDIT, Workspace, end_of, run, text};
use crate::short;
use crate::web::Proxy;

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

fn npm() -> PathBuf {
    let folder = peers::npm(target());
    assert!(folder.join("node_modules").is_dir(), "`cargo xtask test` installs the peers");
    folder
}

fn python() -> PathBuf {
    let python = peers::python(target());
    assert!(python.is_file(), "`cargo xtask test` installs the peers");
    python
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp").join(name)
}

/// The command of a server.
fn server(npm_name: &str) -> Vec<String> {
    let script = npm().join("node_modules/.bin").join(npm_name);
    vec!["node".into(), script.display().to_string()]
}

fn python_server() -> Vec<String> {
    [python(), file("server_sdk.py")].map(|path| path.display().to_string()).into()
}

/// The same behind the proxy.
fn behind(server: &[String]) -> Vec<String> {
    let own = [AUDIT, "mcp", "--"].map(str::to_owned);
    [&own, server].concat()
}

/// What a client got.
fn typescript(workspace: &Workspace, to: &[String]) -> Value {
    got(workspace.command("node").arg(file("client.mjs")).arg(npm()).args(to))
}

fn python_client(workspace: &Workspace, mode: &str, to: &[String]) -> Value {
    got(workspace.command(python()).arg(file("client.py")).arg(mode).args(to))
}

fn got(command: &mut Command) -> Value {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = end_of(child);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_str(text(&output.stdout)).unwrap()
}

/// A server over HTTP, at a port.
struct Service(Child, u16);

impl Service {
    fn start(command: &[String], with_port: impl FnOnce(&mut Command, u16)) -> Self {
        let port = free_port();
        let mut process = Command::new(&command[0]);
        process.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        with_port(&mut process, port);
        let child = process.spawn().unwrap();
        wait_until("the server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self(child, port)
    }

    fn everything() -> Self {
        let command = [server("mcp-server-everything"), vec!["streamableHttp".into()]].concat();
        Self::start(&command, |process, port| {
            process.env("PORT", port.to_string());
        })
    }

    fn python() -> Self {
        Self::start(&python_server(), |process, port| {
            process.arg(port.to_string());
        })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.1)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The calls of `client.mjs`, in the order in which they begin.
fn assert_typescript(workspace: &Workspace, mode: &str) {
    let events = workspace.events();
    let expected = [
        "echo ok",
        "no-such-tool error tool_error",
        "trigger-long-running-operation ok",
        "trigger-elicitation-request ok",
        "trigger-long-running-operation cancelled",
        "trigger-long-running-operation timeout",
        "simulate-research-query ok",
    ];
    assert_eq!(short(&events), expected);
    for event in &events {
        assert_eq!(event["agent_id"], "typescript/1.2");
        let attributes = &event["attributes"];
        assert_eq!((&attributes["mode"], &attributes["source"]), (&json!(mode), &json!("mcp")));
        assert!(attributes["server"].as_str().unwrap().starts_with("mcp-servers/everything/"), "{event}");
    }
    // The outcome of the task, not its beginning.
    assert!(events[6]["duration_ms"].as_u64().unwrap() >= 1000, "{}", events[6]);
    assert!(events[6]["out_size"].as_u64().unwrap() > 200, "{}", events[6]);
}

/// The calls of `client.py`.
fn assert_python(workspace: &Workspace, mode: &str) {
    let events = workspace.events();
    let ask = if mode == "legacy" { &[][..] } else { &["ask ok"] };
    let before = ["add ok", "broken error tool_error"];
    let expected = [&before, ask, &["slow cancelled", "add ok"]].concat();
    assert_eq!(short(&events), expected, "{mode}");
    assert!(events.iter().all(|event| event["agent_id"] == "python/3.4"), "{events:?}");
    assert!(events.iter().all(|event| event["attributes"]["server"] == "snake/2.3"), "{events:?}");
}

#[test]
fn a_typescript_client_and_server_over_stdio() {
    let workspace = Workspace::new();
    let server = server("mcp-server-everything");
    let direct = typescript(&workspace, &server);
    assert_eq!(typescript(&workspace, &behind(&server)), direct);
    assert_eq!(
        (&direct["progress"], &direct["asked"], &direct["elicited"]),
        (&json!(true), &json!(1), &json!(true))
    );
    assert_typescript(&workspace, "stdio");
}

#[test]
fn a_typescript_client_and_server_over_http_with_a_session() {
    let workspace = Workspace::new();
    let service = Service::everything();
    let direct = typescript(&workspace, &[service.url()]);
    let proxy = Proxy::start(&workspace, &service.url(), &[]);
    assert_eq!(typescript(&workspace, &[proxy.url()]), direct);
    assert_eq!(proxy.stop(), "");
    assert_typescript(&workspace, "http");
    let events = workspace.events();
    // A session of the server, not of the proxy.
    assert_eq!(events[0]["graph_run_id"], events[6]["graph_run_id"]);
}

#[test]
fn a_python_client_and_server_of_both_eras_over_stdio() {
    for mode in ["legacy", "2026-07-28", "auto"] {
        let workspace = Workspace::new();
        let direct = python_client(&workspace, mode, &python_server());
        assert_eq!(python_client(&workspace, mode, &behind(&python_server())), direct, "{mode}");
        assert_python(&workspace, mode);
    }
}

#[test]
fn a_python_client_and_server_of_both_eras_over_http() {
    let service = Service::python();
    for mode in ["legacy", "2026-07-28"] {
        let workspace = Workspace::new();
        let direct = python_client(&workspace, mode, &[service.url()]);
        let proxy = Proxy::start(&workspace, &service.url(), &[]);
        assert_eq!(python_client(&workspace, mode, &[proxy.url()]), direct, "{mode}");
        proxy.stop();
        assert_python(&workspace, mode);
    }
}

#[test]
fn fail_closed_with_a_client_and_a_server_of_others() {
    let workspace = Workspace::new();
    let direct = python_client(&workspace, "2026-07-28", &python_server());
    let own = [AUDIT, "mcp", "--fail-closed", "--"].map(str::to_owned);
    let gated = python_client(&workspace, "2026-07-28", &[&own[..], &python_server()].concat());
    assert_eq!(gated, direct);
    let events = workspace.events();
    // The answer to a question of the server does not begin another call.
    assert_eq!(events.iter().filter(|event| event["status"] == "started").count(), 5);
    assert_eq!(events.len(), 10);
}

#[test]
fn a_file_system_server_and_what_it_refuses() {
    let workspace = Workspace::new();
    workspace.file("note", "größe\n");
    let mut command = workspace.audit(["mcp", "--"]);
    command.args(server("mcp-server-filesystem")).arg(workspace.path());
    let mut client = Client::start(command);
    client.initialize();
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let path = workspace.path().join("note");
    client.call(1, "read_text_file", json!({"path": path}));
    assert!(client.message()["result"]["content"][0]["text"].as_str().unwrap().contains("größe"));
    client.call(2, "read_text_file", json!({"path": "/etc/passwd"}));
    assert_eq!(client.message()["result"]["isError"], true);
    client.close();
    let events = workspace.events();
    assert_eq!(short(&events), ["read_text_file ok", "read_text_file error tool_error"]);
    let output = run(workspace.audit(["read", "--tool", "read_text_file", "--status", "error"]));
    assert_eq!(text(&output.stdout).lines().count(), 1);
}
