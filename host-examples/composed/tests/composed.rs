//! The agent of this folder and the store, composed by `compose.wac`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use audit_host::{Entry, Filter, Instance, Options, PageRequest};
use serde_json::Value;
use wac_graph::EncodeOptions;
use wac_graph::types::{BorrowedPackageKey, Package, Types};
use wac_parser::Document;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use xtask::components::{self, World};
use xtask::guests::{self, Guest};
use xtask::peers;

const SEALED: &str = include_str!("../compose.wac");
const SHARED: &str = include_str!("../shared.wac");

fn target_dir() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder")
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Composes a sandbox and the store as a document says.
fn compose(document: &str, sandbox: Vec<u8>) -> Result<Vec<u8>> {
    let store = components::artifact(xtask::root(), target_dir(), World::Local)?;
    let packages = [("audit:store-local", fs::read(store)?), ("audit:sandbox", sandbox)];
    let packages =
        packages.map(|(name, binary)| (BorrowedPackageKey::from_name_and_version(name, None), binary));
    let document = Document::parse(document)?;
    let resolution = document.resolve(packages.into_iter().collect())?;
    Ok(resolution.encode(EncodeOptions::default())?)
}

/// The agent in Python, as a component. Each test process builds it once.
fn agent() -> &'static [u8] {
    static AGENT: OnceLock<Vec<u8>> = OnceLock::new();
    AGENT.get_or_init(|| build_agent().expect("the agent builds"))
}

fn build_agent() -> Result<Vec<u8>> {
    let built = tempfile::tempdir()?;
    let path = built.path().join("agent.wasm");
    let mut command = Command::new(peers::venv(target_dir()).join("bin/componentize-py"));
    command.arg("--quiet");
    command.arg("--wit-path").arg(xtask::root().join("wit")).arg("--wit-path").arg(folder().join("wit"));
    command.args(["--world", "audit:agent/agent", "componentize", "--stub-wasi", "--python-path"]);
    command.arg(folder().join("agent")).arg("app").arg("--output").arg(&path);
    let status = command.status().context("componentize-py is missing: run `cargo xtask test`")?;
    ensure!(status.success(), "componentize-py ended with {status}");
    Ok(fs::read(path)?)
}

