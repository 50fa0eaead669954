//! What the tests share: a tree after the definitions of RFC 6962, and tiles in memory.
#![allow(dead_code, reason = "each file of tests uses some of it")]

use audit_log::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use audit_log::cosignature::Cosigner;
use audit_log::note::SigningKey;
use audit_log::tiles::{Edge, Tile, TileBytes, TileReader, Tiled};
use audit_log::tree::{EMPTY_ROOT, Hash};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Leaves that are all different.
pub fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|n| Hash::of_leaf(format!("leaf {n}").as_bytes())).collect()
}

/// MTH of RFC 6962, section 2.1, word for word.
pub fn reference_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(largest_power_below(leaves.len()));
            Hash::of_node(reference_root(left), reference_root(right))
        }
    }
}

/// PATH of RFC 6962, section 2.1.1, word for word.
pub fn reference_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = largest_power_below(leaves.len());
    let (left, right) = leaves.split_at(k);
    if index < k {
        [reference_path(index, left), vec![reference_root(right)]].concat()
    } else {
        [reference_path(index - k, right), vec![reference_root(left)]].concat()
    }
}

/// SUBPROOF of RFC 6962, section 2.1.2, word for word.
pub fn reference_subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![reference_root(leaves)] };
    }
    let k = largest_power_below(leaves.len());
    let (left, right) = leaves.split_at(k);
    if old <= k {
        [reference_subproof(old, left, whole), vec![reference_root(right)]].concat()
    } else {
        [reference_subproof(old - k, right, false), vec![reference_root(left)]].concat()
    }
}

fn largest_power_below(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// Files by their names, as a folder has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl Files {
    pub fn write(&mut self, tiles: impl IntoIterator<Item = TileBytes>) {
        for TileBytes { tile, bytes } in tiles {
            let before = self.0.insert(tile.to_string(), bytes.clone());
            assert!(before.is_none_or(|before| before == bytes), "{tile} was changed");
        }
    }

    pub fn tree(&self, size: u64) -> Tiled<&Self> {
        Tiled::new(size, self)
    }
}

impl TileReader for &Files {
    type Error = Infallible;

    fn tile(&mut self, tile: Tile) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(&tile.to_string()).cloned())
    }
}

/// The files of a tree that was written at once.
pub fn written(leaves: &[Hash]) -> (Edge, Files) {
    let (mut edge, mut files) = (Edge::new(), Files::default());
    files.write(edge.append(leaves).unwrap());
    files.write(edge.tiles());
    (edge, files)
}

pub fn log_key() -> SigningKey {
    SigningKey::from_seed("example.com/audit".parse().unwrap(), &[1; 32])
}

pub fn origin() -> Origin {
    "example.com/audit".parse().unwrap()
}

pub fn witness(number: u8) -> Cosigner {
    Cosigner::from_seed(format!("witness.example/{number}").parse().unwrap(), &[100 + number; 32])
}

pub fn signed(size: u64, root: Hash) -> SignedCheckpoint {
    SignedCheckpoint::sign(Checkpoint::new(origin(), size, root).unwrap(), &log_key())
}

/// A hash with one bit changed.
pub fn flipped(hash: Hash, bit: usize) -> Hash {
    let mut bytes = hash.0;
    bytes[bit / 8 % 32] ^= 1 << (bit % 8);
    Hash(bytes)
}
