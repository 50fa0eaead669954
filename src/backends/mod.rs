//! Where events are kept: one trait, one file or folder a backend.

mod batch;
mod jsonl;
mod memory;
mod null;

pub use batch::Batch;

use crate::error::Error;
use crate::host::Host;
use crate::page::Page;
use crate::query::Query;
use crate::settings::Settings;
use alloc::boxed::Box;

/// The backends that are built, by their names in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The newest events, in memory.
    Memory,
    /// Daily files of JSON lines.
    Jsonl,
    /// Nothing.
    Null,
}

impl Kind {
    /// All of them; the tests of the contract run on each.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Jsonl, Self::Null];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Jsonl => "jsonl",
            Self::Null => "null",
        }
    }

    /// The backend of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Sets up the backend that the settings name.
pub fn open<H: Host>(settings: &Settings, host: &H) -> Box<dyn Backend>
where
    H::Folder: 'static,
{
    match settings.backend {
        Kind::Memory => Box::new(memory::Memory::new(settings.memory_limit)),
        Kind::Jsonl => Box::new(jsonl::Jsonl::new(host.folder(&settings.jsonl_dir), settings)),
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
    /// The file cannot be written.
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

    /// How many of the lines that were taken wait in memory.
    fn pending(&self) -> u64 {
        0
    }

    /// The page that `query` asks for.
    fn read(&mut self, query: &Query) -> Result<Page, Error>;
}
