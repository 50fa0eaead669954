//! audit-store: the audit trail of AI agents' tool calls, as a WebAssembly component.
//!
//! The modules `bindings`, `component`, `database`, `runtime` and `wasi` exist only in the component. All
//! others are plain logic that also compiles natively, where the unit tests run.
#![no_std]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(not(target_family = "wasm"))]
extern crate std;

pub mod accounting;
pub mod backend;
pub mod backends;
pub mod batch;
pub mod error;
pub mod host;
mod index;
mod scan;
pub mod selection;
pub mod settings;
pub mod sink;
pub mod store;
pub mod warnings;

#[cfg(target_family = "wasm")]
#[allow(missing_docs)]
mod bindings;
#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod database;
#[cfg(target_family = "wasm")]
mod runtime;
#[cfg(target_family = "wasm")]
mod wasi;

#[cfg(test)]
mod testing;
