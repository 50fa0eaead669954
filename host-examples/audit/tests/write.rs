//! `audit write` keeps good lines and names bad ones.

mod common;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use audit_testbed::wait_until;
use common::{
    Workspace, assert_accepted, assert_all_accepted, assert_summary, end_of, line, lines, run,
    run_with_input, text, tools_of_lines,
};

/// Starts `audit write` with these options. Its input stays open.
fn start(workspace: &Workspace, options: &[&str]) -> Child {
    let mut command = workspace.audit(["write"].iter().chain(options));
    command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends three lines, each once the one before it is recorded, and ends the input.
fn send_one_by_one(workspace: &Workspace, mut child: Child) {
    let mut stdin = child.stdin.take().unwrap();
    for n in 1..4 {
        stdin.write_all(line(n, "t").as_bytes()).unwrap();
        wait_until("the line is recorded", || workspace.events().len() == n);
    }
    drop(stdin);
    assert_all_accepted(&end_of(child), 3);
}

#[test]
fn good_lines_are_kept_in_their_order_from_a_file_or_stdin() {
    let workspace = Workspace::new();
    let file = workspace.file("events.jsonl", lines(0..3000));
    let output = run(workspace.audit(["write".as_ref(), file.as_os_str()]));
    assert_all_accepted(&output, 3000);
    assert_eq!(text(&output.stdout), "");
    for arguments in [&["write"][..], &["write", "-"]] {
        assert_all_accepted(&run_with_input(workspace.audit(arguments), lines(0..3000)), 3000);
    }
    let once = tools_of_lines(0..3000);
    assert_eq!(workspace.tools(), [&once[..], &once, &once].concat());
}

#[cfg(unix)]
#[test]
fn processes_that_share_stderr_tear_no_line() {
    let workspace = Workspace::new();
    let file = workspace.file("none.jsonl", "no event\n".repeat(60));
    let (mut said, stderr) = std::io::pipe().unwrap();
    let children: Vec<_> = (0..12)
        .map(|_| {
            let mut command = workspace.audit(["write".as_ref(), file.as_os_str()]);
            command.stderr(stderr.try_clone().unwrap()).spawn().unwrap()
        })
        .collect();
    drop(stderr);
    let mut lines = String::new();
    said.read_to_string(&mut lines).unwrap();
    children.into_iter().for_each(|child| assert_eq!(end_of(child).status.code(), Some(1)));
    let mut counts = BTreeMap::new();
    lines.split_terminator('\n').for_each(|line| *counts.entry(line).or_insert(0) += 1);
    assert_eq!(counts.len(), 61, "{counts:?}");
    assert!(counts.values().all(|count| *count == 12), "{counts:?}");
    assert!(counts.contains_key("0 accepted, 60 rejected"), "{counts:?}");
}

#[test]
fn each_bad_line_is_named_and_its_neighbours_are_kept() {
    let workspace = Workspace::new();
    let input = [
        b"\xEF\xBB\xBF{\"tool\":\"a\"}\r\n".as_slice(),
        b"\r\n\n   \n",
        b"{\"ts\":\"2026-02-30T00:00:00Z\"}\n",
        b"{\"tool\":\"b\",\"input_chars\":7,\"output_size_bytes\":8}\n",
        b"{\"tool\":\"c\xFF\"}\n",
        b"{\"tool\":\"d\",\"payload\":\"secret\"}\n",
        b"not json\n",
        b"{\"tool\":\"e\"}\n",
        b"{\"tool\":\"f\"",
    ]
    .concat();
    let output = run_with_input(workspace.audit(["write"]), input);
    assert_summary(&output, &[(4, "accepted"), (4, "rejected"), (1, "recorded with changes")], 1);
    let stderr = text(&output.stderr);
    let lines: Vec<_> = stderr.lines().collect();
    let starts = ["line 5: ts: ", "line 8: ", "line 9: json: ", "line 11: json: "];
    assert_eq!(lines.len(), starts.len() + 1, "{stderr}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line} is not {start}");
    }
    assert!(lines[0].contains("accepted is") && lines[1].contains("payload"), "{stderr}");
    assert_eq!(workspace.tools(), ["a", "b", "c\u{fffd}", "e"]);
    let events = workspace.events();
    assert_eq!((events[1]["in_size"].as_u64(), events[1]["out_size"].as_u64()), (Some(7), Some(8)));
}

#[test]
fn the_first_hundred_rejected_lines_are_named_and_the_others_counted() {
    let workspace = Workspace::new();
    let input: String = (0..40_000).map(|n| if n % 2 == 0 { line(n, "t") } else { "{}x\n".into() }).collect();
    let output = run_with_input(workspace.audit(["write"]), input);
    assert_accepted(&output, 20_000, 20_000);
    let lines: Vec<_> = text(&output.stderr).lines().collect();
    assert_eq!(lines.len(), 102);
    for (index, line) in lines[..100].iter().enumerate() {
        assert!(line.starts_with(&format!("line {}: json: ", 2 * index + 2)), "{line}");
    }
    assert!(lines[100].contains(" 19900 more "), "{}", lines[100]);
    assert_eq!(workspace.events().len(), 20_000);
}

