//! Leaf hashes (RFC 6962, section 2.1): SHA-256(0x00 || body), where the body of a line is its JSON text up
//! to and including the value of `seq`, closed by `}`.
//!
//! Hashing is much of the cost of an event. So with WebAssembly's SIMD, the lines of a batch are hashed four
//! at a time: batches are written about a tenth faster than with the crate `sha2` alone.

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
pub fn seal(bytes: &mut [u8], mut lines: impl Iterator<Item = Range<usize>>) {
    #[cfg(all(target_family = "wasm", target_feature = "simd128"))]
    let mut messages = None;
    #[cfg(all(target_family = "wasm", target_feature = "simd128"))]
    loop {
        let four = [lines.next(), lines.next(), lines.next(), lines.next()];
        if let [Some(a), Some(b), Some(c), Some(d)] = &four {
            let body = |line: &Range<usize>| &bytes[line.start..line.end - TAIL];
            let hashes =
                messages.get_or_insert_with(simd::Messages::new).hash([body(a), body(b), body(c), body(d)]);
            for (line, hash) in four.into_iter().flatten().zip(hashes) {
                put(&mut bytes[line], &hash);
            }
        } else {
            for line in four.into_iter().flatten() {
                seal_one(&mut bytes[line]);
            }
            return;
        }
    }
    #[cfg(not(all(target_family = "wasm", target_feature = "simd128")))]
    lines.by_ref().for_each(|line| seal_one(&mut bytes[line]));
}

fn seal_one(line: &mut [u8]) {
    let mut sha = Sha256::new();
    sha.update([0]);
    sha.update(&line[..line.len() - TAIL]);
    sha.update(b"}");
    put(line, &sha.finalize().into());
}

