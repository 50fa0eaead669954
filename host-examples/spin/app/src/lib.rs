//! An example of a Spin application: tools over HTTP, whose calls are recorded by the audit-store component, and a page to
//! read what a tenant's agents have called. `component.rs` meets HTTP and the store; the rest is plain code, which is also
//! compiled and tested natively.
#![no_std]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(not(target_family = "wasm"))]
extern crate std;

mod bindings;
pub mod calls;
pub mod form;
pub mod page;
pub mod tools;

#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
#[path = "../../../../src/runtime.rs"]
mod runtime;

pub use bindings::audit::store::types;
