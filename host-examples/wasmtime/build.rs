//! Builds the component that this crate embeds: `env!("AUDIT_STORE_WASM")` is its path.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use xtask::components::{self, World};
use xtask::toolchain;

fn main() -> ExitCode {
    let root = xtask::root();
    for source in components::SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-env-changed={}", toolchain::VARIABLE);

    let out_dir = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    match components::build(root, target_dir(&out_dir), World::Full) {
        Ok(component) => {
            println!("cargo::rustc-env=AUDIT_STORE_WASM={}", component.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The target folder, which all profiles share, from `TARGET_FOLDER/PROFILE/build/PACKAGE/out`.
fn target_dir(out_dir: &Path) -> &Path {
    out_dir.ancestors().nth(4).unwrap_or(out_dir)
}
