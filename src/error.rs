//! Why a call is refused; the same cases as the WIT variant `error`.

use alloc::string::String;

/// A value that is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The field, in the spelling of the JSON lines; `json` where a line is not a JSON object.
    pub field: String,
    /// What is wrong, and what is accepted.
    pub reason: String,
}

impl Invalid {
    /// `reason` should say what is wrong and what is accepted.
    pub fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The value at a position of the batch is not as it has to be; nothing of the batch was taken.
    #[error("{index}: {invalid}")]
    Invalid {
        /// The position in the batch, from 0.
        index: u64,
        /// What is wrong there.
        invalid: Invalid,
    },
    /// The configuration is not as it has to be.
    #[error("{0}")]
    Config(String),
    /// A file or folder cannot be read or written; the text names it.
    #[error("{0}")]
    Access(String),
    /// Not now; maybe later.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Invalid> for Error {
    /// For values that are not in a batch.
    fn from(invalid: Invalid) -> Self {
        Self::Invalid { index: 0, invalid }
    }
}
