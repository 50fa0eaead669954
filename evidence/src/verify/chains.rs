//! The numbers of the chains: which are there, and which are missing. What is remembered has a limit: of more chains than
//! that, those that were quiet longest are forgotten.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::item::Stamp;

/// How many chains one half of the memory has, at about 100 bytes each.
const HALF: usize = 400_000;

/// Hashes UUIDs in a fraction of the time that it takes otherwise. It begins with random numbers, so that nobody can write
/// chains that have the same hash.
#[derive(Clone, Debug)]
struct Folding(u64, u64);

impl Default for Folding {
    fn default() -> Self {
        let random = RandomState::new();
        Self(random.hash_one(1), random.hash_one(2))
    }
}

impl BuildHasher for Folding {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0, self.1)
    }
}

/// The product of both halves, folded.
#[derive(Debug)]
struct Folded(u64, u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u128(u128::from(*byte)));
    }

    fn write_u128(&mut self, number: u128) {
        let (low, high) = (number as u64 ^ self.0, (number >> 64) as u64 ^ self.1);
        let product = u128::from(low) * u128::from(high);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

/// Numbers that follow each other, first and last.
type Span = (u64, u64);

#[derive(Debug)]
struct Chain {
    /// The lowest numbers.
    first: Span,
    /// The others, in order and apart from each other.
    more: Vec<Span>,
    /// What came before may have been forgotten.
    is_resumed: bool,
}

/// The numbers of all chains.
#[derive(Debug)]
pub struct Chains {
    young: HashMap<u128, Chain, Folding>,
    old: HashMap<u128, Chain, Folding>,
    count: u64,
    half: usize,
    /// How many chains were forgotten.
    pub forgotten: u64,
    /// Holes of those.
    holes: Vec<Hole>,
}

/// Numbers of a chain that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hole {
    /// The chain.
    pub chain: u128,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
}

impl Hole {
    /// How many numbers it has.
    pub fn count(&self) -> u64 {
        self.last - self.first + 1
    }
}

impl Default for Chains {
    fn default() -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            count: 0,
            half: HALF,
            forgotten: 0,
            holes: Vec::new(),
        }
    }
}

impl Chains {
    /// Adds a number. False: it was there already.
    pub fn add(&mut self, Stamp { chain, seq }: Stamp) -> bool {
        if let Some(known) = self.young.get_mut(&chain) {
            return known.add(seq);
        }
        if self.young.len() >= self.half {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.forgotten += forgotten.len() as u64;
            self.holes.extend(forgotten.iter().flat_map(|(chain, known)| known.holes(*chain)));
        }
        if let Some(mut known) = self.old.remove(&chain) {
            let is_new = known.add(seq);
            self.young.insert(chain, known);
            return is_new;
        }
        self.count += 1;
        let is_resumed = self.forgotten > 0;
        self.young.insert(chain, Chain { first: (seq, seq), more: Vec::new(), is_resumed });
        true
    }

    /// Adds a number if it is missing before others of its chain.
    pub fn fill(&mut self, stamp: Stamp) -> bool {
        let known = self.young.get(&stamp.chain).or_else(|| self.old.get(&stamp.chain));
        let holes = known.map(|known| known.holes(stamp.chain)).unwrap_or_default();
        holes.iter().any(|hole| (hole.first..=hole.last).contains(&stamp.seq)) && self.add(stamp)
    }

    /// How many chains there are. One that was forgotten and came again counts twice.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The numbers that are missing before others of their chain, in the order of the chains.
    pub fn holes(&self) -> Vec<Hole> {
        let known = self.young.iter().chain(&self.old);
        let mut holes: Vec<Hole> = known.flat_map(|(chain, known)| known.holes(*chain)).collect();
        holes.extend(&self.holes);
        holes.sort_unstable();
        holes
    }
}

impl Chain {
    fn add(&mut self, seq: u64) -> bool {
        // Nearly always the next one of the last span.
        let last = self.more.last_mut().unwrap_or(&mut self.first);
        if last.1.checked_add(1) == Some(seq) {
            last.1 = seq;
            return true;
        }
        let mut spans = vec![self.first];
        spans.append(&mut self.more);
        let place = spans.partition_point(|span| span.1 < seq);
        let is_new = spans.get(place).is_none_or(|span| seq < span.0);
        if is_new {
            spans.insert(place, (seq, seq));
            spans.dedup_by(|next, before| {
                let joins = before.1.checked_add(1) == Some(next.0);
                if joins {
                    before.1 = next.1;
                }
                joins
            });
        }
        self.first = spans.remove(0);
        self.more = spans;
        is_new
    }

    fn holes(&self, chain: u128) -> Vec<Hole> {
        let mut holes = Vec::new();
        let mut next = if self.is_resumed { self.first.0 } else { 0 };
        for (first, last) in [self.first].iter().chain(&self.more) {
            if *first > next {
                holes.push(Hole { chain, first: next, last: first - 1 });
            }
            next = last.saturating_add(1);
        }
        holes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(seqs: &[u64]) -> (Chains, Vec<bool>) {
        let mut chains = Chains::default();
        let new = seqs.iter().map(|seq| chains.add(Stamp { chain: 7, seq: *seq })).collect();
        (chains, new)
    }

    #[test]
    fn the_order_of_numbers_does_not_matter() {
        assert_eq!(all(&[3, 1, 0, 2, 5, 4]).0.holes(), []);
        let (chains, new) = all(&[9, 2, 2, 4, 9]);
        assert_eq!(new, [true, true, false, true, false]);
        let hole = |first, last| Hole { chain: 7, first, last };
        assert_eq!(chains.holes(), [hole(0, 1), hole(3, 3), hole(5, 8)]);
        assert_eq!(all(&[u64::MAX]).0.holes(), [hole(0, u64::MAX - 1)]);
    }

    #[test]
    fn chains_that_are_forgotten_have_no_holes_for_that() {
        let mut chains = Chains { half: 10, ..Chains::default() };
        for chain in 0..50 {
            chains.add(Stamp { chain, seq: 0 });
        }
        chains.add(Stamp { chain: 0, seq: 1 });
        chains.add(Stamp { chain: 49, seq: 2 });
        assert!(chains.forgotten > 0);
        assert_eq!(chains.holes(), [Hole { chain: 49, first: 1, last: 1 }]);
    }
}
