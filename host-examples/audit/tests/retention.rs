//! `audit prove`, `audit check`, `audit prune` and `audit hold`, as whole processes, on files. What a database needs is in
//! `postgres/retention.rs`.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Workspace, run, run_with_input, text};
use serde_json::{Value, json};

const NAME: &str = "example.com/audit";

/// A record of three old days and of today, sealed.
struct Site {
    workspace: Workspace,
    public: String,
}

impl Site {
    fn new() -> Self {
        let site = Self::unsealed();
        site.seal();
        site
    }

    fn unsealed() -> Self {
        let workspace = Workspace::new();
        let made = run(workspace.audit(["keygen", NAME]));
        let public = text(&made.stdout).trim().to_owned();
        let site = Self { workspace, public };
        let line = |day: u32, number: u32| {
            let (ts, workspace) = (format!("2026-05-0{day}T06:30:00Z"), format!("w{}", number % 2));
            json!({"ts": ts, "tool": format!("t{day}-{number}"), "workspace_id": workspace}).to_string()
                + "\n"
        };
        let old: String = (1..=3).flat_map(|day| (0..4).map(move |number| line(day, number))).collect();
        site.write(&old);
        site.write("{\"tool\":\"now\"}\n");
        site
    }

    fn write(&self, lines: &str) {
        let written = run_with_input(self.workspace.audit(["write"]), lines);
        assert!(written.status.success(), "{written:?}");
    }

    fn seal(&self) {
        let sealed = run(self.workspace.audit(["seal", "--key", "audit-seal.key"]));
        assert_eq!((text(&sealed.stderr), sealed.status.code()), ("", Some(0)));
    }

    #[track_caller]
    fn run(&self, line: &str, code: i32) -> Output {
        let output = run(self.workspace.audit(line.split(' ')));
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
        output
    }

    /// What a command shows, which says nothing on stderr.
    #[track_caller]
    fn done(&self, line: &str) -> String {
        let output = self.run(line, 0);
        assert_eq!(text(&output.stderr), "", "{line}");
        text(&output.stdout).to_owned()
    }

    /// Checks the record with both verifiers.
    #[track_caller]
    fn verified(&self, code: i32) {
        self.run(&format!("verify --pubkey {}", self.public), code);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let mut command = Command::new("python3");
        command.arg(root.join("tests/verifier/verify.py")).args(["verify"]).arg(self.workspace.events_dir());
        let output = run({
            command.args(["--pubkey", &self.public]);
            command
        });
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }

    fn day(&self, day: u32) -> PathBuf {
        self.workspace.events_dir().join(format!("tool_audit_2026-05-0{day}.jsonl"))
    }

    /// The identifier of the event of a tool.
    fn id(&self, tool: &str) -> String {
        let event = self.workspace.events().into_iter().find(|event| event["tool"] == tool).unwrap();
        event["id"].as_str().unwrap().to_owned()
    }
}

#[test]
fn one_event_is_shown_to_somebody_who_has_only_the_key() {
    let site = Site::new();
    let id = site.id("t2-3");
    site.done(&format!("prove {id} --out event.tlog-proof"));
    let auditor = Workspace::new();
    fs::copy(site.workspace.path().join("event.tlog-proof"), auditor.path().join("proof")).unwrap();
    let check = |options: &[&str]| run(auditor.audit([&["check", "proof"], options].concat()));
    let shown = check(&["--pubkey", &site.public]);
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    let line = text(&shown.stdout).lines().next().unwrap();
    assert!(fs::read_to_string(site.day(2)).unwrap().lines().any(|stored| stored == line), "{line}");
    let report = check(&["--json", "--pubkey", &site.public]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!((report["verdict"].as_str(), report["size"].as_u64()), (Some("holds"), Some(13)));
    // Nothing is known of a signature without a key, and a key in the proof is not asked.
    let unknown = check(&[]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stdout).contains("holds: the event is leaf 7 of 13"), "{unknown:?}");
    assert!(text(&unknown.stdout).contains("no key is pinned"), "{unknown:?}");
    let other = run(auditor.audit(["keygen", NAME, "--out", "other.key"]));
    assert_eq!(check(&["--pubkey", text(&other.stdout).trim()]).status.code(), Some(1));
    // Another event than the one that is in it.
    let proof = fs::read_to_string(auditor.path().join("proof")).unwrap();
    fs::write(auditor.path().join("proof"), proof.replace("index 7", "index 6")).unwrap();
    let wrong = check(&["--pubkey", &site.public]);
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(text(&wrong.stdout).contains("does not hold: the proof leads to the root"), "{wrong:?}");
}

