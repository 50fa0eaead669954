//! Nothing that happens to a hook reaches the agent.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use crate::common::{Workspace, end_of, run_with_input, text};
use crate::{call, hook, log, send};

#[test]
fn what_is_no_hook_is_noted_in_the_log_alone() {
    for input in
        ["", "{", "[]", "null", "{}", "\u{feff}{}", "{\"hook_event_name\":\"Stop\"}", "{\"tool_name\":1}"]
    {
        let workspace = Workspace::new();
        send(hook(&workspace, "hook"), input);
        assert_eq!(log(&workspace).lines().count(), 1, "{input}: {}", log(&workspace));
        assert!(!workspace.events_dir().join("tool_audit.jsonl").exists());
    }
}

#[test]
fn wrong_options_and_settings_do_no_harm() {
    let workspace = Workspace::new();
    send(hook(&workspace, "hook claude --bogus"), call(0).to_string());
    assert!(log(&workspace).contains("--bogus"), "{}", log(&workspace));
    send(hook(&workspace, "hook nobody"), call(0).to_string());
    // These calls are recorded all the same.
    send(hook(&workspace, "hook claude --project --database-url nonsense"), call(1).to_string());
    let mut command = hook(&workspace, "hook claude");
    command
        .env("AUDIT_BACKEND", "bogus")
        .env("DATABASE_URL", "nonsense")
        .env("AUDIT_JSONL_DIR", workspace.events_dir());
    send(command, call(2).to_string());
    let mut command = hook(&workspace, "hook claude --dir ops/audit");
    command.env("AUDIT_HASH_KEY_FILE", "/nowhere");
    send(command, call(3).to_string());
    let events = workspace.events();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[1]["input_hash"], "", "it was to be hashed with a key");
    assert!(log(&workspace).contains("/nowhere"), "{}", log(&workspace));
}

#[test]
fn a_database_that_is_not_configured_costs_no_call_and_no_option() {
    let workspace = Workspace::new();
    send(hook(&workspace, "hook claude --dir there --backend postgres"), call(0).to_string());
    assert_eq!(
        audit_testbed::files(&workspace.path().join("there"), "tool_audit_").len(),
        1,
        "{}",
        log(&workspace)
    );
    assert!(!workspace.events_dir().exists());
}

