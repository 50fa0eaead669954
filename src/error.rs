//! Why a call is refused; the same cases as the WIT variant `error`.

use alloc::string::String;
pub use audit_format::Invalid;

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

/// Names in a message: `a, b, c`.
pub fn listed(names: &[&str]) -> String {
    let mut list = String::new();
    for name in names {
        list += if list.is_empty() { "" } else { ", " };
        list += name;
    }
    list
}