#[test]
fn what_cannot_be_proved_or_checked_is_said_with_the_reason() {
    let site = Site::new();
    site.write("{\"tool\":\"late\"}\n");
    let says = |line: &str, code: i32, part: &str| {
        let output = site.run(line, code);
        assert!(text(&output.stderr).contains(part), "{line}: {output:?}");
    };
    says(&format!("prove {}", site.id("late")), 2, "not sealed yet");
    says("prove 01a21dfc-da9d-775e-9c12-b8a0e19beb0f", 2, "no event of the record has the id");
    says("prove nonsense", 2, "ID: accepted is the id of an event");
    says("prove --index 13", 2, "there is no leaf 13: the log has 13");
    says("prove --from 20", 2, "20");
    says("prove --from 1 --to 5", 2, "there is no signed checkpoint of 5 leaves");
    says("prove", 2, "required");
    says("check audit-seal.key", 2, "neither a proof of an event");
    // An event that was changed is no proof of itself.
    let path = site.day(1);
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("t1-0", "t1-9")).unwrap();
    says(&format!("prove {}", site.id("t1-9")), 1, "is not what was sealed");
    says("prove --index 0", 1, "is missing");
    site.verified(1);
}

#[test]
fn growth_is_checked_against_a_checkpoint_that_was_kept() {
    let site = Site::new();
    let kept = site.workspace.path().join("kept");
    fs::copy(site.workspace.events_dir().join("log/checkpoint"), &kept).unwrap();
    site.write("{\"tool\":\"later\"}\n");
    site.seal();
    site.done("prove --from 13 --out growth");
    let proof = fs::read_to_string(site.workspace.path().join("growth")).unwrap();
    assert_eq!(site.done("prove --from kept"), proof);
    let check = format!("check growth --pubkey {}", site.public);
    assert_eq!(site.run(&check, 2).status.code(), Some(2));
    assert!(site.done(&format!("{check} --against kept")).contains("begins with the one of 13"));
    // Another log under the same name, and with the same key.
    fs::remove_dir_all(site.workspace.events_dir().join("log")).unwrap();
    fs::remove_file(site.day(1)).unwrap();
    (0..4).for_each(|_| site.write("{\"tool\":\"more\"}\n"));
    site.seal();
    let forked = site.run("prove --from kept", 1);
    assert!(text(&forked.stderr).contains("the checkpoint of --from does not agree"), "{forked:?}");
}

