//! Leaves the component as `audit-store.wasm` in `OUT_DIR`: built from source in a checkout, else the file that the
//! published package carries.

#[allow(dead_code, reason = "`cargo xtask`, which has this module too, also builds the other world")]
mod components;
mod environment;
#[allow(dead_code, reason = "`cargo xtask`, which has this module too, also installs and chooses compilers")]
mod toolchain;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::components::World;

/// The component in a published package, beside its `Cargo.toml`.
const PACKAGED: &str = "audit-store.wasm";

fn main() -> ExitCode {
    if let Err(error) = run() {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run() -> Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).with_context(|| format!("cargo sets {name}"));
    let (package, out_dir) = (variable("CARGO_MANIFEST_DIR")?, variable("OUT_DIR")?);
    let component = match checkout(&package) {
        Some(root) => from_source(root, &out_dir)?,
        None => packaged(&package)?,
    };
    let path = out_dir.join("audit-store.wasm");
    fs::write(&path, component).with_context(|| format!("cannot write {}", path.display()))
}

/// The root of the checkout that this package is in, by the component's sources beside it. An unpacked package lies
/// beside other packages, in cargo's registry or in a vendor folder, where neither of these files is.
fn checkout(package: &Path) -> Option<&Path> {
    let root = package.parent()?;
    ["src/lib.rs", "wit/worlds.wit"].iter().all(|source| root.join(source).is_file()).then_some(root)
}

fn from_source(root: &Path, out_dir: &Path) -> Result<Vec<u8>> {
    let target_dir = target_dir(out_dir);
    for source in components::SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-env-changed={}", toolchain::VARIABLE);
    // Cargo runs a script again and again that watches a file which is not there. Where the choice is made only
    // later, it was rustup's compiler before, and nothing that is built changes.
    let choice = toolchain::choice_file(target_dir);
    if choice.is_file() {
        println!("cargo::rerun-if-changed={}", choice.display());
    }
    components::build(root, target_dir, World::Full)
}

fn packaged(package: &Path) -> Result<Vec<u8>> {
    let path = package.join(PACKAGED);
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read(&path).with_context(|| format!("this package is incomplete: cannot read {}", path.display()))
}

/// The target folder, which all profiles and targets share, from `TARGET_FOLDER[/TARGET]/PROFILE/build/PACKAGE/out`.
fn target_dir(out_dir: &Path) -> &Path {
    let mut folders = out_dir.ancestors().skip(4);
    let folder = folders.next().unwrap_or(out_dir);
    let target = env::var_os("TARGET");
    if target.as_deref().is_some_and(|target| folder.file_name() == Some(OsStr::new(target))) {
        return folders.next().unwrap_or(folder);
    }
    folder
}
