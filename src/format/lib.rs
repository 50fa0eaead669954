//! The event and its JSON line: what is accepted, how it is encoded, hashed and read back.
//!
//! A package of its own, because this is what an event costs: it is compiled for speed, the rest of the
//! component for size.
#![no_std]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(not(target_family = "wasm"))]
extern crate std;

pub mod event;
pub mod fields;
pub mod id;
pub mod leaf;
pub mod line;
pub mod plain;
pub mod time;

use alloc::string::String;

/// A value that is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The field, in the spelling of the JSON lines; `json` where a line is not a JSON object.
    pub field: String,
    /// What is wrong, and what is accepted.
    pub reason: String,
}

impl Invalid {
    /// `reason` should say what is wrong and what is accepted.
    pub fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}
