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
    let output = run(site.audit(&["reconcile", "claude", "--within", "/"]));
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
    let output = run(site.audit(&["reconcile", "claude", "--within", "/"]));
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
    let srv = site.0.path().join("srv");
    fs::create_dir_all(srv.join("app")).unwrap();
    fs::create_dir(srv.join("ap")).unwrap();
    std::os::unix::fs::symlink(&srv, site.0.path().join("link")).unwrap();
    let app = srv.join("app");
    let name = format!("CLAUDE_CONFIG_DIR/projects/-srv-app/{SESSION}.jsonl");
    site.transcript(&name, CLAUDE.replace("/srv/app", app.to_str().unwrap()));
    let total = |arguments: &[&str], cwd: &Path| {
        let mut command = site.audit(&["reconcile", "claude", "--json"]);
        command.args(arguments).current_dir(cwd);
        of_kind(&lines(&run(command)), "total")[0].clone()
    };
    let calls =
        |arguments: &[&str]| total(arguments, &site.0.path().join("srv/ap"))["calls"].as_u64().unwrap();
    assert_eq!(calls(&["--within", srv.to_str().unwrap()]), 5);
    for within in ["..", "../app", "../../link", "../../link/app/."] {
        assert_eq!(calls(&["--within", within]), 5, "{within}");
    }
    // The project of the folder is another one, and it is told what is not compared.
    let other = total(&[], &srv.join("ap"));
    assert_eq!((&other["calls"], &other["elsewhere"]), (&json!(0), &json!(5)));
    assert_eq!(calls(&["--within", "."]), 0);
    let mut command = site.audit(&["reconcile", "claude"]);
    command.current_dir(srv.join("ap"));
    let said = run(command);
    assert!(text(&said.stdout).contains("5 calls made in other folders, and not compared"), "{said:?}");
    for wrong in ["nothing", name.as_str()] {
        let refused = run(site.audit(&["reconcile", "claude", "--within", wrong]));
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(text(&refused.stderr).contains("--within"), "{refused:?}");
    }
    // The folder is gone since.
    fs::remove_dir(&app).unwrap();
    assert_eq!(calls(&["--within", "../../link"]), 5);
    assert_eq!(calls(&["--scope", "user"]), 5);
    let within = ["--within", "/", "--from", "2026-11-23T06:30:03Z", "--to", "2026-11-23T06:30:59Z"];
    assert_eq!(calls(&within), 3);
    // Nothing was written to the transcript since.
    let output = run(site.audit(&["reconcile", "claude", "--json", "--since", "1d", "--within", "/"]));
    assert_eq!(of_kind(&lines(&output), "total")[0]["transcripts"], 0);
}

/// A transcript of Claude Code: each call has an identifier, a name, arguments and its result.
fn of_claude(session: &str, calls: &[(&str, &str, Value, Value)]) -> String {
    let lines = calls.iter().zip(0..).flat_map(|((id, name, input, result), n)| {
        let line = |kind: &str, second: u8, part: Value| {
            json!({"type": kind, "sessionId": session, "timestamp": format!("2026-11-20T10:{n:02}:{second:02}.000Z"),
                   "message": {"content": [part]}})
        };
        let call = json!({"type": "tool_use", "id": id, "name": name, "input": input});
        [line("assistant", 0, call), line("user", 5, json!({"type": "tool_result", "tool_use_id": id, "content": result}))]
    });
    lines.map(|line| line.to_string() + "\n").collect()
}

