//! What all subcommands share: why they fail, and how they write to stderr.

use std::fmt;
use std::io::{self, Write as _};

use audit_format::show::escaped;
use audit_host::{Error, SinkError};

use crate::mask::masked;

/// The exit status if the options are invalid, or the store cannot be used.
pub(crate) const TROUBLE: u8 = 2;

/// Why a subcommand could not do its work, as a message.
pub(crate) struct Failure(pub(crate) String);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Unavailable(text) | SinkError::Unanswered(text) | SinkError::Other(text) => Self(text),
            SinkError::NotConfigured => Self("there is no database".into()),
        }
    }
}

/// Writes a message of this program to stderr.
pub(crate) fn warn(text: impl fmt::Display) {
    warn_line(format_args!("audit: {text}"));
}

/// Writes a line to stderr, in which passwords are masked, and characters that would control the terminal are escaped. The
/// program goes on if stderr cannot be written.
pub(crate) fn warn_line(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", escaped(&masked(&line.to_string())));
}

/// Like [`warn`], for a text of several lines.
pub(crate) fn warn_lines(text: &str) {
    for (n, line) in text.lines().enumerate() {
        if n == 0 { warn(line) } else { warn_line(line) }
    }
}

/// A number with its unit, such as `1 line` or `2 lines`.
pub(crate) fn count(number: u64, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}
