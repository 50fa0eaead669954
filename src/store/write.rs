//! Writing: events are checked, get their stamps, and go to the backend as a batch.

use super::{CLOSED, Receipt, Store};
use crate::accounting::DropReason;
use crate::backend::Rejected;
use crate::batch::Batch;
use crate::error::Error;
use crate::host::Host;
use crate::warnings::Topic;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use audit_format::Invalid;
use audit_format::event::{Dated, Event};
use audit_format::line;
use audit_format::mended::Mended;
use audit_format::read::{Sent, parse_sent};
use audit_format::time::Timestamp;
use memchr::memchr;

/// How much memory is kept from one batch for the next, in bytes.
const SCRATCH_KEPT: usize = 1 << 20;

/// The most bytes of lines in a batch: the guest's memory is sized for this.
const MAX_BATCH_BYTES: usize = 32 << 20;

impl<H: Host + 'static> Store<H> {
    /// Records one event, whatever it is. Never fails: an event that cannot be kept is dropped and counted, with a
    /// warning.
    pub fn write(&mut self, event: Event<'_>) {
        self.received += 1;
        let now = self.host.now();
        let mut batch = core::mem::take(&mut self.scratch);
        let mut mended = MendedEvents::default();
        self.stamp(Dated::new_or_now(event, now), now, self.seq, &mut batch, &mut mended);
        let failure = self.append(&mut batch, &mended).err();
        self.keep_scratch(batch);
        match failure {
            // Something failed, but the event is in the file.
            Some(rejected) if rejected.stored > 0 => self.warn(Topic::Flush, &rejected.error.to_string()),
            Some(Rejected { reason, error, .. }) => {
                self.dropped.add(reason);
                let what = match reason {
                    DropReason::QueueFull => "an event is dropped",
                    DropReason::Unwritable => "an event cannot be written and is dropped",
                };
                self.warn(Topic::Dropped(reason), &format!("{what}: {error}"));
            }
            None => {}
        }
    }

    /// Records all events, or rejects all; but see [`Error::Incomplete`].
    ///
    /// # Errors
    /// If the `ts` of an event is invalid, the batch is too large, the queue is full, the store is closed, or a file
    /// cannot be written.
    pub fn write_batch(&mut self, events: Vec<Event<'_>>) -> Result<Receipt, Error> {
        let count = events.len();
        let events = events.into_iter().enumerate().map(|(index, event)| (index, Ok(event.into())));
        self.write_all(count, events)
    }

    /// Records the events of all JSON lines, or rejects all. Empty lines are skipped.
    ///
    /// # Errors
    /// As [`Store::write_batch`], and if a line is not an event.
    pub fn write_jsonl(&mut self, text: &str) -> Result<Receipt, Error> {
        // They are found twice, because a list of very many short ones would take far more memory than they do.
        let lines = || lines(text).enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
        self.write_all(lines().count(), lines().map(|(index, line)| (index, parse_sent(line))))
    }

    fn write_all<'e>(
        &mut self,
        count: usize,
        events: impl Iterator<Item = (usize, Result<Sent<'e>, Invalid>)>,
    ) -> Result<Receipt, Error> {
        self.received += count as u64;
        let first_seq = self.seq;
        let now = self.host.now();
        let mut batch = core::mem::take(&mut self.scratch);
        let mut mended = MendedEvents::default();
        for (index, event) in events {
            let seq = first_seq + batch.len() as u64;
            match event.and_then(|event| Dated::new(event, now)) {
                Ok(event) => self.stamp(event, now, seq, &mut batch, &mut mended),
                Err(invalid) => {
                    self.keep_scratch(batch);
                    self.rejected += count as u64;
                    return Err(Error::Invalid { index: index as u64, invalid });
                }
            }
            if batch.size() > MAX_BATCH_BYTES {
                self.rejected += count as u64;
                let most = MAX_BATCH_BYTES >> 20;
                return Err(Error::Other(format!(
                    "the batch has more than {most} MiB of lines; send smaller batches"
                )));
            }
        }
        let result = self.append(&mut batch, &mended);
        self.keep_scratch(batch);
        result.map_err(|rejected| {
            self.rejected += (count - rejected.stored) as u64;
            self.note(&rejected.error.to_string());
            rejected.error
        })?;
        Ok(Receipt { accepted: count as u64, chain: self.chain, first_seq })
    }

    /// Adds the line of an event to the batch.
    fn stamp(
        &mut self,
        mut event: Dated<'_>,
        now: Timestamp,
        seq: u64,
        batch: &mut Batch,
        mended: &mut MendedEvents,
    ) {
        let id = self.ids.next(now, || self.host.random());
        batch.push(event.instant(), |out| line::encode(&mut event, id, self.chain, seq, out));
        mended.note(batch.len(), event.mended());
    }

    fn append(&mut self, batch: &mut Batch, mended: &MendedEvents) -> Result<(), Rejected> {
        let Some(backend) = &mut self.backend else {
            let error = Error::Unavailable(CLOSED.into());
            return Err(Rejected { stored: 0, reason: DropReason::Unwritable, error });
        };
        batch.seal();
        let result = backend.append(batch);
        let stored = result.as_ref().map_or_else(|rejected| rejected.stored, |()| batch.len());
        self.accepted += stored as u64;
        self.seq += stored as u64;
        self.mended += mended.among_first(stored);
        for (change, field) in mended.changes.changes() {
            self.warn(Topic::Mended(change), &change.describe(field));
        }
        self.pass_on_notices();
        self.flush_if_due();
        result
    }

    /// Keeps the memory of a batch for the next one, unless it is much.
    fn keep_scratch(&mut self, mut batch: Batch) {
        if batch.size() <= SCRATCH_KEPT {
            batch.clear();
            self.scratch = batch;
        }
    }
}

/// The events of a batch in which something was changed.
#[derive(Default)]
struct MendedEvents {
    /// How many events of the batch come up to each of them, itself included.
    counts: Vec<usize>,
    /// Of each kind of change, the first.
    changes: Mended,
}

impl MendedEvents {
    /// Notes what was changed in the last of the first `count` events.
    fn note(&mut self, count: usize, mended: Mended) {
        if !mended.is_empty() {
            self.counts.push(count);
            self.changes.add(mended);
        }
    }

    /// How many are among the first `stored` events of the batch.
    fn among_first(&self, stored: usize) -> u64 {
        self.counts.partition_point(|count| *count <= stored) as u64
    }
}

/// The lines of `text`. Only a newline ends a line: to JSON, a carriage return is white space.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let end = memchr(b'\n', text.as_bytes());
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}
