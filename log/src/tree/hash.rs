//! Hashes of leaves and nodes.

use crate::encoding::{base64, from_base64};
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The root of the tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// A SHA-256 hash of a leaf or of a node. As text it is in base 64, as in all formats of C2SP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(
    /// The bytes of the hash.
    pub [u8; 32],
);

/// A hash is 32 bytes, in base 64 as text, in hexadecimal digits in the lines of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "not a hash: accepted are 32 bytes, as text 44 characters of base 64 with padding, in lines 64 lower-case hexadecimal digits"
)]
pub struct HashError;

impl Hash {
    /// The length of a hash in bytes.
    pub const LEN: usize = 32;

    /// The hash of a leaf: SHA-256(0x00 || content).
    pub fn of_leaf(content: &[u8]) -> Self {
        let mut sha = Sha256::new();
        sha.update([0]);
        sha.update(content);
        Self(sha.finalize().into())
    }

    /// The hash of a node: SHA-256(0x01 || left || right).
    pub fn of_node(left: Self, right: Self) -> Self {
        let mut message = [1; 1 + 2 * Self::LEN];
        message[1..=Self::LEN].copy_from_slice(&left.0);
        message[1 + Self::LEN..].copy_from_slice(&right.0);
        Self(Sha256::digest(message).into())
    }

    /// The hash of a line of the record, from the 64 lower-case hexadecimal digits that it has there.
    ///
    /// # Errors
    /// Where the text is anything else.
    pub fn from_hex(digits: &str) -> Result<Self, HashError> {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(HashError),
        };
        let mut hash = [0; Self::LEN];
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        if pairs.len() != Self::LEN || !rest.is_empty() {
            return Err(HashError);
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = value(*high)? << 4 | value(*low)?;
        }
        Ok(Self(hash))
    }

    /// The hash as lines of the record have it: 64 lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        let mut digits = String::with_capacity(2 * Self::LEN);
        for byte in self.0 {
            for digit in [byte >> 4, byte & 15] {
                digits.extend(char::from_digit(digit.into(), 16));
            }
        }
        digits
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&base64(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        Self::try_from(&*from_base64(text).ok_or(HashError)?)
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = HashError;

    fn try_from(bytes: &[u8]) -> Result<Self, HashError> {
        bytes.try_into().map(Self).map_err(|_| HashError)
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}
