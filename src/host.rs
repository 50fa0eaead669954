//! What the store needs from outside, as small traits: the component gets it from WASI, the unit tests from
//! memory.

use alloc::string::String;
use alloc::vec::Vec;
use audit_format::line::Parsed;
use audit_format::query::Query;
use audit_format::time::Timestamp;

/// The surroundings of a store.
pub trait Host {
    /// The folder of the daily files.
    type Folder: Folder;

    /// The current time.
    fn now(&self) -> Timestamp;

    /// 128 random bits.
    fn random(&self) -> u128;

    /// Shows a line to whoever runs the host.
    fn warn(&self, line: &str);

    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The folder at `path`. Nothing is opened or created before it is used.
    fn folder(&self, path: &str) -> Self::Folder;

    /// Whether the host keeps a database for the store. It is not called for that.
    fn has_database(&self) -> bool;

    /// Stores rows in the database, all of which have their stamp, and returns once they are committed: all but
    /// those that it refuses. Rows that are stored already are left as they are.
    fn insert(&self, rows: Vec<Parsed<'_>>) -> Result<Vec<RefusedRow>, SinkError>;

    /// The rows of a page.
    fn select(&self, query: &Query) -> Result<Rows, SinkError>;
}

/// A row that the database refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// Which of the rows, from 0.
    pub index: usize,
    /// Why, without the values of the row.
    pub reason: String,
}

/// Why the database did nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The host has none.
    #[error("the host has no database")]
    NotConfigured,
    /// It does not answer, or may not have stored the rows.
    #[error("{0}")]
    Unavailable(String),
    /// The same call would fail again.
    #[error("{0}")]
    Other(String),
}

/// Rows that match a query, in its order.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The rows.
    pub rows: Vec<Row>,
    /// The cursor of the last one, if there are more.
    pub next: Option<String>,
    /// How many rows were passed over because they are not events.
    pub skipped: u64,
}

/// A row of the database.
#[derive(Clone, Debug)]
pub struct Row {
    /// The event, with the stamp if this store wrote it.
    pub entry: Parsed<'static>,
    /// Orders the rows of other writers.
    pub position: u64,
}

/// A file or folder could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There is none of this name.
    #[error("it does not exist")]
    NotFound,
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

/// A folder of files.
pub trait Folder {
    /// A file in it.
    type File: File;

    /// Its path, for messages.
    fn path(&self) -> &str;

    /// The names in it, in no order, each with whether it is a regular file. A folder that does not exist is
    /// empty.
    fn list(&mut self) -> Result<Vec<(String, bool)>, FileError>;

    /// Opens a file to read. Links are not followed.
    fn open(&mut self, name: &str) -> Result<Self::File, FileError>;

    /// Whether `name` still leads to `file`: it may have been deleted or renamed since it was opened.
    fn holds(&mut self, name: &str, file: &Self::File) -> bool;

    /// Opens a file to append to; creates it, and the folder, if need be. Links are not followed.
    fn append(&mut self, name: &str) -> Result<Self::File, FileError>;

    /// Gives a file another name, which none has; whoever has it open goes on with it.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError>;

    /// Removes a file; whoever has it open goes on with it.
    fn remove(&mut self, name: &str) -> Result<(), FileError>;

    /// Makes created names survive a crash of the machine.
    fn sync(&mut self) -> Result<(), FileError>;
}

/// An open file.
pub trait File {
    /// Its size now, in bytes.
    fn size(&self) -> Result<u64, FileError>;

    /// When it was last written to; none where the host cannot tell.
    fn modified(&self) -> Option<Timestamp>;

    /// At most `len` bytes from `offset`; fewer where the file ends, or at the host's convenience. Empty only
    /// at the end.
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError>;

    /// Appends at most `line::MAX_LEN` bytes, whole in one place. After an error some of them may be there.
    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError>;

    /// Cuts the file off at `size`.
    fn truncate(&mut self, size: u64) -> Result<(), FileError>;

    /// Makes the contents survive a crash of the machine.
    fn sync(&mut self) -> Result<(), FileError>;
}
