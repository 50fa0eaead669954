//! What Spin 4 offers to components, in a wasmtime of the tests' own: `spin:postgres` over a real PostgreSQL with a pool of
//! connections, variables, the environment, dependencies that are composed into a component, and HTTP with a fresh instance
//! for each request. Names, shapes and texts of errors are Spin's, from its sources
//! (<https://github.com/spinframework/spin/tree/v4.0.2>).
//!
//! [`App`] is a component that answers HTTP. [`SpinStore`] is the store for Spin, called directly.

#![deny(missing_docs)]

mod app;
mod bindings;
mod compose;
mod postgres;
mod state;
mod store;

pub use app::{App, Code, Settings};
pub use compose::{CAPABILITIES, compose, exports, imports};
pub use store::{Compiled, SpinStore, Status};
