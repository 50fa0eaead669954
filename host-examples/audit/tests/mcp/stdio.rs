//! What passes over stdio, and what is recorded of it.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client::{Client, toy_command};
use crate::common::{Workspace, end_of, run, run_with_input, text};
use crate::short;

/// Messages with whatever may stand in them, and what is none.
fn session() -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"größe 😀","arguments":{"k":"\u00e9\ud83d\ude00"}}}"#,
        r#"{"jsonrpc": "2.0" , "id":1,"result":{"content":[{"type":"text","text":"日本語"}],"_meta":{"progressToken":"p-1"}}}"#,
        r#"[{"jsonrpc":"2.0","id":"1","method":"ping"}]"#,
        "",
        "  no JSON at all {",
        "{\"a\":1}\r",
    ] {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(b"\xff\xfe\x00\n\xc3");
    bytes
}

#[test]
fn bytes_pass_unchanged_wherever_they_are_split() {
    let workspace = Workspace::new();
    let bytes = session();
    let mut child =
        workspace.audit(["mcp", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // At each place once, also within a character, and each piece comes back before the next is sent.
    for at in 1..bytes.len() {
        for piece in [&bytes[..at], &bytes[at..], b"\n"] {
            stdin.write_all(piece).unwrap();
            let mut back = vec![0; piece.len()];
            stdout.read_exact(&mut back).unwrap();
            assert_eq!(back, piece, "split at {at}");
        }
    }
    drop(stdin);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    assert!(end_of(child).status.success());
    // Each of the requests was answered by its echo.
    let events = workspace.events();
    assert_eq!(events.len(), bytes.len() - 1);
    assert!(short(&events).iter().all(|event| event == "größe 😀 ok"));
}

#[test]
fn binary_data_of_any_size_passes_both_ways_and_errors_too() {
    let workspace = Workspace::new();
    let data: Vec<u8> = (0..3_000_001_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let script = "cat; printf 'on stderr\\n' >&2; exit 9";
    let output = run_with_input(workspace.audit(["mcp", "--", "sh", "-c", script]), data.clone());
    assert_eq!(output.status.code(), Some(9));
    assert!(output.stdout == data);
    assert!(String::from_utf8_lossy(&output.stderr).contains("on stderr\n"), "{output:?}");
}

#[test]
fn a_call_is_recorded_with_what_both_sides_say() {
    let workspace = Workspace::new();
    let options = ["--workspace", "w", "--user", "u"];
    let mut client = Client::toy(&workspace, &options, &[]);
    client.initialize();
    client.call(1, "slow", json!({"seconds": 0.05}));
    assert_eq!(client.message()["id"], 1);
    client.call("1", "echo", json!({"b": [1.0, "é"], "a": null}));
    client.message();
    let (status, stderr) = client.close();
    assert!(status.success() && stderr.is_empty(), "{status} {stderr}");
    let events = workspace.events();
    assert_eq!(short(&events), ["slow ok", "echo ok"]);
    for (field, value) in
        [("action", "tools/call"), ("agent_id", "tester/4"), ("workspace_id", "w"), ("user_id", "u")]
    {
        assert_eq!(events[1][field], value, "{field}");
    }
    let attributes = json!({"mode": "stdio", "server": "toy/1", "source": "mcp"});
    assert_eq!(events[1]["attributes"], attributes);
    let canonical = r#"{"a":null,"b":[1,"é"]}"#;
    let hash: String = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (events[1]["input_hash"].as_str(), events[1]["in_size"].as_u64()),
        (Some(hash.as_str()), Some(23))
    );
    let duration = events[0]["duration_ms"].as_u64().unwrap();
    assert!((50..10_000).contains(&duration), "{duration}");
    assert_eq!(events[0]["out_size"], r#"{"content":[]}"#.len());
    // One session, and each call has an identifier of its own.
    assert_eq!(events[0]["graph_run_id"], events[1]["graph_run_id"]);
    let session = events[0]["graph_run_id"].as_str().unwrap();
    assert_eq!(events[0]["req_id"], format!("{session}/2/1"));
    assert_eq!(events[1]["req_id"], format!("{session}/3/\"1\""));
    let record = std::fs::read_dir(workspace.events_dir()).unwrap();
    let written: String = record.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert!(!written.contains('é'), "no payload is kept: {written}");
}

#[test]
fn every_outcome_is_told_apart() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &[], &["banner"]);
    assert_eq!(client.line(), "Welcome to the toy server {");
    client.line();
    client.initialize();
    for (id, tool) in ["echo", "bad", "fail", "silent"].into_iter().enumerate() {
        client.call(id, tool, json!({}));
    }
    for id in 0..3 {
        assert_eq!(client.message()["id"], id);
    }
    let cancel = json!({"requestId": 3, "reason": "enough"});
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel}));
    client.send_line(r#"[{"id":8,"method":"tools/call","params":{"name":"bad"}},{"id":9,"method":"tools/call","params":{"name":"echo"}}]"#);
    client.message();
    client.message();
    client.call(4, "die", json!({}));
    let (status, _) = client.end();
    assert_eq!(status.code(), Some(3));
    let expected = [
        "bad error tool_error",
        "bad error tool_error",
        "die lost server_ended",
        "echo ok",
        "echo ok",
        "fail error -32602",
        "silent cancelled",
    ];
    // Messages that come together have one time, and their events are in the order in which the calls ended.
    let mut events = short(&workspace.events());
    events.sort();
    assert_eq!(events, expected);
}

