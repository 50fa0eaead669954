//! `audit exec` passes the command's input, output, signals and exit status through, and records the call.
#![cfg(unix)]

mod common;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use audit_testbed::wait_until;
use common::{Workspace, end_of, run, run_with_input, text};
use rustix::process::{Pid, Signal, kill_process};

/// So many bytes, of every value.
fn binary(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n.wrapping_mul(31) >> 3) as u8).collect()
}

#[test]
fn a_call_is_recorded_with_everything_that_is_known_about_it() {
    let workspace = Workspace::new();
    let options = "exec --tool search --agent planner --workspace w --user u --req-id r --action query --run run-7 \
                   --node n --job j -- sh -c";
    let mut command = workspace.audit(options.split_whitespace());
    command.arg("sleep 0.05; printf out; printf errors >&2; exit 3");
    let before = std::time::SystemTime::now();
    let output = run(command);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("out", "errors"));
    let event = workspace.event();
    for (field, value) in [
        ("tool", "search"),
        ("agent_id", "planner"),
        ("workspace_id", "w"),
        ("user_id", "u"),
        ("req_id", "r"),
        ("action", "query"),
        ("status", "3"),
        ("graph_run_id", "run-7"),
        ("graph_node", "n"),
        ("job_id", "j"),
        // The hash is that of the arguments: printf 'sh\0-c\0sleep 0.05; printf out; printf errors >&2; exit 3\0' | sha256sum
        ("input_hash", "975252295d09cff769e4f904be0e383df37a9e99f78f20da9b354285d493320d"),
    ] {
        assert_eq!(event[field], value, "{field}");
    }
    assert_eq!((event["in_size"].as_u64(), event["out_size"].as_u64()), (Some(0), Some(9)));
    let duration = event["duration_ms"].as_u64().unwrap();
    assert!((50..10_000).contains(&duration), "{duration}");
    let seconds = before.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let minute = event["ts"].as_str().unwrap()[14..16].parse::<u64>().unwrap();
    assert!((minute + 60 - seconds / 60 % 60) % 60 <= 1, "{event}");
}

#[test]
fn a_call_is_recorded_whatever_its_texts_are() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;
    let workspace = Workspace::new();
    let long = "x".repeat(5000);
    for tool in [long.as_str(), "line\nbreak", "\u{1b}[2J", ""] {
        assert!(run(workspace.audit(["exec", "--tool", tool, "--", "true"])).status.success());
    }
    let bytes = OsString::from_vec(b"a\xffb".into());
    let mut command = workspace.audit(["exec", "--tool"]);
    assert!(
        run({
            command.arg(&bytes).args(["--", "true"]);
            command
        })
        .status
        .success()
    );
    let tools = workspace.tools();
    assert!(tools[0].starts_with("xxx") && tools[0].ends_with("…c59d3c0480cc2d71"), "{tools:?}");
    assert_eq!(tools[1..], ["line\nbreak", "\u{1b}[2J", "", "a\u{fffd}b"]);
    for (tool, found) in [(long.as_str(), 1), ("line\nbreak", 1), ("x", 0)] {
        let output = run(workspace.audit(["read", "--format", "jsonl", "--tool", tool]));
        assert_eq!(text(&output.stdout).lines().count(), found, "{tool}");
    }
    let mut command = workspace.audit(["read", "--tool"]);
    command.arg(&bytes);
    assert_eq!(text(&run(command).stdout).lines().count(), 1);
}

#[test]
fn attributes_are_recorded_and_found() {
    let workspace = Workspace::new();
    let attributes = ["--attr", "trace_id=t=1", "--attr", "model=large"];
    let mut command = workspace.audit(["exec"]);
    run({
        command.args(attributes).args(["--", "true"]);
        command
    });
    run(workspace.audit(["exec", "--", "true"]));
    let events = workspace.events();
    assert_eq!(events[0]["attributes"], serde_json::json!({"model": "large", "trace_id": "t=1"}));
    assert!(events[1].get("attributes").is_none());
    for (wanted, found) in [("model=large", 1), ("model=small", 0), ("trace_id=t=1", 1)] {
        let output = run(workspace.audit(["read", "--attr", wanted]));
        assert_eq!(text(&output.stdout).lines().count(), found, "{wanted}");
    }
    let output = run(workspace.audit(["read", "--attr", "model"]));
    assert!(text(&output.stderr).contains("accepted is KEY=VALUE"), "{output:?}");
}