#[test]
fn old_days_go_into_archives_that_can_be_read_and_the_record_still_verifies() {
    let site = Site::new();
    let before = site.workspace.events();
    let would = site.done("prune --before 2026-05-03 --archive archive --dry-run");
    assert!(would.contains("would be pruned: 8 events of 2 days before 2026-05-03"), "{would}");
    assert_eq!(site.workspace.events(), before);
    let pruned: Value =
        serde_json::from_str(&site.done("prune --before 2026-05-03 --archive archive --by ops --json"))
            .unwrap();
    assert_eq!((pruned["events"].as_u64(), pruned["days"][0]["day"].as_str()), (Some(8), Some("2026-05-01")));
    assert!(!site.day(1).exists() && !site.day(2).exists() && site.day(3).exists());
    // It is on record once the event that says so is sealed.
    site.verified(1);
    site.seal();
    site.verified(0);
    let event = site.workspace.events().into_iter().rfind(|event| event["action"] == "prune").unwrap();
    assert_eq!((event["tool"].as_str(), event["user_id"].as_str()), (Some("audit"), Some("ops")));
    assert_eq!(event["attributes"]["events"], "4");
    let verify = format!("verify --pubkey {} --archive archive", site.public);
    assert!(site.done(&verify).contains("8 pruned"));
    let archived = site.done("--dir archive read --format jsonl");
    let tools = common::field(archived.as_bytes(), "tool");
    assert_eq!(tools, ["t1-0", "t1-1", "t1-2", "t1-3", "t2-0", "t2-1", "t2-2", "t2-3"]);
    let newest =
        site.done("--dir archive read --format jsonl --newest --limit 2 --to 2026-05-01 --workspace w1");
    assert_eq!(common::field(newest.as_bytes(), "tool"), ["t1-3", "t1-1"]);
    let gone = site.run("prove --index 0", 2);
    assert!(
        text(&gone.stderr).contains("was pruned at")
            && text(&gone.stderr).contains("tool_audit_2026-05-01.jsonl.zst")
    );
    assert!(site.done("prune --before 2026-05-03").contains("pruned: 0 events"));
}

#[test]
fn an_archive_beside_the_files_changes_nothing_of_what_a_read_finds() {
    let site = Site::unsealed();
    // A writer that rotates by local time: the last event of each day is in the file of the next.
    let files: Vec<Vec<String>> = (1..=3)
        .map(|day| fs::read_to_string(site.day(day)).unwrap().lines().map(String::from).collect())
        .collect();
    for day in 1..=3_u32 {
        let of_day = &files[day as usize - 1];
        let late = if day > 1 { files[day as usize - 2].last() } else { None };
        let lines = late.into_iter().chain(&of_day[..3]).map(|line| line.to_owned() + "\n");
        fs::write(site.day(day), lines.collect::<String>()).unwrap();
    }
    site.seal();
    let read = |from: u32, to: u32| {
        let all = site.done(&format!("read --format jsonl --from 2026-05-0{from} --to 2026-05-0{to}"));
        common::field(all.as_bytes(), "tool")
    };
    let reads = || [(1, 1), (2, 2), (3, 3), (1, 2), (2, 3), (4, 4)].map(|(from, to)| read(from, to));
    let before = reads();
    assert_eq!(before[1], ["t2-0", "t2-1", "t2-2", "t2-3"]);
    for until in 2..=4 {
        site.done(&format!("prune --before 2026-05-0{until} --archive ops/audit"));
        assert_eq!(reads(), before, "{until}");
    }
}

#[test]
fn what_is_no_file_holds_up_no_command_and_is_told() {
    let site = Site::new();
    site.done("prune --before 2026-05-02 --archive ops/audit");
    site.seal();
    let pipe = |path: PathBuf| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let told = |line: &str, code: i32, parts: &[&str]| {
        let output = site.run(line, code);
        let said = text(&output.stderr).to_owned() + text(&output.stdout);
        assert!(parts.iter().all(|part| said.contains(part)), "{line}: {output:?}");
        output
    };
    let folder = site.workspace.events_dir();
    // In the place of a day that is sealed, of days that are not, and of archives.
    fs::remove_file(site.day(2)).unwrap();
    pipe(site.day(2));
    pipe(site.day(4));
    fs::create_dir(site.day(5)).unwrap();
    pipe(folder.join("tool_audit_2026-05-06.jsonl.zst"));
    fs::create_dir(folder.join("tool_audit_2026-05-07.jsonl.zst")).unwrap();
    let days = ["02.jsonl", "04.jsonl", "05.jsonl", "06.jsonl.zst", "07.jsonl.zst"];
    let read = told(
        "read --format jsonl --to 2026-05-31",
        0,
        &days.map(|day| format!("2026-05-{day} is passed over")).each_ref().map(String::as_str),
    );
    let tools = common::field(&read.stdout, "tool");
    assert_eq!(tools, ["t1-0", "t1-1", "t1-2", "t1-3", "t3-0", "t3-1", "t3-2", "t3-3"]);
    told("status", 0, &["2026-05-02.jsonl is passed over", "2026-05-05.jsonl is passed over"]);
    told(&format!("verify --pubkey {}", site.public), 1, &["2026-05-02.jsonl"]);
    told("seal --key audit-seal.key", 1, &["2026-05-02.jsonl", "2026-05-04.jsonl", "2026-05-05.jsonl"]);
    told("prune --before 2026-05-20", 1, &["2026-05-02.jsonl", "2026-05-04.jsonl", "2026-05-05.jsonl"]);
    told("prove --index 4", 2, &["it is not a file"]);
    // In the place of a file that is being removed.
    pipe(folder.join("tool_audit_2026-05-03.jsonl.pruned"));
    told("prune --before 2026-05-20", 2, &["2026-05-03.jsonl"]);
}