#[test]
fn meta_cursors_and_progress_tokens_reach_the_other_side() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &[], &[]);
    let params = json!({"name": "echo", "_meta": {"progressToken": 0, "x": {"y": null}}, "later": [1]});
    client.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}));
    let answer = client.message();
    let back: Value = serde_json::from_str(answer["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(back, params);
    client.close();
}

#[test]
fn a_request_of_the_server_has_an_identifier_of_its_own() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &["--all"], &[]);
    client.call(5, "ask", json!({}));
    let question = client.message();
    assert_eq!((&question["method"], &question["id"]), (&json!("elicitation/create"), &json!(5)));
    client.send(&json!({"jsonrpc": "2.0", "id": 5, "result": {"action": "decline"}}));
    let answer = client.message();
    assert_eq!(answer["result"]["structuredContent"]["result"]["action"], "decline");
    client.close();
    let events = workspace.events();
    assert_eq!(short(&events), ["ask ok", "elicitation/create ok"]);
    assert_eq!(events[1]["attributes"]["sender"], "server");
}

#[test]
fn starts_are_recorded_with_the_same_identifier_while_the_call_runs() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &["--starts"], &[]);
    client.call(1, "silent", json!({}));
    audit_testbed::wait_until("the start is recorded", || workspace.events().len() == 1);
    client.call(2, "echo", json!({}));
    client.message();
    client.close();
    let events = workspace.events();
    let mut found = short(&events);
    found.sort();
    assert_eq!(found, ["echo ok", "echo started", "silent lost client_left", "silent started"]);
    let ids = |tool: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["tool"] == tool).map(|event| &event["req_id"]).collect()
    };
    assert_eq!(ids("silent")[0], ids("silent")[1]);
    assert_eq!(ids("echo")[0], ids("echo")[1]);
    assert_ne!(ids("echo")[0], ids("silent")[0]);
}

#[test]
fn what_the_client_sends_that_is_no_json_passes_and_is_told_once() {
    let workspace = Workspace::new();
    let mut client = Client::start(workspace.audit(["mcp", "--", "cat"]));
    for line in ["{", r#"{"id":1 "method":"tools/call","params":{"name":"t"}}"#] {
        client.send_line(line);
        assert_eq!(client.line(), line);
    }
    let (status, stderr) = client.close();
    assert!(status.success());
    assert_eq!(stderr.matches("passed on without a record").count(), 1, "{stderr}");
    assert!(stderr.contains("2 messages of the client were no JSON"), "{stderr}");
}

#[test]
fn a_record_that_cannot_be_written_changes_nothing_for_the_client() {
    let workspace = Workspace::new();
    workspace.file("file", "");
    let mut client = Client::toy(&workspace, &["--dir", "file/audit"], &["seven"]);
    client.initialize();
    client.call(1, "echo", json!({}));
    assert_eq!(client.message()["id"], 1);
    let (status, stderr) = client.close();
    assert_eq!(status.code(), Some(7));
    assert!(stderr.contains("file/audit") && stderr.contains("1 event was not recorded"), "{stderr}");
}

#[test]
fn a_wrong_option_is_refused_before_the_server_starts() {
    let workspace = Workspace::new();
    for (options, named) in [
        (vec!["--backend", "jsnol", "--", "touch", "ran"], "--backend"),
        (vec!["--hash-key-file", "none", "--", "touch", "ran"], "--hash-key-file"),
        (vec!["--grace", "soon", "--", "touch", "ran"], "--grace"),
        (vec![], "COMMAND"),
        (vec!["--http", "8080"], "--to"),
    ] {
        let mut command = workspace.audit(["mcp"]);
        command.args(options);
        let output = run(command);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(named), "{output:?}");
        assert!(!workspace.path().join("ran").exists());
    }
}

