//! `audit write`: good lines are kept, bad ones named.

mod common;

use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use common::{Place, run, run_with_input, text};
use serde_json::json;

fn line(n: usize) -> String {
    json!({"ts": "2026-11-23T06:30:00Z", "tool": format!("t{n}"), "in_size": n}).to_string()
}

fn tools(place: &Place) -> Vec<String> {
    place.events().iter().map(|event| event["tool"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn good_lines_are_kept_in_their_order_from_a_file_or_stdin() {
    let place = Place::new();
    let lines: String = (0..3000).map(|n| line(n) + "\n").collect();
    let file = place.file("events.jsonl", &lines);
    let output = run(place.audit(["write".as_ref(), file.as_os_str()]));
    assert_eq!((text(&output.stderr), output.status.code()), ("3000 accepted, 0 rejected\n", Some(0)));
    assert_eq!(text(&output.stdout), "");
    for arguments in [&["write"][..], &["write", "-"]] {
        let output = run_with_input(place.audit(arguments), lines.as_str());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let expected: Vec<_> =
        [0..3000, 0..3000, 0..3000].into_iter().flatten().map(|n| format!("t{n}")).collect();
    assert_eq!(tools(&place), expected);
}

#[test]
fn each_bad_line_is_named_and_its_neighbours_are_kept() {
    let place = Place::new();
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
    let output = run_with_input(place.audit(["write"]), input);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    let lines: Vec<_> = stderr.lines().collect();
    let starts = [
        "line 5: ts: ",
        "line 7: json: ",
        "line 8: ",
        "line 9: json: ",
        "line 11: json: ",
        "3 accepted, 5 rejected",
    ];
    assert_eq!(lines.len(), starts.len(), "{stderr}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line} is not {start}");
    }
    assert!(lines[0].contains("accepted is") && lines[2].contains("payload"), "{stderr}");
    assert_eq!(tools(&place), ["a", "b", "e"]);
    let events = place.events();
    assert_eq!((events[1]["in_size"].as_u64(), events[1]["out_size"].as_u64()), (Some(7), Some(8)));
}

#[test]
fn the_first_hundred_rejected_lines_are_named_and_the_others_counted() {
    let place = Place::new();
    let input: String =
        (0..40_000).map(|n| if n % 2 == 0 { line(n) + "\n" } else { "{}x\n".into() }).collect();
    let output = run_with_input(place.audit(["write"]), input);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<_> = text(&output.stderr).lines().collect();
    assert_eq!(lines.len(), 102);
    for (index, line) in lines[..100].iter().enumerate() {
        assert!(line.starts_with(&format!("line {}: json: ", 2 * index + 2)), "{line}");
    }
    assert_eq!(lines[100..], ["and 19900 more rejected lines", "20000 accepted, 20000 rejected"]);
    assert_eq!(place.events().len(), 20_000);
}

#[test]
fn a_line_without_an_end_is_rejected_as_one() {
    let place = Place::new();
    let input =
        [line(1) + "\n", "x".repeat(5_000_000) + "\n", line(2) + "\n", "x".repeat(5000) + "\n"].concat();
    let output = run_with_input(place.audit(["write"]), input);
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("line 2: json: longer than"), "{stderr}");
    assert!(stderr.contains("\nline 4: ") && stderr.ends_with("\n2 accepted, 2 rejected\n"), "{stderr}");
    assert_eq!(tools(&place), ["t1", "t2"]);
}

#[test]
fn lines_are_recorded_while_more_are_to_come() {
    let place = Place::new();
    let mut command = place.audit(["write"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for n in 1..4 {
        stdin.write_all((line(n) + "\n").as_bytes()).unwrap();
        common::until(|| place.events().len() == n);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_line_does_not_wait_in_memory_for_the_next() {
    let place = Place::new();
    let options = ["write", "--durability", "buffered", "--flush-interval-ms", "200"];
    let mut child = place.audit(options).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for n in 1..4 {
        stdin.write_all((line(n) + "\n").as_bytes()).unwrap();
        common::until(|| place.events().len() == n);
    }
    drop(stdin);
    let output = common::end_of(child);
    assert_eq!((text(&output.stderr), output.status.code()), ("3 accepted, 0 rejected\n", Some(0)));
}

#[test]
fn nor_while_lines_keep_coming() {
    let place = Place::new();
    let options = ["write", "--durability", "buffered", "--flush-interval-ms", "1000"];
    let mut child = place.audit(options).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut sent = 0;
    let end = Instant::now() + Duration::from_secs(60);
    while place.events().is_empty() {
        assert!(Instant::now() < end, "of {sent} lines none is recorded");
        stdin.write_all((line(sent) + "\n").as_bytes()).unwrap();
        sent += 1;
        thread::sleep(Duration::from_millis(100));
    }
    drop(stdin);
    let output = common::end_of(child);
    let said = format!("{sent} accepted, 0 rejected\n");
    assert_eq!((text(&output.stderr), output.status.code()), (said.as_str(), Some(0)));
    assert_eq!(place.events().len(), sent);
}

#[test]
fn no_input_is_no_error() {
    let place = Place::new();
    let output = run(place.audit(["write"]));
    assert_eq!((text(&output.stderr), output.status.code()), ("0 accepted, 0 rejected\n", Some(0)));
}

#[test]
fn what_cannot_be_read_or_stored_is_trouble() {
    let place = Place::new();
    let output = run(place.audit(["write", "missing.jsonl"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("audit: cannot read missing.jsonl: "), "{output:?}");
    let output = run(place.audit(["write", "."]));
    assert_eq!(output.status.code(), Some(2));

    place.file("file", "");
    let output = run_with_input(place.audit(["write", "--dir", "file/audit"]), line(1));
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("nothing was written from line 1 on") && stderr.contains("file/audit"),
        "{stderr}"
    );

    let output = run_with_input(place.audit(["write", "--backend", "auto"]), line(1));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("audit: backend: "), "{output:?}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_stops_it_at_a_line_that_it_names() {
    let place = Place::new();
    let input: String = (1..=20_000).map(|n| line(n) + "\n").collect();
    // A limit on the size of each file, in blocks of 512 bytes.
    let output = run_with_input(place.shell("ulimit -f 4000; exec \"$AUDIT\" write"), input);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let stderr = text(&output.stderr);
    let from = stderr.split("nothing was written from line ").nth(1).and_then(|rest| rest.split(' ').next());
    let from: usize = from.unwrap_or_else(|| panic!("{stderr}")).parse().unwrap();
    assert!(stderr.contains(&format!("{} accepted, 0 rejected", from - 1)), "{stderr}");
    let expected: Vec<_> = (1..from).map(|n| format!("t{n}")).collect();
    assert_eq!(tools(&place), expected);
    assert!(from > 1000, "{from}");
}

#[cfg(unix)]
#[test]
fn what_was_buffered_and_could_not_be_written_is_not_accepted() {
    let place = Place::new();
    place.file("events.jsonl", (0..3000).map(|n| line(n) + "\n").collect::<String>());
    let script = "ulimit -f 200; \"$AUDIT\" write --durability buffered events.jsonl";
    let output = run(place.shell(script));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let accepted = place.events().len();
    let said = text(&output.stderr);
    assert!(said.contains(&format!("{accepted} accepted, 0 rejected")), "{accepted}: {said}");
    assert!(said.contains("were not recorded") && !said.contains("in memory"), "{said}");
}
