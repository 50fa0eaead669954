//! The Python that the host for Python is tested with: a folder of its own in the target folder, with the packages at the
//! versions that `host-examples/python/requirements.txt` names, and the host itself as a wheel.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::components::{self, World};

/// The folder of the package.
pub fn package() -> PathBuf {
    crate::root().join("host-examples/python")
}

/// The file that says which packages of PyPI there are.
pub fn requirements() -> PathBuf {
    package().join("requirements.txt")
}

/// The folder of that Python.
pub fn venv(target_dir: &Path) -> PathBuf {
    target_dir.join("peers/python-host")
}

/// That Python itself, with the host installed as it is now. `cargo xtask test` makes the Python available before; here
/// the component is built, and the wheel, where their sources have changed.
///
/// # Errors
/// Where there is no such Python, and where the component or the wheel cannot be built.
pub fn with_host(target_dir: &Path) -> Result<PathBuf> {
    let folder = venv(target_dir);
    let python = folder.join("bin/python");
    if !python.is_file() {
        bail!("there is no {}: `cargo xtask test` makes it", python.display());
    }
    // Tests of several programs ask at once.
    let lock = File::create(folder.join("install.lock"))?;
    lock.lock()?;
    let component = components::artifact(crate::root(), target_dir, World::Full)?;
    let sources = digest(&component).context("the sources of the package cannot be read")?;
    let installed = folder.join("installed");
    if fs::read_to_string(&installed).is_ok_and(|digest| digest == sources) {
        return Ok(python);
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"])
        .args(["--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall"])
        .arg(package())
        .env("AUDIT_STORE_COMPONENT", &component);
    let output = pip.output().context("cannot run pip")?;
    if !output.status.success() {
        bail!("the wheel was not installed: {}", String::from_utf8_lossy(&output.stderr));
    }
    fs::write(&installed, sources)?;
    Ok(python)
}

/// Stands for what the wheel is made of.
fn digest(component: &Path) -> io::Result<String> {
    let mut files =
        vec![component.to_owned(), package().join("pyproject.toml"), package().join("build_hook.py")];
    let mut folders = vec![package().join("src"), crate::root().join("sql")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        (fs::read(&file)?, file).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}
