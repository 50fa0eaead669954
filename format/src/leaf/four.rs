//! SHA-256 (FIPS 180-4) of four leaves at once, one in each lane of a vector. The crate `sha2` hashes one at a time.

use super::vector::{Quarter, Vector};
use core::ops::Range;

const BLOCK: usize = 64;

const LANES: usize = 4;

const ROUNDS: usize = 64;

/// The words that the rounds of a block use. There are more than a processor has registers for, so all are computed
/// before the rounds, which then need few enough.
type Schedule = [Vector; ROUNDS];

#[rustfmt::skip]
static K: [u32; ROUNDS] = [
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

/// Hashes the leaves of these bodies in `bytes`, which lack their closing `}`. `done` gets the hash of each, in any order.
/// As soon as a lane is free, the next leaf gets it.
pub fn hash_all(
    bytes: &mut [u8],
    mut bodies: impl Iterator<Item = Range<usize>>,
    mut done: impl FnMut(&mut [u8], Range<usize>, [u8; 32]),
) {
    let mut state = INITIAL.map(Vector::splat);
    let mut schedule = [Vector::splat(0); ROUNDS];
    let mut lanes = [const { Lane::IDLE }; LANES];
    loop {
        for (place, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.is_done()) {
            let Some(body) = bodies.next() else { break };
            lane.start(bytes, body);
            for (vector, word) in state.iter_mut().zip(INITIAL) {
                vector.set(place, word);
            }
        }
        if lanes.iter().all(Lane::is_done) {
            return;
        }
        fill(&mut schedule, lanes.each_ref().map(|lane| lane.block(bytes)));
        compress(&mut state, &schedule);
        for (place, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| !lane.is_done()) {
            lane.block += 1;
            if lane.is_done() {
                let mut hash = [0; 32];
                for (bytes, words) in hash.as_chunks_mut().0.iter_mut().zip(state) {
                    *bytes = words.get(place).to_be_bytes();
                }
                done(bytes, lane.body.clone(), hash);
            }
        }
    }
}

/// A leaf on its way through a lane. Its message is 0x00, the body and `}`, and the padding. Blocks that have a part of
/// the body alone are read where they are.
struct Lane {
    body: Range<usize>,
    /// The next block, and how many there are.
    block: usize,
    blocks: usize,
    /// The first of the last blocks, which are in `ends`.
    last: usize,
    /// The first block, and the one or two last ones.
    first: [u8; BLOCK],
    ends: [[u8; BLOCK]; 2],
}

impl Lane {
    const IDLE: Self =
        Self { body: 0..0, block: 0, blocks: 0, last: 0, first: [0; BLOCK], ends: [[0; BLOCK]; 2] };

    fn is_done(&self) -> bool {
        self.block == self.blocks
    }

    /// Begins with a leaf.
    fn start(&mut self, bytes: &[u8], range: Range<usize>) {
        let body = &bytes[range.clone()];
        let len = body.len() + 2;
        (self.body, self.block, self.blocks) = (range, 0, (len + 1 + 8).div_ceil(BLOCK));
        self.last = (body.len() + 1) / BLOCK;
        // Before the last blocks come 0x00 and as much of the body as there is room for.
        let (start, rest) = match self.last {
            0 => (1, body),
            last => {
                self.first[1..].copy_from_slice(&body[..BLOCK - 1]);
                (0, &body[last * BLOCK - 1..])
            }
        };
        let ends = self.ends.as_flattened_mut();
        ends.fill(0);
        ends[start..start + rest.len()].copy_from_slice(rest);
        ends[start + rest.len()] = b'}';
        ends[start + rest.len() + 1] = 0x80;
        let end = (self.blocks - self.last) * BLOCK;
        ends[end - 8..end].copy_from_slice(&(len as u64 * 8).to_be_bytes());
    }

    /// The next block. A lane that is done has any.
    #[inline(always)]
    fn block<'b>(&'b self, bytes: &'b [u8]) -> &'b [u8; BLOCK] {
        if self.is_done() || self.block == 0 && self.last > 0 {
            return &self.first;
        }
        match self.block.checked_sub(self.last) {
            Some(end) => &self.ends[end],
            None => bytes[self.body.start + self.block * BLOCK - 1..].first_chunk().unwrap_or(&self.first),
        }
    }
}

fn fill(w: &mut Schedule, blocks: [&[u8; BLOCK]; LANES]) {
    let quarters: [&[Quarter]; LANES] = blocks.map(|block| block.as_chunks().0);
    for (n, words) in w[..16].as_chunks_mut().0.iter_mut().enumerate() {
        *words = Vector::load(quarters.map(|quarters| &quarters[n]));
    }
    for t in 16..ROUNDS {
        let far = w[t - 16].add(small_sigma_0(w[t - 15]));
        w[t] = far.add(w[t - 7].add(small_sigma_1(w[t - 2])));
    }
}

fn compress(state: &mut [Vector; 8], w: &Schedule) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    // Of the majority, what the round before has computed.
    let mut b_c = b.xor(c);
    for start in (0..ROUNDS).step_by(8) {
        macro_rules! round {
            ($t:literal $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
                let t = start + $t;
                let input = $h.add(w[t].add(Vector::splat(K[t])));
                let first = input.add(big_sigma_1($e)).add($e.choose($f, $g));
                let a_b = $a.xor($b);
                let majority = $b.xor(a_b.and(b_c));
                b_c = a_b;
                $d = $d.add(first);
                $h = first.add(majority.add(big_sigma_0($a)));
            };
        }
        round!(0 a b c d e f g h);
        round!(1 h a b c d e f g);
        round!(2 g h a b c d e f);
        round!(3 f g h a b c d e);
        round!(4 e f g h a b c d);
        round!(5 d e f g h a b c);
        round!(6 c d e f g h a b);
        round!(7 b c d e f g h a);
    }
    for (word, change) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.add(change);
    }
}

