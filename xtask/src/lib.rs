//! Builds the audit-store components, for `cargo xtask` and for tests that run them.

#![deny(missing_docs)]

// The build script of `audit-component` builds a component too, and has to be complete in its published package.
#[path = "../../component/build/components.rs"]
pub mod components;
#[path = "../../component/build/environment.rs"]
mod environment;
pub mod postgres;
#[path = "../../component/build/toolchain.rs"]
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
