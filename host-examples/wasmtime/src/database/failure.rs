//! Why a statement failed, and which error the component gets for it: one after which a retry may succeed, or
//! one after which it would fail again.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use audit_sql::failure::{Names, Reason, ServerError, one_line};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::servers::Servers;

/// Why a statement failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// There was no answer within this time.
    TimedOut(Duration),
    /// No connection could be made.
    Connection(Error),
    /// The server reported an error, or the connection broke.
    Statement(Error),
    /// The error that the component gets is already known.
    Known(SinkError),
    /// A statement that writes failed in this way after it was sent, so that the server may have executed it.
    Unanswered(Box<Self>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Statement(error)
    }
}

impl Failure {
    /// The error that the server reported. `None` if it reported none.
    pub(super) fn server(&self) -> Option<ServerError<'_>> {
        match self {
            Self::Connection(error) | Self::Statement(error) => error.as_db_error().map(server_error),
            Self::TimedOut(_) | Self::Known(_) => None,
            Self::Unanswered(failure) => failure.server(),
        }
    }

    /// The failure of a statement that was sent. Only an error of the server after which the session goes on says for sure
    /// that nothing was stored: a session that ends while it waits for a standby has committed.
    pub(super) fn of_sent_statement(self) -> Self {
        match &self {
            Self::Statement(error) if error.as_db_error().is_none_or(ends_session) => self.unanswered(),
            _ => self,
        }
    }

    /// The same failure, after which the statement may have been executed.
    pub(super) fn unanswered(self) -> Self {
        match self {
            Self::Unanswered(_) => self,
            failure => Self::Unanswered(Box::new(failure)),
        }
    }

    /// The same failure, for a statement that stores nothing.
    pub(super) fn of_nothing_stored(self) -> Self {
        match self {
            Self::Unanswered(failure) => *failure,
            failure => failure,
        }
    }

    /// Whether the statement may have been executed.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::Unanswered(_))
    }

    /// Whether a statement failed, rather than that it took too long or was not sent.
    pub(super) fn broke(&self) -> bool {
        match self {
            Self::Statement(_) => true,
            Self::Unanswered(failure) => failure.broke(),
            Self::TimedOut(_) | Self::Connection(_) | Self::Known(_) => false,
        }
    }

    /// Whether the connection cannot be used any more. A new one may work.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Self::TimedOut(_) => true,
            Self::Known(_) => false,
            Self::Connection(error) | Self::Statement(error) => {
                error.as_db_error().is_none_or(|db| ends_session(db) || server_error(db).only_reads())
            }
            Self::Unanswered(failure) => failure.ends_connection(),
        }
    }

    /// Whether the same statement may succeed later, on this connection or on a new one.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Known(error) => !matches!(error, SinkError::Other(_) | SinkError::NotConfigured),
            Self::Unanswered(failure) => failure.may_pass(),
            failure => {
                failure.ends_connection() || failure.server().is_some_and(|error| error.lasting().is_none())
            }
        }
    }

    /// The error that the component gets.
    pub(super) fn sink_error(self, servers: &Servers) -> SinkError {
        let advice = servers.advice().filter(|_| match &self {
            Self::TimedOut(_) => !servers.is_any_found(),
            Self::Connection(error) => error.as_db_error().is_none(),
            Self::Statement(_) | Self::Known(_) | Self::Unanswered(_) => false,
        });
        let error = self.named(&servers.names());
        let Some(advice) = advice else { return error };
        match error {
            SinkError::Unavailable(text) => SinkError::Unavailable(format!("{text}; {advice}")),
            SinkError::Other(text) => SinkError::Other(format!("{text}; {advice}")),
            SinkError::Unanswered(_) | SinkError::NotConfigured => error,
        }
    }

    fn named(self, names: &Names) -> SinkError {
        match self {
            Self::Known(error) => error,
            Self::Unanswered(failure) => match failure.named(names) {
                SinkError::Unavailable(text) => SinkError::Unanswered(text),
                error => error,
            },
            Self::TimedOut(time) => {
                let (time, server) = (duration(time), &names.server);
                SinkError::Unavailable(format!("the database does not answer within {time} ({server})"))
            }
            Self::Connection(error) => match error.as_db_error() {
                Some(db) => explained(db, names),
                None => without_connection(&error, names),
            },
            Self::Statement(error) => match error.as_db_error() {
                Some(db) => explained(db, names),
                None => broken(&error, names),
            },
        }
    }
}

/// Whether the server has ended the session.
fn ends_session(error: &DbError) -> bool {
    matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}

pub(super) fn server_error(error: &DbError) -> ServerError<'_> {
    ServerError {
        code: error.code().code(),
        message: error.message(),
        detail: error.detail(),
        context: error.where_(),
        column: error.column(),
        constraint: error.constraint(),
        routine: error.routine(),
    }
}

fn explained(error: &DbError, names: &Names) -> SinkError {
    match server_error(error).explain(names) {
        Reason::Unavailable(text) => SinkError::Unavailable(text),
        Reason::Other(text) => SinkError::Other(text),
    }
}

/// The error for a connection that could not be made, if no server has reported one. Errors of the network
/// may pass, so a retry may succeed. Errors about the certificate or the authentication would occur again.
fn without_connection(error: &Error, names: &Names) -> SinkError {
    let Names { server, user, .. } = names;
    let cause = cause(error);
    match error.source().map(|cause| cause.downcast_ref::<io::Error>()) {
        Some(Some(io)) => match io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(why)) => SinkError::Other(format!(
                "the database's certificate is not trusted ({server}): {why}; check sslmode and sslrootcert \
                 in the database URL"
            )),
            Some(other) => {
                SinkError::Other(format!("no encrypted connection to the database ({server}): {other}"))
            }
            None => SinkError::Unavailable(format!("cannot connect to the database ({server}): {cause}")),
        },
        Some(None) => SinkError::Other(format!(
            "no connection to the database ({server}) as {user}: {cause}; check user, password and sslmode \
             in the database URL"
        )),
        None => SinkError::Unavailable(format!("cannot connect to the database ({server}): {error}")),
    }
}

/// The error for a statement that failed, if no server has reported one: the connection broke, or the
/// statement cannot be sent.
fn broken(error: &Error, names: &Names) -> SinkError {
    let server = &names.server;
    if error.is_closed() {
        return SinkError::Unavailable(format!("the connection to the database was closed ({server})"));
    }
    match error.source() {
        Some(cause) if !cause.is::<io::Error>() => {
            SinkError::Other(format!("the database cannot be used ({server}): {}", with_cause(error)))
        }
        _ => {
            let text = format!("the connection to the database failed ({server}): {}", with_cause(error));
            SinkError::Unavailable(text)
        }
    }
}

fn cause(error: &Error) -> String {
    error.source().map(|cause| one_line(&cause.to_string())).unwrap_or_default()
}

fn with_cause(error: &Error) -> String {
    match error.source() {
        Some(_) => format!("{error}: {}", cause(error)),
        None => error.to_string(),
    }
}

/// `2 s`, `150 ms`.
pub(super) fn duration(time: Duration) -> String {
    match time.as_millis() {
        millis if millis % 1000 == 0 => format!("{} s", millis / 1000),
        millis => format!("{millis} ms"),
    }
}
