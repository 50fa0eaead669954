//! What became of each event that was handed to a store, over all of its instances.
//!
//! The component counts for itself: each call with `n` events adds `n` to its `received`, also where it refuses
//! them. The host hands an event over more than once when a batch was refused or an instance stopped, so it
//! keeps what has to be taken off:
//!
//! - `withdrawn`: events that this instance counts as received and rejected, but that the host kept, and hands
//!   over again.
//! - When an instance stops, its last known counts are carried over. What was pending in it is taken off
//!   `received` if the host still has it (it will be handed over, and counted, again), else it is lost and
//!   counted as `unwritable`. What it had spooled is on disk, and stored once the next one has drained it.

use std::collections::VecDeque;

use crate::types::{Counts, Event, Status};

/// The counts of a store, and the events that its instance has in memory.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Of the instances that are gone.
    carried: Counts,
    /// Of the instance in use, as last seen.
    current: Counts,
    withdrawn: u64,
    /// Accepted, and possibly still in the memory of the instance; the oldest first.
    unflushed: VecDeque<Sent>,
    /// The `seq` of the next event that the instance accepts.
    next_seq: u64,
}

struct Sent {
    first_seq: u64,
    count: u64,
    /// None: the host has no copy.
    events: Option<Vec<Event>>,
}

/// What a call changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// So many events were accepted.
    pub(crate) taken: u64,
    /// So many events were refused.
    pub(crate) rejected: u64,
}

/// An event that was accepted, or that an instance was busy with, and its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) seq: u64,
    pub(crate) event: Event,
}

