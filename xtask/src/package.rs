//! `cargo package` of every crate that is published, in one run: cargo resolves those that depend on each other among
//! themselves, while none of them is in a registry yet.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::components::{self, World};

use crate::{Workspace, setup};

/// The component where the package of `audit-component` has it.
const COMPONENT: &str = "component/audit-store.wasm";

/// Packs the crates into `package` in the target folder, and compiles each as it is packed.
pub fn run(workspace: &Workspace) -> Result<()> {
    let crates = published(&workspace.packages);
    setup::run(workspace)?;
    let component = components::artifact(&workspace.root, &workspace.target_dir, World::Full)?;
    let _placed = Placed::copy(&component, workspace.root.join(COMPONENT))?;
    let mut cargo = workspace.cargo();
    // Cargo takes the component for a change that is not committed.
    cargo.env_remove("CARGO_BUILD_TARGET").args(["package", "--locked", "--allow-dirty"]);
    for package in &crates {
        cargo.args(["--package", &package.name]);
    }
    if !cargo.status().context("cannot run cargo")?.success() {
        bail!("not every crate can be packed");
    }
    for package in &crates {
        let path = workspace.target_dir.join("package").join(package.file_name());
        let size = fs::metadata(&path).with_context(|| format!("cargo left no {}", path.display()))?.len();
        println!("{} ({size} bytes)", path.display());
    }
    Ok(())
}

struct Package {
    name: String,
    version: String,
}

impl Package {
    fn file_name(&self) -> String {
        format!("{}-{}.crate", self.name, self.version)
    }
}

/// The packages that some registry may have: cargo lists no registry for `publish = false`.
fn published(packages: &[Value]) -> Vec<Package> {
    let registries = |package: &&Value| package["publish"].as_array().is_none_or(|names| !names.is_empty());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = packages.iter().filter(registries);
    packages
        .map(|package| Package { name: text(&package["name"]), version: text(&package["version"]) })
        .collect()
}

/// A file that is there as long as this is.
struct Placed(PathBuf);

impl Placed {
    fn copy(from: &Path, to: PathBuf) -> Result<Self> {
        let copied = fs::copy(from, &to).with_context(|| format!("cannot write {}", to.display()));
        let placed = Self(to);
        copied.map(|_| placed)
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("warning: cannot remove {}: {error}", self.0.display());
        }
    }
}