#[test]
fn an_identifier_that_is_used_again_with_other_arguments_hides_no_call() {
    let site = Site::new();
    let bash = |id: &'static str, command: &str| (id, "Bash", json!({"command": command}), json!("x"));
    let name = |session: &str| format!("CLAUDE_CONFIG_DIR/projects/p/{session}.jsonl");
    let unique = "toolu_01AAAAAAAAAAAAAAAAAAAAAA";
    let s1 = of_claude(
        "s1",
        &[bash("functions.Bash:0", "ls"), bash("call_search_documents_0", "ls"), bash(unique, "ls")],
    );
    let s2 = of_claude(
        "s2",
        &[bash("functions.Bash:0", "ls"), bash("call_search_documents_0", "rm"), bash(unique, "ls")],
    );
    let s3 = of_claude("s3", &[bash("call_0", "ls"), bash("call_0", "rm"), bash(unique, "rm")]);
    for (session, transcript) in [("s1", &s1), ("s2", &s2), ("s3", &s3)] {
        site.transcript(&name(session), transcript);
    }
    site.write(&[json!({"ts": "2026-11-20T10:00:00Z", "graph_run_id": "s3", "agent_id": "claude-code", "status": "ok", "req_id": "call_0",
        // printf '{"command":"ls"}' | sha256sum
        "tool": "Bash", "action": "call", "input_hash": "4cf29611a66934862f29acfcc817e30b905c1ab73d5e65831413eb6b454d49db"})]);
    let (lines, _) = site.reconcile(&["claude"]);
    let total = of_kind(&lines, "total")[0];
    // Only the call with the unique identifier and the same arguments is a copy.
    assert_eq!((&total["calls"], &total["repeated"]), (&json!(8), &json!(1)), "{total}");
    assert_eq!(site.reconcile(&["claude", "--add"]).1, 0);
    let before = site.events().len();
    let (lines, _) = site.reconcile(&["claude", "--add"]);
    let total = of_kind(&lines, "total")[0];
    assert_eq!((&total["recorded"], &total["added"]), (&json!(8), &json!(0)), "{total}");
    assert_eq!(site.events().len(), before);
}

#[test]
fn what_a_store_changes_in_a_call_is_added_once() {
    let site = Site::new();
    let bash = |id: &str| of_claude("s", &[(id, "Bash", json!({}), json!("x"))]);
    for (name, transcript) in [
        ("long", bash(&format!("toolu_{}", "x".repeat(5000)))),
        ("less", bash(&format!("toolu_{}", "x".repeat(2700)))),
        ("nul", bash("a\0b")),
        ("session", of_claude(&"s".repeat(5000), &[("toolu_6", &"t".repeat(3000), json!({}), json!("x"))])),
        (
            "both",
            of_claude(
                &"é\n".repeat(2000),
                &[(&"\u{1}".repeat(3000), &"t".repeat(3000), json!({}), json!("x"))],
            ),
        ),
    ] {
        site.transcript(&format!("CLAUDE_CONFIG_DIR/projects/p/{name}.jsonl"), transcript);
    }
    for added in [5, 0, 0] {
        let (lines, code) = site.reconcile(&["claude", "--add"]);
        let total = of_kind(&lines, "total")[0];
        assert_eq!(
            (code, &total["added"], &total["only_recorded"]),
            (0, &json!(added), &json!(0)),
            "{total}"
        );
    }
    assert_eq!(site.events().len(), 5);
}