#[test]
fn a_server_that_cannot_be_run_ends_as_in_a_shell() {
    let workspace = Workspace::new();
    workspace.file("not-executable", "");
    for (command, code) in [("no-such-command", 127), ("./no-such-command", 127), ("./not-executable", 126)] {
        let output = run(workspace.audit(["mcp", "--", command]));
        assert_eq!(output.status.code(), Some(code), "{command}");
        assert!(text(&output.stderr).starts_with(&format!("audit: {command}: ")), "{output:?}");
    }
}

#[test]
fn the_server_sees_its_environment_folder_and_arguments_unchanged() {
    let workspace = Workspace::new();
    workspace.file("script", "echo \"$0|$1|$X|$(pwd)\"; kill -PIPE $$\n");
    let mut command = workspace.shell("chmod +x script; \"$AUDIT\" mcp -- ./script '-a b'");
    command.env("X", "é");
    let output = run(command);
    let folder = workspace.path().canonicalize().unwrap();
    assert_eq!(text(&output.stdout), format!("./script|-a b|é|{}\n", folder.display()));
    // The server has the usual answer to SIGPIPE.
    assert_eq!(output.status.code(), Some(128 + 13));
}

#[test]
fn the_server_starts_and_answers_before_the_store_is_open() {
    let workspace = Workspace::new();
    let mut command = toy_command(&workspace, &[], &[]);
    // Without a cache, the component is compiled, which takes longer than an answer.
    command.env("XDG_CACHE_HOME", workspace.path().join("cache")).env("HOME", workspace.path());
    let mut client = Client::start(command);
    client.call(1, "echo", json!({}));
    client.message();
    assert!(!workspace.events_dir().exists());
    client.close();
    assert_eq!(short(&workspace.events()), ["echo ok"]);
}

#[cfg(target_os = "linux")]
#[test]
fn huge_messages_take_bounded_memory() {
    let peak = |bytes: usize| {
        let workspace = Workspace::new();
        let mut client = Client::toy(&workspace, &[], &[]);
        client.initialize();
        // The store is open before the memory is looked at.
        audit_testbed::wait_until("the store is open", || workspace.events_dir().exists());
        let blob = "y".repeat(bytes);
        client.call(1, "large", json!({"bytes": bytes, "blob": blob}));
        assert!(client.line().len() > bytes);
        client.call(2, "echo", json!({}));
        client.message();
        audit_testbed::wait_until("both calls are recorded", || workspace.events().len() == 2);
        let status = std::fs::read_to_string(format!("/proc/{}/status", client.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        let peak: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        client.close();
        let events = workspace.events();
        assert_eq!(short(&events), ["large error tool_error", "echo ok"]);
        let out = bytes as u64 + r#"{"content":[{"type":"text","text":""}],"isError":true}"#.len() as u64;
        assert_eq!(events[0]["out_size"], out);
        assert!(events[0]["in_size"].as_u64().unwrap() > bytes as u64);
        peak
    };
    let (small, large) = (peak(1000), peak(100_000_000));
    println!("peak memory: {small} kB with small messages, {large} kB with 100 MB");
    assert!(large < small + 80_000, "{small} kB, then {large} kB");
}

#[test]
fn no_call_of_many_is_lost() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &[], &[]);
    for n in 0..2000 {
        client.call(n, if n % 2 == 0 { "echo" } else { "bad" }, json!({"n": n}));
    }
    for n in 0..2000 {
        assert_eq!(client.message()["id"], n);
    }
    assert_eq!(client.close().1, "");
    let events = workspace.events();
    let mut ids: Vec<String> = events.iter().map(|event| event["req_id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((events.len(), ids.len()), (2000, 2000));
    assert_eq!(events.iter().filter(|event| event["status"] == "ok").count(), 1000);
}

#[test]
fn bytes_do_not_wait_for_each_other() {
    let workspace = Workspace::new();
    let mut child =
        workspace.audit(["mcp", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    // A part of a line goes on without the rest of it.
    let echo = thread::spawn(move || {
        let mut byte = [0];
        for n in 0..500_u32 {
            stdin.write_all(&[b'a' + (n % 26) as u8]).unwrap();
            stdout.read_exact(&mut byte).unwrap();
        }
        stdin
    });
    let began = Instant::now();
    drop(echo.join().unwrap());
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(end_of(child).status.success());
}
