//! Why a call failed.

use crate::bindings::audit::store::types;
use crate::types::InvalidValue;

/// Why a call failed. The first five are the component's answers, as in the WIT; the others are the host's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An event, a filter or a page request is invalid. Nothing of the batch was taken.
    #[error("{}: {}", .0.field, .0.reason)]
    Invalid(InvalidValue),
    /// A setting is invalid.
    #[error("{0}")]
    Config(String),
    /// A file or folder cannot be read or written; the text names it.
    #[error("{0}")]
    Access(String),
    /// The store or its database cannot take or give anything now; later it may.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else that the component said.
    #[error("{0}")]
    Other(String),
    /// The component stopped in the middle of the call: it needed too much time or memory, or has a fault.
    #[error("the component stopped: {0}")]
    Trap(String),
    /// The component cannot be started.
    #[error("the component cannot be started: {0}")]
    Start(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    pub(crate) fn start(error: impl Into<wasmtime::Error>) -> Self {
        Self::Start(format!("{:#}", error.into()))
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Invalid(value) => Self::Invalid(value),
            types::Error::Config(text) => Self::Config(text),
            types::Error::Access(text) => Self::Access(text),
            types::Error::Unavailable(text) => Self::Unavailable(text),
            types::Error::Other(text) => Self::Other(text),
        }
    }
}