#[test]
fn by_default_the_tool_is_the_commands_name_and_the_action_is_exec() {
    let workspace = Workspace::new();
    assert!(run(workspace.audit(["exec", "/bin/true"])).status.success());
    let event = workspace.event();
    assert_eq!(
        (&event["tool"], &event["action"], &event["agent_id"]),
        (&"true".into(), &"exec".into(), &"".into())
    );
}

#[test]
fn binary_data_passes_through_and_is_counted() {
    let workspace = Workspace::new();
    let data = binary(1_000_003);
    let output = run_with_input(workspace.audit(["exec", "--", "cat"]), data.clone());
    assert!(output.status.success());
    assert!(output.stdout == data);

    let file = workspace.file("data", &data);
    let mut command = workspace.audit(["exec", "--", "cat"]);
    command.stdin(File::open(file).unwrap());
    assert!(run(command).stdout == data);

    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = workspace.audit(["exec", "--", "cat"]);
    let child = command.stdin(std::os::fd::OwnedFd::from(theirs)).stdout(Stdio::piped()).spawn().unwrap();
    drop(command);
    let (mut ours, sent) = (ours, data.clone());
    let writing = std::thread::spawn(move || ours.write_all(&sent));
    assert!(end_of(child).stdout == data);
    writing.join().unwrap().unwrap();

    let events = workspace.events();
    assert_eq!(events.len(), 3);
    for event in events {
        assert_eq!(
            (event["in_size"].as_u64(), event["out_size"].as_u64()),
            (Some(1_000_003), Some(1_000_003))
        );
    }
}

#[test]
fn output_and_errors_stay_apart_or_in_their_common_order() {
    let workspace = Workspace::new();
    let script = "for n in 1 2 3 4 5 6 7 8 9; do echo out; echo error >&2; done";
    let apart = run(workspace.audit(["exec", "--", "sh", "-c", script]));
    assert_eq!(text(&apart.stdout), "out\n".repeat(9));
    assert_eq!(text(&apart.stderr), "error\n".repeat(9));
    let together = run(workspace.shell(&format!("\"$AUDIT\" exec -- sh -c '{script}' 2>&1")));
    assert_eq!(text(&together.stdout), "out\nerror\n".repeat(9));
}

#[test]
fn exit_statuses_pass_through() {
    let workspace = Workspace::new();
    for (script, code, status) in [
        ("exit 0", 0, "0"),
        ("exit 1", 1, "1"),
        ("exit 255", 255, "255"),
        ("kill -TERM $$", 143, "signal:15"),
        ("kill -KILL $$", 137, "signal:9"),
        ("kill -USR1 $$", 138, "signal:10"),
        ("kill -PIPE $$", 141, "signal:13"),
    ] {
        let output = run(workspace.audit(["exec", "--", "sh", "-c", script]));
        assert_eq!(output.status.code(), Some(code), "{script}");
        assert_eq!(workspace.events().last().unwrap()["status"], status);
    }
}

#[test]
fn a_command_that_cannot_be_run_ends_as_in_a_shell() {
    let workspace = Workspace::new();
    workspace.file("not-executable", "");
    for (command, code) in
        [("no-such-command", 127), ("./no-such-command", 127), ("./not-executable", 126), ("/", 126)]
    {
        let output = run(workspace.audit(["exec", "--", command]));
        assert_eq!(output.status.code(), Some(code), "{command}");
        assert!(text(&output.stderr).starts_with(&format!("audit: {command}: ")), "{output:?}");
        let last = workspace.events().pop().unwrap();
        assert_eq!(last["status"], code.to_string());
    }
}

