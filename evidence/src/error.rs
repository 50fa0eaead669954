//! Why a log cannot be read or extended.

use std::io;
use std::path::PathBuf;

use audit_log::checkpoint::{CheckpointError, Origin, VerifyError};
use audit_log::tiles::TiledError;
use audit_log::tree::{ProofError, ProveError, TreeFull};
use thiserror::Error;

use crate::record::Kind;

/// Why a log or its record cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// A file of the log, or the folder of the record, cannot be read.
    #[error("{name} cannot be read: {source}")]
    Read {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A file of the log cannot be written. What the log had before it still has.
    #[error("{name} cannot be written: {source}")]
    Write {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be read.
    #[error("{0}")]
    Database(String),
    /// `checkpoint` is none.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// `checkpoint` is of another log, or signed by another key.
    #[error("checkpoint: {0}")]
    Verify(#[from] VerifyError),
    /// There is no checkpoint to check anything against.
    #[error("the log has no checkpoint: nothing was sealed there yet, or it was removed")]
    NothingSealed,
    /// There are segments and no checkpoint.
    #[error(
        "checkpoint is not there, but segments.jsonl is: the log has lost its checkpoint. A new one could contradict one \
         that was signed before: put the last one back, from wherever it was copied to"
    )]
    NoCheckpoint,
    /// A line of `segments.jsonl` is none.
    #[error("segments.jsonl: line {line}: {reason}")]
    Segment {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A line of another file of the log is none.
    #[error("{name}: line {line}: {reason}")]
    Line {
        /// The file.
        name: &'static str,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// `segments.jsonl` ends before the log does.
    #[error(
        "segments.jsonl has {found} leaves, the checkpoint has {accepted}: it was cut or replaced. Put the last one back"
    )]
    Segments {
        /// How many leaves the segments have.
        found: u64,
        /// How many they have to have.
        accepted: u64,
    },
    /// The log is of a record of the other kind.
    #[error("the log is of {found}, and the record is {record}: each record has a log of its own")]
    OtherRecord {
        /// What the segments are of.
        found: Kind,
        /// What the record is.
        record: Kind,
    },
    /// The tiles cannot be read.
    #[error("{0}")]
    Tiles(String),
    /// The tiles do not lead to the root that was signed.
    #[error(
        "the tiles of the log do not agree with the checkpoint of {origin} with {size} leaves, so nothing was signed: {source}"
    )]
    Inconsistent {
        /// The origin of the log.
        origin: Origin,
        /// The size of its checkpoint.
        size: u64,
        /// What does not agree.
        source: ProofError,
    },
    /// The event that says what is pruned is not recorded.
    #[error("the event of the prune could not be recorded, so nothing more was removed: {0}")]
    Trail(String),
    /// Another file has the name of an archive.
    #[error(
        "{path} is there already and has other events: give another folder for archives, or move it",
        path = path.display()
    )]
    OtherArchive {
        /// The file.
        path: PathBuf,
    },
    /// An archive is not what was written.
    #[error("{path} does not have the events that were sealed, so nothing was removed", path = path.display())]
    Archive {
        /// The file.
        path: PathBuf,
    },
    /// The tree is full.
    #[error(transparent)]
    Full(#[from] TreeFull),
}

impl Error {
    pub(crate) fn read(name: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let name = name.into();
        |source| Self::Read { name, source }
    }

    pub(crate) fn write(name: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let name = name.into();
        |source| Self::Write { name, source }
    }
}

impl From<TiledError<io::Error>> for Error {
    fn from(error: TiledError<io::Error>) -> Self {
        Self::Tiles(match &error {
            TiledError::Read { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        })
    }
}

impl From<ProveError<TiledError<io::Error>>> for Error {
    fn from(error: ProveError<TiledError<io::Error>>) -> Self {
        match error {
            ProveError::Read(error) => error.into(),
            other => Self::Tiles(other.to_string()),
        }
    }
}