#[test]
fn what_an_agent_says_as_an_argument_is_not_kept() {
    let workspace = Workspace::new();
    let mut command = hook(&workspace, "hook codex");
    command.arg(r#"{"last-assistant-message":"SECRET"}"#);
    send(command, "");
    let mut command = hook(&workspace, "hook codex");
    command.arg("--workspace=x").arg("--SECRET=1");
    send(command, "");
    assert!(
        !log(&workspace).contains("last-assistant") && log(&workspace).lines().count() == 2,
        "{}",
        log(&workspace)
    );
}

#[test]
fn only_hooks_that_agents_run_hide_their_errors() {
    let workspace = Workspace::new();
    for line in [
        "exec --bogus -- git hook run",
        "read --tool hook --bogus",
        "hook --instal claude",
        "hook --list --bogus",
    ] {
        let output = run_with_input(hook(&workspace, line), "");
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
    }
}

#[test]
fn what_is_cut_or_followed_by_something_is_recorded_as_far_as_it_goes() {
    let workspace = Workspace::new();
    let whole = call(0).to_string();
    let cut = |n: usize, end: &str| {
        let start = r#"{"session_id":"s","hook_event_name":"PostToolUse","tool_name":"Bash","tool_use_id":"#;
        format!(
            "{start}\"{n}\",\"tool_input\":{{\"command\":\"ls\"}},\"tool_response\":{{\"stdout\":\"x{end}"
        )
    };
    send(hook(&workspace, "hook claude --dir ops/audit"), format!("\u{feff}{whole}\0{whole}"));
    send(hook(&workspace, "hook claude --dir ops/audit"), cut(1, ""));
    send(hook(&workspace, "hook claude --dir ops/audit"), cut(2, "\"},\"b\":[1,2"));
    let statuses: Vec<_> = workspace.events().iter().map(|event| event["status"].clone()).collect();
    assert_eq!(statuses, ["ok", "unknown", "unknown"]);
}

/// What stands in the corpus of the fuzzer `hooks`: the first byte names the agent, or none.
#[test]
fn whatever_an_agent_says_is_a_call_that_is_recorded_or_a_reason_in_the_log() {
    let agents = audit_cli::inputs::agents();
    let corpus = xtask::root().join("fuzz/corpus/hooks");
    for path in audit_testbed::files(&corpus, "") {
        let bytes = fs::read(&path).unwrap();
        let (first, input) = bytes.split_first().unwrap();
        let agent = usize::from(*first).checked_sub(1).map(|n| agents[n % agents.len()].as_str());
        let expected = audit_cli::inputs::hook(agent, input);
        let workspace = Workspace::new();
        let line = format!("hook {} --dir ops/audit", agent.unwrap_or_default());
        send(hook(&workspace, line.replace("  ", " ").as_str()), input);
        let recorded = audit_testbed::files(&workspace.events_dir(), "tool_audit_");
        let events: usize =
            recorded.iter().map(|path| fs::read_to_string(path).unwrap().lines().count()).sum();
        let noted = log(&workspace).lines().count();
        let has_ended = expected.as_ref().is_ok_and(|(_, has_ended)| *has_ended);
        let counts = (usize::from(has_ended), usize::from(expected.is_err()));
        assert_eq!((events, noted), counts, "{}: {expected:?} {}", path.display(), log(&workspace));
    }
}

#[test]
fn a_folder_that_cannot_be_written_does_no_harm() {
    let workspace = Workspace::new();
    let file = workspace.file("file", "");
    send(
        hook(&workspace, &format!("hook claude --dir {}", file.join("below").display())),
        call(0).to_string(),
    );
    assert!(log(&workspace).contains("was not recorded"), "{}", log(&workspace));
    let mut command = hook(&workspace, "hook claude");
    // Neither the record nor the log have a place.
    command.env("HOME", &file).env("AUDIT_JSONL_DIR", file.join("below"));
    send(command, call(0).to_string());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_and_closed_streams_do_no_harm() {
    let workspace = Workspace::new();
    fs::create_dir_all(workspace.events_dir()).unwrap();
    let mut command = hook(&workspace, "hook claude --dir ops/audit");
    command.stdin(Stdio::piped()).stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(call(0).to_string().as_bytes()).unwrap();
    let output = end_of(child);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    // A file size limit fails each write as a full disk does.
    let script = "ulimit -f 0; exec \"$AUDIT\" hook claude --dir ops/audit";
    let mut limited = workspace.shell(script);
    limited
        .env("HOME", crate::home(&workspace))
        .env("XDG_CACHE_HOME", crate::cache())
        .env_remove("XDG_STATE_HOME");
    send(limited, call(1).to_string());
    assert_eq!(workspace.events().len(), 1);
}

#[test]
fn a_large_input_is_read_to_its_end_in_little_memory() {
    let workspace = Workspace::new();
    let mut command = hook(&workspace, "hook claude --dir ops/audit");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let piece = "x".repeat(1 << 20);
    let start = r#"{"session_id":"s","hook_event_name":"PostToolUse","tool_use_id":"1","tool_name":"Write","tool_response":""#;
    stdin.write_all(start.as_bytes()).unwrap();
    for _ in 0..200 {
        stdin.write_all(piece.as_bytes()).unwrap();
    }
    stdin.write_all(br#"","tool_input":{"content":""#).unwrap();
    for _ in 0..40 {
        stdin.write_all(piece.as_bytes()).unwrap();
    }
    stdin.write_all(br#""}"#).unwrap();
    let memory = peak_memory(child.id());
    stdin.write_all(b"}").unwrap();
    drop(stdin);
    let output = end_of(child);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "{}\n"));
    let event = workspace.event();
    assert_eq!(event["out_size"], 200 << 20);
    assert_eq!(event["in_size"], (40 << 20) + "{\"content\":\"\"}".len());
    assert_eq!(event["attributes"]["input_form"], "raw");
    assert!(memory.is_none_or(|kib| kib < 150_000), "{memory:?} KiB");
}

/// The most memory that a process has had, in KiB.
fn peak_memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn no_payload_is_kept() {
    let workspace = Workspace::new();
    let secret = "correct horse battery staple";
    for event in ["PreToolUse", "PostToolUse", "PostToolUseFailure", "PermissionDenied", "Stop"] {
        let hook_object = json!({
            "session_id": "s", "cwd": "/", "hook_event_name": event, "tool_name": "Bash", "tool_use_id": event,
            "tool_input": {"command": secret}, "tool_response": secret, "error": secret, "reason": secret, "prompt": secret,
        });
        send(hook(&workspace, "hook claude --dir ops/audit --starts"), hook_object.to_string());
        send(hook(&workspace, "hook claude --dir ops/audit --starts"), format!("{hook_object}{hook_object}"));
    }
    for folder in [workspace.events_dir(), crate::home(&workspace).join(".local/state/audit")] {
        for file in fs::read_dir(folder).unwrap() {
            let kept = fs::read(file.unwrap().path()).unwrap();
            assert!(!String::from_utf8_lossy(&kept).contains(secret));
        }
    }
    assert_eq!(workspace.events().len(), 4);
}

#[test]
fn a_call_that_cannot_be_recorded_is_denied_where_that_is_asked_for() {
    let workspace = Workspace::new();
    let file = workspace.file("file", "");
    let begin = json!({
        "session_id": "s", "cwd": "/", "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_use_id": "1",
        "tool_input": {},
    });
    send(hook(&workspace, "hook claude --dir ops/audit --fail-closed"), begin.to_string());
    assert_eq!(workspace.event()["status"], "started");
    let nowhere = format!("hook claude --fail-closed --dir {}", file.join("below").display());
    let denied = run_with_input(hook(&workspace, &nowhere), begin.to_string());
    assert_eq!((denied.status.code(), text(&denied.stdout)), (Some(2), ""));
    assert!(text(&denied.stderr).starts_with("audit: the call was not recorded"), "{denied:?}");
    // What has happened cannot be denied.
    send(hook(&workspace, &nowhere), call(0).to_string());
    // Neither options that are wrong nor a backend that keeps nothing let a call through.
    for line in [
        "hook claude --fail-closed --bogus",
        "--backend null hook claude --fail-closed",
        "hook --fail-closed",
    ] {
        let input = if line.ends_with("hook --fail-closed") { "[1]".to_owned() } else { begin.to_string() };
        assert_eq!(run_with_input(hook(&workspace, line), input).status.code(), Some(2), "{line}");
    }
}

#[test]
fn the_key_of_the_hash_is_used_and_nobody_else_may_read_it() {
    let workspace = Workspace::new();
    let key = workspace.file("key", "0123456789abcdef0123456789abcdef");
    let line = format!("hook claude --dir ops/audit --hash-key-file {}", key.display());
    let set = |mode: &str| {
        assert!(std::process::Command::new("chmod").arg(mode).arg(&key).status().unwrap().success())
    };
    set("600");
    send(hook(&workspace, &line), call(0).to_string());
    set("644");
    send(hook(&workspace, &line), call(1).to_string());
    let events = workspace.events();
    // printf '{"command":"ls"}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
    assert_eq!(events[0]["input_hash"], "3e826566cffa687fe926c4bb03db872218dda20f57ac30e92558441a7d3ade7c");
    assert_eq!(events[1]["input_hash"], "");
    assert!(log(&workspace).contains("chmod 600"), "{}", log(&workspace));
}
