//! `--install`, `--uninstall` and `--list`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::{Workspace, run, run_with_input, text};
use crate::{call, home, hook};

/// A home with the settings of every agent, in which there is something of each.
fn with_settings() -> (Workspace, Vec<(&'static str, PathBuf)>) {
    let workspace = Workspace::new();
    let grouped = "{\n  \"hooks\": {\n    \"PostToolUse\": [\n      {\"matcher\": \"Edit\", \"hooks\": [{\"type\": \"command\", \"command\": \"fmt\"}]}\n    ],\n    \"Stop\": [],\n    \"disabled\": []\n  },\n  \"z\": 1,\n  \"a\": 2\n}\n";
    let flat = "{\n  \"version\": 1,\n  \"hooks\": {\"stop\": [{\"command\": \"bell\"}]}\n}";
    let files = [
        ("claude", ".claude/settings.json", grouped),
        ("codex", ".codex/hooks.json", grouped),
        ("cursor", ".cursor/hooks.json", flat),
        ("gemini", ".gemini/settings.json", grouped),
        ("kiro", ".kiro/agents/mine.json", "{\"name\":\"mine\",\"tools\":[\"*\"]}"),
        ("windsurf", ".codeium/windsurf/hooks.json", flat),
    ];
    let files = files.map(|(agent, name, text)| {
        let path = home(&workspace).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        (agent, path)
    });
    (workspace, files.into())
}

/// All files in a folder and those in it.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in audit_testbed::files(folder, "") {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

const WITHOUT_SETTINGS: [&str; 4] = ["copilot", "goose", "cline", "opencode"];

#[test]
fn what_is_installed_is_taken_out_to_the_byte() {
    let (workspace, files) = with_settings();
    let before: Vec<_> = files.iter().map(|(_, path)| fs::read(path).unwrap()).collect();
    let tree = || files_below(&home(&workspace));
    let folders = tree();
    let agents = files.iter().map(|(agent, _)| *agent).chain(WITHOUT_SETTINGS);
    let agents: Vec<_> = agents.collect();
    for agent in &agents {
        let installed = run(hook(&workspace, &format!("hook --install {agent}")));
        assert!(installed.status.success(), "{installed:?}");
        assert!(text(&installed.stdout).contains("\n+"), "{installed:?}");
        let again = run(hook(&workspace, &format!("hook --install {agent}")));
        assert!(again.status.success() && text(&again.stdout).contains("nothing was changed"), "{again:?}");
    }
    for (agent, path) in &files {
        let kept = fs::read(PathBuf::from(format!("{}.before-audit", path.display()))).unwrap();
        assert!(before.contains(&kept), "{agent}");
    }
    let listed = run(hook(&workspace, "hook --list"));
    assert_eq!(listed.status.code(), Some(0), "{listed:?}");
    assert_eq!(text(&listed.stdout).matches("recorded by").count(), agents.len());
    for agent in &agents {
        let removed = run(hook(&workspace, &format!("hook --uninstall {agent}")));
        assert!(removed.status.success(), "{removed:?}");
    }
    for ((agent, path), before) in files.iter().zip(before) {
        assert_eq!(text(&fs::read(path).unwrap()), text(&before), "{agent}");
    }
    assert_eq!(tree(), folders);
    let listed = run(hook(&workspace, "hook --list"));
    assert_eq!(listed.status.code(), Some(1), "{listed:?}");
}

#[test]
fn a_dry_run_changes_nothing() {
    let (workspace, files) = with_settings();
    let before = fs::read(&files[0].1).unwrap();
    let output = run(hook(&workspace, "hook --install claude --dry-run"));
    assert!(
        text(&output.stdout).contains("+++ ") && text(&output.stdout).contains("--dry-run"),
        "{output:?}"
    );
    assert_eq!(fs::read(&files[0].1).unwrap(), before);
    assert!(run(hook(&workspace, "hook --install opencode --dry-run")).status.success());
    assert!(!home(&workspace).join(".config").exists());
}

#[test]
fn a_file_with_comments_and_a_broken_one_are_refused_with_what_to_add() {
    for content in ["{\n  // mine\n  \"a\": 1\n}\n", "{\"a\": ", "[]"] {
        let (workspace, files) = with_settings();
        fs::write(&files[0].1, content).unwrap();
        let output = run(hook(&workspace, "hook --install claude"));
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains("settings.json was not changed"), "{output:?}");
        assert!(text(&output.stdout).contains("hook claude --user"), "{output:?}");
        assert_eq!(text(&fs::read(&files[0].1).unwrap()), content);
    }
}

