//! The guests that write to a store which is not theirs, for the tests and the benchmark of `add_writer_to_linker`: the
//! package in `host-examples/wasmtime/tests/guest`.

use std::path::Path;

use anyhow::Result;

use crate::components;

/// A world of that package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Imports `audit:store/writer` alone.
    Confined,
    /// Imports the writer and `audit:store/reader`.
    Tenant,
    /// Imports the writer and `wasi:filesystem`, but no reader.
    Spy,
}

/// Builds a guest where its sources changed, and returns its bytes.
///
/// # Errors
/// As [`components::build`].
pub fn build(target_dir: &Path, guest: Guest) -> Result<Vec<u8>> {
    let (features, name): (&[&str], _) = match guest {
        Guest::Confined => (&[], "guest-confined"),
        Guest::Tenant => (&["--features", "tenant"], "guest-tenant"),
        Guest::Spy => (&["--features", "spy"], "guest-spy"),
    };
    components::build_package(crate::root(), target_dir, "audit-guest", features, name)
}
