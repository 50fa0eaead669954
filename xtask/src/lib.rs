//! Builds the audit-store components, for `cargo xtask` and for build scripts and tests that embed or run them.

#![deny(missing_docs)]

pub mod components;
mod environment;
pub mod postgres;
pub mod toolchain;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of this workspace.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The target folder of a workspace: `CARGO_TARGET_DIR`, else `target` in its root.
pub fn target_dir(root: &Path) -> Result<PathBuf> {
    let folder = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    std::path::absolute(&folder).with_context(|| format!("the target folder {}", folder.display()))
}
