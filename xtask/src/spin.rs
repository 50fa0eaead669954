//! What runs in Spin: the store with its database plugged in, and the example application.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};

use crate::components::{self, World};

/// The store whose database is Spin's.
pub const STORE: &str = "audit-store-spin.wasm";

/// The example application, which Spin composes with the store.
pub const APP: &str = "audit-spin-app.wasm";

/// Builds the components for Spin where their sources changed, and puts them into `components` in the target folder of the
/// workspace at `root`: [`STORE`] and [`APP`].
///
/// # Errors
/// Where a component is not built or composed, or a file cannot be written.
pub fn artifacts(root: &Path, target_dir: &Path) -> Result<[PathBuf; 2]> {
    let store = components::build(root, target_dir, World::Full)?;
    let packages = ["--package", "audit-spin-postgres", "--package", "audit-spin-app"];
    let folder = components::packages(root, target_dir, "spin", &packages)?;
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).with_context(|| format!("cargo succeeded, but left no {}", path.display()))
    };
    let store = plugged(&store, &read("audit_spin_postgres.wasm")?).context("the store is not composed")?;
    Ok([
        components::hand_out(&store, target_dir, STORE)?,
        components::hand_out(&read("audit_spin_app.wasm")?, target_dir, APP)?,
    ])
}

/// The component with the imports that the other one exports satisfied by it.
fn plugged(component: &[u8], other: &[u8]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let mut package = |name: &str, bytes: &[u8]| -> Result<_> {
        let package = Package::from_bytes(name, None, bytes, graph.types_mut())?;
        Ok(graph.register_package(package)?)
    };
    let socket = package("audit:store", component)?;
    let plugs = vec![package("audit:spin-postgres", other)?];
    plug(&mut graph, plugs, socket)?;
    Ok(graph.encode(EncodeOptions::default())?)
}
