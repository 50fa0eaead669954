//! How a server, its client and the proxy end.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use audit_testbed::wait_until;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;

use crate::client::{Client, toy_command};
use crate::common::{Workspace, end_of, run, text};
use crate::short;

/// A server that says who it is, in a file, and then does this.
fn server(workspace: &Workspace, script: &str) -> Vec<String> {
    let file = workspace.path().join("pid");
    ["sh".into(), "-c".into(), format!("echo $$ > {}; {script}", file.display())].into()
}

fn pid_of_server(workspace: &Workspace) -> Pid {
    let file = workspace.path().join("pid");
    let read = || std::fs::read_to_string(&file).ok()?.trim().parse().ok().and_then(Pid::from_raw);
    wait_until("the server runs", || read().is_some());
    read().unwrap()
}

/// Whether a process runs. One that has ended, and was not waited for, does not.
fn runs(pid: Pid) -> bool {
    let is_zombie = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    };
    test_kill_process(pid).is_ok() && !is_zombie()
}

fn start(workspace: &Workspace, options: &[&str], script: &str) -> Client {
    let mut command = workspace.audit(["mcp"]);
    command.args(options).arg("--").args(server(workspace, script));
    Client::start(command)
}

#[test]
fn the_exit_status_is_that_of_the_server() {
    let workspace = Workspace::new();
    for (script, code) in [("exit 0", 0), ("exit 5", 5), ("kill -TERM $$", 143), ("kill -KILL $$", 137)] {
        assert_eq!(run(workspace.audit(["mcp", "--", "sh", "-c", script])).status.code(), Some(code));
    }
}

#[test]
fn a_server_that_dies_ends_the_proxy_at_once_though_the_client_is_there() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &[], &[]);
    client.initialize();
    client.call(1, "silent", json!({}));
    client.call(2, "die", json!({}));
    let began = Instant::now();
    let (status, _) = client.end();
    assert_eq!(status.code(), Some(3));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(short(&workspace.events()), ["silent lost server_ended", "die lost server_ended"]);
}

#[test]
fn a_server_may_say_its_last_word_after_the_client_has_closed_its_input() {
    let workspace = Workspace::new();
    let mut client = Client::toy(&workspace, &[], &["slow-end", "farewell", "seven"]);
    client.call(1, "echo", json!({}));
    client.message();
    let output = {
        let mut command = toy_command(&workspace, &[], &["slow-end", "farewell"]);
        command.stdin(Stdio::null());
        run(command)
    };
    assert!(text(&output.stdout).contains("notifications/farewell"), "{output:?}");
    assert_eq!(client.close().0.code(), Some(7));
}

#[test]
fn a_server_that_does_not_end_by_itself_is_ended() {
    let workspace = Workspace::new();
    // SIGTERM is enough.
    let client = start(&workspace, &["--grace", "0.5"], "exec sleep 60");
    let pid = pid_of_server(&workspace);
    assert_eq!(client.close().0.code(), Some(143));
    assert!(!runs(pid));
    // It is not.
    let mut client = Client::toy(&workspace, &["--grace", "0.5"], &["deaf"]);
    // It ignores the signal from now on.
    client.call(1, "echo", json!({}));
    client.message();
    assert_eq!(client.close().0.code(), Some(137));
}

#[test]
fn a_server_that_still_answers_after_the_end_of_input_may_go_on() {
    let workspace = Workspace::new();
    let script = "cat > /dev/null; for n in 1 2 3 4 5 6; do sleep 0.3; echo {}; done";
    let mut command = workspace.audit(["mcp", "--grace", "1", "--", "sh", "-c", script]);
    command.stdin(Stdio::null());
    let output = run(command);
    assert_eq!((text(&output.stdout), output.status.code()), ("{}\n".repeat(6).as_str(), Some(0)));
}

#[test]
fn a_client_that_leaves_without_a_word_leaves_no_process_behind() {
    let workspace = Workspace::new();
    let mut client = start(&workspace, &["--grace", "0.5"], "trap '' PIPE; while :; do sleep 0.1; done");
    client.call(1, "t", json!({}));
    let pid = pid_of_server(&workspace);
    let proxy = client.leave();
    assert_eq!(end_of(proxy).status.code(), Some(143));
    assert!(!runs(pid));
    assert_eq!(short(&workspace.events()), ["t lost client_left"]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_server_does_not_outlive_a_proxy_that_is_killed() {
    let workspace = Workspace::new();
    let script = "trap '' TERM HUP PIPE; while :; do sleep 0.1; done";
    let client = start(&workspace, &[], script);
    let pid = pid_of_server(&workspace);
    assert!(runs(pid));
    kill_process(Pid::from_raw(client.id() as i32).unwrap(), Signal::KILL).unwrap();
    wait_until("the server has ended", || !runs(pid));
    client.end();
}

#[test]
fn signals_reach_the_server_and_what_was_open_is_recorded() {
    let workspace = Workspace::new();
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2), (Signal::USR1, 10)] {
        let script = format!("trap 'exit 40' {number}; echo > ready; while :; do sleep 0.05; done");
        let mut client = start(&workspace, &[], &script);
        client.call(1, "t", json!({}));
        let ready = workspace.path().join("ready");
        wait_until("the server expects the signal", || ready.exists());
        kill_process(Pid::from_raw(client.id() as i32).unwrap(), signal).unwrap();
        assert_eq!(client.end().0.code(), Some(40), "{signal:?}");
        std::fs::remove_file(ready).unwrap();
    }
    assert_eq!(short(&workspace.events()), ["t lost server_ended"; 3]);
}

