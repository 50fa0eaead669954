//! What the store needs from outside, as small traits. The component implements them with WASI, the unit
//! tests in memory.

use alloc::string::String;
use alloc::vec::Vec;
use audit_format::cursor::Key;
use audit_format::line::MAX_LEN;
use audit_format::query::Query;
use audit_format::time::Timestamp;
use memchr::memrchr;

/// The environment that a store runs in.
pub trait Host {
    /// A folder for daily files and spool files.
    type Folder: Folder;

    /// The current time.
    fn now(&self) -> Timestamp;

    /// 128 random bits.
    fn random(&self) -> u128;

    /// Writes a line to stderr.
    fn warn(&self, line: &str);

    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The folder at `path`. It is opened or created when it is first used.
    fn folder(&self, path: &str) -> Self::Folder;

    /// Whether the host has a database for the store. The database is not called for that.
    fn has_database(&self) -> bool;

    /// Inserts rows, each the line of a store with its newline, and returns once they are committed. If the database
    /// refuses some of them, those are returned and the others are stored. Rows that are stored already stay as they
    /// are, so that rows may be sent again.
    fn insert(&self, lines: &str) -> Result<Vec<RefusedRow>, DatabaseError>;

    /// The rows of the page that `query` asks for.
    fn select(&self, query: &Query) -> Result<Rows, DatabaseError>;
}

/// A row that the database refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// Its index in the rows that were to be inserted, from 0.
    pub index: usize,
    /// The database's reason, without the values of the row.
    pub reason: String,
}

/// Why a call to the database failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The host has no database.
    #[error("the host has no database")]
    NotConfigured,
    /// The database does not answer, and has stored none of the rows. The same call may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// The database was sent the rows, and its answer was lost: some or all of them may be stored.
    #[error("{0}")]
    Unanswered(String),
    /// The same call would fail again.
    #[error("{0}")]
    Other(String),
}

/// The rows of a page, in the order of its query.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Each row as a JSON line with its newline: the line of a store, or a line whose `seq` orders it among other rows
    /// of the same `ts`.
    pub lines: String,
    /// The last row's key, from which the next page continues; none: there are no more rows.
    pub next: Option<Key>,
    /// How many rows were skipped because they are not events.
    pub skipped: u64,
}

/// Why a file or folder could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// No file or folder has this name.
    #[error("it does not exist")]
    NotFound,
    /// Any other reason, in words.
    #[error("{0}")]
    Other(String),
}

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Its size, in bytes.
    pub size: u64,
    /// When it was last written to; none where the host cannot tell.
    pub modified: Option<Timestamp>,
}

/// A folder.
pub trait Folder {
    /// A file in the folder.
    type File: File;

    /// The path of the folder, for messages.
    fn path(&self) -> &str;

    /// The names in the folder, in any order, each with whether it is a regular file. A folder that does not
    /// exist is empty.
    fn list(&mut self) -> Result<Vec<(String, bool)>, FileError>;

    /// Opens a regular file for reading. Symbolic links are not followed.
    fn open(&mut self, name: &str) -> Result<Self::File, FileError>;

    /// Whether `name` still refers to `file`, which may have been deleted or renamed since it was opened.
    /// True where the host cannot tell.
    fn holds(&mut self, name: &str, file: &Self::File) -> bool;

    /// Opens a regular file for appending. A file or folder that does not exist is created. Symbolic links are not
    /// followed.
    fn append(&mut self, name: &str) -> Result<Self::File, FileError>;

    /// What is known of a file without opening it.
    fn stat(&mut self, name: &str) -> Result<Stat, FileError>;

    /// Renames a file, which replaces one that has the other name. Open handles of the file stay valid.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError>;

    /// Removes a file. Open handles of the file stay valid.
    fn remove(&mut self, name: &str) -> Result<(), FileError>;

    /// Makes the names of new files survive a crash of the machine.
    fn sync(&mut self) -> Result<(), FileError>;
}

/// The most bytes of whole lines that are appended at once. The more there are, the less each costs; with twice as many it
/// is no more than a tenth less, and other processes wait longer.
pub const MAX_APPEND: usize = 32 << 10;

/// Whole lines in pieces of at most [`MAX_LEN`] bytes, which every host takes at once.
pub fn pieces(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    core::iter::from_fn(move || {
        let most = rest.len().min(MAX_LEN);
        let len = match memrchr(b'\n', &rest[..most]) {
            Some(newline) if most < rest.len() => newline + 1,
            _ => most,
        };
        let (piece, after) = rest.split_at(len);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// An open file.
pub trait File {
    /// Its current size, in bytes.
    fn size(&self) -> Result<u64, FileError>;

    /// A number that another file of the folder does not have, and that the file keeps when it is renamed.
    fn identity(&self) -> Result<u128, FileError>;

    /// At most `len` bytes from `offset`. The host may return fewer, but none only at the end of the file.
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError>;

    /// `len` bytes from `offset`, fewer only at the end of the file.
    fn read_whole(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        let mut bytes = self.read(offset, len)?;
        while bytes.len() < len {
            let more = self.read(offset + bytes.len() as u64, len - bytes.len())?;
            if more.is_empty() {
                break;
            }
            bytes.extend_from_slice(&more);
        }
        Ok(bytes)
    }

    /// Appends at most `line::MAX_LEN` bytes, or whole lines of at most [`MAX_APPEND`] bytes. No bytes of others come
    /// in between, except between the [`pieces`] of more than `line::MAX_LEN` bytes where the host takes no more at
    /// once. After an error some of the bytes may be in the file.
    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError>;

    /// Truncates the file to `size` bytes. Only for a file that nobody else appends to.
    fn truncate(&mut self, size: u64) -> Result<(), FileError>;

    /// Makes the contents survive a crash of the machine.
    fn sync(&mut self) -> Result<(), FileError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_whole_lines_and_as_long_as_they_can_be(
            lens in proptest::collection::vec(1..=MAX_LEN, 0..20),
        ) {
            let lines = lens.iter().map(|len| "x".repeat(len - 1) + "\n").collect::<String>().into_bytes();
            let all: Vec<&[u8]> = pieces(&lines).collect();
            prop_assert_eq!(all.concat(), &*lines);
            for piece in &all {
                prop_assert!(piece.len() <= MAX_LEN && piece.ends_with(b"\n"));
            }
            for pair in all.windows(2) {
                let next = pair[1].iter().position(|byte| *byte == b'\n').unwrap() + 1;
                prop_assert!(pair[0].len() + next > MAX_LEN);
            }
        }
    }
}
