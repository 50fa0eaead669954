//! The exporters of OpenTelemetry's own libraries, for Python and JavaScript, and a collector over TLS.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::client::{export, post_spans, tool_span};
use crate::common::{AUDIT, Workspace, run};
use crate::receiver::Otlp;

/// More than one batch has.
const CALLS: usize = 600;

/// The target folder, which has the program in `debug` or `release`.
fn target_dir() -> &'static Path {
    Path::new(AUDIT).ancestors().nth(2).unwrap()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otlp/peers").join(name)
}

/// Runs a script that sends to the receiver, and checks that it has no complaint.
fn emit(workspace: &Workspace, mut command: Command, otlp: &Otlp) {
    command.args([format!("http://127.0.0.1:{}", otlp.port), CALLS.to_string()]);
    command.current_dir(workspace.path());
    let output = run(command);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

fn of_tool<'e>(events: &'e [Value], tool: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["tool"] == tool).collect()
}

#[test]
fn the_exporter_for_python_is_understood() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let mut python = workspace.command(xtask::peers::python(target_dir()));
    python.arg(script("emit.py"));
    emit(&workspace, python, &otlp);
    let events = workspace.events();
    let calls = of_tool(&events, "search");
    assert_eq!((calls.len(), events.len()), (CALLS, CALLS + 2));
    for call in &calls {
        assert_eq!((&call["status"], &call["action"]), (&json!("ok"), &json!("tools/call")));
        assert_eq!(call["in_size"], r#"{"page":1,"query":"ä"}"#.len());
    }
    // The agent's span comes with the last batch, and the calls of the first one do not know it.
    assert_eq!(
        (&calls[CALLS - 1]["agent_id"], &calls[0]["graph_run_id"].as_str().unwrap().len()),
        (&json!("planner"), &32)
    );
    let failed = of_tool(&events, "fail")[0];
    assert_eq!((&failed["status"], &failed["graph_run_id"]), (&json!("error"), &json!("conversation-1")));
    let shell = of_tool(&events, "shell")[0];
    assert_eq!(
        (&shell["req_id"], &shell["out_size"], &shell["ts"]),
        (&json!("call_x"), &json!(3), &json!("2026-11-26T16:00:00.000000Z"),)
    );
    assert_eq!(shell["attributes"]["source_version"], "3");
}

#[test]
fn the_exporter_for_javascript_is_understood() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    // A module finds packages from where it is.
    let folder = xtask::peers::npm(target_dir());
    let name = folder.join(format!("audit-otlp-{}.mjs", std::process::id()));
    std::fs::copy(script("emit.mjs"), &name).unwrap();
    let mut node = workspace.command(xtask::peers::on_path("node").unwrap());
    node.arg(&name);
    emit(&workspace, node, &otlp);
    std::fs::remove_file(name).unwrap();
    let events = workspace.events();
    let calls = of_tool(&events, "search");
    assert_eq!((calls.len(), events.len()), (CALLS, CALLS + 1));
    for call in &calls {
        assert_eq!(
            (&call["status"], &call["attributes"]["error_type"]),
            (&json!("error"), &json!("tool_error"))
        );
        assert_eq!(call["in_size"], r#"{"page":1,"query":"ä"}"#.len());
    }
    let bash = of_tool(&events, "Bash")[0];
    assert_eq!(
        (&bash["status"], &bash["out_size"], &bash["graph_run_id"]),
        (&json!("error"), &json!(77), &json!("session-1"),)
    );
}

/// Ends with its test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_collector_over_tls_gets_what_comes_if_its_certificate_is_trusted() {
    let workspace = Workspace::new();
    let certificate = workspace.path().join("certificate.pem");
    let mut python = workspace.command(xtask::peers::python(target_dir()));
    python.arg(script("tls.py")).arg(&certificate).stdout(Stdio::piped());
    let mut collector = Ending(python.spawn().unwrap());
    let mut lines = BufReader::new(collector.0.stdout.take().unwrap()).lines();
    let port = lines.next().unwrap().unwrap();
    let url = format!("https://127.0.0.1:{port}");
    let forwarding = |trusted: &Path| {
        let mut command = workspace.audit(["otlp", "--listen", "127.0.0.1:0", "--forward", &url]);
        command.env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR");
        Otlp::run(command)
    };
    let span = json!([tool_span(1, "t")]);
    post_spans(forwarding(&certificate).port, &span).assert(200);
    assert_eq!(lines.next().unwrap().unwrap(), export(&span).to_string());

    // Another certificate of the same kind.
    let other = workspace.path().join("other.pem");
    let mut python = workspace.command(xtask::peers::python(target_dir()));
    python.arg(script("tls.py")).arg(&other).stdout(Stdio::piped());
    let mut another = Ending(python.spawn().unwrap());
    BufReader::new(another.0.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let refused = post_spans(forwarding(&other).port, &span);
    refused.assert(502);
    assert!(refused.json()["message"].as_str().unwrap().contains("certificate"), "{}", refused.text());
}
