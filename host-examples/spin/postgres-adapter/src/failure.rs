//! Why a call failed, and which error the store gets for it: one after which a retry may succeed, one after which the batch
//! may be stored, or one after which the same call would fail again.

use alloc::format;
use alloc::string::String;

use audit_sql::failure::{Names, Reason, one_line};

use crate::address::Address;
use crate::link::Fault;

/// The error of the store's import: the WIT variant `sink-error`, but for `not-configured`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Nothing of the batch is stored, and the same call may succeed later.
    Unavailable(String),
    /// The batch may be stored or not.
    Unanswered(String),
    /// The same call would fail again.
    Other(String),
}

impl Error {
    /// The same error, after a part of the batch was stored or may have been.
    pub fn unanswered(self) -> Self {
        match self {
            Self::Unavailable(text) | Self::Unanswered(text) | Self::Other(text) => Self::Unanswered(text),
        }
    }
}

/// What Spin says about an address that will never work, and what to do about it. The texts of the server are English in most
/// installations; in others they count as a database that does not answer.
const LASTING: [(&str, &str); 8] = [
    ("is not permitted", "allow it in allowed_outbound_hosts, as postgres://HOST:PORT"),
    ("Unix sockets are not supported", "name a host in the database URL"),
    ("invalid connection string", "check the database URL"),
    ("parsing Postgres connection string", "check the database URL"),
    ("password authentication failed", "check user and password in the database URL"),
    ("no pg_hba.conf entry", "check the database URL, and the server's pg_hba.conf"),
    ("password missing", "check the password in the database URL"),
    ("does not exist", "check user and database in the database URL"),
];

/// The error where nothing was sent yet that could store anything, or where a statement stores nothing.
pub fn of_nothing_stored(fault: &Fault, address: &Address) -> Error {
    let Names { server, .. } = address.names();
    let shown = |text: &str| address.without_secrets(&one_line(text));
    match fault {
        Fault::NotConnected(text) => {
            let text = shown(text);
            match LASTING.iter().find(|(said, _)| text.contains(said)) {
                Some((_, advice)) => {
                    Error::Other(format!("no connection to the database ({server}): {text}; {advice}"))
                }
                None => Error::Unavailable(format!("cannot connect to the database ({server}): {text}")),
            }
        }
        Fault::Server(report) => match report.error().explain(address.names()) {
            Reason::Unavailable(text) => Error::Unavailable(shown(&text)),
            Reason::Other(text) => Error::Other(shown(&text)),
        },
        Fault::Broken(text) => {
            Error::Unavailable(format!("the connection to the database failed ({server}): {}", shown(text)))
        }
        Fault::Unusable(text) => {
            Error::Other(format!("the database cannot be used ({server}): {}", shown(text)))
        }
    }
}

/// The error of a statement that was sent, and stores something. Only an error of the server after which the session goes on
/// says for sure that it has stored nothing.
pub fn of_sent(fault: &Fault, address: &Address) -> Error {
    let error = of_nothing_stored(fault, address);
    match fault {
        Fault::Server(report) if report.ends_session() => error.unanswered(),
        Fault::Broken(_) => error.unanswered(),
        _ => error,
    }
}
