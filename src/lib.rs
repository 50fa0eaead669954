//! audit-store: the audit trail of AI agents' tool calls, as a WebAssembly component.
//!
//! Everything but the `component` module is plain logic that also compiles, and is tested, natively.
#![no_std]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(not(target_family = "wasm"))]
extern crate std;

pub use audit_format::{event, id, leaf, line, time};

pub mod backends;
pub mod error;
mod find;
pub mod host;
pub mod names;
pub mod page;
pub mod parse;
pub mod query;
pub mod settings;
pub mod store;
pub mod warnings;

#[cfg(target_family = "wasm")]
#[allow(missing_docs)]
mod component;
#[cfg(target_family = "wasm")]
mod runtime;
#[cfg(target_family = "wasm")]
mod wasi;

#[cfg(test)]
mod testing;
