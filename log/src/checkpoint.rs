//! Checkpoints (C2SP tlog-checkpoint): the size and the root of a log, signed by the log.

use crate::encoding::from_decimal;
use crate::note::{BadSignature, Note, NoteError, Signature, SigningKey, Text, VerifierKey};
use crate::tree::{EMPTY_ROOT, Hash};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use thiserror::Error;

/// Which log it is: a line that is not empty. A name like `example.com/audit`, equal to the name of the log's key,
/// collides with no other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

/// Not the origin of a log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the origin is {found:?}: accepted is a line that is not empty, without control characters, such as example.com/audit"
)]
pub struct OriginError {
    /// What was given.
    pub found: String,
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(origin: &str) -> Result<Self, OriginError> {
        if is_line(origin) {
            Ok(Self(origin.to_string()))
        } else {
            Err(OriginError { found: origin.to_string() })
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for Origin {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn is_line(line: &str) -> bool {
    !line.is_empty() && !line.contains(|c| c < ' ')
}

/// Why something is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// It is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It has too few lines.
    #[error(
        "the checkpoint has {found} lines: accepted are the origin, the size, the root, and perhaps others after them"
    )]
    Lines {
        /// How many it has.
        found: usize,
    },
    /// The origin is none.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// The size is not a number.
    #[error(
        "the size of the tree is {found:?}: accepted is a decimal number without leading zeros, below 2^64"
    )]
    Size {
        /// What was given.
        found: String,
    },
    /// The root is not a hash.
    #[error("the root of the tree is {found:?}: accepted are 32 bytes in base 64")]
    Root {
        /// What was given.
        found: String,
    },
    /// A tree without leaves has one root.
    #[error("the root of the tree without leaves is {found}: accepted is {EMPTY_ROOT}")]
    EmptyRoot {
        /// What was given.
        found: Hash,
    },
    /// A line after the root is empty or has control characters.
    #[error(
        "an extension of the checkpoint is {found:?}: accepted are lines that are not empty, without control characters"
    )]
    Extension {
        /// What was given.
        found: String,
    },
}

/// The size and the root of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: Origin,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of a log at a size.
    ///
    /// # Errors
    /// Where the size is 0 and the root is not that of the tree without leaves.
    pub fn new(origin: Origin, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        if size == 0 && root != EMPTY_ROOT {
            return Err(CheckpointError::EmptyRoot { found: root });
        }
        Ok(Self { origin, size, root, extensions: Vec::new() })
    }

    /// The checkpoint with lines after its root. C2SP advises against them: nobody who watches a log can check them.
    ///
    /// # Errors
    /// Where one is empty or has control characters.
    pub fn with_extensions(self, extensions: Vec<String>) -> Result<Self, CheckpointError> {
        match extensions.iter().find(|line| !is_line(line)) {
            Some(found) => Err(CheckpointError::Extension { found: found.clone() }),
            None => Ok(Self { extensions, ..self }),
        }
    }

    /// Reads the text of a note as a checkpoint.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &Text) -> Result<Self, CheckpointError> {
        let text = text.as_ref();
        let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Lines { found: text.lines().count() });
        };
        let origin = origin.parse()?;
        let size = from_decimal(size).ok_or_else(|| CheckpointError::Size { found: size.to_string() })?;
        let root = root.parse().map_err(|_| CheckpointError::Root { found: root.to_string() })?;
        Self::new(origin, size, root)?.with_extensions(lines.map(String::from).collect())
    }

    /// Which log it is of.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The lines after the root.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The text that is signed.
    pub fn text(&self) -> Text {
        Text::of_checked(self.to_string())
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, size, root, extensions } = self;
        writeln!(formatter, "{origin}\n{size}\n{root}")?;
        extensions.iter().try_for_each(|line| writeln!(formatter, "{line}"))
    }
}

/// Why a checkpoint is not one of the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// It is of another log.
    #[error("the checkpoint is of the log {found}, accepted is {accepted}")]
    Origin {
        /// The origin of the checkpoint.
        found: Origin,
        /// The origin that was asked for.
        accepted: Origin,
    },
    /// The log did not sign it.
    #[error("the checkpoint of {origin} has no signature of a known key of the log")]
    Unsigned {
        /// The origin of the checkpoint.
        origin: Origin,
    },
    /// A signature is wrong.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

/// A checkpoint and signatures of it, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Signs a checkpoint.
    ///
    /// A log never signs two checkpoints of which neither is consistent with the other: that is to be made sure before.
    pub fn sign(checkpoint: Checkpoint, key: &SigningKey) -> Self {
        let note = Note::sign(checkpoint.text(), key);
        Self { checkpoint, note }
    }

    /// Reads a signed note whose text is a checkpoint.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// The checkpoint, unless the log did not sign it. Witnesses are asked for by `cosigned_by`.
    ///
    /// # Errors
    /// Where it is of another log, has no signature of the known keys, or has a wrong one.
    pub fn verify(&self, origin: &Origin, keys: &[VerifierKey]) -> Result<&Checkpoint, VerifyError> {
        let found = &self.checkpoint.origin;
        if found != origin {
            return Err(VerifyError::Origin { found: found.clone(), accepted: origin.clone() });
        }
        if self.note.verified_by(keys)?.is_empty() {
            return Err(VerifyError::Unsigned { origin: found.clone() });
        }
        Ok(&self.checkpoint)
    }

    /// The checkpoint, whoever signed it.
    pub fn unverified(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The same checkpoint with other signatures.
    pub(crate) fn with_signatures(&self, signatures: &[Signature]) -> Result<Self, NoteError> {
        let note = Note::new(self.note.text().clone(), signatures.to_vec())?;
        Ok(Self { checkpoint: self.checkpoint.clone(), note })
    }

    /// Adds a signature, unless it is there already.
    ///
    /// # Errors
    /// Where there would be too many. The checkpoint is then as before.
    pub fn add(&mut self, signature: Signature) -> Result<(), NoteError> {
        self.note.add(signature)
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(formatter)
    }
}