#[test]
fn a_line_may_have_any_length() {
    let workspace = Workspace::new();
    let long = |tool: &str, length: usize| {
        format!("{{\"tool\":\"{tool}\",\"user_id\":\"{}\"}}\n", "x".repeat(length))
    };
    let input =
        [lines(1..2), long("5 MB", 5_000_000), "x".repeat(5_000_000) + "\n", long("5 kB", 5000), lines(2..3)]
            .concat();
    let output = run_with_input(workspace.audit(["write"]), input);
    assert_summary(&output, &[(4, "accepted"), (1, "rejected"), (2, "recorded with changes")], 1);
    assert!(text(&output.stderr).contains("line 3: json: "), "{output:?}");
    assert_eq!(workspace.tools(), ["t1", "t2", "5 MB", "5 kB"]);
    let found = run(workspace.audit(["read", "--user", &"x".repeat(5000)]));
    assert_eq!(text(&found.stdout).lines().count(), 1);
}

#[test]
fn a_line_is_recorded_while_the_input_stays_open() {
    let workspace = Workspace::new();
    send_one_by_one(&workspace, start(&workspace, &[]));
}

#[test]
fn a_buffered_line_is_recorded_without_another_one_after_it() {
    let workspace = Workspace::new();
    let options = ["--durability", "buffered", "--flush-interval-ms", "200"];
    send_one_by_one(&workspace, start(&workspace, &options));
}

#[test]
fn buffered_lines_are_recorded_while_more_keep_coming() {
    let workspace = Workspace::new();
    let mut child = start(&workspace, &["--durability", "buffered", "--flush-interval-ms", "1000"]);
    let mut stdin = child.stdin.take().unwrap();
    let mut sent = 0;
    wait_until("a line is recorded", || {
        stdin.write_all(line(sent, "t").as_bytes()).unwrap();
        sent += 1;
        thread::sleep(Duration::from_millis(100));
        !workspace.events().is_empty()
    });
    drop(stdin);
    assert_all_accepted(&end_of(child), sent);
    assert_eq!(workspace.events().len(), sent);
}

#[test]
fn an_empty_input_is_no_error() {
    let workspace = Workspace::new();
    assert_all_accepted(&run(workspace.audit(["write"])), 0);
}

#[test]
fn input_that_cannot_be_read_and_events_that_cannot_be_stored_are_errors() {
    let workspace = Workspace::new();
    let output = run(workspace.audit(["write", "missing.jsonl"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("audit: cannot read missing.jsonl: "), "{output:?}");
    let output = run(workspace.audit(["write", "."]));
    assert_eq!(output.status.code(), Some(2));

    workspace.file("file", "");
    let output = run_with_input(workspace.audit(["write", "--dir", "file/audit"]), lines(1..2));
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("nothing was written from line 1 on") && stderr.contains("file/audit"),
        "{stderr}"
    );

    let output = run_with_input(workspace.audit(["write", "--backend", "auto"]), lines(1..2));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("audit: backend: "), "{output:?}");
}

#[cfg(unix)]
#[test]
fn on_a_full_disk_the_first_line_that_was_not_written_is_named() {
    let workspace = Workspace::new();
    // The limit on the size of each file is in blocks of 512 bytes.
    let command = workspace.shell("ulimit -f 4000; exec \"$AUDIT\" write");
    let output = run_with_input(command, lines(1..20_001));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let stderr = text(&output.stderr);
    let from = stderr.split("nothing was written from line ").nth(1).and_then(|rest| rest.split(' ').next());
    let from: usize = from.unwrap_or_else(|| panic!("{stderr}")).parse().unwrap();
    assert!(stderr.contains(&format!("{} accepted, 0 rejected", from - 1)), "{stderr}");
    assert_eq!(workspace.tools(), tools_of_lines(1..from));
    assert!(from > 1000, "{from}");
}

#[cfg(unix)]
#[test]
fn buffered_lines_that_could_not_be_written_are_not_accepted() {
    let workspace = Workspace::new();
    workspace.file("events.jsonl", lines(0..3000));
    let script = "ulimit -f 200; \"$AUDIT\" write --durability buffered events.jsonl";
    let output = run(workspace.shell(script));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let accepted = workspace.events().len();
    let said = text(&output.stderr);
    assert!(said.contains(&format!("{accepted} accepted, 0 rejected")), "{accepted}: {said}");
    assert!(said.contains("were not recorded") && !said.contains("in memory"), "{said}");
}
