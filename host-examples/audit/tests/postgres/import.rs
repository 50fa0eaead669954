//! `audit import`: what it takes, what it passes over, and that it can be repeated.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::common::{Place, run, run_with_input, text};
use crate::{Site, last_line, line, lines, tools};

fn summary(read: u64, stored: u64, there: u64, refused: u64, passed_over: u64) -> String {
    let (events, lines) =
        (if read == 1 { "event" } else { "events" }, if passed_over == 1 { "line" } else { "lines" });
    format!(
        "{read} {events} read, {stored} stored, {there} were there already, {refused} refused by the database, \
         {passed_over} {lines} passed over"
    )
}

fn assert_summary(output: &Output, expected: &str, code: i32) {
    assert_eq!((last_line(output), output.status.code()), (expected, Some(code)), "{output:?}");
}

/// Writes own lines into the daily files.
fn write_files(site: &Site, lines: String) {
    assert!(run_with_input(site.audit(["write"]), lines).status.success());
}

fn foreign(n: usize, tool: &str) -> String {
    format!("{{ \"tool\": \"{tool}\", \"ts\": \"2026-11-23T07:30:00.{n:03}+01:00\", \"extra\": [1] }}\n")
}

#[test]
fn own_lines_are_read_from_the_database_byte_for_byte() {
    let site = Site::new();
    let odd =
        json!({"ts": "0000-01-01T00:00:00Z", "tool": "ä\"\\\u{2028}𝄞", "job_id": "", "in_size": u64::MAX});
    write_files(&site, lines(0..2500) + &odd.to_string() + "\n{\"tool\":\"now\"}\n");
    let files = site.done("read");
    assert_eq!(files.lines().count(), 2502);
    assert_summary(&run(site.audit(["import"])), &summary(2502, 2502, 0, 0, 0), 0);
    for backend in ["postgres", "auto"] {
        assert!(site.done(&format!("read --backend {backend} --format jsonl")) == files, "{backend}");
    }
}

#[test]
fn a_folder_of_several_writers_is_imported_once_however_often() {
    let site = Site::new();
    write_files(&site, lines(0..100));
    let own = fs::read_to_string(site.place.events_dir().join("tool_audit_2026-11-23.jsonl")).unwrap();
    let torn = &own[..200];
    // The same event as before, in another spelling.
    let again = "{\"ts\":\"2026-11-23T06:30:00.002Z\",\"tool\":\"twice\",\"in_size\":0}\n";
    let (one, two) = (foreign(1, "f1"), foreign(2, "twice"));
    let parts =
        [&own, "garbage\n\n", &one, &two, torn, "\n\0\0\0\n", "{\"ts\":\"yesterday\"}\n", again, torn];
    let day = [parts.concat().as_bytes(), b"\n{\"tool\":\"\xC3"].concat();
    let name = "tool_audit_2026-11-23.jsonl";
    fs::write(site.place.events_dir().join(name), &day).unwrap();
    // Others rotate by their own day; what is in two files is the same event.
    fs::write(site.place.events_dir().join("tool_audit_2026-11-22.jsonl"), foreign(1, "f1")).unwrap();
    fs::write(site.place.events_dir().join("refused_x.jsonl"), foreign(3, "none")).unwrap();

    let output = run(site.audit(["import"]));
    assert_summary(&output, &summary(104, 103, 1, 0, 6), 1);
    let said = text(&output.stderr);
    let named: Vec<_> =
        said.lines().map(|line| line.split_inclusive(": ").take(2).collect::<String>()).collect();
    let at = |line: usize, field: &str| format!("./ops/audit/{name}:{line}: {field}: ");
    let expected =
        [at(101, "json"), at(105, "json"), at(106, "json"), at(107, "ts"), at(109, "json"), at(110, "json")];
    assert_eq!(named[..expected.len()], expected, "{said}");
    assert_eq!(site.sql("SELECT count(*) FROM tool_audit_events WHERE chain IS NULL AND seq IS NULL"), ["3"]);
    let others = site.sql(
        "SELECT tool || ' ' || substr(event_id::text, 15, 1) FROM tool_audit_events \
                           WHERE chain IS NULL ORDER BY ts, id",
    );
    assert_eq!(others, ["f1 8", "twice 8", "twice 8"]);
    let chain = site.sql(
        "SELECT count(*) FROM tool_audit_events a JOIN tool_audit_events b \
                          ON a.chain = b.chain AND a.id + 1 = b.id AND a.seq + 1 = b.seq",
    );
    assert_eq!(chain, ["99"]);

    for _ in 0..2 {
        assert_summary(&run(site.audit(["import"])), &summary(104, 0, 104, 0, 6), 1);
    }
    assert_eq!(site.stored(), 103);
    assert_eq!(fs::read(site.place.events_dir().join(name)).unwrap(), day, "the files stay");
}

