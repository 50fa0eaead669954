//! The package for Node.js in `host-examples/node`: which Node.js runs it, and its build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::peers;

/// The oldest version of Node.js that the package is for.
const OLDEST: u32 = 20;

/// Debian's package of the browser that the tests run.
pub const DEBIAN_BROWSER: &str = "chromium";

/// What the package is built from, besides the component.
const SOURCES: [&str; 6] = [
    "sql",
    "host-examples/node/package-lock.json",
    "host-examples/node/package.json",
    "host-examples/node/scripts/build.mjs",
    "host-examples/node/src",
    "host-examples/node/tsconfig.json",
];

/// The folder of the package.
pub fn package() -> PathBuf {
    crate::root().join("host-examples/node")
}

/// The folder that has Node.js from npm, for machines whose own is too old.
pub fn runtime(target_dir: &Path) -> PathBuf {
    target_dir.join("node-runtime")
}

/// A Node.js that is new enough: that of the machine, else that from npm. None: `cargo xtask test` installs it.
pub fn program(target_dir: &Path) -> Option<PathBuf> {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let from_npm = runtime(target_dir).join(format!("node_modules/node-linux-{arch}/bin/node"));
    [peers::on_path("node"), Some(from_npm)].into_iter().flatten().find(|program| is_new_enough(program))
}

fn is_new_enough(program: &Path) -> bool {
    let said = Command::new(program).arg("--version").output();
    let version = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    major.is_some_and(|major: u32| major >= OLDEST)
}

/// Builds the package with this component, where its sources have changed, and returns the Node.js that runs it.
///
/// # Errors
/// Where nothing is installed yet, or the build fails.
pub fn build(target_dir: &Path, component: &Path) -> Result<PathBuf> {
    let node =
        program(target_dir).context("there is no Node.js 20 or later: `cargo xtask test` installs it")?;
    let package = package();
    if !package.join("node_modules").is_dir() {
        bail!("{} has no node_modules: `cargo xtask test` installs them", package.display());
    }
    let stamp = package.join("dist/built");
    let mut newest = changed(component)?;
    for source in SOURCES {
        newest = newest.max(changed(&crate::root().join(source))?);
    }
    if fs::metadata(&stamp).and_then(|stamp| stamp.modified()).is_ok_and(|built| built > newest) {
        return Ok(node);
    }
    let mut build = Command::new(&node);
    build.arg("scripts/build.mjs").current_dir(&package).env("AUDIT_COMPONENT", component);
    let status = build.status().context("cannot run Node.js")?;
    if !status.success() {
        bail!("the build of {} ended with {status}", package.display());
    }
    fs::write(&stamp, "")?;
    Ok(node)
}

/// When a file, or one of those in a folder, was last changed.
fn changed(path: &Path) -> Result<SystemTime> {
    let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
    let mut newest = metadata.modified()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(changed(&entry?.path())?);
        }
    }
    Ok(newest)
}
