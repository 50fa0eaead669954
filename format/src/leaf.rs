//! Leaf hashes (RFC 6962, section 2.1): SHA-256(0x00 || body), where the body of a line is its JSON text up
//! to and including the value of `seq`, closed by `}`.
//!
//! Hashing is much of the cost of an event. So with WebAssembly's SIMD, the lines of a batch are hashed four at a time.

#[cfg(any(test, all(target_family = "wasm", target_feature = "simd128")))]
mod four;
#[cfg(any(test, all(target_family = "wasm", target_feature = "simd128")))]
mod vector;

use core::ops::Range;
use sha2::{Digest, Sha256};

/// The digits of the hash in a line that is not sealed yet.
pub const UNSEALED: [u8; 64] = [b'0'; 64];

/// The bytes of a line before the digits of its hash.
pub const BEFORE: &[u8] = b",\"hash\":\"";

/// The bytes of a line after the digits of its hash.
pub const AFTER: &[u8] = b"\"}\n";

/// The length of a line's end that is not hashed.
pub(crate) const TAIL: usize = BEFORE.len() + UNSEALED.len() + AFTER.len();

/// Whether a line, without its newline, ends as the lines of a store do.
pub(crate) fn ends_as_stored(line: &[u8]) -> bool {
    line.len().checked_sub(TAIL - 1).is_some_and(|start| line[start..].starts_with(BEFORE))
}

/// Fills in the hashes of lines that `line::encode` made. `lines` are their ranges in `bytes`, newlines
/// included.
pub fn seal(bytes: &mut [u8], lines: impl Iterator<Item = Range<usize>>) {
    let bodies = lines.map(|line| line.start..line.end - TAIL);
    #[cfg(all(target_family = "wasm", target_feature = "simd128"))]
    let bodies = {
        let mut bodies = bodies.fuse();
        let first = [bodies.next(), bodies.next()];
        if first[1].is_some() {
            return four::hash_all(bytes, first.into_iter().flatten().chain(bodies), put);
        }
        first.into_iter().flatten()
    };
    bodies.for_each(|body| {
        let mut sha = Sha256::new();
        sha.update([0]);
        sha.update(&bytes[body.clone()]);
        sha.update(b"}");
        put(bytes, body, sha.finalize().into());
    });
}

/// Puts the hash of a line that has this body into it.
fn put(bytes: &mut [u8], body: Range<usize>, hash: [u8; 32]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let start = body.end + BEFORE.len();
    for (pair, byte) in bytes[start..start + UNSEALED.len()].as_chunks_mut().0.iter_mut().zip(hash) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
}
