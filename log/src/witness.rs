//! What a log and a witness say to each other (C2SP tlog-witness, `add-checkpoint`): the log sends a checkpoint and a
//! proof that it is consistent with the last one, the witness answers with its cosignature. Sending and keeping are
//! the caller's.

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::cosignature::{Cosigned, CosignerKey};
use crate::encoding::from_decimal;
use crate::note::{BadSignature, Name, NoteError, Signature, Verifier as _, parse_signatures, utf8};
use crate::tree::{EMPTY_ROOT, Hash, ProofError, consistency};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use thiserror::Error;

/// How many hashes a request may have.
pub const MAX_HASHES: usize = 63;

/// The content type of the answer 409.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// Why something is no request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// It is not text.
    #[error(transparent)]
    Utf8(NoteError),
    /// No empty line comes before the checkpoint.
    #[error(
        "the request has no empty line: accepted is an old line, hashes, an empty line, and the checkpoint"
    )]
    NoEmptyLine,
    /// The first line is not the old size.
    #[error(
        "the first line is {found:?}: accepted is old and a space before a decimal number without leading zeros, below 2^64"
    )]
    Old {
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
    /// There are too many hashes.
    #[error("the proof has {found} hashes: accepted are at most {MAX_HASHES}")]
    HashCount {
        /// How many there are.
        found: usize,
    },
    /// The checkpoint is none.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A log does not shrink.
    #[error("the old size is {old}: accepted is at most {size}, the size in the checkpoint")]
    Shrunk {
        /// The old size.
        old: u64,
        /// The size in the checkpoint.
        size: u64,
    },
}

impl RequestError {
    /// The status with which a witness answers such a request.
    pub fn status(&self) -> u16 {
        match self {
            Self::Checkpoint(CheckpointError::EmptyRoot { .. }) => 422,
            _ => 400,
        }
    }
}

/// The body of a request: a checkpoint, and the proof that it is consistent with the last one that the witness signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    old: u64,
    hashes: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

impl AddCheckpoint {
    /// A request. `hashes` are what `consistency::prove` makes from the old size to the size in the checkpoint.
    ///
    /// # Errors
    /// Where the old size is the larger one, or there are more hashes than a request may have.
    pub fn new(old: u64, hashes: Vec<Hash>, checkpoint: SignedCheckpoint) -> Result<Self, RequestError> {
        let size = checkpoint.unverified().size();
        if old > size {
            return Err(RequestError::Shrunk { old, size });
        }
        if hashes.len() > MAX_HASHES {
            return Err(RequestError::HashCount { found: hashes.len() });
        }
        Ok(Self { old, hashes, checkpoint })
    }

    /// Reads a request.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let text = utf8(body).map_err(RequestError::Utf8)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(RequestError::NoEmptyLine)?;
        let mut lines = head.split('\n');
        let line = lines.next().unwrap_or_default();
        let old = line
            .strip_prefix("old ")
            .and_then(from_decimal)
            .ok_or_else(|| RequestError::Old { found: line.to_string() })?;
        let hashes = (1..)
            .zip(lines)
            .map(|(number, line)| {
                line.parse().map_err(|_| RequestError::Hash { number, found: line.to_string() })
            })
            .collect::<Result<_, _>>()?;
        Self::new(old, hashes, SignedCheckpoint::parse(checkpoint.as_bytes())?)
    }

    /// Checks the request against the size and the root that the witness signed last of this log, none if it signed
    /// none. It does so after it has checked the signature of the log.
    ///
    /// # Errors
    /// Where the checkpoint is not to be signed.
    pub fn check(&self, last: Option<(u64, Hash)>) -> Result<(), Refused> {
        let (last, root) = last.unwrap_or((0, EMPTY_ROOT));
        if self.old != last {
            return Err(Refused::Conflict { old: self.old, last });
        }
        let new = self.checkpoint.unverified();
        consistency::verify(self.old, new.size(), &self.hashes, root, new.root())?;
        Ok(())
    }

    /// The size of which the log thinks that the witness signed it last.
    pub fn old(&self) -> u64 {
        self.old
    }

    /// The hashes of the consistency proof.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The checkpoint, whoever signed it.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "old {}", self.old)?;
        self.hashes.iter().try_for_each(|hash| writeln!(formatter, "{hash}"))?;
        write!(formatter, "\n{}", self.checkpoint)
    }
}

