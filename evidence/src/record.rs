//! The record that is sealed: what is in it, in the order in which it is sealed, in bounded memory.

mod files;
mod table;

pub use files::Files;
pub(crate) use files::each_line;
pub use table::{Row, RowPage, Rows, Table};

use std::fmt;
use std::io;

use audit_log::tree::Hash;

use crate::error::Error;
use crate::pruned::Pruned;
use crate::segment::{Gap, Place, Segments};

/// Leaves that stand together, or something that has none.
#[derive(Debug)]
pub struct Found<'l> {
    /// Where they are.
    pub place: Place,
    /// Their hashes, in their order.
    pub leaves: &'l [Hash],
    /// Why there are none.
    pub gap: Option<Gap>,
    /// How many lines or rows have none.
    pub without: u64,
}

/// What is sealed already.
pub struct Sealed<'s> {
    /// Where it is.
    pub segments: &'s Segments,
    /// What of it was pruned.
    pub pruned: &'s Pruned,
    /// The leaf with an index, as it was sealed.
    pub leaf: &'s dyn Fn(u64) -> Result<Hash, Error>,
}

/// Takes what is found. Its error ends the search.
pub type Take<'t> = dyn FnMut(Found<'_>) -> Result<(), Error> + 't;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder of daily files.
    Files,
    /// A table.
    Table,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "daily files",
            Self::Table => "a table",
        })
    }
}

/// A record: a folder of daily files, or a table.
pub trait Record {
    /// Which of both it is.
    fn kind(&self) -> Kind;

    /// Hands over what is not sealed yet, in the order in which it is to be sealed, and tells what became of the rest. What
    /// is in trouble is left out: it is neither sealed nor declared.
    ///
    /// # Errors
    /// Where the record cannot be read, or `take` has failed.
    fn unsealed(&mut self, sealed: &Sealed<'_>, take: &mut Take<'_>) -> Result<Vec<Trouble>, Error>;

    /// Hands over what stands in a place now, in its order. It may be less than there was, or more.
    ///
    /// # Errors
    /// Where the record cannot be read, or `take` has failed.
    fn stands(&mut self, place: &Place, take: &mut Take<'_>) -> Result<(), Error>;
}

/// What became of a part of the record.
#[derive(Debug)]
#[non_exhaustive]
pub enum Trouble {
    /// A file that was sealed is gone.
    Gone {
        /// The file.
        file: String,
    },
    /// A file has fewer bytes than were sealed.
    Shorter {
        /// The file.
        file: String,
        /// How many bytes were sealed.
        sealed: u64,
        /// How many it has.
        found: u64,
    },
    /// What was sealed last of a file is not there any more.
    Replaced {
        /// The file.
        file: String,
    },
    /// A file cannot be read.
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The row that was sealed last is gone.
    RowGone {
        /// Its `id`.
        id: i64,
    },
    /// The row that was sealed last is another one.
    RowReplaced {
        /// Its `id`.
        id: i64,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone { file } => write!(f, "{file} was sealed and is gone"),
            Self::Shorter { file, sealed, found } => {
                write!(f, "{file} has {found} bytes, of which {sealed} were sealed: it became shorter")
            }
            Self::Replaced { file } => {
                write!(
                    f,
                    "{file} has another event where its last sealed one was: it was replaced or changed"
                )
            }
            Self::Unreadable { file, source } => write!(f, "{file} cannot be read: {source}"),
            Self::RowGone { id } => write!(f, "the row {id} was sealed and is gone"),
            Self::RowReplaced { id } => {
                write!(f, "the row {id} is another one than was sealed: it was replaced or changed")
            }
        }
    }
}

impl Trouble {
    /// Whether what was sealed is not there any more, as far as is seen.
    pub fn is_of_sealed(&self) -> bool {
        !matches!(self, Self::Unreadable { .. })
    }
}

/// Whether a folder has something of this name.
pub(crate) fn exists(folder: &std::path::Path, name: &str) -> bool {
    folder.join(name).symlink_metadata().is_ok()
}
