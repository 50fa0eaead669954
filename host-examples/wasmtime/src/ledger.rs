//! The counts of a store over all of its instances: each event is counted once.
//!
//! An instance of the component counts for itself. Each call with `n` events adds `n` to its `received`, even
//! if the component rejects them. The host may pass the same event to the component more than once, because a
//! batch was rejected or an instance stopped. The ledger corrects the counts for that:
//!
//! - Events that an instance has counted as received and rejected, but that the host kept and passes on
//!   again, are `withdrawn`: they are subtracted from both counts.
//! - When an instance stops, its last known counts are carried over. Events that were pending in it are
//!   subtracted from `received` if the host still has them, because they will be written and counted once
//!   more. The others are lost and counted as `unwritable`. Events that the instance had spooled are on disk;
//!   they count as stored once the next instance has drained them.

use std::collections::VecDeque;

use crate::types::{Counts, Event, Status};

/// The counts of a store, and copies of the events that only the memory of its instance has.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The sum over the instances that have ended.
    carried: Counts,
    /// How many events the ended instances have changed.
    carried_mended: u64,
    /// The last known counts of the instance in use.
    current: Counts,
    current_mended: u64,
    /// Events that the instance in use counts as rejected, and that are passed on again.
    withdrawn: u64,
    /// The accepted batches that the instance may still have in memory, the oldest first.
    unflushed: VecDeque<AcceptedBatch>,
    /// The `seq` that the next accepted event gets.
    next_seq: u64,
}

struct AcceptedBatch {
    first_seq: u64,
    count: u64,
    /// `None` if the host has no copy of the events.
    events: Option<Vec<Event>>,
}

/// How a call changed the counts of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// How many events the component accepted.
    pub(crate) taken: u64,
    /// How many events the component rejected with an error.
    pub(crate) rejected: u64,
}

/// An event with its place in the chain of an instance, which accepted it or stopped while it wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) seq: u64,
    pub(crate) event: Event,
}

impl Ledger {
    /// Takes over the counts of the instance after a call, and returns what the call changed.
    pub(crate) fn observe(&mut self, status: &Status) -> Change {
        self.current_mended = status.mended;
        let (now, before) = (&status.counts, &self.current);
        let since = |count: fn(&Counts) -> u64| count(now).saturating_sub(count(before));
        let rejected = since(|counts| counts.rejected);
        // Taken events cannot be counted by the growth of `stored`, `spooled` and `pending`: these also
        // shrink, by each row that the database refuses.
        let not_taken = rejected + since(|counts| counts.dropped.invalid + counts.dropped.queue_full);
        let taken = since(|counts| counts.received).saturating_sub(not_taken);
        // Nothing of others is left in the spool: this instance has drained what its predecessors had
        // spooled.
        if status.has_spool() && status.spooled_by_others == 0 {
            self.carried.stored += std::mem::take(&mut self.carried.spooled);
        }
        self.current = *now;
        self.next_seq += taken;
        let mut kept = self.unflushed_count();
        while let Some(oldest) = self.unflushed.pop_front_if(|oldest| kept - oldest.count >= now.pending) {
            kept -= oldest.count;
        }
        Change { taken, rejected }
    }

    /// Keeps `events`, copies of the last `count` events that were accepted, for as long as only the
    /// instance's memory has them. To be called after [`Ledger::observe`].
    pub(crate) fn accepted(&mut self, count: u64, events: Option<Vec<Event>>) {
        if self.current.pending > 0 && count > 0 {
            let first_seq = self.next_seq.saturating_sub(count);
            self.unflushed.push_back(AcceptedBatch { first_seq, count, events });
        }
    }

    /// Withdraws `count` events that the instance has counted as rejected and that are passed on again.
    pub(crate) fn withdraw(&mut self, count: u64) {
        self.withdrawn += count;
    }

    /// Counts `count` events as lost. No instance has counted them.
    pub(crate) fn lost(&mut self, count: u64) {
        self.carried.received += count;
        self.carried.dropped.unwritable += count;
    }

    /// Counts `count` events that stopped the component. No instance has counted them.
    pub(crate) fn invalid(&mut self, count: u64) {
        self.carried.received += count;
        self.carried.dropped.invalid += count;
    }

