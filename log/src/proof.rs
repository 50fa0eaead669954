//! Proofs in a file (C2SP tlog-proof, version 1): that a leaf is in a log, for whoever has the keys of the log and of
//! its witnesses, and nothing of the log. The name of such a file ends in `.tlog-proof`.

use crate::checkpoint::{Checkpoint, CheckpointError, Origin, SignedCheckpoint, VerifyError};
use crate::cosignature::{Cosigned, CosignerKey};
use crate::encoding::{base64, from_base64, from_decimal};
use crate::note::{BadSignature, NoteError, VerifierKey, utf8};
use crate::tree::{EMPTY_ROOT, Hash, ProofError, inclusion};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use thiserror::Error;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why something is no proof.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// It is not text.
    #[error(transparent)]
    Utf8(NoteError),
    /// The first line is another.
    #[error("the first line is {found:?}: accepted is {HEADER}")]
    Header {
        /// The line.
        found: String,
    },
    /// No empty line comes before the checkpoint.
    #[error(
        "the proof has no empty line: accepted is {HEADER}, perhaps an extra line, an index line, hashes, an empty line, and the checkpoint"
    )]
    NoEmptyLine,
    /// The extra line has nothing, or no base 64.
    #[error("the extra line is {found:?}: accepted is extra and a space before base 64 that is not empty")]
    Extra {
        /// The line.
        found: String,
    },
    /// The line with the index is missing or wrong.
    #[error(
        "the index line is {found:?}: accepted is index and a space before a decimal number without leading zeros, below 2^64"
    )]
    Index {
        /// The line.
        found: String,
    },
    /// A line is not a hash.
    #[error("hash {number} of the proof is {found:?}: accepted are 32 bytes in base 64")]
    Hash {
        /// Which one, from 1.
        number: usize,
        /// The line.
        found: String,
    },
    /// The checkpoint is none.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tree of the checkpoint has no such leaf, or its proof has another number of hashes.
    #[error(transparent)]
    Shape(#[from] ProofError),
}

/// That a leaf is in a log, not yet checked. Its index and the number of its hashes fit the size in its checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    extra: Vec<u8>,
    index: u64,
    hashes: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

impl Proof {
    /// The proof of the leaf at an index: `hashes` are what `inclusion::prove` makes for the size in the checkpoint.
    ///
    /// # Errors
    /// Where the tree has no such leaf, or its proof has another number of hashes.
    pub fn new(index: u64, hashes: Vec<Hash>, checkpoint: SignedCheckpoint) -> Result<Self, ProofError> {
        // Which leaf it is does not matter for the number of hashes.
        inclusion::root(index, checkpoint.unverified().size(), EMPTY_ROOT, &hashes)?;
        Ok(Self { extra: Vec::new(), index, hashes, checkpoint })
    }

    /// The proof with something of the application beside it. Nothing vouches for that.
    pub fn with_extra(self, extra: Vec<u8>) -> Self {
        Self { extra, ..self }
    }

    /// Reads a proof.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let text = utf8(bytes).map_err(ParseError::Utf8)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ParseError::NoEmptyLine)?;
        let mut lines = head.split('\n');
        let found = lines.next().unwrap_or_default();
        if found != HEADER {
            return Err(ParseError::Header { found: found.to_string() });
        }
        let mut line = lines.next().unwrap_or_default();
        let mut extra = Vec::new();
        if let Some(encoded) = line.strip_prefix("extra ") {
            extra = from_base64(encoded)
                .filter(|extra| !extra.is_empty())
                .ok_or_else(|| ParseError::Extra { found: line.to_string() })?;
            line = lines.next().unwrap_or_default();
        }
        let index = line
            .strip_prefix("index ")
            .and_then(from_decimal)
            .ok_or_else(|| ParseError::Index { found: line.to_string() })?;
        let hashes = (1..)
            .zip(lines)
            .map(|(number, line)| {
                line.parse().map_err(|_| ParseError::Hash { number, found: line.to_string() })
            })
            .collect::<Result<_, _>>()?;
        let checkpoint = SignedCheckpoint::parse(checkpoint.as_bytes())?;
        Ok(Self::new(index, hashes, checkpoint)?.with_extra(extra))
    }

    /// Checks that the log has a leaf, and that as many witnesses saw it as the policy asks for.
    ///
    /// # Errors
    /// Where the proof does not show that.
    pub fn check<'a>(&'a self, leaf: Hash, policy: &Policy<'a>) -> Result<Checked<'a>, CheckError> {
        let checkpoint = self.checkpoint.verify(policy.origin, policy.log)?;
        let mut cosigned = self.checkpoint.cosigned_by(policy.witnesses)?;
        // A log is no witness of itself.
        cosigned.retain(|one| policy.log.iter().all(|log| log.bytes() != one.key.bytes()));
        if cosigned.len() < policy.quorum {
            return Err(CheckError::Quorum { found: cosigned.len(), accepted: policy.quorum });
        }
        inclusion::verify(self.index, checkpoint.size(), leaf, &self.hashes, checkpoint.root())?;
        Ok(Checked { checkpoint, index: self.index, cosigned })
    }

    /// What the application added. Nothing vouches for it, also where the proof is right.
    pub fn extra(&self) -> &[u8] {
        &self.extra
    }

    /// The position of the leaf.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The hashes, from the sibling of the leaf upwards.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The checkpoint, whoever signed it.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{HEADER}")?;
        if !self.extra.is_empty() {
            writeln!(formatter, "extra {}", base64(&self.extra))?;
        }
        writeln!(formatter, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(formatter, "{hash}"))?;
        write!(formatter, "\n{}", self.checkpoint)
    }
}

/// Whom the reader of a proof trusts.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// The log.
    pub origin: &'a Origin,
    /// The keys of the log: one has to have signed.
    pub log: &'a [VerifierKey],
    /// The witnesses that are known.
    pub witnesses: &'a [CosignerKey],
    /// How many of them have to have signed.
    pub quorum: usize,
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<'a> {
    /// The checkpoint of the log.
    pub checkpoint: &'a Checkpoint,
    /// The position of the leaf.
    pub index: u64,
    /// The known witnesses that signed, each with its time. A key of the log is none.
    pub cosigned: Vec<Cosigned<'a>>,
}

/// Why a proof does not show that a leaf is in a log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckError {
    /// The log did not sign the checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] VerifyError),
    /// A cosignature is wrong.
    #[error(transparent)]
    Cosignature(#[from] BadSignature),
    /// Too few witnesses signed.
    #[error("{found} of the known witnesses signed the checkpoint: accepted are {accepted} or more")]
    Quorum {
        /// How many did.
        found: usize,
        /// How many have to.
        accepted: usize,
    },
    /// The leaf is another.
    #[error(transparent)]
    Inclusion(#[from] ProofError),
}
