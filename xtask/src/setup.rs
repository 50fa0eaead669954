//! Makes a compiler for the component's target available.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use xtask::toolchain::{DEBIAN_PACKAGES, TARGET, Toolchain, Way};

/// Tries each allowed way in turn where no compiler is there yet.
pub fn run(root: &Path) -> Result<Toolchain> {
    if let Ok(toolchain) = Toolchain::find(root) {
        return Ok(toolchain);
    }
    for way in Way::allowed()? {
        let installed = match way {
            Way::Rustup => add_target(root),
            Way::Debian => install_packages(),
        };
        if let Err(error) = installed {
            eprintln!("warning: {error:#}");
        } else if let Ok(toolchain) = Toolchain::find(root) {
            return Ok(toolchain);
        }
    }
    Toolchain::find(root).context("set-up did not help")
}

fn add_target(root: &Path) -> Result<()> {
    execute(Command::new("rustup").args(["target", "add", TARGET]).current_dir(root))
}

/// Never in the place of packages that are there: `rustc-web` conflicts with Debian's `rustc` and `rustup`.
fn install_packages() -> Result<()> {
    apt_get(&["update"])?;
    let options = ["install", "--yes", "--no-install-recommends", "--no-remove"];
    apt_get(&[&options[..], &DEBIAN_PACKAGES[..]].concat())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = if is_root() { Command::new("apt-get") } else { Command::new("sudo") };
    if !is_root() {
        command.arg("apt-get");
    }
    execute(command.args(arguments)).with_context(|| {
        format!(
            "Debian's packages were not installed; as root, `apt-get update && apt-get install \
             --no-install-recommends {}` does it",
            DEBIAN_PACKAGES.join(" ")
        )
    })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn execute(command: &mut Command) -> Result<()> {
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
