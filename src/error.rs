//! Why a call is refused; the same cases as the WIT variant `error`.

use alloc::format;
use alloc::string::{String, ToString};
use audit_format::Invalid;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The value at a position of the batch is invalid; nothing of the batch was taken.
    #[error("{index}: {invalid}")]
    Invalid {
        /// The position in the batch, from 0.
        index: u64,
        /// What is wrong there.
        invalid: Invalid,
    },
    /// The configuration is invalid.
    #[error("{0}")]
    Config(String),
    /// A file or folder cannot be read or written; the text names it.
    #[error("{0}")]
    Access(String),
    /// Not now; maybe later.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<Invalid> for Error {
    /// For values that are not in a batch.
    fn from(invalid: Invalid) -> Self {
        Self::Invalid { index: 0, invalid }
    }
}

impl Error {
    /// The same error, which also says how many events are not stored because of it.
    pub fn with_unstored(self, count: usize) -> Self {
        let events = match count {
            0 => return self,
            1 => "1 event is not stored".to_string(),
            _ => format!("{count} events are not stored"),
        };
        match self {
            Self::Access(text) => Self::Access(format!("{text}; {events}")),
            Self::Unavailable(text) => Self::Unavailable(format!("{text}; {events}")),
            Self::Other(text) => Self::Other(format!("{text}; {events}")),
            error => error,
        }
    }
}
