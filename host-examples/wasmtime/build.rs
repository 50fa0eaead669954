//! Builds the component that this crate embeds, as `audit_store.wasm` in `OUT_DIR`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use xtask::components::{self, World};
use xtask::toolchain;

fn main() -> ExitCode {
    let root = xtask::root();
    for source in components::SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-env-changed={}", toolchain::VARIABLE);

    let out_dir = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if let Err(error) = build(root, &out_dir) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn build(root: &Path, out_dir: &Path) -> Result<()> {
    let component = components::build(root, target_dir(out_dir), World::Full)?;
    let path = out_dir.join("audit_store.wasm");
    fs::write(&path, component).with_context(|| format!("cannot write {}", path.display()))
}

/// The target folder, which all profiles share, from `TARGET_FOLDER/PROFILE/build/PACKAGE/out`.
fn target_dir(out_dir: &Path) -> &Path {
    out_dir.ancestors().nth(4).unwrap_or(out_dir)
}
