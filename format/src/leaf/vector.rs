//! Four 32-bit words that are computed with at once: WebAssembly's `v128`. Unit tests have an array in its place, so that
//! they run natively.

/// A message's words of one quarter of a block, each as its four bytes.
pub type Quarter = [u8; 16];

#[cfg(all(target_family = "wasm", target_feature = "simd128"))]
pub use wasm::Vector;

#[cfg(not(all(target_family = "wasm", target_feature = "simd128")))]
pub use array::Vector;

#[cfg(all(target_family = "wasm", target_feature = "simd128"))]
mod wasm {
    use super::Quarter;
    use core::arch::wasm32::{
        i8x16_shuffle, i32x4_shuffle, u32x4_add, u32x4_extract_lane, u32x4_replace_lane, u32x4_shl,
        u32x4_shr, u32x4_splat, v128, v128_and, v128_bitselect, v128_load, v128_or, v128_xor,
    };

    #[derive(Clone, Copy)]
    pub struct Vector(v128);

    impl Vector {
        #[inline(always)]
        pub fn splat(word: u32) -> Self {
            Self(u32x4_splat(word))
        }

        #[inline(always)]
        pub fn add(self, other: Self) -> Self {
            Self(u32x4_add(self.0, other.0))
        }

        #[inline(always)]
        pub fn xor(self, other: Self) -> Self {
            Self(v128_xor(self.0, other.0))
        }

        #[inline(always)]
        pub fn and(self, other: Self) -> Self {
            Self(v128_and(self.0, other.0))
        }

        #[inline(always)]
        pub fn shift_right(self, by: u32) -> Self {
            Self(u32x4_shr(self.0, by))
        }

        #[inline(always)]
        pub fn rotate_right(self, by: u32) -> Self {
            Self(v128_or(u32x4_shr(self.0, by), u32x4_shl(self.0, 32 - by)))
        }

        /// The bits of `yes` where those of this one are set, else those of `no`.
        #[inline(always)]
        pub fn choose(self, yes: Self, no: Self) -> Self {
            Self(v128_bitselect(yes.0, no.0, self.0))
        }

        pub fn get(self, lane: usize) -> u32 {
            match lane {
                0 => u32x4_extract_lane::<0>(self.0),
                1 => u32x4_extract_lane::<1>(self.0),
                2 => u32x4_extract_lane::<2>(self.0),
                _ => u32x4_extract_lane::<3>(self.0),
            }
        }

        pub fn set(&mut self, lane: usize, word: u32) {
            self.0 = match lane {
                0 => u32x4_replace_lane::<0>(self.0, word),
                1 => u32x4_replace_lane::<1>(self.0, word),
                2 => u32x4_replace_lane::<2>(self.0, word),
                _ => u32x4_replace_lane::<3>(self.0, word),
            };
        }

        /// The first words of four messages, then the second ones, and so on. Words are big-endian.
        #[inline(always)]
        pub fn load(messages: [&Quarter; 4]) -> [Self; 4] {
            let [a, b, c, d] = messages.map(|bytes| {
                // SAFETY: there are 16 bytes, and `v128_load` needs no alignment.
                let words = unsafe { v128_load(bytes.as_ptr().cast()) };
                i8x16_shuffle::<3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12>(words, words)
            });
            let ab = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
            let cd = (i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
            [
                Self(i32x4_shuffle::<0, 1, 4, 5>(ab.0, cd.0)),
                Self(i32x4_shuffle::<2, 3, 6, 7>(ab.0, cd.0)),
                Self(i32x4_shuffle::<0, 1, 4, 5>(ab.1, cd.1)),
                Self(i32x4_shuffle::<2, 3, 6, 7>(ab.1, cd.1)),
            ]
        }
    }
}

#[cfg(not(all(target_family = "wasm", target_feature = "simd128")))]
mod array {
    use super::Quarter;
    use core::array::from_fn;

    #[derive(Clone, Copy)]
    pub struct Vector([u32; 4]);

    impl Vector {
        pub fn splat(word: u32) -> Self {
            Self([word; 4])
        }

        pub fn add(self, other: Self) -> Self {
            Self(from_fn(|lane| self.0[lane].wrapping_add(other.0[lane])))
        }

        pub fn xor(self, other: Self) -> Self {
            Self(from_fn(|lane| self.0[lane] ^ other.0[lane]))
        }

        pub fn and(self, other: Self) -> Self {
            Self(from_fn(|lane| self.0[lane] & other.0[lane]))
        }

        pub fn shift_right(self, by: u32) -> Self {
            Self(self.0.map(|word| word >> by))
        }

        pub fn rotate_right(self, by: u32) -> Self {
            Self(self.0.map(|word| word.rotate_right(by)))
        }

        pub fn choose(self, yes: Self, no: Self) -> Self {
            Self(from_fn(|lane| self.0[lane] & yes.0[lane] | !self.0[lane] & no.0[lane]))
        }

        pub fn get(self, lane: usize) -> u32 {
            self.0[lane]
        }

        pub fn set(&mut self, lane: usize, word: u32) {
            self.0[lane] = word;
        }

        pub fn load(messages: [&Quarter; 4]) -> [Self; 4] {
            from_fn(|word| {
                Self(messages.map(|bytes| u32::from_be_bytes(from_fn(|byte| bytes[4 * word + byte]))))
            })
        }
    }
}