#[test]
fn a_script_without_an_interpreter_runs_in_the_shell() {
    let workspace = Workspace::new();
    workspace.file("script", "echo \"$0 $1\"\n");
    let output = run(workspace
        .shell("chmod +x script; \"$AUDIT\" exec -- ./script one; PATH=.:$PATH \"$AUDIT\" exec script two"));
    assert_eq!(text(&output.stdout), "./script one\n./script two\n");
}

#[test]
fn only_what_the_command_reads_is_taken_and_counted() {
    let workspace = Workspace::new();
    let script =
        "seq 1 1000 | { \"$AUDIT\" exec --tool pipe -- sh -c 'read a; read b; echo $a $b'; cat; } | head -4";
    assert_eq!(text(&run(workspace.shell(script)).stdout), "1 2\n3\n4\n5\n");
    let script = "seq 1 1000 > in; { \"$AUDIT\" exec --tool file -- sh -c 'read a; echo $a'; head -1; } < in";
    assert_eq!(text(&run(workspace.shell(script)).stdout), "1\n2\n");
    let script = "seq 1 9 | while read n; do \"$AUDIT\" exec --tool loop -- echo $n; done";
    assert_eq!(text(&run(workspace.shell(script)).stdout), "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    for event in workspace.events() {
        let expected = match event["tool"].as_str() {
            Some("pipe") => 4,
            Some("file") => 2,
            _ => 0,
        };
        assert_eq!(event["in_size"].as_u64(), Some(expected), "{event}");
    }
}

