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
pub const SOURCES: [&str; 5] = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "src", "wit"];

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
            Self::Full => "audit_store.wasm",
            Self::Local => "audit_store_local.wasm",
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
    let built = build(root, target_dir, world)?;
    let folder = target_dir.join("components");
    let path = folder.join(world.file_name());
    let component = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    replace(&component, &folder, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Builds a world's component where its sources changed, in `component-build` in the target folder of the
/// workspace at `root`, and returns its path there.
///
/// # Errors
/// Where no compiler for the target is found (the message says what to run), and where the build fails (the
/// reasons are then on stderr).
pub fn build(root: &Path, target_dir: &Path, world: World) -> Result<PathBuf> {
    let toolchain = Toolchain::find(root)?;
    // A folder for each, because cargo gives a cdylib one name whatever its features and compiler are: in a
    // shared folder a build that is fresh by its fingerprint may have been overwritten by another.
    let folder = target_dir.join("component-build").join(format!("{}-{}", world.name(), toolchain.way()));
    let mut cargo = toolchain.cargo_build(root);
    cargo
        .args(["--locked", "--package", "audit-store", "--lib"])
        .args(["--profile", PROFILE, "--target", TARGET])
        .args(world.features())
        .arg("--target-dir")
        .arg(&folder);
    if !io::stderr().is_terminal() {
        cargo.arg("--quiet");
    }
    // A build script's stdout is instructions to cargo.
    cargo.stdout(io::stderr());
    let status = cargo.status().with_context(|| format!("cannot run {}", cargo.get_program().display()))?;
    if !status.success() {
        bail!("the component of the world `{}` was not built: cargo ended with {status}", world.name());
    }
    let built = folder.join(TARGET).join(PROFILE).join("audit_store.wasm");
    let component =
        fs::read(&built).with_context(|| format!("cargo succeeded, but left no {}", built.display()))?;
    let component =
        without_names(&component).with_context(|| format!("{} is no component", built.display()))?;
    let path = folder.join(world.file_name());
    replace(&component, &folder, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The component without the custom sections at its top, which name its parts for debuggers; `None`: it is cut
/// off. The linker strips the modules inside, but not these.
fn without_names(component: &[u8]) -> Option<Vec<u8>> {
    const PREAMBLE: usize = 8;
    const CUSTOM: u8 = 0;
    let (preamble, mut rest) = component.split_at_checked(PREAMBLE)?;
    let mut kept = preamble.to_vec();
    while let Some((id, after_id)) = rest.split_first() {
        // The length, in LEB128.
        let digits = after_id.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let (length, content) = after_id.split_at(digits);
        let length = length.iter().rev().try_fold(0_usize, |length, byte| {
            length.checked_mul(128).map(|length| length + usize::from(byte & 0x7f))
        })?;
        let (section, next) = rest.split_at_checked(rest.len() - content.len() + length)?;
        if *id != CUSTOM {
            kept.extend_from_slice(section);
        }
        rest = next;
    }
    Some(kept)
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

#[cfg(test)]
mod tests {
    use super::without_names;

    #[test]
    fn only_custom_sections_at_the_top_go() {
        let long = vec![7; 300];
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        component.extend(b"\0\x03abc\x01\xac\x02");
        component.extend(&long);
        component.extend(b"\0\0");
        let mut expected = component[..8].to_vec();
        expected.extend(b"\x01\xac\x02");
        expected.extend(&long);
        assert_eq!(without_names(&component), Some(expected));
        assert_eq!(without_names(&component[..100]), None);
    }
}
