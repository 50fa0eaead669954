//! `audit read --follow` shows each event once, as it comes.
#![cfg(unix)]

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use audit_testbed::PATIENCE;
use common::{Workspace, run_with_input};
use serde_json::{Value, json};

/// `audit read --follow` while it runs.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(workspace: &Workspace, arguments: &[&str]) -> Self {
        let mut command = workspace.audit(["read", "--follow"].iter().chain(arguments));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("no line came")
    }

    /// The tools of the next events.
    fn tools(&self, count: usize) -> Vec<String> {
        let tool =
            |line: String| serde_json::from_str::<Value>(&line).unwrap()["tool"].as_str().unwrap().to_owned();
        (0..count).map(|_| tool(self.line())).collect()
    }

    fn is_silent(&self) -> bool {
        self.lines.recv_timeout(Duration::from_millis(700)).is_err()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(workspace: &Workspace, events: &[Value]) {
    let lines: String = events.iter().map(|event| event.to_string() + "\n").collect();
    let output = run_with_input(workspace.audit(["write"]), lines);
    assert!(output.status.success(), "{output:?}");
}

fn at(time: &str, tool: &str) -> Value {
    json!({"ts": time, "tool": tool, "status": "ok"})
}

#[test]
fn the_last_ten_events_are_shown_and_then_each_that_comes_once() {
    let workspace = Workspace::new();
    let old: Vec<Value> =
        (0..15).map(|n| at(&format!("2026-11-23T06:30:{n:02}Z"), &format!("t{n}"))).collect();
    write(&workspace, &old);
    let following = Following::start(&workspace, &[]);
    let expected: Vec<String> = (5..15).map(|n| format!("t{n}")).collect();
    assert_eq!(following.tools(10), expected);
    // Across midnight, and then the end of a call that began before all others.
    write(&workspace, &[at("2026-11-24T00:00:01Z", "next day")]);
    assert_eq!(following.tools(1), ["next day"]);
    write(&workspace, &[at("2026-11-22T00:00:01Z", "long call")]);
    assert_eq!(following.tools(1), ["long call"]);
    write(&workspace, &[at("2026-11-23T06:30:07Z", "a"), at("2026-11-23T06:30:07Z", "b")]);
    assert_eq!(following.tools(2), ["a", "b"]);
    assert!(following.is_silent());
}

#[test]
fn events_are_followed_before_there_is_a_folder_and_filters_hold() {
    let workspace = Workspace::new();
    let following = Following::start(&workspace, &["--tool", "wanted", "--errors"]);
    assert!(following.is_silent());
    let event =
        |tool: &str, status: &str, request: &str| json!({"tool": tool, "status": status, "req_id": request});
    write(
        &workspace,
        &[event("wanted", "ok", "1"), event("other", "error", "2"), event("wanted", "error", "3")],
    );
    let line: Value = serde_json::from_str(&following.line()).unwrap();
    assert_eq!(line["req_id"], "3");
    assert!(following.is_silent());
}

#[test]
fn a_limit_or_a_time_says_what_is_shown_first() {
    let workspace = Workspace::new();
    write(
        &workspace,
        &(0..15).map(|n| at(&format!("2026-11-23T06:30:{n:02}Z"), &format!("t{n}"))).collect::<Vec<_>>(),
    );
    for (arguments, first, count) in [
        (vec!["--limit", "2"], "t13", 2),
        (vec!["--limit", "0"], "t0", 15),
        (vec!["--since", "2026-11-23T06:30:03Z"], "t3", 12),
        (vec!["--since", "2026-11-23T06:30:03Z", "--limit", "3"], "t12", 3),
    ] {
        let following = Following::start(&workspace, &arguments);
        let tools = following.tools(count);
        assert_eq!((tools[0].as_str(), tools[count - 1].as_str()), (first, "t14"), "{arguments:?}");
    }
}

#[test]
fn tables_and_csv_have_their_titles_once() {
    for (format, title) in [("csv", "ts,req_id"), ("table", "status")] {
        let workspace = Workspace::new();
        let following = Following::start(&workspace, &["--format", format]);
        write(&workspace, &[at("2026-11-23T06:30:00Z", "first")]);
        let mut lines = vec![following.line()];
        while !lines.last().is_some_and(|line| line.contains("first")) {
            lines.push(following.line());
        }
        assert_eq!(lines.iter().filter(|line| line.contains(title)).count(), 1, "{lines:?}");
        write(&workspace, &[at("2026-11-23T06:30:01Z", "second")]);
        let line = following.line();
        assert!(line.contains("second"), "{line} does not follow {lines:?}");
    }
}

#[test]
fn it_ends_when_nobody_reads_its_output() {
    let workspace = Workspace::new();
    let mut command = workspace.audit(["read", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let began = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if began.elapsed() > PATIENCE => panic!("it does not end"),
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn what_keeps_no_events_of_others_cannot_be_followed() {
    let workspace = Workspace::new();
    let output = common::run(workspace.audit(["read", "--follow", "--backend", "memory"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(common::text(&output.stderr).contains("accepted are files and databases"), "{output:?}");
}

#[test]
fn each_event_comes_once_while_many_write() {
    let workspace = Workspace::new();
    let following = Following::start(&workspace, &["--limit", "0"]);
    thread::scope(|scope| {
        for writer in 0..4 {
            let workspace = &workspace;
            scope.spawn(move || {
                for batch in 0..5 {
                    let events: Vec<Value> =
                        (0..50).map(|n| json!({"tool": format!("{writer}.{batch}.{n}")})).collect();
                    write(workspace, &events);
                }
            });
        }
    });
    let mut tools = following.tools(1000);
    tools.sort();
    tools.dedup();
    assert_eq!(tools.len(), 1000);
    assert!(following.is_silent());
}
