//! The programs of others that tests run `audit` against: MCP servers and clients, and emitters of OpenTelemetry. They are
//! packages of npm and PyPI, at the versions that `tests/peers` names, in the target folder.

use std::env;
use std::path::{Path, PathBuf};

/// Debian's packages of what installs and runs them.
pub const DEBIAN_PACKAGES: [&str; 4] = ["nodejs", "npm", "python3", "python3-venv"];

/// The folder that says which packages there are.
pub fn wanted() -> PathBuf {
    crate::root().join("tests/peers")
}

/// The folder that has the packages of npm in its `node_modules`.
pub fn npm(target_dir: &Path) -> PathBuf {
    target_dir.join("peers/npm")
}

/// The folder of Python with the packages of PyPI.
pub fn venv(target_dir: &Path) -> PathBuf {
    target_dir.join("peers/python")
}

/// That Python itself.
pub fn python(target_dir: &Path) -> PathBuf {
    venv(target_dir).join("bin/python")
}

/// The first program of this name on the `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}
