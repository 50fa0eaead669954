//! What the store is compared with. Programs of the machine are used where they are installed. DuckDB and pino are installed
//! into the target folder, and the program with tracing-appender is built there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use xtask::{node, peers};

use super::{machine, succeed};
use crate::{Workspace, setup};

/// The peers, each where it is there.
#[derive(Default)]
pub(crate) struct Peers {
    /// A Python that has DuckDB.
    pub(crate) duckdb: Option<PathBuf>,
    /// The folder of npm's packages, with pino among them.
    pub(crate) pino: Option<PathBuf>,
    pub(crate) tracing: Option<PathBuf>,
    pub(crate) node: Option<PathBuf>,
    pub(crate) grep: Option<PathBuf>,
    pub(crate) jq: Option<PathBuf>,
    pub(crate) cat: Option<PathBuf>,
}

/// The folder of the peers' programs.
pub(crate) fn folder() -> PathBuf {
    xtask::root().join("xtask/peers")
}

impl Peers {
    /// Installs what can be, and says what cannot.
    pub(crate) fn install(workspace: &Workspace) -> Self {
        let target = workspace.target_dir.join("peers");
        let (python, npm) = (target.join("bench-python"), target.join("bench-npm"));
        let said = |what: &str, result: Result<PathBuf>| {
            result.inspect_err(|error| eprintln!("warning: {what} is left out: {error:#}")).ok()
        };
        Self {
            duckdb: said(
                "DuckDB",
                setup::pypi(&python, &folder().join("requirements.txt")).map(|()| python.join("bin/python")),
            ),
            pino: said("pino", setup::install_npm(&folder(), &npm).map(|()| npm)),
            tracing: said("tracing-appender", build(&target.join("bench-tracing"))),
            node: node::program(&workspace.target_dir),
            grep: peers::on_path("grep"),
            jq: peers::on_path("jq"),
            cat: peers::on_path("cat"),
        }
    }

    pub(crate) fn duckdb_version(&self) -> Option<String> {
        let python = self.duckdb.as_ref()?.to_string_lossy();
        machine::said(&python, &["-c", "import duckdb; print(duckdb.__version__)"])
    }

    pub(crate) fn pino_version(&self) -> Option<String> {
        let package =
            std::fs::read_to_string(self.pino.as_ref()?.join("node_modules/pino/package.json")).ok()?;
        let package: serde_json::Value = serde_json::from_str(&package).ok()?;
        Some(package["version"].as_str()?.to_owned())
    }

    pub(crate) fn tracing_version(&self) -> Option<String> {
        self.tracing.as_ref()?;
        let lock = std::fs::read_to_string(folder().join("tracing/Cargo.lock")).ok()?;
        let (_, package) = lock.split_once("name = \"tracing-appender\"\nversion = \"")?;
        Some(package.split('"').next()?.to_owned())
    }
}

/// Builds the program with tracing-appender, in a target folder of its own.
fn build(target: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new(xtask::toolchain::active_cargo());
    cargo.args(["build", "--release", "--locked", "--quiet"]).current_dir(folder().join("tracing"));
    succeed(cargo.env("CARGO_TARGET_DIR", target).env_remove("CARGO_BUILD_TARGET"))?;
    Ok(target.join("release/bench-tracing"))
}
