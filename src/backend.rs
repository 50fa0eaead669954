//! The interface of a backend, which stores the lines of entries and reads them.

use crate::accounting::DropReason;
use crate::batch::Batch;
use crate::error::Error;
use crate::settings::Active;
use crate::sink::{End, Sink};
use crate::warnings::Topic;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::query::Query;
use audit_format::time::Timestamp;

/// Why a batch was rejected.
#[derive(Debug)]
pub struct Rejected {
    /// How many of its first lines are stored nevertheless: nothing is taken back from a file that others may append to.
    pub stored: usize,
    /// Why the other lines are counted as dropped, if the caller gets no error, as from `write`.
    pub reason: DropReason,
    /// The error for the caller.
    pub error: Error,
}

/// Stores lines and reads them.
pub trait Backend {
    /// Accepts all lines of the batch, or rejects all but the first of them.
    fn append(&mut self, batch: &Batch) -> Result<(), Rejected>;

    /// Stores the lines that wait in memory. Lines that cannot be stored now stay there.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Stores the lines that wait in memory, as the store is about to be closed: it does not go on to what others have
    /// left behind, as `flush` does, nor wait for a database of which others know that it does not answer.
    fn close(&mut self) -> Result<(), Error> {
        self.flush()
    }

    /// Finds out what `holdings` tells about other instances.
    fn survey(&mut self) {}

    /// Where the accepted lines are.
    fn holdings(&self) -> Holdings {
        Holdings::default()
    }

    /// Ends the backend, and returns what it leaves on disk for the database.
    fn retire(&mut self) -> Option<Leftover> {
        None
    }

    /// What happened since the last call.
    fn notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// Hands the entries of the page that `query` asks for to the sink.
    fn read(&mut self, query: &Query, sink: &mut dyn Sink) -> Result<End, Error>;
}

/// How many of the accepted lines are not in their final place yet, and which backend is in use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holdings {
    /// How many lines wait in memory.
    pub pending: u64,
    /// How many lines wait on disk for the database.
    pub spooled: u64,
    /// How many bytes of other instances' lines wait on disk for the database, as of the last survey.
    pub spooled_by_others: u64,
    /// What is in use, and since when; none: the backend that was opened, since then.
    pub active: Option<(Active, Timestamp)>,
}

/// What a backend leaves on disk for the database when it is replaced.
#[derive(Debug)]
pub struct Leftover {
    /// The path of the spool's folder.
    pub folder: String,
    /// The number of this instance's next spool file: no number is used twice.
    pub next_number: u64,
    /// The spool files, the oldest first.
    pub files: Vec<SpoolFile>,
}

/// A spool file of this instance.
#[derive(Debug)]
pub struct SpoolFile {
    /// The number in its name.
    pub number: u64,
    /// How many of its bytes the database has.
    pub offset: u64,
    /// How many the folder says that the database has; none: it says nothing.
    pub remembered: Option<u64>,
    /// How many lines after `offset` count as this instance's spooled events. Lines that another instance
    /// accepted, or that a failed append left behind, do not.
    pub counted: u64,
    /// The `seq` of the last counted line. The lines before it have the `seq` before it, and so on.
    pub last_seq: u64,
    /// The earliest and the latest instant of the lines that this instance appended.
    pub span: (Timestamp, Timestamp),
}

/// A message of a backend, for stderr and the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub topic: Topic,
    /// What happened.
    pub text: String,
    /// How many accepted lines are lost.
    pub lost: u64,
}