#[test]
fn days_that_went_before_an_error_are_named() {
    let site = Site::new();
    let archive = site.workspace.path().join("archive");
    fs::create_dir(&archive).unwrap();
    fs::write(archive.join("tool_audit_2026-05-02.jsonl.zst"), "another file").unwrap();
    let pruned = site.run("prune --before 2026-05-03 --archive archive", 2);
    let said = text(&pruned.stderr);
    assert!(said.contains("pruned before what went wrong: 2026-05-01; seal now"), "{said}");
    assert!(said.contains("tool_audit_2026-05-02.jsonl.zst is there already"), "{said}");
    assert!(!site.day(1).exists() && site.day(2).exists());
}

#[test]
fn what_is_held_or_not_sealed_stays_and_is_said() {
    let site = Site::new();
    let held = site.done("hold add --workspace w1 --to 2026-05-01 --reason inquiry --by counsel");
    assert_eq!(held, "hold-1 holds --to 2026-05-01 --workspace w1\n");
    let listed = site.done("hold list");
    assert!(listed.starts_with("hold-1  since ") && listed.contains("by counsel"), "{listed}");
    site.write("{\"tool\":\"late\",\"ts\":\"2026-05-02T00:00:00Z\"}\n");
    let pruned = site.run("prune --keep 1d", 1);
    let said = text(&pruned.stderr);
    assert!(said.contains("kept tool_audit_2026-05-01.jsonl: hold-1 holds events of it (inquiry)"), "{said}");
    assert!(said.contains("kept tool_audit_2026-05-02.jsonl: not all of it is sealed"), "{said}");
    assert!(site.day(1).exists() && site.day(2).exists() && !site.day(3).exists());
    site.done("hold remove hold-1 --reason closed");
    assert_eq!(site.done("hold list"), "");
    let add = site.workspace.audit(["hold", "add", "--tool", "none", "--reason", "two\nlines"]);
    assert!(run(add).status.success());
    assert_eq!(site.done("hold list").lines().count(), 1);
    site.seal();
    site.done("prune --keep 1d");
    site.seal();
    assert!(!site.day(1).exists() && !site.day(2).exists());
    site.verified(0);
    let actions: Vec<Value> = site.workspace.events().iter().map(|event| event["action"].clone()).collect();
    assert_eq!(actions.iter().filter(|action| **action == "hold").count(), 3);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let site = Site::new();
    for (line, part) in [
        ("prune", "required"),
        ("prune --keep 180d --before 2026-05-01", "cannot be used with"),
        ("prune --keep 5h", "accepted is a whole number above 0 and d or w"),
        ("prune --before yesterday", "accepted is a date such as 2026-06-01"),
        ("hold add --reason x", "--all: give a filter"),
        ("hold remove x --reason y", "no hold is called \"x\"; there is none"),
        ("--backend null prune --keep 1d", "keeps nothing that can be sealed"),
    ] {
        let output = site.run(line, 2);
        assert!(text(&output.stderr).contains(part), "{line}: {output:?}");
    }
}
