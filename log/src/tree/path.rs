//! The parts of a tree whose hashes are a proof, in the order of the proof: from below upwards. They follow the
//! definitions of RFC 6962: a tree of n leaves is divided after the largest power of two that is smaller than n.

use alloc::vec::Vec;
use core::ops::Range;

/// Where RFC 6962 divides leaves, of which there are at least two.
fn middle(leaves: &Range<u64>) -> u64 {
    leaves.start + (1 << (leaves.end - leaves.start - 1).ilog2())
}

/// PATH of RFC 6962, section 2.1.1. `index` is below `size`.
pub fn inclusion(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut siblings = Vec::new();
    let mut part = 0..size;
    while part.end - part.start > 1 {
        siblings.push(descend(&mut part, |middle| index < middle));
    }
    siblings.reverse();
    siblings
}

/// PROOF of RFC 6962, section 2.1.2. `old` is above 0 and at most `new`.
pub fn consistency(old: u64, new: u64) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let mut part = 0..new;
    while part.end != old {
        parts.push(descend(&mut part, |middle| old <= middle));
    }
    // Whoever checks the proof has the hash of a part from the first leaf on: it is the old root.
    if part.start > 0 {
        parts.push(part);
    }
    parts.reverse();
    parts
}

/// Goes on to one half of a part, and returns the other.
fn descend(part: &mut Range<u64>, left: impl Fn(u64) -> bool) -> Range<u64> {
    let middle = middle(part);
    if left(middle) {
        let sibling = middle..part.end;
        part.end = middle;
        sibling
    } else {
        let sibling = part.start..middle;
        part.start = middle;
        sibling
    }
}
