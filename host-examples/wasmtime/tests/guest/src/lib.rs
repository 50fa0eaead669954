//! A guest that writes to a store which is not its own, and as far as it is let reads from it. It does what a test asks for,
//! also what no honest guest does.
#![cfg_attr(target_family = "wasm", no_std)]

#[cfg(target_family = "wasm")]
extern crate alloc;

#[cfg(target_family = "wasm")]
mod guest;
#[cfg(target_family = "wasm")]
#[path = "../../../../../src/runtime.rs"]
mod runtime;
