//! `audit reconcile` says which calls of transcripts are in the record, and records those that are not.
#![cfg(unix)]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use common::{Workspace, run, run_with_input, text};
use serde_json::{Value, json};

const CLAUDE: &str = include_str!("transcripts/claude.jsonl");
const SESSION: &str = "5f0c3f6e-8b57-4d0c-9f0e-0d7a1c2b3d4e";

/// A workspace whose agents have their homes in it.
struct Site(Workspace);

impl Site {
    fn new() -> Self {
        Self(Workspace::new())
    }

    fn audit(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.audit(arguments);
        for name in ["CLAUDE_CONFIG_DIR", "CODEX_HOME", "COPILOT_HOME"] {
            command.env(name, self.0.path().join(name));
        }
        command.env("GEMINI_CLI_HOME", self.0.path());
        command
    }

    /// A transcript that was last written to two days ago.
    fn transcript(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        age(&path);
        path
    }

    fn claude(&self) -> PathBuf {
        self.transcript(&format!("CLAUDE_CONFIG_DIR/projects/-srv-app/{SESSION}.jsonl"), CLAUDE)
    }

    fn write(&self, events: &[Value]) {
        let lines: String = events.iter().map(|event| event.to_string() + "\n").collect();
        let output = run_with_input(self.0.audit(["write"]), lines);
        assert!(output.status.success(), "{output:?}");
    }

    /// The JSON lines of a comparison, and its exit status.
    fn reconcile(&self, arguments: &[&str]) -> (Vec<Value>, i32) {
        let arguments: Vec<&str> =
            ["reconcile", "--json", "--within", "/"].iter().chain(arguments).copied().collect();
        let output = run(self.audit(&arguments));
        (lines(&output), output.status.code().unwrap())
    }

    fn events(&self) -> Vec<Value> {
        self.0.events()
    }
}

