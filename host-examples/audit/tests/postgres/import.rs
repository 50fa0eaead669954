//! What `audit import` takes, what it passes over, and that it can be repeated.

use std::fs;
use std::io::Write as _;
use std::process::{Output, Stdio};

use audit_testbed::{DATABASE_BACKENDS, NOWHERE, wait_until};
use serde_json::{Value, json};

use crate::common::{
    Workspace, assert_accepted, assert_summary, field, line, lines, run, run_with_input, text,
};
use crate::{REFUSED_TOOL, Site, tools};

/// Checks how many events were read, stored, there already and refused, and how many lines were passed over. The last two
/// are why an import fails.
#[track_caller]
pub fn assert_import(output: &Output, [read, stored, there, refused, passed_over]: [usize; 5]) {
    let words = ["read", "stored", "there", "refused", "passed over"];
    let numbers = [read, stored, there, refused, passed_over];
    let expected: Vec<_> = numbers.into_iter().zip(words).collect();
    assert_summary(output, &expected, i32::from(refused + passed_over > 0));
}

/// Writes lines into the daily files with `audit write`.
fn write_files(site: &Site, lines: String) {
    assert!(run_with_input(site.audit(["write"]), lines).status.success());
}

/// A line of another program.
fn foreign(n: usize, tool: &str) -> String {
    format!("{{ \"tool\": \"{tool}\", \"ts\": \"2026-11-23T07:30:00.{n:03}+01:00\", \"extra\": [1] }}\n")
}

#[test]
fn imported_lines_of_the_store_are_read_byte_for_byte_as_they_were() {
    let site = Site::new();
    let odd =
        json!({"ts": "0000-01-01T00:00:00Z", "tool": "ä\"\\\u{2028}𝄞", "job_id": "", "in_size": u64::MAX});
    write_files(&site, lines(0..2500) + &odd.to_string() + "\n{\"tool\":\"now\"}\n");
    let files = site.done("read");
    assert_eq!(files.lines().count(), 2502);
    assert_import(&run(site.audit(["import"])), [2502, 2502, 0, 0, 0]);
    for backend in DATABASE_BACKENDS {
        assert!(site.done(&format!("read --backend {backend} --format jsonl")) == files, "{backend}");
    }
}

#[test]
fn a_folder_of_several_programs_can_be_imported_again_without_effect() {
    let site = Site::new();
    write_files(&site, lines(0..100));
    let file = site.workspace.daily_file();
    let own = fs::read_to_string(&file).unwrap();
    let torn = &own[..200];
    // This line has the same values as the second foreign one, in another spelling.
    let again = "{\"ts\":\"2026-11-23T06:30:00.002Z\",\"tool\":\"twice\",\"in_size\":0}\n";
    let (one, two) = (foreign(1, "f1"), foreign(2, "twice"));
    let parts =
        [&own, "garbage\n\n", &one, &two, torn, "\n\0\0\0\n", "{\"ts\":\"yesterday\"}\n", again, torn];
    let day = [parts.concat().as_bytes(), b"\n{\"tool\":\"\xC3"].concat();
    fs::write(&file, &day).unwrap();
    // Other programs rotate by their own day. A line that is in two files is one event.
    fs::write(site.workspace.events_dir().join("tool_audit_2026-11-22.jsonl"), foreign(1, "f1")).unwrap();
    fs::write(site.workspace.events_dir().join("refused_x.jsonl"), foreign(3, "none")).unwrap();

    let output = run(site.audit(["import"]));
    assert_import(&output, [104, 103, 1, 0, 6]);
    let said = text(&output.stderr);
    let named: Vec<_> =
        said.lines().map(|line| line.split_inclusive(": ").take(2).collect::<String>()).collect();
    let at = |line: usize, field: &str| format!("./ops/audit/tool_audit_2026-11-23.jsonl:{line}: {field}: ");
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
        assert_import(&run(site.audit(["import"])), [104, 0, 104, 0, 6]);
    }
    assert_eq!(site.stored(), 103);
    assert_eq!(fs::read(file).unwrap(), day, "the import has changed a file");
}

#[test]
fn files_and_stdin_can_be_named() {
    let site = Site::new();
    let one = site.workspace.file("one.jsonl", foreign(1, "one"));
    site.workspace.file("- odd", foreign(2, "odd").trim_end());
    let output = run(site.audit(["import".as_ref(), one.as_os_str(), "./- odd".as_ref(), one.as_os_str()]));
    assert_import(&output, [3, 2, 1, 0, 0]);
    let output =
        run_with_input(site.audit(["import", "-"]), foreign(3, "three") + "x\n" + &foreign(1, "one"));
    assert_import(&output, [2, 1, 1, 0, 1]);
    assert!(text(&output.stderr).starts_with("stdin:2: json: "), "{output:?}");
    let found = site.done("read --backend postgres");
    assert_eq!(tools(found.as_bytes()), ["one", "odd", "three"]);
    assert!(!site.workspace.path().join("ops").exists());
}

