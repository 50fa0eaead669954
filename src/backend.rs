//! What a backend does, whatever it keeps events in.

use crate::accounting::DropReason;
use crate::batch::Batch;
use crate::error::Error;
use crate::sink::{End, Sink};
use crate::warnings::Topic;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::query::Query;
use audit_format::time::Timestamp;

/// A batch was not taken.
#[derive(Debug)]
pub struct Refused {
    /// How many of its first lines are stored all the same: 0, but where files could not be put back.
    pub stored: usize,
    /// Which number counts the others if the caller cannot be told.
    pub reason: DropReason,
    /// What to tell a caller.
    pub error: Error,
}

/// Keeps lines and gives them back.
pub trait Backend {
    /// Takes all lines of the batch, or none.
    fn append(&mut self, batch: &Batch) -> Result<(), Refused>;

    /// Hands on what waits in memory. What cannot be handed on stays there.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Where the lines that were taken are.
    fn holdings(&self) -> Holdings {
        Holdings::default()
    }

    /// What it leaves on disk for the database when it is replaced.
    fn leave(&mut self) -> Option<Left> {
        None
    }

    /// What happened since this was last asked.
    fn notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// Hands the page that `query` asks for to the sink.
    fn read(&mut self, query: &Query, sink: &mut dyn Sink) -> Result<End, Error>;
}

/// Where the lines that a backend took are: in place, unless they are counted here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holdings {
    /// How many wait in memory.
    pub pending: u64,
    /// How many wait on disk for the database.
    pub spooled: u64,
    /// How many bytes of other instances wait there.
    pub spooled_by_others: u64,
    /// What is in use, and since when, where the backend has a choice.
    pub active: Option<(&'static str, Timestamp)>,
}

/// What a backend has left on disk for the database.
#[derive(Debug)]
pub struct Left {
    /// Where.
    pub folder: String,
    /// The number of its next file: none is given twice.
    pub next: u64,
    /// The files, the oldest first.
    pub files: Vec<SpoolFile>,
}

/// A file of this instance's spool.
#[derive(Debug)]
pub struct SpoolFile {
    /// The number in its name.
    pub number: u64,
    /// Up to where the database has it, in bytes.
    pub offset: u64,
    /// How many of this instance's lines behind that count.
    pub lines: u64,
    /// The `seq` of the last line; those before it count down from there.
    pub last_seq: u64,
    /// The earliest and the latest instant of its lines.
    pub span: (Timestamp, Timestamp),
}

/// Something to tell about a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub topic: Topic,
    /// What happened.
    pub text: String,
    /// How many lines that were taken are lost by it.
    pub lost: u64,
}