    /// How many of the events that were taken differ from what was sent. An event that is written again to another
    /// instance may count twice.
    pub(crate) fn mended(&self) -> u64 {
        self.carried_mended + self.current_mended
    }

    /// Counts the events in the spool of ended instances as lost, and returns how many there were.
    pub(crate) fn lose_spool(&mut self) -> u64 {
        let spooled = std::mem::take(&mut self.carried.spooled);
        self.carried.dropped.unwritable += spooled;
        spooled
    }

    /// Counts events that a stopped instance turned out to have stored or spooled. No instance has counted
    /// them.
    pub(crate) fn found(&mut self, stored: u64, spooled: u64) {
        self.carried.received += stored + spooled;
        self.carried.stored += stored;
        self.carried.spooled += spooled;
    }

    /// Counts `count` events as rejected. No instance has counted them.
    pub(crate) fn rejected(&mut self, count: u64) {
        self.carried.received += count;
        self.carried.rejected += count;
    }

    /// The `seq` that the next accepted event gets.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Carries over the counts of the instance, which has ended. Returns the events that were in its memory
    /// and have to be written again, and how many others were in its memory, which are lost.
    pub(crate) fn carry_over(&mut self) -> (Vec<Placed>, u64) {
        let pending = self.current.pending;
        let mut unwritten = Vec::new();
        // The memory has the newest `pending` events. Older ones that are still kept here were flushed.
        let mut flushed = self.unflushed_count().saturating_sub(pending);
        for batch in self.unflushed.drain(..) {
            let skipped = flushed.min(batch.count);
            flushed -= skipped;
            let placed = (batch.first_seq..).zip(batch.events.into_iter().flatten());
            unwritten.extend(
                placed
                    .skip(usize::try_from(skipped).unwrap_or(usize::MAX))
                    .map(|(seq, event)| Placed { seq, event }),
            );
        }
        let lost = pending.saturating_sub(unwritten.len() as u64);
        let gone = std::mem::take(&mut self.current);
        self.carried_mended += std::mem::take(&mut self.current_mended);
        let withdrawn = std::mem::take(&mut self.withdrawn);
        self.next_seq = 0;
        self.carried.received += gone.received.saturating_sub(withdrawn + (pending - lost));
        self.carried.stored += gone.stored;
        self.carried.spooled += gone.spooled;
        self.carried.rejected += gone.rejected.saturating_sub(withdrawn);
        self.carried.dropped.invalid += gone.dropped.invalid;
        self.carried.dropped.queue_full += gone.dropped.queue_full;
        self.carried.dropped.unwritable += gone.dropped.unwritable + lost;
        (unwritten, lost)
    }

    /// The counts of the store, without the events that wait in the host's queue or were not queued.
    pub(crate) fn counts(&self) -> Counts {
        let (carried, current) = (&self.carried, &self.current);
        let mut counts = *current;
        counts.received = (counts.received + carried.received).saturating_sub(self.withdrawn);
        counts.stored += carried.stored;
        counts.spooled += carried.spooled;
        counts.rejected = (counts.rejected + carried.rejected).saturating_sub(self.withdrawn);
        counts.dropped.invalid += carried.dropped.invalid;
        counts.dropped.queue_full += carried.dropped.queue_full;
        counts.dropped.unwritable += carried.dropped.unwritable;
        counts
    }