/// Why a witness does not sign a checkpoint that the log signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The witness signed another size last.
    #[error("the old size is {old}: accepted is {last}, the size that the witness signed last")]
    Conflict {
        /// The old size in the request.
        old: u64,
        /// The size that the witness signed last.
        last: u64,
    },
    /// The proof does not show that the log only grew.
    #[error(transparent)]
    Inconsistent(#[from] ProofError),
}

/// What a witness answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200: its cosignatures, one or more, not yet checked.
    Cosigned(Vec<Signature>),
    /// 400: the request is none.
    BadRequest,
    /// 403: the log did not sign the checkpoint.
    Unsigned,
    /// 404: it does not know the log.
    UnknownLog,
    /// 409: it signed another size last.
    Conflict {
        /// That size.
        size: u64,
    },
    /// 422: the checkpoint is not consistent with the one that it signed last.
    Inconsistent,
}

/// Why something is no answer of a witness.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// A witness does not answer with this status.
    #[error("the witness answered with the status {found}: accepted are 200, 400, 403, 404, 409 and 422")]
    Status {
        /// The status.
        found: u16,
    },
    /// The cosignatures are none.
    #[error("the witness answered with no cosignatures")]
    Cosignatures(#[source] NoteError),
    /// The size is no number.
    #[error(
        "the witness answered with the size {found:?}: accepted is a decimal number without leading zeros, below 2^64, and a newline"
    )]
    Size {
        /// What it answered.
        found: String,
    },
}

impl Answer {
    /// Reads an answer. The body of a refusal says nothing more than its status, but for 409.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(status: u16, body: &[u8]) -> Result<Self, AnswerError> {
        match status {
            200 => {
                let lines = utf8(body).and_then(parse_signatures).map_err(AnswerError::Cosignatures)?;
                Ok(Self::Cosigned(lines))
            }
            400 => Ok(Self::BadRequest),
            403 => Ok(Self::Unsigned),
            404 => Ok(Self::UnknownLog),
            409 => {
                let text = String::from_utf8_lossy(body);
                let size = text.strip_suffix('\n').and_then(from_decimal);
                let size = size.ok_or_else(|| AnswerError::Size { found: text.to_string() })?;
                Ok(Self::Conflict { size })
            }
            422 => Ok(Self::Inconsistent),
            found => Err(AnswerError::Status { found }),
        }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Cosigned(_) => 200,
            Self::BadRequest => 400,
            Self::Unsigned => 403,
            Self::UnknownLog => 404,
            Self::Conflict { .. } => 409,
            Self::Inconsistent => 422,
        }
    }
}

impl From<&Refused> for Answer {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::Conflict { last, .. } => Self::Conflict { size: *last },
            Refused::Inconsistent(_) => Self::Inconsistent,
        }
    }
}

impl fmt::Display for Answer {
    /// Writes the body.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cosigned(signatures) => {
                signatures.iter().try_for_each(|line| writeln!(formatter, "{line}"))
            }
            Self::Conflict { size } => writeln!(formatter, "{size}"),
            _ => Ok(()),
        }
    }
}

/// Why cosignatures are not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AcceptError {
    /// One of a known witness is wrong.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// One of a known witness has no time.
    #[error("the cosignature of {name} is of the time 0: accepted is the time at which it was made")]
    NoTime {
        /// The name of the witness.
        name: Name,
    },
    /// There are none of known witnesses.
    #[error("none of the {found} cosignatures is of a known witness")]
    Unknown {
        /// How many there are.
        found: usize,
    },
    /// The checkpoint has no room for them.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl SignedCheckpoint {
    /// Takes over what a witness answered: the cosignatures of known witnesses, each of which is right. Those of others
    /// are ignored.
    ///
    /// # Errors
    /// Where one of a known witness is wrong, or none is of a known witness. The checkpoint is then as before.
    pub fn accept<'k>(
        &mut self,
        signatures: &[Signature],
        witnesses: &'k [CosignerKey],
    ) -> Result<Vec<Cosigned<'k>>, AcceptError> {
        let answered = self.with_signatures(signatures)?;
        let cosigned = answered.cosigned_by(witnesses)?;
        if cosigned.is_empty() {
            return Err(AcceptError::Unknown { found: signatures.len() });
        }
        if let Some(Cosigned { key, .. }) = cosigned.iter().find(|one| one.time.seconds() == 0) {
            return Err(AcceptError::NoTime { name: key.name().clone() });
        }
        let mut accepted = self.clone();
        for (_, signature) in answered.note().verified(witnesses)? {
            accepted.add(signature.clone())?;
        }
        *self = accepted;
        Ok(cosigned)
    }
}
