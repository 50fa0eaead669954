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
use audit_format::sent;
use audit_format::time::Timestamp;
use memchr::memchr;
use uuid::Uuid;

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
        let (id, chain, seq) = (self.next_id(now), self.chain, self.seq);
        let line = batch.push(|out| encoded(Dated::new_or_now(event, now), id, chain, seq, out));
        mended.note(batch.len(), line);
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
        self.write_all(events.len(), events.into_iter().enumerate(), |event, now, id, chain, seq, out| {
            Ok(encoded(Dated::new(event, now)?, id, chain, seq, out))
        })
    }

    /// Records the events of all JSON lines, or rejects all. Empty lines are skipped.
    ///
    /// # Errors
    /// As [`Store::write_batch`], and if a line is not an event.
    pub fn write_jsonl(&mut self, text: &str) -> Result<Receipt, Error> {
        // They are found twice, because a list of very many short ones would take far more memory than they do.
        let lines = || lines(text).enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
        self.write_all(lines().count(), lines(), sent::encode)
    }

    /// `encode` appends the line of an event, whose index is that in the call.
    fn write_all<E>(
        &mut self,
        count: usize,
        events: impl Iterator<Item = (usize, E)>,
        encode: impl Fn(E, Timestamp, Uuid, Uuid, u64, &mut Vec<u8>) -> Result<(Timestamp, Mended), Invalid>,
    ) -> Result<Receipt, Error> {
        self.received += count as u64;
        let first_seq = self.seq;
        let now = self.host.now();
        let mut batch = core::mem::take(&mut self.scratch);
        let mut mended = MendedEvents::default();
        for (index, event) in events {
            let (id, chain, seq) = (self.next_id(now), self.chain, first_seq + batch.len() as u64);
            match batch.try_push(|out| encode(event, now, id, chain, seq, out)) {
                Ok(line) => mended.note(batch.len(), line),
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

    fn next_id(&mut self, now: Timestamp) -> Uuid {
        self.ids.next(now, || self.host.random())
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

/// Appends the line of an event. Returns when it happened, and what was changed in it.
fn encoded(mut event: Dated<'_>, id: Uuid, chain: Uuid, seq: u64, out: &mut Vec<u8>) -> (Timestamp, Mended) {
    line::encode(&mut event, id, chain, seq, out);
    (event.instant(), event.mended())
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
