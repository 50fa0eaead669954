#![doc = include_str!("../README.md")]
#![no_std]
#![deny(missing_docs)]

/// The component of the world `full` of the WIT package `audit:store`: it imports `audit:store/postgres`, and a host
/// without a database answers `not-configured` there.
pub static FULL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/audit-store.wasm"));
