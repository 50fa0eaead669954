//! The component of each WIT world, built by a cargo of its own, because the target and profile of the cargo
//! that asks for it are another.

use std::fs;
use std::io;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use crate::toolchain::{TARGET, Toolchain};

/// What a component is made from, as paths in the workspace: a build script that calls [`build`] watches them.
pub const SOURCES: [&str; 6] = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "format", "src", "wit"];

const PROFILE: &str = "component";

/// A world of the package `audit:store`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Imports `audit:store/postgres`, for hosts that provide a database.
    Full,
    /// For hosts that have none.
    Local,
}

impl World {
    /// Every world.
    pub const ALL: [Self; 2] = [Self::Full, Self::Local];

    /// The name in the WIT.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Local => "local",
        }
    }

    /// The file name under which the component is handed out.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Full => "audit-store.wasm",
            Self::Local => "audit-store-local.wasm",
        }
    }

    fn features(self) -> &'static [&'static str] {
        match self {
            Self::Full => &[],
            Self::Local => &["--no-default-features"],
        }
    }
}

/// Builds a world's component where its sources changed, and puts it into `components` in the target folder of
/// the workspace at `root`, under [`World::file_name`]. Several threads and processes may do so at once.
///
/// # Errors
/// As [`build`], and where the file cannot be written.
pub fn artifact(root: &Path, target_dir: &Path, world: World) -> Result<PathBuf> {
    hand_out(&build(root, target_dir, world)?, target_dir, world.file_name())
}

/// Puts a component into `components` in the target folder, and returns its path.
///
/// # Errors
/// Where the file cannot be written.
pub fn hand_out(component: &[u8], target_dir: &Path, file_name: &str) -> Result<PathBuf> {
    let folder = target_dir.join("components");
    let path = folder.join(file_name);
    replace(component, &folder, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Builds a world's component where its sources changed, in `component-build` in the target folder of the
/// workspace at `root`, and returns its bytes.
///
/// # Errors
/// Where no compiler for the target is found (the message says what to run), and where the build fails (the
/// reasons are then on stderr).
pub fn build(root: &Path, target_dir: &Path, world: World) -> Result<Vec<u8>> {
    build_package(root, target_dir, "audit-store", world.features(), world.name())
}

/// Builds the library of a package of the workspace as a component, in the way of [`build`]. The name stands for the
/// package with these features.
///
/// # Errors
/// As [`build`].
pub fn build_package(
    root: &Path,
    target_dir: &Path,
    package: &str,
    features: &[&str],
    name: &str,
) -> Result<Vec<u8>> {
    let arguments = [&["--package", package], features].concat();
    let folder = packages(root, target_dir, name, &arguments)
        .with_context(|| format!("the component `{name}` was not built"))?;
    let built = folder.join(format!("{}.wasm", package.replace('-', "_")));
    fs::read(&built).with_context(|| format!("cargo succeeded, but left no {}", built.display()))
}

/// Builds the libraries of packages for [`TARGET`], in the folder `name` of `component-build`, and returns the folder that
/// has them. `arguments` name the packages and their features.
///
/// # Errors
/// As [`build`].
pub fn packages(root: &Path, target_dir: &Path, name: &str, arguments: &[&str]) -> Result<PathBuf> {
    let toolchain = Toolchain::find(root, target_dir)?;
    // A folder for each, because cargo gives a cdylib one name whatever its features and compiler are: in a
    // shared folder a build that is fresh by its fingerprint may have been overwritten by another.
    let folder = target_dir.join("component-build").join(format!("{name}-{}", toolchain.way()));
    let mut cargo = toolchain.cargo_build(root);
    cargo
        .args(["--locked", "--lib", "--profile", PROFILE, "--target", TARGET])
        .args(arguments)
        .arg("--target-dir")
        .arg(&folder);
    if !io::stderr().is_terminal() {
        cargo.arg("--quiet");
    }
    // A build script's stdout is instructions to cargo.
    cargo.stdout(io::stderr());
    let status = cargo.status().with_context(|| format!("cannot run {}", cargo.get_program().display()))?;
    if !status.success() {
        bail!("cargo ended with {status}");
    }
    Ok(folder.join(TARGET).join(PROFILE))
}

/// Writes through a file beside the target, so that whoever reads it meanwhile has the old or the new one whole.
fn replace(content: &[u8], folder: &Path, to: &Path) -> io::Result<()> {
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let nth = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let beside = to.with_extension(format!("{}-{nth}", process::id()));
    fs::write(&beside, content)?;
    fs::rename(&beside, to)
}