#[test]
fn a_large_part_of_a_line_hides_nothing_else_in_it_and_what_is_too_much_is_told() {
    let site = Site::new();
    let part = |n: usize, input: Value| json!({"type": "tool_use", "id": format!("toolu_{n:022}"), "name": "Bash", "input": input});
    // The members of `message` come before the time.
    let line = |parts: Vec<Value>| {
        let message = json!({"message": {"content": parts}}).to_string();
        message.strip_suffix('}').unwrap().to_owned()
            + r#","type":"assistant","sessionId":"s","timestamp":"2026-11-20T10:00:00.000Z"}"#
            + "\n"
    };
    let large = json!({"edits": vec!["y".repeat(3000); 600]});
    let path = site.transcript("wide.jsonl", line(vec![part(1, large), part(2, json!({"command": "rm"}))]));
    let (lines, _) = site.reconcile(&["claude", path.to_str().unwrap()]);
    let times: Vec<&Value> = of_kind(&lines, "missing").iter().map(|line| &line["event"]["ts"]).collect();
    assert_eq!(times, ["2026-11-20T10:00:00.000000Z"; 2]);
    assert_eq!(of_kind(&lines, "total")[0]["lines_passed_over"], json!({}));

    let path = site.transcript("many.jsonl", line((0..1500).map(|n| part(n, json!({"n": n}))).collect()));
    let (lines, _) = site.reconcile(&["claude", path.to_str().unwrap()]);
    let total = of_kind(&lines, "total")[0];
    assert_eq!(total["lines_passed_over"], json!({"too large, so that calls in it may be left out": 1}));
    assert_eq!(total["calls"], 1024);

    let told = |n: usize| {
        json!({"id": format!("id-{n}"), "name": "x", "args": {}, "status": "success", "timestamp": "2026-11-20T10:00:01Z",
        "result": vec!["z".repeat(3000); 300]})
    };
    let chat = json!({"sessionId": "g"}).to_string()
        + "\n"
        + &json!({"type": "gemini", "toolCalls": [told(1), told(2)]}).to_string();
    let path = site.transcript("gemini.jsonl", chat);
    let (lines, _) = site.reconcile(&["gemini", path.to_str().unwrap()]);
    assert_eq!(missing(&lines), [("id-1", "ok"), ("id-2", "ok")]);
}

#[test]
fn calls_of_tools_of_a_provider_count_and_a_message_of_another_form_is_told() {
    let site = Site::new();
    let line = |kind: &str, content: Value| {
        json!({"type": kind, "sessionId": "s", "timestamp": "2026-11-20T10:00:00Z", "message": {"content": content}}).to_string() + "\n"
    };
    let transcript = line(
        "assistant",
        json!([
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}},
            {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "search", "server_name": "docs", "input": {}},
            {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": false, "content": []},
        ]),
    ) + &line("assistant", json!({"type": "tool_use", "id": "x", "name": "Bash"}));
    let path = site.transcript("s.jsonl", transcript);
    let (lines, _) = site.reconcile(&["claude", path.to_str().unwrap()]);
    assert_eq!(missing(&lines), [("srvtoolu_1", "error"), ("mcptoolu_1", "ok")]);
    assert_eq!(of_kind(&lines, "missing")[1]["event"]["tool"], "docs");
    assert_eq!(of_kind(&lines, "total")[0]["lines_passed_over"], json!({"of a kind that is not known": 1}));
}

#[test]
fn of_calls_with_equal_arguments_that_of_the_same_tool_is_recorded() {
    let site = Site::new();
    let mut log =
        json!({"type": "session.start", "data": {"sessionId": "c"}, "timestamp": "2026-11-20T10:00:00Z"})
            .to_string()
            + "\n";
    for (n, tool) in ["delete_all", "list_all", "Bash"].iter().enumerate() {
        let line = |kind: &str, data: Value| {
            json!({"type": kind, "data": data, "timestamp": format!("2026-11-20T1{n}:00:01Z")}).to_string()
                + "\n"
        };
        log += &line(
            "tool.execution_start",
            json!({"toolCallId": format!("t{n}"), "toolName": tool, "arguments": {}}),
        );
        log += &line("tool.execution_complete", json!({"toolCallId": format!("t{n}"), "success": true}));
    }
    site.transcript("COPILOT_HOME/session-state/c/events.jsonl", log);
    // printf '{}' | sha256sum
    let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let hooked = |tool: &str| {
        json!({"ts": "2026-11-20T11:00:01Z", "graph_run_id": "c", "agent_id": "copilot", "status": "ok",
        "input_hash": hash, "tool": tool, "action": "call", "attributes": {"source": "hook"}})
    };
    // With names like Claude Code's, hooks call the same tools by other names.
    site.write(&[hooked("list_all"), hooked("bash")]);
    let (lines, _) = site.reconcile(&["copilot"]);
    assert_eq!(missing(&lines), [("t0", "ok")]);
    assert_eq!(site.reconcile(&["copilot", "--add"]).1, 0);
    let (lines, _) = site.reconcile(&["copilot", "--add"]);
    assert_eq!(of_kind(&lines, "total")[0]["recorded"], 3);
    assert_eq!(site.events().len(), 3);
}