#[test]
fn what_was_installed_with_other_options_is_taken_out_too() {
    let (workspace, files) = with_settings();
    let before = fs::read(&files[0].1).unwrap();
    for line in ["hook --install claude", "hook --install claude --starts", "hook --uninstall claude"] {
        assert!(run(hook(&workspace, line)).status.success());
    }
    assert_eq!(text(&fs::read(&files[0].1).unwrap()), text(&before));
    fs::remove_file(&files[0].1).unwrap();
    for line in ["hook --install claude --starts", "hook --uninstall claude"] {
        assert!(run(hook(&workspace, line)).status.success());
    }
    assert!(!files[0].1.exists() && home(&workspace).join(".claude").exists());
}

#[test]
fn a_home_with_nothing_else_stays() {
    let workspace = Workspace::new();
    fs::create_dir_all(home(&workspace).join(".agents/plugins")).unwrap();
    for agent in ["claude", "goose", "cline", "opencode"] {
        assert!(run(hook(&workspace, &format!("hook --install {agent}"))).status.success());
        assert!(run(hook(&workspace, &format!("hook --uninstall {agent}"))).status.success());
    }
    assert!(home(&workspace).join(".agents/plugins").exists());
    assert!(!home(&workspace).join(".agents/plugins/audit").exists());
}

#[test]
fn a_workspace_that_is_called_like_the_agent_is_an_option() {
    let workspace = Workspace::new();
    assert!(run(hook(&workspace, "hook --install claude --workspace claude")).status.success());
    assert!(commands(&workspace, "PostToolUse")[0].ends_with("hook claude --workspace claude --user"));
    assert!(text(&run(hook(&workspace, "hook --list")).stdout).contains("claude    recorded by"));
}

#[test]
fn hooks_that_do_not_run_are_listed_as_such() {
    let cases = [
        ("\"hooks\": {", "\"disableAllHooks\": true, \"hooks\": {", "disables all hooks"),
        ("hook claude", "hook claude --bogus", "cannot be run"),
        ("audit hook", "nothing/audit hook", "cannot be run"),
        ("\"*\"", "\"Bash\"", "not recorded"),
        ("\"PostToolUse\"", "\"Other\"", "partly"),
        ("\"hooks\": {", "// mine\n \"hooks\": {", "recorded by"),
    ];
    for (from, to, said) in cases {
        let workspace = Workspace::new();
        assert!(run(hook(&workspace, "hook --install claude")).status.success());
        let path = home(&workspace).join(".claude/settings.json");
        fs::write(&path, fs::read_to_string(&path).unwrap().replace(from, to)).unwrap();
        let listed = run(hook(&workspace, "hook --list"));
        let line = text(&listed.stdout).lines().next().unwrap().to_owned();
        assert!(line.contains(said), "{to}: {line}");
    }
}

#[test]
fn hooks_of_another_place_or_of_a_part_of_the_tools_are_brought_up_to_date() {
    let workspace = Workspace::new();
    let path = home(&workspace).join(".claude/settings.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let group = |matcher: &str, program: &str| serde_json::json!({"matcher": matcher, "hooks": [{"type": "command", "command": format!("{program} hook claude"), "timeout": 30}]});
    let settings = serde_json::json!({"hooks": {"PostToolUse": [group("Bash", "/old/audit"), group("*", "/older/audit")]}});
    fs::write(&path, settings.to_string()).unwrap();
    assert!(run(hook(&workspace, "hook --install claude")).status.success());
    let settings = fs::read_to_string(&path).unwrap();
    assert!(
        !settings.contains("/old") && !settings.contains("\"Bash\"") && settings.contains("\"timeout\":30"),
        "{settings}"
    );
    assert_eq!(commands(&workspace, "PostToolUse").len(), 1);
}

#[test]
fn a_program_of_the_user_that_runs_audit_too_stays() {
    let workspace = Workspace::new();
    let path = home(&workspace).join(".cline/hooks/PostToolUse");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let script = "#!/bin/sh\nmine\nexec audit hook cline\n";
    fs::write(&path, script).unwrap();
    let output = run(hook(&workspace, "hook --install cline"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stdout).contains("audit hook cline --user"), "{output:?}");
    assert!(run(hook(&workspace, "hook --uninstall cline")).status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), script);
}