#[test]
fn a_client_that_kills_the_proxy_after_its_patience_loses_no_call() {
    let workspace = Workspace::new();
    // As the clients of the SDKs do: the input is closed, then comes SIGTERM, then SIGKILL.
    let mut client = Client::toy(&workspace, &["--grace", "60"], &["deaf"]);
    client.call(1, "echo", json!({}));
    client.message();
    client.call(2, "silent", json!({}));
    let pid = Pid::from_raw(client.id() as i32).unwrap();
    let mut proxy = client.leave();
    kill_process(pid, Signal::TERM).unwrap();
    wait_until("the open call is recorded", || workspace.events().len() == 2);
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    assert_eq!(short(&workspace.events()), ["echo ok", "silent lost client_left"]);
}

#[test]
fn a_closed_stream_is_seen_through_the_proxy() {
    let workspace = Workspace::new();
    // The server closes its output, and runs on.
    let client = start(&workspace, &[], "exec >&-; cat >/dev/null; exit 6");
    let began = Instant::now();
    while client.try_line().is_some() {}
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(client.close().0.code(), Some(6));
    // Nobody reads the output: the server gets SIGPIPE, as without the proxy.
    let script = "\"$AUDIT\" mcp -- sh -c 'while :; do echo {}; sleep 0.1; done' < /dev/null | head -1";
    assert_eq!(text(&run(workspace.shell(script)).stdout), "{}\n");
}

#[test]
fn a_background_process_of_the_server_does_not_hold_the_end_up() {
    let workspace = Workspace::new();
    let began = Instant::now();
    let output = run(workspace.audit(["mcp", "--", "sh", "-c", "sleep 50 2>/dev/null & seq 1 20000"]));
    assert_eq!(text(&output.stdout).lines().count(), 20_000);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn a_server_that_reads_nothing_does_not_outlive_its_client() {
    let workspace = Workspace::new();
    let began = Instant::now();
    // More than one pipe takes, so that the proxy cannot pass all on, and less than two take, so that the client can leave.
    for options in ["", "--fail-closed"] {
        let script = format!(
            "head -c 100000 /dev/zero | \"$AUDIT\" mcp {options} --grace 0.5 -- sleep 100 > /dev/null"
        );
        run(workspace.shell(&script));
    }
    // It has closed its input, and goes on.
    let client = start(&workspace, &["--grace", "0.5"], "exec <&-; exec sleep 100");
    pid_of_server(&workspace);
    assert_eq!(client.close().0.code(), Some(143));
    // Nobody reads its output, while the input stays open.
    let mut command = workspace.audit(["mcp", "--grace", "0.5", "--", "sleep", "100"]);
    let mut proxy =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdin = proxy.stdin.take().unwrap();
    drop(proxy.stdout.take());
    assert_eq!(end_of(proxy).status.code(), Some(143));
    drop(stdin);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn a_client_that_never_reads_errors_loses_no_record_and_holds_up_no_end() {
    let workspace = Workspace::new();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'x'; 1000]).is_ok() || writer.write(b"x").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let mut command = toy_command(&workspace, &[], &[]);
    let mut proxy = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(writer).spawn().unwrap();
    drop(command);
    let mut stdin = proxy.stdin.take().unwrap();
    for n in 0..300 {
        writeln!(
            stdin,
            r#"[{{"id":{n},"method":"tools/call","params":{{"name":"t"}}}},{{}}{}]"#,
            ",{}".repeat(1024)
        )
        .unwrap();
    }
    wait_until("all calls are recorded", || workspace.events().len() == 300);
    drop(stdin);
    let began = Instant::now();
    end_of(proxy);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_warning_shows_only_the_beginning_of_what_a_server_calls_its_tools() {
    let workspace = Workspace::new();
    let name = "n".repeat(4000);
    let list = |description: &str| {
        let tools = json!([{"name": name, "description": description}]).to_string();
        let mut command = toy_command(&workspace, &[], &[]);
        command.env("TOOLS", tools);
        let mut client = Client::start(command);
        client.initialize();
        client.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}));
        client.message();
        client.close().1
    };
    assert_eq!(list("one"), "");
    let said = list("two");
    assert!(said.contains("has changed") && said.len() < 600, "{said}");
}