#[test]
fn lines_are_stored_while_the_input_stays_open() {
    let site = Site::new();
    let mut command = site.audit(["import", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for n in 1..4 {
        stdin.write_all(foreign(n, "t").as_bytes()).unwrap();
        wait_until("the line is stored", || site.stored() == n);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn lines_of_the_original_program_are_imported_as_python_reads_them() {
    let site = Site::new();
    let file =
        site.workspace.file("original.jsonl", include_str!("../../../../tests/compatibility/original.jsonl"));
    let expected = include_str!("../../../../tests/compatibility/original.expected.jsonl");
    for there in [0, 12] {
        assert_import(&run(site.audit(["import", file.to_str().unwrap()])), [12, 12 - there, there, 0, 0]);
    }
    let read = site.done("read --backend postgres --format jsonl");
    assert_eq!(read.lines().count(), expected.lines().count());
    for (line, expected) in read.lines().zip(expected.lines()) {
        let (line, expected): (Value, Value) =
            (serde_json::from_str(line).unwrap(), serde_json::from_str(expected).unwrap());
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&line[name], value, "{name} of {line}");
        }
    }
}

#[test]
fn rows_that_the_database_refuses_are_named() {
    let site = Site::that_refuses_a_tool();
    let tool = |n: usize| if n % 500 == 3 { REFUSED_TOOL } else { "good" };
    let own: String = (0..1500).map(|n| line(n, tool(n))).collect();
    write_files(&site, own);
    let path = site.workspace.daily_file();
    let nul = "{\"ts\":\"2026-11-23T06:30:00Z\",\"tool\":\"a\\u0000b\"}\n";
    fs::write(
        &path,
        fs::read_to_string(&path).unwrap() + &foreign(1, REFUSED_TOOL) + nul + &foreign(2, "good"),
    )
    .unwrap();
    let output = run(site.audit(["import"]));
    assert_import(&output, [1503, 1499, 0, 4, 0]);
    let said = text(&output.stderr);
    for line in [4, 504, 1004, 1501] {
        let start = format!("./ops/audit/tool_audit_2026-11-23.jsonl:{line}: the database refuses it: ");
        assert_eq!(said.matches(&start).count(), 1, "{said}");
    }
    assert!(!said.contains(REFUSED_TOOL), "a reason shows no value: {said}");
    assert_eq!(site.stored(), 1499);
}

#[test]
fn the_first_hundred_bad_lines_are_named_and_the_others_counted() {
    let site = Site::new();
    let output = run_with_input(site.audit(["import", "-"]), "x\n".repeat(250) + &foreign(1, "t"));
    assert_import(&output, [1, 1, 0, 0, 250]);
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 102);
    assert!(said.contains("\nstdin:100: ") && said.contains(" 150 more "), "{said}");
}

#[test]
fn a_missing_database_or_file_is_named() {
    let workspace = Workspace::new();
    let output = run(workspace.audit(["import"]));
    let said = text(&output.stderr);
    assert!(said.contains("needs a database") && said.contains("DATABASE_URL"), "{said}");
    assert_eq!(output.status.code(), Some(2));

    let site = Site::new();
    let output = run(site.audit(["import"]));
    assert!(text(&output.stderr).contains("./ops/audit does not exist"), "{output:?}");
    assert_eq!(output.status.code(), Some(0));
    site.workspace.file("good.jsonl", foreign(1, "t"));
    let output = run(site.audit(["import", "good.jsonl", "missing.jsonl"]));
    assert!(text(&output.stderr).starts_with("audit: cannot read missing.jsonl: "), "{output:?}");
    assert_eq!((output.status.code(), site.stored()), (Some(2), 0), "the good file was imported alone");
    let output = run(site.audit(["import", "."]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    // An import stores the events in the database whatever the backend is.
    for backend in ["null", "memory", "jsonl", "postgres"] {
        let output = run(site.audit(["import", "--backend", backend, "good.jsonl"]));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    assert_eq!(site.stored(), 1);
}

#[test]
fn a_spool_can_be_imported_and_is_drained_later_without_effect() {
    let site = Site::new();
    let away = format!("postgres://audit@{NOWHERE}/none");
    let command = site.audit_at(&away, ["write", "--backend", "auto"]);
    assert_accepted(&run_with_input(command, lines(0..300)), 300, 0);
    assert_import(&run(site.audit(["import"])), [300, 300, 0, 0, 0]);
    let mut calls = 0;
    wait_until("the database is tried again", || {
        calls += 1;
        assert!(run(site.audit(["exec", "--backend", "auto", "--", "true"])).status.success());
        site.stored() > 300
    });
    let all = site.done("read --backend auto");
    let mut ids = field(all.as_bytes(), "id");
    ids.dedup();
    assert_eq!(ids.len(), 300 + calls);
}
