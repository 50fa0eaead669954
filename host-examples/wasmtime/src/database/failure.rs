//! Why a statement was not carried out, and how the store is told: later, never, or without some rows.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::bindings::audit::store::postgres::SinkError;
use crate::database::insert;
use crate::database::table::{self, TABLE};

/// Why a statement was not carried out.
#[derive(Debug)]
pub(super) enum Failure {
    /// There was no answer in this time.
    TimedOut(Duration),
    /// The server or the connection said so.
    Postgres(Error),
    /// It is known already what the store is told.
    Told(SinkError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

/// Whom the failure is about, as messages name it.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Host and port, such as `127.0.0.1:5432`.
    pub(super) server: String,
    /// Such as `the user "audit"`.
    pub(super) user: String,
    /// Such as `database "audit"`.
    pub(super) database: String,
}

/// What an error of the server means for the statement.
enum Meaning {
    /// A row is not to the database's liking.
    Refused,
    /// It may be carried out later.
    Unavailable,
    /// It would fail again.
    Other,
}

impl Failure {
    /// Why the database refuses a row of the statement, without the values of the row; none where the failure is
    /// about something else.
    pub(super) fn refusal(&self) -> Option<String> {
        let Self::Postgres(error) = self else { return None };
        let db = error.as_db_error()?;
        matches!(meaning(db), Meaning::Refused).then(|| reason(db))
    }

    /// What the server said, if it would say the same again.
    pub(super) fn lasting(&self) -> Option<String> {
        let Self::Postgres(error) = self else { return None };
        let db = error.as_db_error()?;
        (!matches!(meaning(db), Meaning::Unavailable)).then(|| reason(db))
    }

    /// Whether a prepared statement is not known, is another's, or has a name that is taken.
    pub(super) fn meets_another_session(&self) -> bool {
        let codes = [
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::DUPLICATE_PSTATEMENT,
            SqlState::PROTOCOL_VIOLATION,
        ];
        self.code().is_some_and(|code| codes.contains(code))
    }

    /// Whether the connection is of no use any more, though a new one may be.
    pub(super) fn ends_connection(&self) -> bool {
        let Self::Postgres(error) = self else { return matches!(self, Self::TimedOut(_)) };
        error.as_db_error().is_none_or(|db| {
            let fatal = matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
            // The server only reads now: another has taken over.
            fatal || *db.code() == SqlState::READ_ONLY_SQL_TRANSACTION
        })
    }

    /// Whether the table is not, or no longer, as the statement needs it.
    pub(super) fn lacks_table(&self) -> bool {
        let lacking = [
            SqlState::UNDEFINED_TABLE,
            SqlState::UNDEFINED_COLUMN,
            // No unique index for ON CONFLICT.
            SqlState::INVALID_COLUMN_REFERENCE,
        ];
        self.code().is_some_and(|code| lacking.contains(code))
    }

    /// What the server calls it.
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres(error) => error.code(),
            _ => None,
        }
    }

    /// What the store is told.
    pub(super) fn tell(self, names: &Names) -> SinkError {
        match self {
            Self::Told(error) => error,
            Self::TimedOut(time) => {
                let (time, server) = (duration(time), &names.server);
                SinkError::Unavailable(format!("the database does not answer within {time} ({server})"))
            }
            Self::Postgres(error) => match error.as_db_error() {
                Some(db) => tell_db(db, names),
                None => tell_connection(&error, names),
            },
        }
    }
}

fn meaning(error: &DbError) -> Meaning {
    let code = error.code();
    // A row-level policy refuses a row with the code of a missing privilege. Messages may be in any language.
    if *code == SqlState::INSUFFICIENT_PRIVILEGE && error.routine() == Some("ExecWithCheckOptions") {
        return Meaning::Refused;
    }
    if *code == SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED || unwritten(error).is_some() {
        return Meaning::Other;
    }
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    match (code.code().get(..2).unwrap_or_default(), code.code()) {
        ("22" | "23" | "44" | "54" | "P0", _) => Meaning::Refused,
        (_, "57P04") => Meaning::Other,
        ("08" | "40" | "53" | "57" | "58" | "XX", _) | (_, "25006" | "55P03") => Meaning::Unavailable,
        _ => Meaning::Other,
    }
}

/// The column that may not be NULL, if no row has a value for it. What a trigger stores elsewhere depends on the row.
fn unwritten(error: &DbError) -> Option<&str> {
    let column = error.column().filter(|_| *error.code() == SqlState::NOT_NULL_VIOLATION)?;
    (error.where_().is_none() && !insert::writes(column)).then_some(column)
}

/// The server's message. Its detail may have the values of the row, and is left out but where it names what stands in
/// the way of an upgrade.
fn reason(error: &DbError) -> String {
    let mut text = one_line(error.message());
    if let Some(detail) = error.detail().filter(|_| *error.code() == SqlState::FEATURE_NOT_SUPPORTED) {
        text.push_str(&format!(" ({})", one_line(detail)));
    }
    // Values that cannot be read as something are in the message itself, in quotes.
    if error.code().code().starts_with("22") {
        text = without_quoted(&text);
    }
    for (kind, name) in [("constraint", error.constraint()), ("column", error.column())] {
        if let Some(name) = name.filter(|name| !text.contains(*name)) {
            text.push_str(&format!(" ({kind} {name})"));
        }
    }
    text
}

