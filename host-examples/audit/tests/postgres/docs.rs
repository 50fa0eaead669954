//! The first commands of `docs/postgresql.md`, as they stand there.

use std::env;
use std::path::{Path, PathBuf};

use crate::Site;
use crate::common::{AUDIT, run, text};

/// The commands of its first section.
fn commands() -> &'static str {
    let docs = include_str!("../../../../docs/postgresql.md");
    let section = docs.split("\n## In short\n").nth(1).expect("the section is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let block = section.split("```sh\n").nth(1).and_then(|block| block.split("```").next());
    block.expect("the section has commands")
}

#[test]
fn the_commands_of_the_documentation_run() {
    let site = Site::new();
    let url = "export DATABASE_URL=";
    assert_eq!(commands().lines().filter(|line| line.starts_with(url)).count(), 1);
    let with_url = |line: &str| match line.starts_with(url) {
        true => format!("{url}'{}'\n", site.url),
        false => format!("{line}\n"),
    };
    let script: String = commands().lines().map(with_url).collect();
    // A daily file has an event from before there was a database.
    let old = "{\"ts\":\"2026-11-22T06:30:00Z\",\"tool\":\"old\",\"agent_id\":\"planner\"}\n";
    std::fs::create_dir_all(site.workspace.events_dir()).unwrap();
    std::fs::write(site.workspace.events_dir().join("tool_audit_2026-11-22.jsonl"), old).unwrap();

    let programs = [Path::new(AUDIT).parent().map(PathBuf::from), xtask::postgres::programs()];
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(programs.into_iter().flatten().chain(env::split_paths(&path))).unwrap();
    let mut command = site.workspace.command("sh");
    command.args(["-eu", "-c", &script]).env("PATH", path);
    let output = run(command);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("database    answers") && said.contains("\"tool\":\"search\""), "{output:?}");
    assert!(said.contains(" old    |     1\n search |     1\n"), "{said}");
    assert!(text(&output.stderr).contains("1 event read, 1 stored, "), "{output:?}");
    assert_eq!(site.stored(), 2);
}
