//! Commands that change the system; each shows its line. Those for root go through sudo where this is another user.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Whether there is an `apt-get` at all.
pub fn has_apt() -> bool {
    Path::new("/usr/bin/apt-get").is_file()
}

/// Installs packages of Debian, never in the place of packages that are there: `rustc-web` conflicts with `rustc` and
/// `rustup`.
pub fn install(packages: &[&str]) -> Result<()> {
    let options = ["install", "--yes", "--no-install-recommends", "--no-remove"];
    let update = as_root(&["apt-get", "update"]);
    update.and_then(|()| as_root(&[&["apt-get"], &options[..], packages].concat())).with_context(|| {
        format!(
            "Debian's packages were not installed; as root, `apt-get update && apt-get install \
             --no-install-recommends {}` does it",
            packages.join(" ")
        )
    })
}

/// Runs a command as root.
pub fn as_root(command: &[&str]) -> Result<()> {
    let sudo: &[&str] = if is_root() { &[] } else { &["sudo"] };
    let words = [sudo, command].concat();
    run(Command::new(words[0]).args(&words[1..]))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Runs a command, and shows its line and what it says.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let line = format!("{program} {}", arguments.join(" "));
    eprintln!("$ {line}");
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}
