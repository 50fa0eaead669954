//! Where events are kept: one trait, one file or folder a backend.

#[cfg(feature = "postgres")]
mod auto;
mod batch;
#[cfg(feature = "postgres")]
mod database;
mod jsonl;
mod memory;
mod null;
#[cfg(feature = "postgres")]
mod postgres;
mod scan;

pub use batch::Batch;

use crate::error::Error;
use crate::host::Host;
use crate::page::Page;
use crate::query::Query;
use crate::settings::Settings;
use crate::time::Timestamp;
use crate::warnings::Topic;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use uuid::Uuid;

/// The backends that are built, by their names in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The newest events, in memory.
    Memory,
    /// Daily files of JSON lines.
    Jsonl,
    /// The host's database.
    #[cfg(feature = "postgres")]
    Postgres,
    /// The host's database while it answers, else a spool on disk.
    #[cfg(feature = "postgres")]
    Auto,
    /// Nothing.
    Null,
}

impl Kind {
    /// All of them; the tests of the contract run on each.
    pub const ALL: &[Self] = &[
        Self::Memory,
        Self::Jsonl,
        #[cfg(feature = "postgres")]
        Self::Postgres,
        #[cfg(feature = "postgres")]
        Self::Auto,
        Self::Null,
    ];

    /// The names of those that work without a database.
    pub const WITHOUT_DATABASE: &str = "memory, jsonl, null";

    /// The names of all.
    #[cfg(feature = "postgres")]
    pub const NAMES: &str = "memory, jsonl, postgres, auto, null";
    /// The names of all.
    #[cfg(not(feature = "postgres"))]
    pub const NAMES: &str = Self::WITHOUT_DATABASE;

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Jsonl => "jsonl",
            #[cfg(feature = "postgres")]
            Self::Postgres => "postgres",
            #[cfg(feature = "postgres")]
            Self::Auto => "auto",
            Self::Null => "null",
        }
    }

    /// Whether it works on a database.
    pub fn needs_database(self) -> bool {
        !matches!(self, Self::Memory | Self::Jsonl | Self::Null)
    }

    /// Whether it works on files.
    pub fn has_files(self) -> bool {
        match self {
            Self::Jsonl => true,
            #[cfg(feature = "postgres")]
            Self::Auto => true,
            _ => false,
        }
    }

    /// The backend of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// Sets up the backend that the settings name, for the instance of this chain. It takes on what those before it
/// have left in its folder.
pub fn open<H: Host + 'static>(
    settings: &Settings,
    chain: Uuid,
    left: &mut Vec<Left>,
    host: &Rc<H>,
) -> Box<dyn Backend> {
    #[cfg(not(feature = "postgres"))]
    let _ = (chain, left);
    match settings.backend {
        Kind::Memory => Box::new(memory::Memory::new(settings.memory_limit)),
        Kind::Jsonl => Box::new(jsonl::Jsonl::new(host.folder(&settings.jsonl_dir), settings)),
        #[cfg(feature = "postgres")]
        Kind::Postgres => Box::new(postgres::Postgres::new(Rc::clone(host), settings)),
        #[cfg(feature = "postgres")]
        Kind::Auto => Box::new(auto::Auto::new(Rc::clone(host), chain, settings, left)),
        Kind::Null => Box::new(null::Null),
    }
}

/// A batch was not taken.
#[derive(Debug)]
pub struct Refused {
    /// How many of its first lines are stored all the same: 0, but where files could not be put back.
    pub stored: usize,
    /// Which number counts the others if the caller cannot be told.
    pub reason: Reason,
    /// What to tell a caller.
    pub error: Error,
}

/// Why events are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The event is not as it has to be.
    Invalid,
    /// The queue in memory is full.
    QueueFull,
    /// The file cannot be written, the store is closed, or the database refused the row.
    Unwritable,
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
    fn state(&self) -> State {
        State::default()
    }

    /// What it leaves on disk for the database when it is replaced.
    #[cfg(feature = "postgres")]
    fn leave(&mut self) -> Option<Left> {
        None
    }

    /// What happened since this was last asked.
    fn notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// The page that `query` asks for.
    fn read(&mut self, query: Query) -> Result<Page, Error>;
}

/// Where the lines that a backend took are: in place, unless they are counted here.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::listed;

    #[test]
    fn the_names_are_those_of_the_kinds() {
        let names = |database: bool| {
            let kinds = Kind::ALL.iter().filter(|kind| database || !kind.needs_database());
            listed(&kinds.map(|kind| kind.name()).collect::<Vec<_>>())
        };
        assert_eq!((names(true).as_str(), names(false).as_str()), (Kind::NAMES, Kind::WITHOUT_DATABASE));
    }
}
