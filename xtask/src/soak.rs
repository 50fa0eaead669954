//! `cargo xtask soak`: builds the program and the package `audit-soak` for release, and runs it.

use std::env;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{Workspace, setup};

/// The arguments are those of `audit-soak`.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    setup::run(workspace)?;
    setup::postgres()?;
    let cargo = |arguments: &[&str]| {
        let mut cargo = workspace.cargo();
        cargo.env_remove("CARGO_BUILD_TARGET").args(arguments);
        cargo
    };
    let build = [
        "build",
        "--release",
        "--package",
        "audit-cli",
        "--bin",
        "audit",
        "--package",
        "audit-soak",
        "--bin",
        "audit-soak",
    ];
    let built = cargo(&build).status().context("cannot run cargo")?;
    if !built.success() {
        return Ok(ExitCode::FAILURE);
    }
    let folder = workspace.target_dir.join("release");
    let program = |name: &str| folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    let mut soak = std::process::Command::new(program("audit-soak"));
    soak.arg("--audit").arg(program("audit")).args(arguments);
    let status = soak.status().with_context(|| format!("cannot run {soak:?}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
