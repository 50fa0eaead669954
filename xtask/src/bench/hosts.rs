//! How fast the hosts are, one after the other: each by a benchmark of its own, on files and on a PostgreSQL of its own.

use std::path::Path;

use anyhow::Result;
use xtask::components::{self, World};
use xtask::{node, python};

use super::release;
use crate::{Workspace, setup};

/// Runs all of them for release.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    setup::postgres()?;
    setup::peers(workspace)?;
    setup::node(workspace)?;
    let target_dir = &workspace.target_dir;
    let component = components::artifact(&workspace.root, target_dir, World::Full)?;
    let python = python::with_host(target_dir)?;
    let node = node::build(target_dir, &component)?;
    for (package, example) in [
        ("audit-host", "bench_store"),
        ("audit-host", "bench_postgres"),
        ("audit-host", "bench_guest"),
        ("audit-spin-host", "rows"),
    ] {
        println!("\n{package}, {example}:");
        release(workspace, &["run", "--package", package, "--example", example])?;
    }
    println!("\nPython:");
    with_database(workspace, &python, &["-m", "audit_store.bench"])?;
    println!("\nNode.js:");
    let script = node::package().join("scripts/bench.mjs");
    with_database(workspace, &node, &[&script.to_string_lossy()])
}

/// Runs a command with a database of its own, whose URL is in `DATABASE_URL`.
fn with_database(workspace: &Workspace, program: &Path, arguments: &[&str]) -> Result<()> {
    let program = program.to_string_lossy();
    let own = ["run", "--package", "audit-testbed", "--example", "with_database", "--", &program];
    release(workspace, &[&own[..], arguments].concat())
}
