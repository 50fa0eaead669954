//! Why a value is invalid.

use alloc::string::String;

/// A value that is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The field, in the spelling of the JSON lines; `json` where a line is not a JSON object.
    pub field: String,
    /// What is wrong, and what is accepted.
    pub reason: String,
}

impl Invalid {
    /// An invalid value of this field. `reason` says what is wrong, and what is accepted.
    pub fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// A list of names for a message: `a, b, c`.
pub fn listed(names: &[&str]) -> String {
    names.join(", ")
}
