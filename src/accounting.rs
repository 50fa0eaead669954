//! Counts of what became of the events.

use alloc::format;
use alloc::string::{String, ToString};

/// What became of the events that were handed to the store: the WIT record `counts`. `received` is always the
/// sum of the other counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that were handed to the store.
    pub received: u64,
    /// Events that the backend has stored for good.
    pub stored: u64,
    /// Events that wait on disk for the database.
    pub spooled: u64,
    /// Events that wait in memory.
    pub pending: u64,
    /// Events that the store rejected with an error to its caller.
    pub rejected: u64,
    /// Events that were dropped, by reason.
    pub dropped: Dropped,
}

/// Events that were dropped, by reason: the WIT record `dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Events that could not be taken for what they are; always 0, as no event is such a one.
    pub invalid: u64,
    /// Events for which the queue in memory had no room.
    pub queue_full: u64,
    /// Events that could not be stored: their file could not be written or was removed, the store was closed,
    /// or the database refused them.
    pub unwritable: u64,
}

/// Why an event is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The queue in memory is full.
    QueueFull,
    /// The event cannot be stored: its file cannot be written or was removed, the store is closed, or the
    /// database refused it.
    Unwritable,
}

impl Dropped {
    /// Counts a dropped event.
    pub fn add(&mut self, reason: DropReason) {
        match reason {
            DropReason::QueueFull => self.queue_full += 1,
            DropReason::Unwritable => self.unwritable += 1,
        }
    }
}

/// A number of events for a message: `1 event`, `2 events`.
pub fn events(count: usize) -> String {
    match count {
        1 => "1 event".to_string(),
        _ => format!("{count} events"),
    }
}