    fn unflushed_count(&self) -> u64 {
        self.unflushed.iter().map(|batch| batch.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Active, Dropped, Durability};

    fn status(counts: Counts) -> Status {
        let text = String::new;
        Status {
            backend: Active::Postgres,
            since: text(),
            requested: "auto".into(),
            jsonl_dir: text(),
            durability: Durability::Written,
            chain: text(),
            counts,
            mended: 0,
            spooled_by_others: 0,
            last_error: None,
            warnings: Vec::new(),
            restarts: 0,
        }
    }

    fn event(tool: u64) -> Event {
        Event { tool: tool.to_string(), ..Event::default() }
    }

    fn events(tools: std::ops::Range<u64>) -> Vec<Event> {
        tools.map(event).collect()
    }

    fn balanced(counts: &Counts) -> bool {
        let Dropped { invalid, queue_full, unwritable } = counts.dropped;
        let taken = counts.stored + counts.spooled + counts.pending;
        counts.received == taken + counts.rejected + invalid + queue_full + unwritable
    }

    #[test]
    fn events_that_are_rejected_and_passed_on_again_count_once() {
        let mut ledger = Ledger::default();
        let change = ledger.observe(&status(Counts { received: 10, rejected: 10, ..Counts::default() }));
        assert_eq!(change, Change { taken: 0, rejected: 10 });
        ledger.withdraw(change.rejected);
        assert_eq!(ledger.counts(), Counts::default());

        ledger.observe(&status(Counts { received: 20, stored: 10, rejected: 10, ..Counts::default() }));
        let counts = ledger.counts();
        assert_eq!((counts.received, counts.stored, counts.rejected), (10, 10, 0));
        assert!(balanced(&counts));
    }

    #[test]
    fn events_in_the_memory_of_an_ended_instance_are_returned() {
        let mut ledger = Ledger::default();
        ledger.observe(&status(Counts { received: 4, pending: 4, ..Counts::default() }));
        ledger.accepted(4, Some(events(0..4)));
        // Three of seven are flushed, so one event of the first batch is still in memory.
        ledger.observe(&status(Counts { received: 7, stored: 3, pending: 4, ..Counts::default() }));
        ledger.accepted(3, Some(events(4..7)));
        let (unwritten, lost) = ledger.carry_over();
        assert_eq!(lost, 0);
        assert_eq!(unwritten.iter().map(|placed| placed.seq).collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert!(unwritten.iter().all(|placed| placed.event == event(placed.seq)));
        let counts = ledger.counts();
        assert_eq!((counts.received, counts.stored, counts.pending), (3, 3, 0));
        assert!(balanced(&counts));
    }

    #[test]
    fn events_that_are_flushed_are_not_kept() {
        let mut ledger = Ledger::default();
        ledger.observe(&status(Counts { received: 2, pending: 2, ..Counts::default() }));
        ledger.accepted(2, Some(events(0..2)));
        ledger.observe(&status(Counts { received: 2, stored: 2, ..Counts::default() }));
        assert_eq!(ledger.unflushed_count(), 0);
        ledger.accepted(0, Some(Vec::new()));
        assert_eq!(ledger.carry_over(), (Vec::new(), 0));
    }

    #[test]
    fn events_without_a_copy_are_lost_and_counted() {
        let mut ledger = Ledger::default();
        ledger.observe(&status(Counts { received: 5, pending: 5, ..Counts::default() }));
        ledger.accepted(5, None);
        assert_eq!(ledger.carry_over(), (Vec::new(), 5));
        let counts = ledger.counts();
        assert_eq!((counts.received, counts.dropped.unwritable), (5, 5));
        assert!(balanced(&counts));
    }

    #[test]
    fn events_that_the_database_refuses_later_count_as_taken() {
        let mut ledger = Ledger::default();
        let change = ledger.observe(&status(Counts { received: 10, pending: 10, ..Counts::default() }));
        assert_eq!(change, Change { taken: 10, rejected: 0 });
        let dropped = Dropped { unwritable: 3, ..Dropped::default() };
        let counts = Counts { received: 15, stored: 7, pending: 5, dropped, ..Counts::default() };
        assert_eq!(ledger.observe(&status(counts)), Change { taken: 5, rejected: 0 });
        assert_eq!(ledger.next_seq(), 15);
    }

    #[test]
    fn spooled_events_of_an_ended_instance_count_as_stored_once_they_are_drained() {
        let mut ledger = Ledger::default();
        ledger.observe(&status(Counts { received: 4, spooled: 4, ..Counts::default() }));
        assert_eq!(ledger.carry_over(), (Vec::new(), 0));
        ledger.observe(&Status { spooled_by_others: 900, ..status(Counts::default()) });
        assert_eq!(ledger.counts().spooled, 4);
        ledger.observe(&status(Counts::default()));
        let counts = ledger.counts();
        assert_eq!((counts.received, counts.stored, counts.spooled), (4, 4, 0));
    }
}
