//! What a line or row is to a check. A line of a store in its plain form is hashed as it stands, without parsing: where the
//! hash is that of a leaf, the bytes are those that were sealed.

use audit_format::line::Parsed;
use audit_format::read::parse_stored;
use audit_format::{id, leaf as format};
use audit_log::tree::Hash;
use memchr::memmem;
use sha2::{Digest as _, Sha256};

use crate::leaf::{self, Line};
use crate::record::Kind;

/// The place in the chain of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The chain, a UUID.
    pub chain: u128,
    /// The number in it.
    pub seq: u64,
}

const HASH_LEN: usize = 64;
const TAIL: usize = format::BEFORE.len() + HASH_LEN + 2;
const UUID_LEN: usize = 36;
const BEFORE_CHAIN: &[u8] = b",\"chain\":\"";
const BEFORE_SEQ: &[u8] = b"\",\"seq\":";

/// The chain of a line, and its text.
#[derive(Clone, Copy, Debug)]
pub struct LastChain {
    text: [u8; UUID_LEN],
    chain: u128,
}

impl Default for LastChain {
    fn default() -> Self {
        Self { text: [0; UUID_LEN], chain: 0 }
    }
}

/// A line that ends as those of a store do.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'l> {
    /// What is hashed, without its closing bracket.
    body: &'l [u8],
    /// The digits that stand as the hash.
    claimed: &'l [u8],
}

impl<'l> Raw<'l> {
    /// None: it ends in another way.
    pub fn of(line: &'l [u8]) -> Option<Self> {
        let (body, tail) = line.split_at(line.len().checked_sub(TAIL)?);
        let claimed = tail.strip_prefix(format::BEFORE)?.strip_suffix(b"\"}")?;
        Some(Self { body, claimed })
    }

    /// The hash of its bytes. It is a leaf only where the log has it.
    pub fn hash(&self) -> Hash {
        let mut sha = Sha256::new();
        sha.update([0]);
        sha.update(self.body);
        sha.update(b"}");
        Hash(sha.finalize().into())
    }

    /// Whether the hash that stands in the line is this one.
    pub fn claims(&self, hash: &Hash) -> bool {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut pairs = self.claimed.chunks_exact(2).zip(hash.0);
        pairs.all(|(pair, byte)| {
            pair[0] == DIGITS[usize::from(byte >> 4)] && pair[1] == DIGITS[usize::from(byte & 15)]
        })
    }

    /// The place in its chain. `last` is the chain of the line before, which is mostly the same.
    pub fn stamp(&self, last: &mut LastChain) -> Option<Stamp> {
        let digits = self.body.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (rest, seq) = self.body.split_at(self.body.len() - digits);
        let rest = rest.strip_suffix(BEFORE_SEQ)?;
        let (rest, chain) = rest.split_at(rest.len().checked_sub(UUID_LEN)?);
        rest.ends_with(BEFORE_CHAIN).then_some(())?;
        if last.text != chain {
            last.chain = id::parse(str::from_utf8(chain).ok()?)?.as_u128();
            last.text.copy_from_slice(chain);
        }
        Some(Stamp { chain: last.chain, seq: str::from_utf8(seq).ok()?.parse().ok()? })
    }
}

/// What a line or a row is, read as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Nothing but white space.
    Blank,
    /// No event.
    Unreadable,
    /// An event.
    Event {
        /// Its leaf.
        leaf: Hash,
        /// Its place in a chain; none: no store wrote it.
        stamp: Option<Stamp>,
        /// The hash that stands in it, if that is another one.
        claimed: Option<Hash>,
    },
}

impl Item {
    /// Reads a line or a row as a whole.
    pub fn of(line: &[u8], kind: Kind) -> Self {
        let text = String::from_utf8_lossy(line);
        let what = match kind {
            Kind::Files => leaf::of_line(line),
            Kind::Table => leaf::of_row(&text),
        };
        let leaf = match what {
            Line::Blank => return Self::Blank,
            Line::Unreadable => return Self::Unreadable,
            Line::Leaf(leaf) => leaf,
        };
        if memmem::find(line, b"\"chain\"").is_none() {
            return Self::Event { leaf, stamp: None, claimed: None };
        }
        let text = text.trim_start_matches('\u{feff}');
        let stamp = parse_stored(text).ok().and_then(|Parsed { event, stamp }| {
            let is_own = audit_format::time::is_stored_text(event.ts.as_bytes());
            stamp.filter(|_| is_own)
        });
        let claimed = stamp.as_ref().and_then(|stamp| Hash::from_hex(&stamp.hash).ok());
        let stamp = stamp.map(|stamp| Stamp { chain: stamp.chain.as_u128(), seq: stamp.seq });
        Self::Event { leaf, stamp, claimed: claimed.filter(|claimed| *claimed != leaf) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = r#"{"ts":"2026-11-27T17:10:40.005377Z","req_id":"","workspace_id":"","user_id":"","agent_id":"demo","tool":"sort","action":"exec","status":"0","duration_ms":11,"in_size":11,"out_size":11,"input_hash":"28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f","graph_run_id":null,"graph_node":null,"job_id":null,"id":"01a21dfc-da9d-775e-9c12-b8a0e19beb0f","chain":"01a21dfc-da9d-775e-9c12-b8a0e19beb0e","seq":0,"hash":"77383e46ef1514d4733f9b58b0ab5efb46885b206d8d9465f1a0ca157ba954b9"}"#;

    #[test]
    fn a_plain_line_is_the_same_without_parsing_it() {
        let raw = Raw::of(OWN.as_bytes()).unwrap();
        let stamp = Stamp { chain: 0x01a21dfc_da9d_775e_9c12_b8a0e19beb0e, seq: 0 };
        assert_eq!(raw.stamp(&mut LastChain::default()), Some(stamp));
        assert!(raw.claims(&raw.hash()));
        let item = Item::Event { leaf: raw.hash(), stamp: Some(stamp), claimed: None };
        assert_eq!(Item::of(OWN.as_bytes(), Kind::Files), item);
        assert_eq!(Item::of(OWN.as_bytes(), Kind::Table), item);
    }

    #[test]
    fn a_hash_that_is_not_that_of_the_line_is_told() {
        let changed = OWN.replace("77383e46", "00000000");
        let raw = Raw::of(changed.as_bytes()).unwrap();
        assert!(!raw.claims(&raw.hash()));
        let Item::Event { leaf, claimed, .. } = Item::of(changed.as_bytes(), Kind::Files) else { panic!() };
        assert_eq!((leaf, claimed.is_some()), (raw.hash(), true));
    }

    #[test]
    fn short_lines_are_no_lines_of_a_store() {
        for len in 0..OWN.len() {
            assert!(Raw::of(&OWN.as_bytes()[..len]).is_none(), "{len}");
        }
        assert_eq!(
            Raw::of(&OWN.as_bytes()[OWN.len() - TAIL..]).unwrap().stamp(&mut LastChain::default()),
            None
        );
    }
}
