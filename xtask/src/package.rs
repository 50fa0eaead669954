//! `cargo package` of every crate that is published, in one run: cargo resolves those that depend on each other among
//! themselves, while none of them is in a registry yet.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::components::{self, World};

use crate::{Workspace, setup, system};

/// The component where the package of `audit-component` has it.
const COMPONENT: &str = "component/audit-store.wasm";

/// Packs the crates into `package` in the target folder, and compiles each from its package.
pub fn run(workspace: &Workspace) -> Result<()> {
    let crates = published(&workspace.packages);
    setup::run(workspace)?;
    let component = components::artifact(&workspace.root, &workspace.target_dir, World::Full)?;
    let folder = workspace.target_dir.join("package");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot empty {}", folder.display()));
        }
        _ => {}
    }
    pack(workspace, &crates, &component)?;
    for package in &crates {
        let path = folder.join(package.file_name());
        let size = fs::metadata(&path).with_context(|| format!("cargo left no {}", path.display()))?.len();
        println!("{} ({size} bytes)", path.display());
    }
    compile(workspace, &crates, &folder)
}

fn pack(workspace: &Workspace, crates: &[Package], component: &Path) -> Result<()> {
    let _placed = Placed::copy(component, workspace.root.join(COMPONENT))?;
    let mut cargo = workspace.cargo();
    // Cargo takes the component for a change that is not committed.
    cargo.args(["package", "--locked", "--allow-dirty", "--no-verify"]);
    for package in crates {
        cargo.args(["--package", &package.name]);
    }
    if !cargo.status().context("cannot run cargo")?.success() {
        bail!("not every crate can be packed");
    }
    Ok(())
}

/// Cargo's own verification takes crates that others depend on as they were when it first saw this version of them,
/// because what is in a registry never changes. In a workspace they are taken as they are now.
fn compile(workspace: &Workspace, crates: &[Package], folder: &Path) -> Result<()> {
    let unpacked = folder.join("unpacked");
    fs::create_dir_all(&unpacked).with_context(|| format!("cannot create {}", unpacked.display()))?;
    let mut manifest = "[workspace]\nmembers = [\"*\"]\nresolver = \"3\"\n\n[patch.crates-io]\n".to_owned();
    for package in crates {
        // With the time of now for the files: cargo looks at it for changes, and it is always the same in packages.
        let mut tar = Command::new("tar");
        tar.arg("-xmzf").arg(folder.join(package.file_name())).arg("-C").arg(&unpacked);
        system::run(&mut tar)?;
        let _ = writeln!(manifest, "{} = {{ path = \"{}\" }}", package.name, package.folder_name());
    }
    let path = unpacked.join("Cargo.toml");
    fs::write(&path, manifest).with_context(|| format!("cannot write {}", path.display()))?;
    fs::copy(workspace.root.join("Cargo.lock"), unpacked.join("Cargo.lock"))
        .context("cannot copy Cargo.lock")?;
    // All of them, with the features that the programs of the workspace are built with.
    compile_from(workspace, &path, &["--workspace"])?;
    // Each for itself, as for whoever depends on it: others may have asked for features that it lacks. With wasmtime
    // that would take minutes.
    for package in crates.iter().filter(|package| !has_wasmtime(&package.name, &workspace.packages)) {
        compile_from(workspace, &path, &["--package", &package.name])?;
    }
    Ok(())
}

fn compile_from(workspace: &Workspace, manifest: &Path, packages: &[&str]) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.env_remove("CARGO_BUILD_TARGET").arg("build").args(packages).arg("--manifest-path").arg(manifest);
    if !cargo.status().context("cannot run cargo")?.success() {
        bail!("a crate does not compile from its package");
    }
    Ok(())
}

/// Whether a crate of the workspace depends on wasmtime, be it through another one.
fn has_wasmtime(name: &str, packages: &[Value]) -> bool {
    let package = packages.iter().find(|package| package["name"] == name);
    let dependencies = package.and_then(|package| package["dependencies"].as_array());
    let needed = dependencies.into_iter().flatten().filter(|dependency| dependency["kind"] != "dev");
    needed
        .filter_map(|dependency| dependency["name"].as_str())
        .any(|name| name == "wasmtime" || has_wasmtime(name, packages))
}

struct Package {
    name: String,
    version: String,
}

impl Package {
    fn folder_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    fn file_name(&self) -> String {
        format!("{}.crate", self.folder_name())
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