/// The text without what is between its first and its last quote: a value may have some itself. Those of PostgreSQL's
/// translations count too.
fn without_quoted(text: &str) -> String {
    let is_quote = |sign| matches!(sign, '"' | '«' | '»' | '„' | '“' | '”');
    match (text.split_once(is_quote), text.rsplit_once(is_quote)) {
        (Some((before, rest)), Some((_, after))) if rest.contains(is_quote) => format!("{before}…{after}"),
        _ => text.into(),
    }
}

fn tell_db(error: &DbError, names: &Names) -> SinkError {
    let Names { server, user, database } = names;
    let message = one_line(error.message());
    if let Meaning::Unavailable = meaning(error) {
        return SinkError::Unavailable(format!("the database is not available ({server}): {message}"));
    }
    if let Some(column) = unwritten(error) {
        return SinkError::Other(table::unwritten(column));
    }
    SinkError::Other(match error.code().code() {
        "28P01" => format!(
            "the database refuses {user}: password authentication failed; check user and password in \
             the database URL"
        ),
        code if code.starts_with("28") => format!(
            "the database refuses {user}: {message}; check the database URL, and the server's \
             pg_hba.conf"
        ),
        "3D000" | "57P04" => {
            format!("there is no {database} ({server}); create it, or name another in the database URL")
        }
        "42501" => format!(
            "{user} lacks a privilege: {message}; grant it SELECT and INSERT on {TABLE} and USAGE on its \
             sequence"
        ),
        "2200H" => format!(
            "the table {TABLE} takes no more rows: {message}; let its owner run: ALTER TABLE {TABLE} ALTER COLUMN id \
             TYPE BIGINT, and ALTER SEQUENCE … AS BIGINT NO MAXVALUE for that sequence"
        ),
        code => format!("the database refuses the statement ({server}): {message} (SQLSTATE {code})"),
    })
}

/// An error that no server has sent.
fn tell_connection(error: &Error, names: &Names) -> SinkError {
    let Names { server, user, .. } = names;
    let cause = error.source().map(|cause| one_line(&cause.to_string())).unwrap_or_default();
    if let Some(tls) = tls_error(error) {
        return SinkError::Other(match tls {
            rustls::Error::InvalidCertificate(why) => format!(
                "the database's certificate is not trusted ({server}): {why}; check sslmode and sslrootcert in the \
                 database URL"
            ),
            other => format!("no encrypted connection to the database ({server}): {other}"),
        });
    }
    // The kind of an error is told by its text alone.
    let kind = error.to_string();
    let is = |start: &str| kind.starts_with(start);
    if error.is_closed() {
        SinkError::Unavailable(format!("the connection to the database was closed ({server})"))
    } else if is("error connecting") {
        SinkError::Unavailable(format!("cannot connect to the database ({server}): {cause}"))
    } else if is("error performing TLS") && error.source().is_none_or(|cause| !cause.is::<io::Error>()) {
        SinkError::Other(format!("no encrypted connection to the database ({server}): {cause}"))
    } else if is("authentication error") || is("invalid configuration") {
        SinkError::Other(format!(
            "{user} cannot be authenticated: {cause}; check user and password in the database URL"
        ))
    } else if [
        "error communicating",
        "error performing TLS",
        "unexpected message",
        "error parsing",
        "timeout",
    ]
    .into_iter()
    .any(is)
    {
        SinkError::Unavailable(format!("the connection to the database failed ({server}): {kind}: {cause}"))
    } else {
        SinkError::Other(format!("the database cannot be used ({server}): {kind}: {cause}"))
    }
}

fn tls_error(error: &Error) -> Option<&rustls::Error> {
    let io = error.source()?.downcast_ref::<io::Error>()?;
    io.get_ref()?.downcast_ref::<rustls::Error>()
}

/// `text` without line breaks.
pub(super) fn one_line(text: &str) -> String {
    text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `2 s`, `150 ms`.
pub(super) fn duration(time: Duration) -> String {
    match time.as_millis() {
        millis if millis % 1000 == 0 => format!("{} s", millis / 1000),
        millis => format!("{millis} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_quotes_is_left_out_in_any_language() {
        for (text, expected) in [
            (r#"invalid input syntax for type integer: "a"b""#, "invalid input syntax for type integer: …"),
            ("ungültige Eingabesyntax für Typ integer: »abc«", "ungültige Eingabesyntax für Typ integer: …"),
            ("la valeur « abc » est en dehors des limites", "la valeur … est en dehors des limites"),
            (r#"value "300" is out of range"#, "value … is out of range"),
            ("integer out of range", "integer out of range"),
            (r#"one " alone"#, r#"one " alone"#),
        ] {
            assert_eq!(without_quoted(text), expected);
        }
    }
}
