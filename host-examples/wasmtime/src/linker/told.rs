//! What a guest is told of an error: what concerns its own events and its own call. A path or a message of the database
//! would tell it of the host.

use crate::bindings::exports::audit::store::types;
use crate::error::Error;
use crate::instance::room;
use crate::types::IncompleteBatch;

const FILES: &str = "the files of the record cannot be read or written";
const CLOSED: &str = "the store is closed";
const UNAVAILABLE: &str = "the store, or its database, cannot take or give anything now";
const UNANSWERED: &str = "the database has not answered: the events may be recorded or not";
const STOPPED: &str = "the store had to break off the call; events of it may be recorded or not";
const REFUSED: &str = "the store, or its database, refuses the call";

/// The component's words on a batch that is too large, beside the host's own ([`room::TOO_LARGE`]): the other errors that a
/// guest can do something about.
const TOO_LARGE: &str = "the batch has more than 32 MiB of lines; send smaller batches";

/// The answer as the guest gets it.
pub(super) fn told<T>(answer: Result<T, Error>) -> Result<T, types::Error> {
    answer.map_err(|error| match error {
        Error::Invalid(value) => types::Error::Invalid(value),
        Error::Incomplete(IncompleteBatch { stored, .. }) => {
            types::Error::Incomplete(IncompleteBatch { stored, reason: FILES.into() })
        }
        Error::Access(_) => types::Error::Access(FILES.into()),
        Error::Closed => types::Error::Unavailable(CLOSED.into()),
        // The configuration is the host's.
        Error::Unavailable(_) | Error::Start(_) | Error::Config(_) => {
            types::Error::Unavailable(UNAVAILABLE.into())
        }
        Error::Unanswered(_) => types::Error::Unanswered(UNANSWERED.into()),
        Error::Trap(_) => types::Error::Other(STOPPED.into()),
        Error::Other(text) if text == TOO_LARGE || text.starts_with(room::TOO_LARGE) => {
            types::Error::Other(text)
        }
        // The database's words, most of the time.
        Error::Other(_) => types::Error::Other(REFUSED.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_tells_of_the_host() {
        let secret = || "/srv/audit/tool_audit.jsonl".to_owned();
        let errors = [
            Error::Incomplete(IncompleteBatch { stored: 3, reason: secret() }),
            Error::Access(secret()),
            Error::Unavailable(secret()),
            Error::Unanswered(secret()),
            Error::Start(secret()),
            Error::Config(secret()),
            Error::Trap(secret()),
            Error::Other(secret()),
        ];
        for error in errors {
            let told = told::<()>(Err(error)).unwrap_err();
            assert!(!format!("{told:?}").contains("/srv"), "{told:?}");
        }
    }
}
