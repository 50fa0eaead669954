//! The event of audit-store and its JSON line: what is accepted, how a line is encoded, hashed and read, and
//! how reads are filtered, ordered and continued.
//!
//! It has no input or output: the component, its hosts and programs that check a record share it.
//!
//! ```
//! use audit_format::event::Event;
//! use audit_format::read::parse_stored;
//!
//! let parsed = parse_stored(r#"{"ts":"2026-11-23T06:30:00Z","tool":"search","duration_ms":45}"#)?;
//! assert_eq!(parsed.event.tool, "search");
//! assert_eq!(parsed.event.duration_ms, 45);
//! // Only lines of this store have an identifier, a chain and a hash.
//! assert!(parsed.stamp.is_none());
//! # Ok::<(), audit_format::Invalid>(())
//! ```
#![no_std]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(any(feature = "std", not(target_family = "wasm")))]
extern crate std;

pub mod attributes;
pub mod cursor;
mod cut;
mod decimal;
pub mod event;
mod fields;
pub mod id;
mod invalid;
mod json;
pub mod leaf;
mod limit;
pub mod line;
pub mod mended;
pub mod names;
pub mod own;
mod plain;
pub mod query;
pub mod read;
pub mod record;
pub mod sent;
pub mod show;
pub mod time;

pub use invalid::{Invalid, listed};