#[test]
fn files_and_stdin_are_taken_as_they_are_named() {
    let site = Site::new();
    let one = site.place.file("one.jsonl", foreign(1, "one"));
    site.place.file("- odd", foreign(2, "odd").trim_end());
    let output = run(site.audit(["import".as_ref(), one.as_os_str(), "./- odd".as_ref(), one.as_os_str()]));
    assert_summary(&output, &summary(3, 2, 1, 0, 0), 0);
    let output =
        run_with_input(site.audit(["import", "-"]), foreign(3, "three") + "x\n" + &foreign(1, "one"));
    assert_summary(&output, &summary(2, 1, 1, 0, 1), 1);
    assert!(text(&output.stderr).starts_with("stdin:2: json: "), "{output:?}");
    let found = site.done("read --backend postgres");
    assert_eq!(tools(found.as_bytes()), ["one", "odd", "three"]);
    assert!(!site.place.path().join("ops").exists());
}

#[test]
fn lines_are_stored_while_more_are_to_come() {
    let site = Site::new();
    let mut command = site.audit(["import", "-"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for n in 1..4 {
        std::io::Write::write_all(&mut stdin, foreign(n, "t").as_bytes()).unwrap();
        crate::common::until(|| site.stored() == n);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn rows_that_the_database_refuses_are_named() {
    let site = Site::that_refuses_bad();
    let own: String = (0..1500).map(|n| line(n, if n % 500 == 3 { "bad" } else { "good" })).collect();
    write_files(&site, own);
    let path = site.place.events_dir().join("tool_audit_2026-11-23.jsonl");
    let nul = "{\"ts\":\"2026-11-23T06:30:00Z\",\"tool\":\"a\\u0000b\"}\n";
    fs::write(&path, fs::read_to_string(&path).unwrap() + &foreign(1, "bad") + nul + &foreign(2, "good"))
        .unwrap();
    let output = run(site.audit(["import"]));
    assert_summary(&output, &summary(1503, 1498, 0, 5, 0), 1);
    let said = text(&output.stderr);
    for line in [4, 504, 1004, 1501, 1502] {
        let start = format!("./ops/audit/tool_audit_2026-11-23.jsonl:{line}: the database refuses it: ");
        assert_eq!(said.matches(&start).count(), 1, "{said}");
    }
    assert!(!said.contains("bad"), "the reason has no values: {said}");
    assert_eq!(site.stored(), 1498);
}

#[test]
fn the_first_hundred_bad_lines_are_named_and_the_others_counted() {
    let site = Site::new();
    let output = run_with_input(site.audit(["import", "-"]), "x\n".repeat(250) + &foreign(1, "t"));
    assert_summary(&output, &summary(1, 1, 0, 0, 250), 1);
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 102);
    assert!(said.contains("\nstdin:100: ") && said.contains("\nand 150 more lines\n"), "{said}");
}

#[test]
fn without_a_database_or_a_file_it_says_so() {
    let place = Place::new();
    let output = run(place.audit(["import"]));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("audit: an import needs a database; ") && said.contains("DATABASE_URL"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(2));

    let site = Site::new();
    let output = run(site.audit(["import"]));
    assert_eq!(
        (text(&output.stderr), output.status.code()),
        ("audit: no events: ./ops/audit does not exist\n", Some(0))
    );
    site.place.file("good.jsonl", foreign(1, "t"));
    let output = run(site.audit(["import", "good.jsonl", "missing.jsonl"]));
    assert!(text(&output.stderr).starts_with("audit: cannot read missing.jsonl: "), "{output:?}");
    assert_eq!((output.status.code(), site.stored()), (Some(2), 0), "nothing is done by halves");
    let output = run(site.audit(["import", "."]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    // Whatever the backend is.
    for backend in ["null", "memory", "jsonl", "postgres"] {
        let output = run(site.audit(["import", "--backend", backend, "good.jsonl"]));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    assert_eq!(site.stored(), 1);
}

#[test]
fn spools_are_imported_too_and_drained_later_without_effect() {
    let site = Site::new();
    let mut command = site.audit(["write", "--backend", "auto"]);
    command.env("DATABASE_URL", "postgres://audit@127.0.0.1:1/none");
    assert_eq!(last_line(&run_with_input(command, lines(0..300))), "300 accepted, 0 rejected");
    assert_summary(&run(site.audit(["import"])), &summary(300, 300, 0, 0, 0), 0);
    assert_eq!(site.done("exec --backend auto -- true"), "");
    assert_eq!(site.stored(), 301);
    let all = site.done("read --backend auto");
    let mut ids: Vec<Value> =
        all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].take()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 301);
}
