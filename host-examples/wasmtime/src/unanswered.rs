//! How several reads at once wait for a silent database only once.

use std::time::Instant;

use crate::error::Error;

/// The last read that the database left without an answer: when it ended, and its error.
#[derive(Default)]
pub(crate) struct Unanswered(Option<(Instant, Error)>);

impl Unanswered {
    /// Fails with the last error if the caller asked, at the time `asked`, before that error came. The caller
    /// has then waited for a timeout of the database already, that of another caller's read, and does not wait
    /// for another.
    pub(crate) fn check(&self, asked: Instant) -> Result<(), Error> {
        match &self.0 {
            Some((at, error)) if asked < *at => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Remembers the error of a read if the database did not answer.
    pub(crate) fn observe<T>(&mut self, answer: &Result<T, Error>) {
        if let Err(error @ Error::Unavailable(_)) = answer {
            self.0 = Some((Instant::now(), error.clone()));
        }
    }
}
