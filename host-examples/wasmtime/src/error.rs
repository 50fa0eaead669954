//! The error of a call to a store.

use crate::bindings::exports::audit::store::types;
use crate::types::{IncompleteBatch, InvalidValue};

/// Why a call failed. The first seven cases are the component's answers, as in the WIT; the others are the
/// host's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An event, a filter or a page request is invalid. No event of the batch was accepted.
    #[error("{}: {}", .0.field, .0.reason)]
    Invalid(InvalidValue),
    /// A file took only the first events of the batch, such as where the disk is full. They stay recorded; the caller goes
    /// on behind them.
    #[error("{}; {}", .0.reason, first_are_stored(.0.stored))]
    Incomplete(IncompleteBatch),
    /// An option is invalid; the text says which value is accepted.
    #[error("{0}")]
    Config(String),
    /// A file or folder cannot be read or written; the text names it.
    #[error("{0}")]
    Access(String),
    /// The store or its database cannot answer now. The same call may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// The database was sent events, and there is no answer: they may be recorded or not.
    #[error("{0}")]
    Unanswered(String),
    /// Any other error of the component.
    #[error("{0}")]
    Other(String),
    /// The component stopped during the call: it needed more time or memory than it may use, or has a bug.
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

fn first_are_stored(count: u64) -> String {
    match count {
        1 => "the first event of the batch is stored".into(),
        _ => format!("the first {count} events of the batch are stored"),
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Invalid(value) => Self::Invalid(value),
            types::Error::Incomplete(batch) => Self::Incomplete(batch),
            types::Error::Config(text) => Self::Config(text),
            types::Error::Access(text) => Self::Access(text),
            types::Error::Unavailable(text) => Self::Unavailable(text),
            types::Error::Unanswered(text) => Self::Unanswered(text),
            types::Error::Other(text) => Self::Other(text),
        }
    }
}
