//! Finding a few bytes in a line.

use alloc::boxed::Box;
#[cfg(all(target_family = "wasm", target_feature = "simd128"))]
use memchr::arch::wasm32::simd128::packedpair::Finder as Pair;

/// What is looked for. `memchr::memmem` would choose among more ways, which are a twentieth of the component and
/// pay for longer texts than a line.
#[derive(Debug)]
pub struct Needle {
    bytes: Box<[u8]>,
    #[cfg(all(target_family = "wasm", target_feature = "simd128"))]
    pair: Option<Pair>,
}

impl Needle {
    /// Looks for these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.into(),
            #[cfg(all(target_family = "wasm", target_feature = "simd128"))]
            pair: Pair::new(bytes),
        }
    }

    /// Where they are first in `text`.
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        #[cfg(all(target_family = "wasm", target_feature = "simd128"))]
        if let Some(pair) = self.pair.as_ref().filter(|pair| text.len() >= pair.min_haystack_len()) {
            return pair.find(text, &self.bytes);
        }
        if self.bytes.is_empty() {
            return Some(0);
        }
        text.windows(self.bytes.len()).position(|part| *part == *self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_in_is_found(before in "[ab]{0,40}", needle in "[ab]{0,5}", after in "[ab]{0,40}") {
            let line = before + &needle + &after;
            prop_assert_eq!(Needle::new(needle.as_bytes()).find(line.as_bytes()), line.find(&needle));
            prop_assert_eq!(Needle::new((needle + "c").as_bytes()).find(line.as_bytes()), None);
        }
    }
}