#[test]
fn what_a_transcript_tells_of_an_end_is_kept_without_an_output() {
    let site = Site::new();
    let line = |kind: &str, payload: Value| {
        json!({"type": kind, "payload": payload, "timestamp": "2026-11-20T10:00:00Z"}).to_string() + "\n"
    };
    let call = |id: &str| {
        line(
            "response_item",
            json!({"type": "function_call", "name": "shell", "arguments": "{}", "call_id": id}),
        )
    };
    let end = |id: &str, status: &str, code: i64| {
        line(
            "event_msg",
            json!({"type": "exec_command_end", "call_id": id, "status": status, "exit_code": code}),
        )
    };
    let rollout = line("session_meta", json!({"id": "x"}))
        + &call("a")
        + &end("a", "declined", -1)
        + &call("b")
        + &end("b", "failed", 1)
        + &call("c")
        + &end("c", "completed", 0)
        + &call("d");
    let path = site.transcript("rollout-a.jsonl", rollout);
    let path = path.to_str().unwrap();
    let (lines, _) = site.reconcile(&["codex", path]);
    assert_eq!(missing(&lines), [("a", "denied"), ("b", "error"), ("c", "ok"), ("d", "lost")]);
    assert_eq!(of_kind(&lines, "missing")[0]["event"]["attributes"]["decision"], "deny");
    // Where somebody still writes to it, only what has not ended may run.
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap();
    let (lines, _) = site.reconcile(&["codex", path]);
    assert_eq!(of_kind(&lines, "total")[0]["running"], 1);
}

#[test]
fn a_time_that_ends_before_it_begins_is_refused_and_calls_of_the_future_are_missing() {
    let site = Site::new();
    let transcript =
        of_claude("s", &[("toolu_1", "Bash", json!({}), json!("x"))]).replace("2026-11-20", "2096-11-20");
    let path = site.transcript("s.jsonl", transcript);
    let path = path.to_str().unwrap();
    let (lines, _) = site.reconcile(&["claude", path]);
    assert_eq!((missing(&lines).len(), &of_kind(&lines, "total")[0]["running"]), (1, &json!(0)));
    for command in [&["reconcile", "claude", path][..], &["read"]] {
        let output = run(site.audit(&[command, &["--from", "today", "--to", "yesterday"]].concat()));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = text(&output.stderr);
        assert!(said.contains("--to: ") && said.contains("ends before it begins"), "{said}");
    }
}

#[test]
fn a_link_to_a_folder_of_transcripts_is_followed_and_a_pipe_holds_nothing_up() {
    let site = Site::new();
    site.transcript("elsewhere/s.jsonl", CLAUDE);
    let projects = site.0.path().join("CLAUDE_CONFIG_DIR/projects");
    fs::create_dir_all(&projects).unwrap();
    std::os::unix::fs::symlink(site.0.path().join("elsewhere"), projects.join("link")).unwrap();
    // A link that leads back.
    std::os::unix::fs::symlink(&projects, projects.join("loop")).unwrap();
    let pipe = projects.join("pipe.jsonl");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (lines, code) = site.reconcile(&["claude"]);
    let total = of_kind(&lines, "total")[0];
    assert_eq!((code, &total["transcripts"], &total["calls"]), (1, &json!(1), &json!(5)));
    assert_eq!(total["transcripts_not_read"], 1);
    let output = run(site.audit(&["reconcile", "claude", pipe.to_str().unwrap()]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("it is no file"), "{output:?}");
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