/// The names of what a component imports, and of what it exports, without versions.
fn world(component: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut types = Types::default();
    let package =
        Package::from_bytes("audit:any", None, component.to_vec(), &mut types).expect("it is valid");
    let world = &types[package.ty()];
    let plain = |name: &String| name.split('@').next().unwrap_or_default().to_owned();
    (world.imports.keys().map(plain).collect(), world.exports.keys().map(plain).collect())
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Has the composed agent evaluate expressions in a host of its own, and returns what that prints.
fn evaluate(composed: &[u8], record: &Path, expressions: &[&str]) -> Result<Vec<Value>> {
    let built = tempfile::tempdir()?;
    let path = built.path().join("composed.wasm");
    fs::write(&path, composed)?;
    let mut host = Command::new(peers::python(target_dir()));
    host.arg(folder().join("host.py")).arg(path).arg(record).args(expressions);
    let output = host.output().context("there is no Python: run `cargo xtask test`")?;
    if !output.status.success() {
        bail!("the host ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn entries(record: &Path) -> Vec<Entry> {
    let mut store = Instance::open(&Options::new().dir(record).read_only(true)).expect("it opens");
    store.read(&Filter::default(), &PageRequest::default()).expect("it can be read").entries
}

#[test]
fn the_agent_in_python_records_and_can_neither_read_list_nor_touch_the_files() {
    let record = tempfile::tempdir().unwrap();
    let secret = r#"{"ts":"2026-11-23T06:30:00Z","agent_id":"somebody","tool":"secret"}"#;
    let old = record.path().join("tool_audit_2026-11-23.jsonl");
    fs::write(&old, format!("{secret}\n")).unwrap();

    let composed = compose(SEALED, agent().to_vec()).unwrap();
    let attempts = [
        "__import__('os').listdir('/audit')",
        "open('/audit/tool_audit_2026-11-23.jsonl').read()",
        "open('/audit/tool_audit_2026-11-23.jsonl', 'a').write('forged')",
        "__import__('os').remove('/audit/tool_audit_2026-11-23.jsonl')",
        "__import__('wit_world.imports.reader')",
        "__import__('wit_world.imports.control')",
        "__import__('socket').create_connection(('127.0.0.1', 1))",
    ];
    let honest = ["6 * 7", "1 / 0", "chr(0xd800)", "(0 for _ in '').throw(SystemExit(7))"];
    let answers = evaluate(&composed, record.path(), &[&honest[..], &attempts[..]].concat()).unwrap();

    assert_eq!(answers[0]["answer"], "42");
    assert_eq!(answers[1]["answer"], "ZeroDivisionError: division by zero");
    assert_eq!((&answers[2]["answer"], &answers[3]["answer"]), (&"?".into(), &"SystemExit: 7".into()));
    for (attempt, answer) in attempts.iter().zip(&answers[honest.len()..]) {
        let failed = answer["stopped"].is_string()
            || answer["answer"].as_str().is_some_and(|text| text.contains("Error: "));
        assert!(failed && !answer.to_string().contains("secret"), "{attempt}: {answer}");
    }
    assert_eq!(fs::read_to_string(&old).unwrap(), format!("{secret}\n"));
    let files = fs::read_dir(record.path()).unwrap().count();
    assert_eq!(files, 2, "the old file, and that of today");
    let found = entries(record.path());
    let statuses: Vec<_> = found[1..5].iter().map(|entry| entry.event.status.as_str()).collect();
    assert_eq!((found[0].event.tool.as_str(), statuses), ("secret", vec!["ok", "error", "ok", "error"]));
    assert!(found[1..].iter().all(|entry| entry.event.agent_id == "planner"));
}

#[test]
fn the_host_gets_the_control_and_nobody_the_reader() {
    assert_eq!(world(agent()).0, names(&["audit:store/types", "audit:store/writer"]));
    let (imports, exports) = world(&compose(SEALED, agent().to_vec()).unwrap());
    assert_eq!(exports, names(&["audit:store/control", "audit:store/types", "run"]));
    let store = fs::read(components::artifact(xtask::root(), target_dir(), World::Local).unwrap()).unwrap();
    // Of `types` there are no functions. What reaches the outside is what the store reaches.
    assert_eq!(imports, world(&store).0);
}

/// What a component of WASI has in a host of Rust.
struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Has a composed guest of `xtask::guests` follow orders.
fn follow(composed: &[u8], record: &Path, orders: &[&str]) -> wasmtime::Result<Vec<String>> {
    let engine = Engine::default();
    let component = Component::new(&engine, composed)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    let mut wasi = WasiCtxBuilder::new();
    wasi.preopened_dir(record, "/audit", FsPerms::ReadWrite)?.env("AUDIT_JSONL_DIR", "/audit");
    let mut store = Store::new(&engine, Host { wasi: wasi.build(), table: ResourceTable::new() });
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(&str,), (String,)>(&mut store, "run")?;
    orders.iter().map(|order| Ok(run.call(&mut store, (order,))?.0)).collect()
}

#[test]
fn a_guest_that_shares_the_files_can_read_and_forge_the_record_without_the_reader() {
    let record = tempfile::tempdir().unwrap();
    let line = r#"{"ts":"2026-11-23T06:30:00Z","agent_id":"somebody","tool":"secret"}"#;
    fs::write(record.path().join("tool_audit_2026-11-23.jsonl"), format!("{line}\n")).unwrap();

    let spy = guests::build(target_dir(), Guest::Spy).unwrap();
    let composed = compose(SHARED, spy).unwrap();
    assert!(!world(&composed).1.contains("audit:store/reader"));
    let forged = format!("forge {}\n", line.replace("secret", "harmless"));
    let answers = follow(&composed, record.path(), &["read", &forged]).unwrap();
    assert!(answers[0].contains(line), "{answers:?}");
    assert_eq!(answers[1], "forged");
    let tools: Vec<_> = entries(record.path()).into_iter().map(|entry| entry.event.tool).collect();
    assert_eq!(tools.iter().filter(|tool| *tool == "harmless").count(), 2, "{tools:?}");
}

#[test]
fn a_sandbox_that_imports_more_than_the_writer_is_not_composed() {
    for (guest, import) in [(Guest::Spy, "wasi:"), (Guest::Tenant, "audit:store/reader")] {
        let sandbox = guests::build(target_dir(), guest).unwrap();
        let error = format!("{:#}", compose(SEALED, sandbox).unwrap_err());
        assert!(error.contains(import), "{error}");
    }
}