#[test]
fn a_command_that_does_not_read_its_input_can_end() {
    let workspace = Workspace::new();
    let mut command = workspace.audit(["exec", "--", "true"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let held_open = child.stdin.take().unwrap();
    assert!(end_of(child).status.success());
    drop(held_open);
    let output = run(workspace.shell("yes | \"$AUDIT\" exec -- head -c 2"));
    assert_eq!(text(&output.stdout), "y\n");
}

#[test]
fn data_passes_through_without_waiting_for_more() {
    let workspace = Workspace::new();
    let mut command = workspace.audit(["exec", "--", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    for n in 0..200_u8 {
        stdin.write_all(&[n]).unwrap();
        let mut back = [0];
        stdout.read_exact(&mut back).unwrap();
        assert_eq!(back, [n]);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_command_gets_a_signal_when_nobody_reads_its_output_any_more() {
    let workspace = Workspace::new();
    // The command gets the signal at once, not only when it writes again.
    let script = "\"$AUDIT\" exec -- sh -c 'echo 1; sleep 2; echo 2; echo unreached >&2' | head -1";
    let output = run(workspace.shell(script));
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("1\n", ""));
    wait_until("the call is recorded", || workspace.events().len() == 1);
    assert_eq!(workspace.event()["status"], "signal:13");
}

#[test]
fn a_background_process_of_the_command_neither_holds_the_end_up_nor_cuts_the_output_off() {
    let workspace = Workspace::new();
    // It sleeps longer than a test waits for an end.
    let output = run(workspace.audit(["exec", "--", "sh", "-c", "sleep 90 & seq 1 20000"]));
    assert_eq!(text(&output.stdout).lines().count(), 20_000);

    // All output of the command is passed on, even to a slow reader.
    let slow = "\"$AUDIT\" exec -- sh -c 'sleep 90 & seq 1 20000' | { sleep 0.5; cat; }";
    assert_eq!(text(&run(workspace.shell(slow)).stdout).lines().count(), 20_000);
}

#[test]
fn signals_are_passed_on_and_the_call_is_recorded() {
    let workspace = Workspace::new();
    for (signal, number) in [(Signal::TERM, 15), (Signal::USR1, 10), (Signal::USR2, 12)] {
        let ready = workspace.path().join(format!("ready-{number}"));
        let script = format!(
            "trap 'echo caught; exit 7' {number}; touch {}; while :; do sleep 0.01; done",
            ready.display()
        );
        let mut command = workspace.audit(["exec", "--", "sh", "-c", &script]);
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        wait_until("the command is ready", || ready.exists());
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = end_of(child);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(7), "caught\n"), "{signal:?}");
        assert_eq!(workspace.events().last().unwrap()["status"], "7");
    }
    let child = workspace.audit(["exec", "--", "sh", "-c", "touch ready; exec sleep 30"]).spawn().unwrap();
    wait_until("the command is ready", || workspace.path().join("ready").exists());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(end_of(child).status.code(), Some(143));
    assert_eq!(workspace.events().last().unwrap()["status"], "signal:15");
}

#[test]
fn the_command_inherits_only_the_signals_that_are_ignored() {
    let workspace = Workspace::new();
    let script = "trap '' HUP INT; \"$AUDIT\" exec -- sh -c 'kill -HUP $$; kill -INT $$; echo survived; kill -XFSZ $$'";
    let output = run(workspace.shell(script));
    assert_eq!((text(&output.stdout), output.status.code()), ("survived\n", Some(128 + 25)));
}

#[test]
fn a_failed_recording_does_not_change_the_commands_outcome() {
    let workspace = Workspace::new();
    workspace.file("file", "");
    let output = run(workspace.audit(["exec", "--dir", "file/audit", "--", "sh", "-c", "echo fine; exit 4"]));
    assert_eq!((text(&output.stdout), output.status.code()), ("fine\n", Some(4)));
    let warning = text(&output.stderr);
    assert!(
        warning.starts_with("audit: the call was not recorded: ") && warning.contains("file/audit"),
        "{warning}"
    );

    let limited = "ulimit -f 0; exec \"$AUDIT\" exec -- sh -c 'echo fine; exit 5'";
    let output = run(workspace.shell(limited));
    assert_eq!(
        (text(&output.stdout), output.status.code(), output.status.signal()),
        ("fine\n", Some(5), None)
    );
    assert!(text(&output.stderr).contains("the call was not recorded"), "{output:?}");
}

#[test]
fn the_command_finds_its_folder_unchanged() {
    let workspace = Workspace::new();
    let output = run(workspace.audit(["exec", "--", "sh", "-c", "sleep 0.2; ls -A"]));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(workspace.events().len(), 1);
    // The call is recorded even if the command removes the folder of the events.
    assert!(run(workspace.audit(["exec", "--", "rm", "-r", "ops"])).status.success());
    assert_eq!(workspace.event()["tool"], "rm");
}

#[test]
fn a_wrong_option_is_refused_before_the_command_runs() {
    let workspace = Workspace::new();
    for (arguments, named) in [
        (["--backend", "jsnol"], "--backend"),
        (["--durability", "never"], "--durability"),
        (["--memory-limit", "0"], "--memory-limit"),
        (["--backend", "postgres"], "backend: \"postgres\""),
    ] {
        let mut command = workspace.audit(["exec"]);
        let output = run({
            command.args(arguments).args(["--", "touch", "ran"]);
            command
        });
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(
            text(&output.stderr).starts_with("audit: ") && text(&output.stderr).contains(named),
            "{output:?}"
        );
        assert!(!workspace.path().join("ran").exists());
    }
    assert!(!workspace.events_dir().exists());
}

#[test]
fn a_wrong_variable_is_a_warning_and_the_call_is_recorded() {
    let workspace = Workspace::new();
    let mut command = workspace.audit(["exec", "--", "echo", "ran"]);
    command.env("AUDIT_BACKEND", "jsnol").env("AUDIT_MEMORY_LIMIT", "many");
    let output = run(command);
    assert_eq!((text(&output.stdout), output.status.code()), ("ran\n", Some(0)));
    let warnings = text(&output.stderr);
    assert!(warnings.contains("AUDIT_BACKEND") && warnings.contains("AUDIT_MEMORY_LIMIT"), "{warnings}");
    assert_eq!(workspace.events().len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn lost_output_makes_the_exit_status_a_failure() {
    let workspace = Workspace::new();
    let output = run(workspace.shell("\"$AUDIT\" exec -- echo hi >/dev/full"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("No space left"), "{output:?}");
    let output = run(workspace.shell("\"$AUDIT\" exec -- sh -c 'echo hi; exit 7' >/dev/full"));
    assert_eq!(output.status.code(), Some(7));
    let statuses: Vec<_> = workspace.events().iter().map(|event| event["status"].clone()).collect();
    assert_eq!(statuses, ["0", "7"]);
}