fn age(path: &Path) {
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(SystemTime::now() - Duration::from_secs(172_800))
        .unwrap();
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

/// The identifiers and outcomes of the calls that are missing.
fn missing(lines: &[Value]) -> Vec<(&str, &str)> {
    of_kind(lines, "missing")
        .into_iter()
        .map(|line| (line["event"]["req_id"].as_str().unwrap(), line["event"]["status"].as_str().unwrap()))
        .collect()
}

/// The events that the hook of Claude Code would have recorded for the calls with these letters.
fn hooked(letters: &str) -> Vec<Value> {
    let event = |letter: char| {
        json!({"ts": "2026-11-23T06:30:02Z", "graph_run_id": SESSION, "agent_id": "claude-code", "status": "ok",
               "req_id": format!("toolu_01{}", letter.to_string().repeat(22)), "tool": "t", "attributes": {"source": "hook"}})
    };
    letters.chars().map(event).collect()
}

#[test]
fn calls_that_are_missing_are_told_with_all_that_their_transcript_tells() {
    let site = Site::new();
    site.claude();
    site.write(&hooked("A"));
    let (lines, code) = site.reconcile(&["claude"]);
    assert_eq!(code, 1);
    assert_eq!(
        missing(&lines),
        [
            ("toolu_01BBBBBBBBBBBBBBBBBBBBBB", "error"),
            ("toolu_01CCCCCCCCCCCCCCCCCCCCCC", "denied"),
            ("toolu_01DDDDDDDDDDDDDDDDDDDDDD", "cancelled"),
            ("toolu_01EEEEEEEEEEEEEEEEEEEEEE", "lost"),
        ]
    );
    let event = &of_kind(&lines, "missing")[0]["event"];
    for (field, value) in [
        ("ts", json!("2026-11-23T06:30:03.000000Z")),
        ("graph_run_id", json!(SESSION)),
        ("agent_id", json!("claude-code")),
        ("tool", json!("github")),
        ("action", json!("create_issue")),
        ("workspace_id", json!("app")),
        ("duration_ms", json!(1000)),
        ("in_size", json!(r#"{"title":"t"}"#.len())),
        ("out_size", json!(r#"[{"type":"text","text":"Error: 503"}]"#.len())),
        // printf '{"title":"t"}' | sha256sum
        ("input_hash", json!("fd32f01954a82d8192431bf0c8d2fe22d8c10a9d62a1f4aad96228b065e6cc65")),
        (
            "attributes",
            json!({"source": "transcript", "source_version": "2.1.300", "model": "large-4-20261101"}),
        ),
    ] {
        assert_eq!(event[field], value, "{field}");
    }
    assert_eq!(of_kind(&lines, "missing")[3]["event"]["agent_id"], "claude-code:a1b2c3");
    let total = of_kind(&lines, "total")[0];
    assert_eq!(
        (&total["calls"], &total["recorded"], &total["missing"], &total["transcripts"]),
        (&json!(5), &json!(1), &json!(4), &json!(1))
    );
    let passed_over =
        json!({"no JSON": 1, "of a kind that is not known": 1, "a call without an identifier": 1});
    assert_eq!(total["lines_passed_over"], passed_over);
    assert_eq!(of_kind(&lines, "session")[0]["session"], SESSION);
}

#[test]
fn the_text_has_a_line_for_each_session_and_a_table_of_what_is_missing() {
    let site = Site::new();
    site.claude();
    site.write(&hooked("ABC"));
    site.write(&[json!({"ts": "2026-11-23T06:30:02Z", "graph_run_id": "gone", "agent_id": "claude-code", "status": "ok",
                        "req_id": "toolu_01ZZZZZZZZZZZZZZZZZZZZZZ", "tool": "Grep"})]);
    let output = run(site.audit(&["reconcile", "claude", "--within", "/srv/app"]));
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for part in [
        &format!("session {SESSION}: 5 calls, 3 recorded, 2 missing\n"),
        "session gone: 0 calls, 0 recorded, 1 only in the record\n",
        "missing from the record:\n┌",
        "cancelled",
        "in the record, and in no transcript:\n┌",
        "Grep",
        "1 transcript: 5 calls, 3 recorded, 2 missing, 1 only in the record\n",
        "1 line passed over: no JSON\n",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    for secret in ["please list", "sleep 100", "List files", "Cargo.toml", "503"] {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
    // Nothing but `--add` writes.
    assert_eq!(site.events().len(), 4);
    site.write(&hooked("DE"));
    let output = run(site.audit(&["reconcile", "claude", "--within", "/srv/app"]));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn what_is_missing_is_added_once() {
    let site = Site::new();
    site.claude();
    site.write(&hooked("AB"));
    let (lines, code) = site.reconcile(&["claude", "--add"]);
    assert_eq!((code, &of_kind(&lines, "total")[0]["added"]), (0, &json!(3)));
    let events = site.events();
    let sources: Vec<&str> =
        events.iter().map(|event| event["attributes"]["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["hook", "hook", "transcript", "transcript", "transcript"]);
    let denied = events.iter().find(|event| event["status"] == "denied").unwrap();
    assert_eq!((&denied["tool"], &denied["attributes"]["decision"]), (&json!("Write"), &json!("deny")));
    for _ in 0..2 {
        let (lines, code) = site.reconcile(&["claude", "--add"]);
        let total = of_kind(&lines, "total")[0];
        assert_eq!((code, &total["recorded"], &total["added"]), (0, &json!(5), &json!(0)));
    }
    assert_eq!(site.events().len(), 5);
}

#[test]
fn several_that_add_at_once_add_each_call_once() {
    let site = Site::new();
    site.claude();
    std::thread::scope(|scope| {
        let adding: Vec<_> = (0..4).map(|_| scope.spawn(|| site.reconcile(&["claude", "--add"]).1)).collect();
        assert!(adding.into_iter().all(|adding| adding.join().unwrap() == 0));
    });
    assert_eq!(site.events().len(), 5);
}

#[test]
fn a_beginning_alone_is_not_the_call_and_its_end_is_added() {
    let site = Site::new();
    site.claude();
    let started = |mut event: Value| {
        event["status"] = json!("started");
        event
    };
    site.write(&hooked("ABCDE").into_iter().map(started).collect::<Vec<_>>());
    assert_eq!(site.reconcile(&["claude", "--add"]).1, 0);
    let output = run(site.0.audit(["read", "--unfinished"]));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(site.events().len(), 10);
}

#[test]
fn a_call_that_may_still_be_recorded_is_not_missing() {
    let site = Site::new();
    let path = site.claude();
    // Somebody writes to it: the call without a result may run.
    File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now()).unwrap();
    let (lines, _) = site.reconcile(&["claude", "--add"]);
    let total = of_kind(&lines, "total")[0];
    assert_eq!((&total["added"], &total["running"], &total["missing"]), (&json!(4), &json!(1), &json!(0)));
    // A result of this moment: the hook has not yet recorded it.
    let now = run({
        let mut command = site.0.command("date");
        command.args(["-u", "+%Y-%m-%dT%H:%M:%S.000Z"]);
        command
    });
    let now = text(&now.stdout).trim();
    let call = json!({"type": "assistant", "sessionId": "s", "timestamp": now,
        "message": {"content": [{"type": "tool_use", "id": "toolu_01FFFFFFFFFFFFFFFFFFFFFF", "name": "Bash", "input": {}}]}});
    let result = json!({"type": "user", "sessionId": "s", "timestamp": now,
        "message": {"content": [{"type": "tool_result", "tool_use_id": "toolu_01FFFFFFFFFFFFFFFFFFFFFF", "content": ""}]}});
    let path = site.transcript("new.jsonl", format!("{call}\n{result}\n"));
    let (lines, code) = site.reconcile(&["claude", path.to_str().unwrap()]);
    assert_eq!((code, &of_kind(&lines, "total")[0]["running"]), (0, &json!(1)));
}

#[test]
fn the_calls_of_a_session_that_was_resumed_count_once() {
    let site = Site::new();
    site.claude();
    site.transcript(
        "CLAUDE_CONFIG_DIR/projects/-srv-app/zzz.jsonl",
        CLAUDE.replace(SESSION, "another-session"),
    );
    site.write(&hooked("ABCDE"));
    let (lines, code) = site.reconcile(&["claude"]);
    let total = of_kind(&lines, "total")[0];
    assert_eq!((code, &total["calls"], &total["repeated"]), (0, &json!(5), &json!(5)));
}

#[test]
fn times_and_folders_limit_what_is_looked_at() {
    let site = Site::new();
    site.claude();
    let calls = |arguments: &[&str]| {
        let mut command = site.audit(&["reconcile", "claude", "--json"]);
        command.args(arguments);
        of_kind(&lines(&run(command)), "total")[0]["calls"].as_u64().unwrap()
    };
    assert_eq!(calls(&["--within", "/srv"]), 5);
    // The project of the workspace is another one.
    assert_eq!(calls(&[]), 0);
    assert_eq!(calls(&["--within", "/srv/ap"]), 0);
    assert_eq!(calls(&["--scope", "user"]), 5);
    let within = ["--within", "/", "--from", "2026-11-23T06:30:03Z", "--to", "2026-11-23T06:30:59Z"];
    assert_eq!(calls(&within), 3);
    // Nothing was written to the transcript since.
    let output = run(site.audit(&["reconcile", "claude", "--json", "--since", "1d", "--within", "/"]));
    assert_eq!(of_kind(&lines(&output), "total")[0]["transcripts"], 0);
}

#[test]
fn transcripts_of_codex_tell_calls_and_where_they_can_outcomes() {
    let site = Site::new();
    let rollout = include_str!("transcripts/codex.jsonl");
    site.transcript("CODEX_HOME/sessions/2026/11/23/rollout-2026-11-23T06-30-00-019a.jsonl", rollout);
    site.transcript(
        "CODEX_HOME/sessions/2026/11/22/rollout-2026-11-22T06-30-00-019a.jsonl.zst",
        "compressed",
    );
    let (lines, code) = site.reconcile(&["codex"]);
    assert_eq!(code, 1);
    let outcomes: Vec<&str> = missing(&lines).into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, ["error", "ok", "unknown", "denied", "cancelled"]);
    let event = |n: usize| &of_kind(&lines, "missing")[n]["event"];
    assert_eq!((&event(0)["tool"], &event(0)["duration_ms"]), (&json!("exec_command"), &json!(2500)));
    assert_eq!(
        (&event(0)["job_id"], &event(0)["attributes"]["model"]),
        (&json!("turn-1"), &json!("large-5-codex"))
    );
    assert_eq!((&event(2)["tool"], &event(2)["action"]), (&json!("docs"), &json!("search")));
    // The hash of arguments that are a text is that of their JSON: printf '{"cmd":"make","workdir":"/srv/app"}' | sha256sum
    let hash = "bc4761c89d2d7f8fff457d744ac2358b54a2065cacd13e2811a188f0a74541fb";
    assert_eq!(event(0)["input_hash"], hash);
    assert_eq!(of_kind(&lines, "total")[0]["transcripts_not_read"], 1);
    assert_eq!(site.reconcile(&["codex", "--add"]).1, 0);
    assert_eq!(site.reconcile(&["codex"]).1, 0);
}

#[test]
fn agents_whose_hooks_tell_no_identifier_are_matched_by_their_arguments() {
    let site = Site::new();
    let session = "2d6da700-f689-47d7-9d20-d8fed7053e82";
    site.transcript(
        &format!("COPILOT_HOME/session-state/{session}/events.jsonl"),
        include_str!("transcripts/copilot.jsonl"),
    );
    let (lines, _) = site.reconcile(&["copilot"]);
    let calls: Vec<&str> = missing(&lines).into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(calls, ["ok", "denied", "cancelled"]);
    let hash = of_kind(&lines, "missing")[0]["event"]["input_hash"].clone();
    assert_eq!(of_kind(&lines, "missing")[2]["event"]["tool"], "github");
    // Two calls have these arguments; one of them is recorded, and one more that no transcript has.
    let hooked = |hash: &Value| {
        json!({"ts": "2026-11-23T06:30:01Z", "graph_run_id": session, "agent_id": "copilot",
                                       "status": "ok", "input_hash": hash, "tool": "view"})
    };
    site.write(&[hooked(&hash), hooked(&json!("another"))]);
    let (lines, code) = site.reconcile(&["copilot"]);
    let total = of_kind(&lines, "total")[0];
    assert_eq!((code, &total["recorded"], &total["missing"]), (1, &json!(1), &json!(2)));
    assert_eq!(total["only_recorded"], 1);
    assert_eq!(of_kind(&lines, "only_recorded")[0]["event"]["input_hash"], "another");
    assert_eq!(site.reconcile(&["copilot", "--add"]).1, 0);
    let (lines, code) = site.reconcile(&["copilot", "--add"]);
    assert_eq!((code, &of_kind(&lines, "total")[0]["added"]), (0, &json!(0)));
    assert_eq!(site.events().len(), 4);
}

#[test]
fn chats_of_gemini_are_read_in_their_last_state() {
    let site = Site::new();
    let chat = include_str!("transcripts/gemini.jsonl");
    site.transcript(".gemini/tmp/app/chats/session-2026-11-23T06-30-9c1f0b6a.jsonl", chat);
    site.transcript(".gemini/tmp/app/.project_root", "/srv/app\n");
    site.transcript(".gemini/tmp/app/chats/session-old.json", "{}");
    let (lines, code) = site.reconcile(&["gemini"]);
    assert_eq!(code, 1);
    let expected = [("run_shell_command-1700000000001-a", "ok"), ("read_file-1700000000002-b", "cancelled")];
    assert_eq!(missing(&lines), expected);
    let event = &of_kind(&lines, "missing")[0]["event"];
    assert_eq!((&event["workspace_id"], &event["agent_id"]), (&json!("app"), &json!("gemini-cli")));
    assert_eq!(of_kind(&lines, "total")[0]["transcripts_not_read"], 1);
    assert_eq!(site.reconcile(&["gemini", "--add"]).1, 0);
    assert_eq!(site.reconcile(&["gemini"]).1, 0);
}

#[test]
fn broken_and_empty_transcripts_are_no_trouble_and_missing_ones_are() {
    let site = Site::new();
    let names = ["empty", "torn", "binary", "array"];
    let contents: [&[u8]; 4] = [b"", b"{\"type\":\"assis", b"\xff\x00\xfe\n\x00\n", b"[1,2]\n\"x\"\nnull\n"];
    let paths: Vec<PathBuf> =
        names.iter().zip(contents).map(|(name, contents)| site.transcript(name, contents)).collect();
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    for agent in ["claude", "codex", "copilot", "gemini"] {
        let arguments: Vec<&str> = [agent].iter().chain(&paths).copied().collect();
        let (lines, code) = site.reconcile(&arguments);
        assert_eq!((code, &of_kind(&lines, "total")[0]["calls"]), (0, &json!(0)), "{agent}");
    }
    for arguments in [
        vec!["reconcile", "claude", "nothing.jsonl"],
        vec!["reconcile", "claude"],
        vec!["reconcile", "nobody"],
    ] {
        let output = run(site.audit(&arguments));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    let output = run(site.audit(&["reconcile", "claude", paths[0], "--add", "--backend", "memory"]));
    assert!(text(&output.stderr).contains("accepted are files and databases"), "{output:?}");
}

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use std::io::{BufWriter, Write as _};
    use std::process::Stdio;
    use std::thread;

    use audit_testbed::seed;

    use super::*;

    /// A transcript with so many calls, each of which has a result of `size` bytes.
    fn large(site: &Site, calls: usize, size: usize) -> PathBuf {
        let path = site.transcript("large.jsonl", "");
        let mut file = BufWriter::new(File::create(&path).unwrap());
        let result = "x".repeat(size);
        for n in 0..calls {
            let line = json!({"type": "assistant", "sessionId": "s", "cwd": "/srv/app", "timestamp": "2026-11-23T06:30:00Z",
                "message": {"content": [{"type": "tool_use", "id": format!("toolu_{n:020}"), "name": "Bash", "input": {"n": n}}]}});
            writeln!(file, "{line}").unwrap();
            let line = json!({"type": "user", "sessionId": "s", "cwd": "/srv/app", "timestamp": "2026-11-23T06:30:01Z",
                "message": {"content": [{"type": "tool_result", "tool_use_id": format!("toolu_{n:020}"), "content": result}]}});
            writeln!(file, "{line}").unwrap();
        }
        file.flush().unwrap();
        drop(file);
        age(&path);
        path
    }

    /// The most memory that the process has had, in KiB.
    fn peak(id: u32) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    #[test]
    fn a_large_transcript_takes_little_memory() {
        let site = Site::new();
        // Two hundred results of a mebibyte, and one line that is as long as all of them.
        let path = large(&site, 200, 1 << 20);
        let line = json!({"type": "user", "sessionId": "s", "message": {"content": "y".repeat(64 << 20)}});
        writeln!(File::options().append(true).open(&path).unwrap(), "{line}").unwrap();
        age(&path);
        let measured = |path: &Path| {
            let mut command = site.audit(&["reconcile", "claude", path.to_str().unwrap(), "--json"]);
            // Into a file, because a pipe that nobody reads would hold it up.
            let out = site.0.path().join("out");
            let mut child = command.stdout(File::create(&out).unwrap()).spawn().unwrap();
            let mut most = 0;
            while child.try_wait().unwrap().is_none() {
                most = peak(child.id()).unwrap_or_default().max(most);
                thread::sleep(Duration::from_millis(2));
            }
            let out = fs::read_to_string(out).unwrap();
            let total: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
            let calls = total["calls"].as_u64().unwrap();
            (calls, most)
        };
        let small = site.transcript("small.jsonl", CLAUDE);
        let ((_, least), (calls, most)) = (measured(&small), measured(&path));
        assert_eq!(calls, 200);
        assert!(fs::metadata(&path).unwrap().len() > 250 << 20);
        assert!(most > 0 && most < least + (24 << 10), "{most} KiB after {least} KiB");
    }

    #[test]
    fn what_was_killed_while_it_added_goes_on_where_it_was() {
        let site = Site::new();
        let path = large(&site, 5000, 10);
        let path = path.to_str().unwrap();
        let mut random = seed();
        let mut kills = 0;
        loop {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut command = site.audit(&["reconcile", "claude", path, "--add", "--json"]);
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            thread::sleep(Duration::from_millis(100 + 100 * kills + (random >> 33) % 200));
            if child.try_wait().unwrap().is_some() {
                assert!(child.wait_with_output().unwrap().status.success());
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        assert!(kills > 0);
        let (lines, code) = site.reconcile(&["claude", path, "--add"]);
        assert_eq!((code, &of_kind(&lines, "total")[0]["recorded"]), (0, &json!(5000)));
        assert_eq!(site.events().len(), 5000);
    }
}
