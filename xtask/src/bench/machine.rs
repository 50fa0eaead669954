//! Where it was measured: the machine, and the versions of the programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde::{Deserialize, Serialize};
use xtask::postgres;

use super::peers::Peers;
use crate::Workspace;

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) system: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let cpu = field("/proc/cpuinfo", "model name", ':')
            .or_else(|| said("sysctl", &["-n", "machdep.cpu.brand_string"]));
        let memory = field("/proc/meminfo", "MemTotal", ':')
            .and_then(|kib| kib.split(' ').next()?.parse::<u64>().ok());
        Self {
            cpu: cpu.unwrap_or_else(|| "unknown".into()),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (memory.unwrap_or(0) + (1 << 19)) >> 20,
            kernel: said("uname", &["-sr"]).unwrap_or_default(),
            system: field("/etc/os-release", "PRETTY_NAME", '=').unwrap_or_default(),
        }
    }
}

/// The versions of this program and of its peers.
pub(crate) fn versions(workspace: &Workspace, peers: &Peers) -> BTreeMap<String, String> {
    let root = workspace.root.to_string_lossy();
    let revision = said("git", &["-C", &root, "describe", "--always", "--dirty"]);
    let postgres = postgres::programs().and_then(|folder| of(&folder.join("postgres")));
    [
        ("audit-store", revision),
        ("rustc", said("rustc", &["--version"])),
        ("Python", said("python3", &["--version"])),
        ("Node.js", peers.node.as_deref().and_then(of)),
        ("DuckDB", peers.duckdb_version()),
        ("pino", peers.pino_version()),
        ("tracing-appender", peers.tracing_version()),
        ("grep", peers.grep.as_deref().and_then(of)),
        ("jq", peers.jq.as_deref().and_then(of)),
        ("PostgreSQL", postgres),
    ]
    .into_iter()
    .filter_map(|(name, version)| Some((name.to_owned(), number(&version?))))
    .collect()
}

fn of(program: &Path) -> Option<String> {
    said(&program.to_string_lossy(), &["--version"])
}

/// The first line that a program says.
pub(crate) fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}

/// The value that a line of a file has behind its name.
fn field(file: &str, name: &str, separator: char) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut values = text.lines().filter_map(|line| line.split_once(separator));
    let value = values.find(|(found, _)| found.trim() == name)?.1;
    Some(value.trim().trim_matches('"').to_owned())
}

/// The number in what a program says of its version; all that it says where there is none.
fn number(said: &str) -> String {
    let is_number = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    let words = said.split([' ', '-', 'v']).map(|word| word.trim_matches(['(', ')', ',']));
    words.into_iter().find(is_number).unwrap_or(said).to_owned()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(number("grep (GNU grep) 3.8"), "3.8");
        assert_eq!(number("rustc 1.95.0 (abc 2026-01-01)"), "1.95.0");
        assert_eq!(number("v20.20.2"), "20.20.2");
        assert_eq!(number("jq-1.6"), "1.6");
        assert_eq!(number("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), "15.14");
        assert_eq!(number("d53594b"), "d53594b");
    }
}
