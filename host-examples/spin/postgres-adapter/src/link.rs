//! A connection to the server, whoever makes it: Spin in a component, a script of answers in tests.

use alloc::string::String;
use alloc::vec::Vec;

use audit_sql::failure::ServerError;

/// A parameter of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter<'p> {
    /// A TEXT.
    Text(&'p str),
    /// A BIGINT.
    Number(i64),
    /// NULL, of any type.
    Null,
}

impl<'p> From<Option<&'p str>> for Parameter<'p> {
    fn from(text: Option<&'p str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A TEXT.
    Text(String),
    /// A BIGINT.
    Number(i64),
    /// A TEXT[], without those of its texts that are NULL.
    Texts(Vec<String>),
    /// NULL.
    Null,
    /// A value of a type that no statement asks for.
    Other,
}

impl Value {
    /// The text; none: it is NULL, or something else.
    pub fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number; none: it is NULL, or something else.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The texts; none where it is NULL, or something else.
    pub fn into_texts(self) -> Vec<String> {
        match self {
            Self::Texts(texts) => texts,
            _ => Vec::new(),
        }
    }
}

/// Why a call of a connection failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no connection.
    NotConnected(String),
    /// The server has reported an error.
    Server(Report),
    /// The statement failed in another way, such as by a connection that broke. It may have been executed.
    Broken(String),
    /// The call cannot be made.
    Unusable(String),
}

impl Fault {
    /// The error of the server; none: it has reported none.
    pub fn server(&self) -> Option<ServerError<'_>> {
        match self {
            Self::Server(report) => Some(report.error()),
            _ => None,
        }
    }
}

/// An error as the server reported it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// `ERROR`, `FATAL` or `PANIC`, in the server's language.
    pub severity: String,
    /// The SQLSTATE.
    pub code: String,
    /// The message.
    pub message: String,
    /// The detail.
    pub detail: Option<String>,
    /// The other fields, by Spin's names for them.
    pub extras: Vec<(String, String)>,
}

impl Report {
    /// The error for `audit-sql`, which knows what it means.
    pub fn error(&self) -> ServerError<'_> {
        ServerError {
            code: &self.code,
            message: &self.message,
            detail: self.detail.as_deref(),
            context: self.extra("where_"),
            column: self.extra("column"),
            constraint: self.extra("constraint"),
            routine: self.extra("routine"),
        }
    }

    /// Whether the server has ended the session. While it shuts down or recovers, it ends each.
    pub fn ends_session(&self) -> bool {
        ["FATAL", "PANIC"].contains(&&*self.severity) || self.code.starts_with("57P")
    }

    fn extra(&self, name: &str) -> Option<&str> {
        self.extras.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A connection to the server.
pub trait Connection {
    /// Runs a statement, and returns its rows.
    ///
    /// # Errors
    /// Why it failed.
    fn query(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Vec<Value>>, Fault>;

    /// Runs a statement, and returns how many rows it has changed.
    ///
    /// # Errors
    /// Why it failed.
    fn execute(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<u64, Fault>;
}

/// What makes connections.
pub trait Driver {
    /// A connection that it makes.
    type Connection: Connection;

    /// A connection to this address, such as one from a pool.
    ///
    /// # Errors
    /// Why there is none.
    fn open(&self, address: &str) -> Result<Self::Connection, Fault>;
}
