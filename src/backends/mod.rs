//! Where events are kept: one trait, one file or folder a backend.

mod jsonl;
mod memory;
mod null;

use crate::error::Error;
use crate::host::Host;
use crate::leaf;
use crate::page::Page;
use crate::query::Query;
use crate::settings::Settings;
use crate::time::Timestamp;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

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

/// Encoded entries on their way into a backend.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    lines: Vec<(Timestamp, Range<usize>)>,
}

impl Batch {
    /// Adds the line that `encode` appends, newline included, of an event of `at`.
    pub fn push<E>(
        &mut self,
        at: Timestamp,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        encode(&mut self.bytes)?;
        self.lines.push((at, start..self.bytes.len()));
        Ok(())
    }

    /// Fills in the hashes; a batch is handed on after this.
    pub fn seal(&mut self) {
        leaf::seal(&mut self.bytes, self.lines.iter().map(|(_, range)| range.clone()));
    }

    /// Adds the lines of another batch.
    pub fn extend(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        let shifted = other.lines.iter().map(|(at, range)| (*at, start + range.start..start + range.end));
        self.lines.extend(shifted);
    }

    /// Forgets the first `count` lines.
    pub fn remove_first(&mut self, count: usize) {
        let mut rest = Self::default();
        for (at, range) in self.lines.drain(..).skip(count) {
            let start = rest.bytes.len();
            rest.bytes.extend_from_slice(&self.bytes[range]);
            rest.lines.push((at, start..rest.bytes.len()));
        }
        *self = rest;
    }

    /// How many bytes the lines have.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the lines, but keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Some of the lines that follow each other, as they are.
    pub fn part(&self, lines: Range<usize>) -> &[u8] {
        match self.lines.get(lines) {
            Some([(_, first), .., (_, last)]) => &self.bytes[first.start..last.end],
            Some([(_, only)]) => &self.bytes[only.clone()],
            _ => &[],
        }
    }

    /// The lines in their order, newlines included, each with its instant.
    pub fn lines(&self) -> impl Iterator<Item = (Timestamp, &[u8])> {
        self.lines.iter().map(|(at, range)| (*at, &self.bytes[range.clone()]))
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
