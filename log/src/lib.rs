//! The transparency log of audit-store: one RFC 6962 tree over the leaf hashes of a record, kept and shown in the
//! formats of C2SP.
//!
//! It has no input or output, no clock and no randomness: whoever seals a record, checks it or is a witness of it
//! brings those.
//!
//! ```
//! use audit_log::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
//! use audit_log::note::{Name, SigningKey};
//! use audit_log::proof::{Policy, Proof};
//! use audit_log::tiles::{Edge, Tile, Tiled};
//! use audit_log::tree::{Hash, inclusion};
//! use std::collections::HashMap;
//! use std::convert::Infallible;
//!
//! // Three hundred leaves: one full tile, and three tiles at the edge that grow with the tree.
//! let leaves: Vec<Hash> = (0..300).map(|n| Hash::of_leaf(format!("event {n}").as_bytes())).collect();
//! let mut edge = Edge::new();
//! let mut files: HashMap<String, Vec<u8>> = HashMap::new();
//! for tile in edge.append(&leaves)?.into_iter().chain(edge.tiles()) {
//!     files.insert(tile.tile.to_string(), tile.bytes);
//! }
//! assert!(files.contains_key("tile/0/000") && files.contains_key("tile/0/001.p/44"));
//!
//! // What the log signs.
//! let key = SigningKey::from_seed("example.com/audit".parse::<Name>()?, &[7; 32]);
//! let origin: Origin = "example.com/audit".parse()?;
//! let head = Checkpoint::new(origin.clone(), edge.size(), edge.root())?;
//! let signed = SignedCheckpoint::sign(head, &key);
//!
//! // Leaf 17 is in the log: from the tiles alone, as a file that anyone can check without the log.
//! let mut tree = Tiled::new(edge.size(), |tile: Tile| Ok::<_, Infallible>(files.get(&tile.to_string()).cloned()));
//! let hashes = inclusion::prove(17, edge.size(), &mut tree)?;
//! let text = Proof::new(17, hashes, signed)?.to_string();
//!
//! let log = [key.verifier()];
//! let policy = Policy { origin: &origin, log: &log, witnesses: &[], quorum: 0 };
//! let proof = Proof::parse(text.as_bytes())?;
//! assert_eq!(proof.check(leaves[17], &policy)?.checkpoint.size(), 300);
//! assert!(proof.check(leaves[18], &policy).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod checkpoint;
pub mod cosignature;
mod encoding;
pub mod note;
pub mod proof;
pub mod tiles;
pub mod tree;
pub mod witness;
