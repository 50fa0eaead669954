//! What each source sends gives the events that it should, as JSON and as Protobuf. The cases are files in `fixtures`.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client::{JSON, PROTOBUF, post, protobuf};
use crate::common::Workspace;
use crate::receiver::Otlp;

/// How long a request goes first before the next one is sent, if it is not answered.
const HEAD_START: Duration = Duration::from_millis(100);

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otlp/fixtures");
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The requests of a fixture, in which the resource names the fixture as the workspace.
fn requests(name: &str, fixture: &Value) -> Vec<(String, Value)> {
    let request = |request: &Value| {
        let signal = request["signal"].as_str().unwrap();
        let mut resource = request["resource"].clone();
        let workspace = json!({ "key": "workspace.id", "value": { "stringValue": name } });
        resource["attributes"].as_array_mut().unwrap().push(workspace);
        let (scope, items) = (&request["scope"], &request["items"]);
        let export = match signal {
            "traces" => {
                json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "scope": scope, "spans": items }] }] })
            }
            _ => {
                json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "scope": scope, "logRecords": items }] }] })
            }
        };
        (signal.to_owned(), export)
    };
    fixture["requests"].as_array().unwrap().iter().map(request).collect()
}

/// Sends the requests one after the other. None waits for the answer to an earlier one for long.
fn send(port: u16, requests: Vec<(String, Value)>, encoding: &'static str) {
    thread::scope(|scope| {
        for (signal, export) in requests {
            let (answered, answer) = channel();
            scope.spawn(move || {
                let path = format!("/v1/{signal}");
                let body = match encoding {
                    JSON => export.to_string().into_bytes(),
                    _ => protobuf(&signal, &export),
                };
                let got = post(port, &path, encoding, &body);
                got.assert(200);
                assert!(got.headers.contains(&format!("content-type: {encoding}")), "{got:?}");
                let _ = answered.send(());
            });
            let _: Result<(), RecvTimeoutError> = answer.recv_timeout(HEAD_START);
        }
    });
}

/// Checks the members that the fixture names.
fn assert_event(name: &str, event: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        match (key.as_str(), value) {
            ("arguments", arguments) => {
                let canonical = serde_json_canonicalizer::to_string(arguments).unwrap();
                let hash: String =
                    Sha256::digest(&canonical).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(event["in_size"], canonical.len(), "{name}: {event}");
                assert_eq!(event["input_hash"], hash, "{name}: {event}");
            }
            ("attributes", Value::Object(attributes)) => {
                for (key, value) in attributes {
                    assert_eq!(&event["attributes"][key], value, "{name}: {key}: {event}");
                }
            }
            (key, value) => assert_eq!(&event[key], value, "{name}: {key}: {event}"),
        }
    }
}

fn assert_sources(encoding: &'static str) {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &["--wait", "5000"]);
    let fixtures: Vec<(String, Value)> = fixtures()
        .iter()
        .map(|path| {
            let fixture = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fixture)
        })
        .collect();
    assert!(fixtures.len() > 10);
    for (name, fixture) in &fixtures {
        send(otlp.port, requests(name, fixture), encoding);
    }
    let events = workspace.events();
    for (name, fixture) in &fixtures {
        let found: Vec<&Value> = events.iter().filter(|event| event["workspace_id"] == **name).collect();
        let expected = fixture["events"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
        for (event, expected) in found.into_iter().zip(expected) {
            assert_event(name, event, expected);
            assert_eq!(event["attributes"]["source"], "otlp");
        }
    }
    // No contents of arguments and results are in the record.
    let files = audit_testbed::files(&workspace.events_dir(), "");
    let read = |path: &PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let record: String = files.iter().map(read).collect();
    for payload in ["Paris", "temperature", "Begin Patch", "nothing found", "3 results"] {
        assert!(!record.contains(payload), "{payload}");
    }
    let ended = otlp.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn each_source_gives_the_events_that_it_should_as_json() {
    assert_sources(JSON);
}

#[test]
fn each_source_gives_the_events_that_it_should_as_protobuf() {
    assert_sources(PROTOBUF);
}
