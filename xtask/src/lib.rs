//! Builds the audit-store components, for `cargo xtask` and for tests that run them.

#![deny(missing_docs)]

// The build script of `audit-component` builds a component too, and has to be complete in its published package.
#[path = "../../component/build/components.rs"]
pub mod components;
#[path = "../../component/build/environment.rs"]
mod environment;
pub mod figures;
pub mod guests;
pub mod node;
pub mod peers;
pub mod postgres;
pub mod python;
pub mod spin;
#[path = "../../component/build/toolchain.rs"]
pub mod toolchain;

use std::path::Path;

/// The root of this workspace.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}
