//! Why a call fails: the cases of the WIT variant `error`.

use crate::accounting::events;
use alloc::format;
use alloc::string::String;
use audit_format::Invalid;

/// Why a call fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value of the batch is invalid; nothing of the batch was accepted.
    #[error("{index}: {invalid}")]
    Invalid {
        /// The position in the batch, from 0; 0 where there is no batch.
        index: u64,
        /// The field, and what is wrong with it.
        invalid: Invalid,
    },
    /// Only the first events of the batch are stored.
    #[error("{reason}; of the batch, {} stored", first_events(*stored))]
    Incomplete {
        /// How many.
        stored: u64,
        /// Why the others are not.
        reason: String,
    },
    /// A setting is invalid; the settings stay as they were.
    #[error("{0}")]
    Config(String),
    /// A file or folder cannot be read or written; the text names it.
    #[error("{0}")]
    Access(String),
    /// The store or its database cannot do it now; it may later.
    #[error("{0}")]
    Unavailable(String),
    /// The database was sent events, and its answer was lost: they may be stored or not.
    #[error("{0}")]
    Unanswered(String),
    /// Any other failure.
    #[error("{0}")]
    Other(String),
}

fn first_events(count: u64) -> String {
    match count {
        1 => "the first event is".into(),
        _ => format!("the first {count} events are"),
    }
}

impl From<Invalid> for Error {
    /// The error for a value that is not in a batch.
    fn from(invalid: Invalid) -> Self {
        Self::Invalid { index: 0, invalid }
    }
}

impl Error {
    /// The same error, which also says how many events are not stored because of it.
    pub fn with_unstored(self, count: usize) -> Self {
        let unstored = match (count, &self) {
            (0, _) => return self,
            (count, Self::Unanswered(_)) => format!("{} may be stored or not", events(count)),
            (1, _) => format!("{} is not stored", events(count)),
            (count, _) => format!("{} are not stored", events(count)),
        };
        match self {
            Self::Access(text) | Self::Incomplete { reason: text, .. } => {
                Self::Access(format!("{text}; {unstored}"))
            }
            Self::Unavailable(text) => Self::Unavailable(format!("{text}; {unstored}")),
            Self::Unanswered(text) => Self::Unanswered(format!("{text}; {unstored}")),
            Self::Other(text) => Self::Other(format!("{text}; {unstored}")),
            error => error,
        }
    }
}
