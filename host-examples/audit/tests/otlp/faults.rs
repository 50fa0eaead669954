//! What was acknowledged is recorded, and what is sent again is recorded once, whatever fails.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use audit_testbed::{Cluster, Proxy, wait_until};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::client::{JSON, connect, export, head, post_spans, tool_span};
use crate::common::Workspace;
use crate::receiver::Otlp;

/// The identifiers of the calls in the record.
fn recorded(workspace: &Workspace) -> Vec<String> {
    workspace.events().iter().map(|event| event["req_id"].as_str().unwrap().to_owned()).collect()
}

fn id(number: u64) -> String {
    format!("{:016x}", number + 1)
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    let workspace = Workspace::new();
    let (mut acknowledged, next) = (BTreeSet::new(), AtomicU64::new(0));
    for round in 0..4 {
        let otlp = Otlp::start(&workspace, &[]);
        let port = otlp.port;
        let send = || {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(3, Ordering::Relaxed);
                let spans: Vec<Value> = (number..number + 3).map(|number| tool_span(number, "t")).collect();
                let body = export(&json!(spans)).to_string();
                let headers = [("Content-Type", JSON), ("Content-Length", &*body.len().to_string())];
                let head = head("POST", "/v1/traces", &headers);
                let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return done };
                let _ = write!(stream, "{head}\r\n{body}");
                let mut answer = String::new();
                let _ = std::io::Read::read_to_string(&mut stream, &mut answer);
                if !answer.starts_with("HTTP/1.1 200") {
                    return done;
                }
                done.extend((number..number + 3).map(id));
            }
        };
        thread::scope(|scope| {
            let senders: Vec<_> = (0..3).map(|_| scope.spawn(send)).collect();
            wait_until("requests", || next.load(Ordering::Relaxed) > 60 * (round + 1));
            otlp.kill();
            senders.into_iter().for_each(|sender| acknowledged.extend(sender.join().unwrap()));
        });
    }
    let found = recorded(&workspace);
    let unique: BTreeSet<String> = found.iter().cloned().collect();
    assert!(acknowledged.len() > 100, "only {} were acknowledged", acknowledged.len());
    assert!(acknowledged.is_subset(&unique), "lost: {:?}", acknowledged.difference(&unique).next());
    assert_eq!(unique.len(), found.len());
}

#[test]
fn while_the_disk_is_full_clients_are_told_to_try_again_and_then_recorded_once() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    post_spans(otlp.port, &json!([tool_span(0, "before")])).assert(200);
    let file = audit_testbed::files(&workspace.events_dir(), "tool_audit").remove(0);
    let size = fs::metadata(&file).unwrap().len();
    let pid = Pid::from_raw(otlp.id().cast_signed());
    let limit = |bytes| prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    // Room for two events of the size of the first one, and a part of a third.
    limit(Some(size * 7 / 2));
    let spans: Vec<Value> = (1..6).map(|number| tool_span(number, "during")).collect();
    for _ in 0..2 {
        let refused = post_spans(otlp.port, &json!(spans));
        refused.assert(503);
        assert!(refused.headers.contains("retry-after: "), "{refused:?}");
        assert!(refused.json()["message"].as_str().unwrap().contains("send it again"), "{refused:?}");
    }
    let some = recorded(&workspace).len();
    assert!((2..6).contains(&some), "{some}");
    limit(None);
    post_spans(otlp.port, &json!(spans)).assert(200);
    post_spans(otlp.port, &json!(spans)).assert(200);
    let mut found = recorded(&workspace);
    found.sort_unstable();
    assert_eq!(found, (0..6).map(id).collect::<Vec<_>>());
    let ended = otlp.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.lines.iter().any(|line| line.contains("was not recorded")), "{ended:?}");
}

#[test]
fn a_folder_that_cannot_be_written_is_no_end() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path().join("ops")).unwrap();
    let obstacle = workspace.file("ops/audit", "no folder");
    let otlp = Otlp::start(&workspace, &[]);
    post_spans(otlp.port, &json!([tool_span(1, "t")])).assert(503);
    // What tells of no call needs no store.
    post_spans(otlp.port, &json!([{ "name": "other" }])).assert(200);
    fs::remove_file(obstacle).unwrap();
    post_spans(otlp.port, &json!([tool_span(1, "t")])).assert(200);
    assert_eq!(recorded(&workspace), [id(1)]);
}

#[test]
fn who_does_not_wait_for_the_answer_and_sends_again_is_recorded_once() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let body = export(&json!([tool_span(1, "t")])).to_string();
    for _ in 0..20 {
        let mut stream = connect(otlp.port);
        let head = head(
            "POST",
            "/v1/traces",
            &[("Content-Type", JSON), ("Content-Length", &body.len().to_string())],
        );
        write!(stream, "{head}\r\n{body}").unwrap();
    }
    post_spans(otlp.port, &json!([tool_span(1, "t")])).assert(200);
    assert_eq!(recorded(&workspace), [id(1)]);
}

#[test]
fn an_answer_means_that_the_database_has_the_events() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let proxy = Proxy::to(cluster.port());
    let workspace = Workspace::new();
    let mut command = workspace.audit([
        "--backend",
        "postgres",
        "--flush-interval-ms",
        "3600000",
        "otlp",
        "--listen",
        "127.0.0.1:0",
    ]);
    command.env("DATABASE_URL", proxy.url(&url)).env("AUDIT_DATABASE_TIMEOUT_MS", "2000");
    let otlp = Otlp::run(command);
    post_spans(otlp.port, &json!([tool_span(1, "t"), tool_span(2, "t")])).assert(200);
    let stored = || cluster.number(&url, "SELECT count(*) FROM tool_audit_events");
    assert_eq!(stored(), 2);
    proxy.refuse();
    proxy.disconnect();
    post_spans(otlp.port, &json!([tool_span(3, "t")])).assert(503);
    // It comes again, while the event waits for the database in memory.
    post_spans(otlp.port, &json!([tool_span(3, "t")])).assert(503);
    proxy.pass();
    wait_until("the database", || post_spans(otlp.port, &json!([tool_span(3, "t")])).status == 200);
    assert_eq!(stored(), 3);
    otlp.kill();
    assert_eq!(stored(), 3);
}
