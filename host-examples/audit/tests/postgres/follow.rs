//! `audit read --follow` and `audit status` on a database.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;

use audit_testbed::{PATIENCE, Proxy};
use serde_json::{Value, json};

use crate::common::{run, run_with_input};
use crate::{Site, text};

fn write(site: &Site, time: &str, tool: &str) {
    let event = json!({"ts": time, "tool": tool, "status": "ok"}).to_string();
    assert!(run_with_input(site.audit(["--backend", "postgres", "write"]), event).status.success());
}

#[test]
fn each_row_is_shown_once_as_it_comes_whatever_its_time_is() {
    let site = Site::new();
    write(&site, "2026-11-23T06:30:00Z", "old");
    let mut child =
        site.audit(["--backend", "postgres", "read", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (send, lines) = channel();
    thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
    let next = || {
        let line = lines.recv_timeout(PATIENCE).expect("no line came");
        serde_json::from_str::<Value>(&line).unwrap()["tool"].as_str().unwrap().to_owned()
    };
    assert_eq!(next(), "old");
    write(&site, "2026-11-24T06:30:00Z", "new");
    assert_eq!(next(), "new");
    write(&site, "2026-11-01T06:30:00Z", "long call");
    assert_eq!(next(), "long call");
    // A transaction that took its number first, and ended last.
    let (url, cluster) = (site.url.clone(), site.cluster);
    let late = thread::spawn(move || {
        cluster.execute(
            &url,
            "BEGIN; INSERT INTO tool_audit_events (ts, tool) VALUES ('2026-11-23Z', 'late'); SELECT pg_sleep(3); COMMIT",
        );
    });
    thread::sleep(std::time::Duration::from_millis(500));
    write(&site, "2026-11-25T06:30:00Z", "early");
    assert_eq!([next(), next()], ["early", "late"]);
    late.join().unwrap();
    assert!(lines.recv_timeout(std::time::Duration::from_millis(2500)).is_err());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_database_that_is_away_for_a_while_is_followed_on() {
    let site = Site::new();
    write(&site, "2026-11-23T06:30:00Z", "old");
    let proxy = Proxy::to(site.cluster.port());
    let mut command = site.audit_at(&proxy.url(&site.url), ["--backend", "postgres", "read", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(stdout.next().unwrap().unwrap().contains("old"));
    proxy.refuse();
    proxy.disconnect();
    let said = stderr.next().unwrap().unwrap();
    assert!(said.starts_with("audit: ") && said.ends_with("; waiting for it"), "{said}");
    write(&site, "2026-11-23T06:31:00Z", "meanwhile");
    proxy.pass();
    assert!(stdout.next().unwrap().unwrap().contains("meanwhile"));
    assert_eq!(stderr.next().unwrap().unwrap(), "audit: the database answers again");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_status_says_how_much_the_table_has() {
    let site = Site::new();
    let record = || {
        let output = run(site.audit(["--backend", "postgres", "status", "--json"]));
        serde_json::from_str::<Value>(text(&output.stdout)).unwrap()["record"].clone()
    };
    assert_eq!((&record()["events"], &record()["last"]), (&json!(0), &Value::Null));
    write(&site, "2026-11-23T06:30:00Z", "a");
    write(&site, "2026-11-24T06:30:00Z", "b");
    let record = record();
    let expected = json!({"events": 2, "is_estimate": false, "days": null, "bytes": record["bytes"],
        "first": "2026-11-23T06:30:00.000000Z", "last": "2026-11-24T06:30:00.000000Z"});
    assert_eq!(record, expected);
    assert!(record["bytes"].as_u64().unwrap() > 0);
}