#[inline(always)]
fn big_sigma_0(x: Vector) -> Vector {
    x.rotate_right(2).xor(x.rotate_right(13)).xor(x.rotate_right(22))
}

#[inline(always)]
fn big_sigma_1(x: Vector) -> Vector {
    x.rotate_right(6).xor(x.rotate_right(11)).xor(x.rotate_right(25))
}

#[inline(always)]
fn small_sigma_0(x: Vector) -> Vector {
    x.rotate_right(7).xor(x.rotate_right(18)).xor(x.shift_right(3))
}

#[inline(always)]
fn small_sigma_1(x: Vector) -> Vector {
    x.rotate_right(17).xor(x.rotate_right(19)).xor(x.shift_right(10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    fn hash_alone(body: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update([0]).chain_update(body).chain_update(b"}").finalize().into()
    }

    fn hashes(bodies: &[Vec<u8>]) -> Vec<[u8; 32]> {
        let mut bytes = bodies.concat();
        let mut end = 0;
        let ranges = bodies.iter().map(|body| {
            end += body.len();
            end - body.len()..end
        });
        let ranges: Vec<Range<usize>> = ranges.collect();
        let mut hashes = alloc::vec![None; bodies.len()];
        let places = (0..).zip(&ranges);
        hash_all(&mut bytes, ranges.iter().cloned(), |_, range, hash| {
            let is_free =
                |(place, known): &(usize, &Range<usize>)| **known == range && hashes[*place].is_none();
            let (place, _) = places.clone().find(is_free).unwrap();
            hashes[place] = Some(hash);
        });
        hashes.into_iter().map(Option::unwrap).collect()
    }

    #[test]
    fn bodies_of_every_length_are_hashed_as_one_at_a_time() {
        let bodies: Vec<Vec<u8>> =
            (0..400_usize).map(|len| (0..len).map(|n| (n * 7) as u8).collect()).collect();
        let alone: Vec<_> = bodies.iter().map(|body| hash_alone(body)).collect();
        assert_eq!(hashes(&bodies), alone);
    }

    proptest! {
        #[test]
        fn any_bodies_are_hashed_as_one_at_a_time(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1500), 0..14),
        ) {
            let alone: Vec<_> = bodies.iter().map(|body| hash_alone(body)).collect();
            prop_assert_eq!(hashes(&bodies), alone);
        }
    }
}