impl Ledger {
    /// Takes over the counts of the instance after a call.
    pub(crate) fn observe(&mut self, status: &Status) -> Change {
        let (now, before) = (&status.counts, &self.current);
        let since = |count: fn(&Counts) -> u64| count(now).saturating_sub(count(before));
        let rejected = since(|counts| counts.rejected);
        // Not what the counts of those taken grew by: rows that the database refuses are taken off them.
        let refused = rejected + since(|counts| counts.dropped.invalid + counts.dropped.queue_full);
        let taken = since(|counts| counts.received).saturating_sub(refused);
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

    /// The last `count` events that were accepted; `events` are kept as long as the instance has them in
    /// memory only. To be called after [`Ledger::observe`].
    pub(crate) fn accepted(&mut self, count: u64, events: Option<Vec<Event>>) {
        if self.current.pending > 0 && count > 0 {
            self.unflushed.push_back(Sent { first_seq: self.next_seq.saturating_sub(count), count, events });
        }
    }

    /// So many events that the instance counts as rejected are handed over again.
    pub(crate) fn withdraw(&mut self, count: u64) {
        self.withdrawn += count;
    }

    /// So many events that no instance has counted could not be kept.
    pub(crate) fn lost(&mut self, count: u64) {
        self.carried.received += count;
        self.carried.dropped.unwritable += count;
    }

    /// The spool of the instances that are gone is gone too. Returns how many events were in it.
    pub(crate) fn lose_spool(&mut self) -> u64 {
        let spooled = std::mem::take(&mut self.carried.spooled);
        self.carried.dropped.unwritable += spooled;
        spooled
    }

    /// So many events that no instance has counted turned out to be stored, or spooled.
    pub(crate) fn found(&mut self, stored: u64, spooled: u64) {
        self.carried.received += stored + spooled;
        self.carried.stored += stored;
        self.carried.spooled += spooled;
    }

    /// So many events that no instance has counted were refused to the caller.
    pub(crate) fn refused(&mut self, count: u64) {
        self.carried.received += count;
        self.carried.rejected += count;
    }

    /// The `seq` of the next event that the instance accepts.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The instance is gone. Returns what it had in memory, and is to be handed over again; the second is how
    /// many more it had, which are lost.
    pub(crate) fn fold(&mut self) -> (Vec<Placed>, u64) {
        let pending = self.current.pending;
        let mut again = Vec::new();
        // Of the oldest some may have been flushed: the memory holds the youngest `pending`.
        let mut flushed = self.unflushed_count().saturating_sub(pending);
        for sent in self.unflushed.drain(..) {
            let skipped = flushed.min(sent.count);
            flushed -= skipped;
            let placed = (sent.first_seq..).zip(sent.events.into_iter().flatten());
            again.extend(
                placed
                    .skip(usize::try_from(skipped).unwrap_or(usize::MAX))
                    .map(|(seq, event)| Placed { seq, event }),
            );
        }
        let lost = pending.saturating_sub(again.len() as u64);
        let gone = std::mem::take(&mut self.current);
        let withdrawn = std::mem::take(&mut self.withdrawn);
        self.next_seq = 0;
        self.carried.received += gone.received.saturating_sub(withdrawn + (pending - lost));
        self.carried.stored += gone.stored;
        self.carried.spooled += gone.spooled;
        self.carried.rejected += gone.rejected.saturating_sub(withdrawn);
        self.carried.dropped.invalid += gone.dropped.invalid;
        self.carried.dropped.queue_full += gone.dropped.queue_full;
        self.carried.dropped.unwritable += gone.dropped.unwritable + lost;
        (again, lost)
    }

    /// The counts of the store, without what waits in the host's queue and what that did not let in.
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
        self.unflushed.iter().map(|sent| sent.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Active, Dropped};

    fn status(counts: Counts) -> Status {
        let text = String::new;
        Status {
            backend: Active::Postgres,
            since: text(),
            requested: "auto".into(),
            jsonl_dir: text(),
            durability: text(),
            chain: text(),
            counts,
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
    fn what_was_refused_and_kept_counts_once() {
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
    fn what_an_instance_had_in_memory_is_handed_over_again() {
        let mut ledger = Ledger::default();
        ledger.observe(&status(Counts { received: 4, pending: 4, ..Counts::default() }));
        ledger.accepted(4, Some(events(0..4)));
        // Three of seven are flushed: of the first batch one is still in memory.
        ledger.observe(&status(Counts { received: 7, stored: 3, pending: 4, ..Counts::default() }));
        ledger.accepted(3, Some(events(4..7)));
        let (again, lost) = ledger.fold();
        assert_eq!(lost, 0);
        assert_eq!(again.iter().map(|placed| placed.seq).collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert!(again.iter().all(|placed| placed.event == event(placed.seq)));
        let counts = ledger.counts();
        assert_eq!((counts.received, counts.stored, counts.pending), (3, 3, 0));
        assert!(balanced(&counts));
    }

    #[test]
    fn what_is_flushed_is_not_kept() {
        let mut ledger = Ledger::default();
        ledger.observe(&status(Counts { received: 2, pending: 2, ..Counts::default() }));
        ledger.accepted(2, Some(events(0..2)));
        ledger.observe(&status(Counts { received: 2, stored: 2, ..Counts::default() }));
        assert_eq!(ledger.unflushed_count(), 0);
        ledger.accepted(0, Some(Vec::new()));
        assert_eq!(ledger.fold(), (Vec::new(), 0));
    }

    #[test]
    fn what_nobody_has_a_copy_of_is_lost_and_counted() {
        let mut ledger = Ledger::default();
        ledger.observe(&status(Counts { received: 5, pending: 5, ..Counts::default() }));
        ledger.accepted(5, None);
        assert_eq!(ledger.fold(), (Vec::new(), 5));
        let counts = ledger.counts();
        assert_eq!((counts.received, counts.dropped.unwritable), (5, 5));
        assert!(balanced(&counts));
    }

    #[test]
    fn what_the_database_refuses_later_was_taken_all_the_same() {
        let mut ledger = Ledger::default();
        let change = ledger.observe(&status(Counts { received: 10, pending: 10, ..Counts::default() }));
        assert_eq!(change, Change { taken: 10, rejected: 0 });
        let dropped = Dropped { unwritable: 3, ..Dropped::default() };
        let counts = Counts { received: 15, stored: 7, pending: 5, dropped, ..Counts::default() };
        assert_eq!(ledger.observe(&status(counts)), Change { taken: 5, rejected: 0 });
        assert_eq!(ledger.next_seq(), 15);
    }

    #[test]
    fn what_an_instance_had_spooled_is_stored_once_the_next_has_drained_it() {
        let mut ledger = Ledger::default();
        ledger.observe(&status(Counts { received: 4, spooled: 4, ..Counts::default() }));
        assert_eq!(ledger.fold(), (Vec::new(), 0));
        ledger.observe(&Status { spooled_by_others: 900, ..status(Counts::default()) });
        assert_eq!(ledger.counts().spooled, 4);
        ledger.observe(&status(Counts::default()));
        let counts = ledger.counts();
        assert_eq!((counts.received, counts.stored, counts.spooled), (4, 4, 0));
    }
}