fn put(line: &mut [u8], hash: &[u8; 32]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let start = line.len() - UNSEALED.len() - AFTER.len();
    for (pair, byte) in line[start..].chunks_exact_mut(2).zip(hash) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// SHA-256 (FIPS 180-4) of four messages at once, one in each 32-bit lane of a vector. The crate `sha2`
/// hashes one at a time.
#[cfg(all(target_family = "wasm", target_feature = "simd128"))]
mod simd {
    use crate::limit::MAX_LEN;
    use core::arch::wasm32::{
        i8x16_shuffle, i32x4_shuffle, u32x4_add, u32x4_extract_lane, u32x4_shl, u32x4_shr, u32x4_splat, v128,
        v128_and, v128_bitselect, v128_load, v128_or, v128_xor,
    };

    const BLOCK: usize = 64;

    /// Room for the longest body, the byte before it, and 73 bytes of padding at most.
    const ROOM: usize = (MAX_LEN + 2).next_multiple_of(BLOCK) + BLOCK;

    #[rustfmt::skip]
    const K: [u32; 64] = [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    ];

    const INITIAL: [u32; 8] =
        [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

    /// Four padded messages.
    pub struct Messages([[u8; ROOM]; 4]);

    impl Messages {
        pub fn new() -> Self {
            Self([[0; ROOM]; 4])
        }

        /// The leaf hashes of four bodies without their closing `}`.
        pub fn hash(&mut self, bodies: [&[u8]; 4]) -> [[u8; 32]; 4] {
            let Self(messages) = self;
            let mut blocks = [0; 4];
            for lane in 0..4 {
                blocks[lane] = pad(bodies[lane], &mut messages[lane]);
            }
            let mut state = INITIAL.map(|word| u32x4_splat(word));
            let mut hashes = [[0; 32]; 4];
            for block in 0..blocks.into_iter().max().unwrap_or(0) {
                let start = block * BLOCK;
                compress(&mut state, [0, 1, 2, 3].map(|lane| &messages[lane][start..start + BLOCK]));
                // A shorter message has its hash before the others. What its lane computes afterwards is not
                // used.
                for lane in (0..4).filter(|lane| blocks[*lane] == block + 1) {
                    for (bytes, words) in hashes[lane].chunks_exact_mut(4).zip(state) {
                        bytes.copy_from_slice(&extract(words, lane).to_be_bytes());
                    }
                }
            }
            hashes
        }
    }

    /// Writes the padded message of a body without its closing `}`, and returns how many blocks it has.
    fn pad(body: &[u8], message: &mut [u8; ROOM]) -> usize {
        let len = body.len() + 2;
        let padded = (len + 9).next_multiple_of(BLOCK);
        message[1..=body.len()].copy_from_slice(body);
        message[body.len() + 1] = b'}';
        message[len] = 0x80;
        message[len + 1..padded - 8].fill(0);
        message[padded - 8..padded].copy_from_slice(&(len as u64 * 8).to_be_bytes());
        padded / BLOCK
    }

    fn extract(words: v128, lane: usize) -> u32 {
        match lane {
            0 => u32x4_extract_lane::<0>(words),
            1 => u32x4_extract_lane::<1>(words),
            2 => u32x4_extract_lane::<2>(words),
            _ => u32x4_extract_lane::<3>(words),
        }
    }

    fn compress(state: &mut [v128; 8], blocks: [&[u8]; 4]) {
        let mut w = [u32x4_splat(0); 16];
        for (quarter, words) in w.chunks_exact_mut(4).enumerate() {
            words.copy_from_slice(&transpose(
                blocks.map(|block| load(&block[16 * quarter..16 * quarter + 16])),
            ));
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
        for start in (0..64).step_by(8) {
            macro_rules! round {
                ($t:literal, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
                    let t = start + $t;
                    if start >= 16 {
                        let far = add(w[t % 16], small_sigma_0(w[(t + 1) % 16]));
                        w[t % 16] = add(far, add(w[(t + 9) % 16], small_sigma_1(w[(t + 14) % 16])));
                    }
                    let choice = v128_bitselect($f, $g, $e);
                    let input = add(w[t % 16], u32x4_splat(K[t]));
                    let first = add(add($h, big_sigma_1($e)), add(choice, input));
                    let majority = v128_or(v128_and($a, $b), v128_and($c, v128_or($a, $b)));
                    $d = add($d, first);
                    $h = add(first, add(big_sigma_0($a), majority));
                };
            }
            round!(0, a b c d e f g h);
            round!(1, h a b c d e f g);
            round!(2, g h a b c d e f);
            round!(3, f g h a b c d e);
            round!(4, e f g h a b c d);
            round!(5, d e f g h a b c);
            round!(6, c d e f g h a b);
            round!(7, b c d e f g h a);
        }
        for (word, change) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *word = add(*word, change);
        }
    }

    /// Loads four big-endian words.
    fn load(bytes: &[u8]) -> v128 {
        assert!(bytes.len() == 16);
        // SAFETY: there are 16 bytes, and `v128_load` needs no alignment.
        let words = unsafe { v128_load(bytes.as_ptr().cast()) };
        i8x16_shuffle::<3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12>(words, words)
    }

    /// Turns four words of each message into vectors that each have one word of every message.
    fn transpose([a, b, c, d]: [v128; 4]) -> [v128; 4] {
        let (ab_low, ab_high) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
        let (cd_low, cd_high) = (i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
        [
            i32x4_shuffle::<0, 1, 4, 5>(ab_low, cd_low),
            i32x4_shuffle::<2, 3, 6, 7>(ab_low, cd_low),
            i32x4_shuffle::<0, 1, 4, 5>(ab_high, cd_high),
            i32x4_shuffle::<2, 3, 6, 7>(ab_high, cd_high),
        ]
    }

    #[inline(always)]
    fn add(a: v128, b: v128) -> v128 {
        u32x4_add(a, b)
    }

    #[inline(always)]
    fn rotate(x: v128, by: u32) -> v128 {
        v128_or(u32x4_shr(x, by), u32x4_shl(x, 32 - by))
    }

    #[inline(always)]
    fn xor(a: v128, b: v128, c: v128) -> v128 {
        v128_xor(v128_xor(a, b), c)
    }

    #[inline(always)]
    fn big_sigma_0(x: v128) -> v128 {
        xor(rotate(x, 2), rotate(x, 13), rotate(x, 22))
    }

    #[inline(always)]
    fn big_sigma_1(x: v128) -> v128 {
        xor(rotate(x, 6), rotate(x, 11), rotate(x, 25))
    }

    #[inline(always)]
    fn small_sigma_0(x: v128) -> v128 {
        xor(rotate(x, 7), rotate(x, 18), u32x4_shr(x, 3))
    }

    #[inline(always)]
    fn small_sigma_1(x: v128) -> v128 {
        xor(rotate(x, 17), rotate(x, 19), u32x4_shr(x, 10))
    }
}
