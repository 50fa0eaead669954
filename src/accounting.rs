//! What became of each event, in numbers.

/// What became of the events: the WIT record `counts`. `received` is always the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that were handed to the store.
    pub received: u64,
    /// Events that the backend took for good.
    pub stored: u64,
    /// Events that wait on disk for the database.
    pub spooled: u64,
    /// Events that wait in memory.
    pub pending: u64,
    /// Events that were refused to the caller with an error.
    pub rejected: u64,
    /// Events that did not get into the record.
    pub dropped: Dropped,
}

/// Events that did not get into the record, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// They were invalid.
    pub invalid: u64,
    /// The queue in memory was full.
    pub queue_full: u64,
    /// The file could not be written, the store was closed, or the database refused the row.
    pub unwritable: u64,
}

/// Why events are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The event is invalid.
    Invalid,
    /// The queue in memory is full.
    QueueFull,
    /// The file cannot be written, the store is closed, or the database refused the row.
    Unwritable,
}

impl Dropped {
    /// Counts an event.
    pub fn add(&mut self, reason: DropReason) {
        match reason {
            DropReason::Invalid => self.invalid += 1,
            DropReason::QueueFull => self.queue_full += 1,
            DropReason::Unwritable => self.unwritable += 1,
        }
    }
}
