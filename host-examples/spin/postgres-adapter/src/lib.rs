//! The database of the audit-store component in Spin: `audit:store/postgres` over Spin's own interface for PostgreSQL,
//! which has no transactions and pools its connections. What it decides is plain code, which is also compiled and tested
//! natively; `bindings.rs` and `component.rs` meet WIT, and are compiled for WebAssembly alone.
#![no_std]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(not(target_family = "wasm"))]
extern crate std;

pub mod address;
pub mod database;
pub mod failure;
mod insert;
pub mod link;
mod select;
pub mod settings;
mod table;
#[cfg(test)]
mod testing;

#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
#[path = "../../../../src/runtime.rs"]
mod runtime;