#[test]
fn a_file_of_the_user_is_not_overwritten() {
    let workspace = Workspace::new();
    let path = home(&workspace).join(".cline/hooks/PostToolUse");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "#!/bin/sh\necho mine\n").unwrap();
    let output = run(hook(&workspace, "hook --install cline"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(run(hook(&workspace, "hook --uninstall cline")).status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), "#!/bin/sh\necho mine\n");
}

#[test]
fn options_become_a_part_of_the_command_and_a_password_does_not() {
    let workspace = Workspace::new();
    let line = "--backend auto hook --install claude --starts --hash-key-file key --dir record";
    assert!(run(hook(&workspace, line)).status.success());
    let settings = fs::read_to_string(home(&workspace).join(".claude/settings.json")).unwrap();
    let (key, record) = (workspace.path().join("key"), workspace.path().join("record"));
    let real = |path: PathBuf| path.to_str().unwrap().to_owned();
    let expected =
        format!("--backend auto hook claude --starts --hash-key-file {} --dir {}\"", real(key), real(record));
    assert!(settings.contains(&expected) && settings.contains("PreToolUse\""), "{settings}");
    let refused = run(hook(&workspace, "hook --install claude --database-url postgres://u:secret@h/d"));
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("DATABASE_URL") && !text(&refused.stderr).contains("secret"),
        "{refused:?}"
    );
}

/// The commands that Claude Code would run for this event, with the settings of the user and of the project.
fn commands(workspace: &Workspace, event: &str) -> Vec<String> {
    let files =
        [home(workspace).join(".claude/settings.json"), workspace.path().join(".claude/settings.json")];
    let mut commands = Vec::new();
    for file in files.iter().filter(|file| file.exists()) {
        let settings: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        for group in settings["hooks"][event].as_array().into_iter().flatten() {
            for hook in group["hooks"].as_array().unwrap() {
                commands.push(hook["command"].as_str().unwrap().to_owned());
            }
        }
    }
    commands
}

#[test]
fn the_configured_command_records_the_calls_that_read_shows() {
    let workspace = Workspace::new();
    assert!(run(hook(&workspace, "hook --install claude")).status.success());
    assert!(run(hook(&workspace, "hook --install claude --project")).status.success());
    std::thread::scope(|scope| {
        for n in 0..10 {
            // Both are run for each call, at the same time, by a shell, in the environment of the agent.
            for line in commands(&workspace, "PostToolUse") {
                let workspace = &workspace;
                scope.spawn(move || {
                    let mut shell = Command::new("/bin/sh");
                    shell.args(["-c", &line]).current_dir(workspace.path()).env_clear();
                    shell
                        .env("HOME", home(workspace))
                        .env("XDG_CACHE_HOME", crate::cache())
                        .env("PATH", "/usr/bin:/bin")
                        .env("CLAUDE_PROJECT_DIR", workspace.path());
                    let output = run_with_input(shell, call(n).to_string());
                    assert_eq!(
                        (output.status.code(), text(&output.stdout), text(&output.stderr)),
                        (Some(0), "{}\n", "")
                    );
                });
            }
        }
    });
    for scope in ["user", "project"] {
        let read = run(hook(&workspace, &format!("read --scope {scope} --format jsonl")));
        assert_eq!(text(&read.stdout).lines().count(), 10, "{scope}: {read:?}");
    }
}
