//! The thread that records: it puts together what the requests bring, writes what is due in one batch, and answers the
//! requests once the store has their calls.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use audit_host::{Error, Event, Handle};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::timeout_at;

use super::collate::{Collator, GroupId, Ticket};
use super::export::{Export, Names};
use super::sighting::{Defaults, Sighting};
use crate::call::recent::{Claim, Key, Recent, micros};
use crate::message::warn;

/// How many events a batch has at most.
const BATCH: usize = 1000;

/// After so many bytes of texts, a batch has no more events: in an event, no text is shared.
const BATCH_BYTES: usize = 1 << 20;

/// How many requests are taken at once. What they bring is written together.
const REQUESTS: usize = 256;

/// How often the same trouble is told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Why an export was not recorded.
#[derive(Clone, Debug)]
pub(super) struct NotRecorded(pub(super) String);

/// What requests bring to the thread.
pub(super) enum Message {
    Export(Job),
    /// No call waits any longer, because the program ends.
    Hurry,
}

pub(super) struct Job {
    pub(super) export: Export,
    /// Whoever waits for the answer.
    pub(super) answer: oneshot::Sender<Result<(), NotRecorded>>,
    /// The room that its calls take until they are recorded.
    pub(super) room: OwnedSemaphorePermit,
}

/// What became of all that was received.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) recorded: AtomicU64,
    /// Spans and log records of calls that were recorded before.
    pub(super) known: AtomicU64,
    /// Spans and log records that are of no call.
    pub(super) forgotten: AtomicU64,
    /// Spans of calls without valid identifiers.
    pub(super) rejected: AtomicU64,
}

/// A call that is to be recorded now.
struct Due {
    id: GroupId,
    key: Option<Key>,
}

struct Waiter {
    left: usize,
    answer: oneshot::Sender<Result<(), NotRecorded>>,
    _room: OwnedSemaphorePermit,
}

pub(super) struct Recorder {
    store: Handle,
    collator: Collator,
    defaults: Defaults,
    counts: Arc<Counts>,
    /// What hooks have recorded, and leave them to know what is recorded here.
    recent: Recent,
    waiters: HashMap<Ticket, Waiter>,
    next: Ticket,
    hurries: bool,
    told: Option<Instant>,
}

impl Recorder {
    pub(super) fn new(
        store: Handle,
        wait: Duration,
        names: Names,
        defaults: Defaults,
        counts: Arc<Counts>,
        recent: Recent,
    ) -> Self {
        Self {
            store,
            collator: Collator::new(wait, names),
            defaults,
            counts,
            recent,
            waiters: HashMap::new(),
            next: 0,
            hurries: false,
            told: None,
        }
    }

    /// Records until nobody sends any more.
    pub(super) fn run(mut self, mut messages: mpsc::Receiver<Message>, runtime: &tokio::runtime::Handle) {
        loop {
            let message = match self.collator.next_due() {
                // The timer needs the runtime when it is made.
                Some(due) => runtime.block_on(async { timeout_at(due.into(), messages.recv()).await }),
                None => Ok(runtime.block_on(messages.recv())),
            };
            let is_end = matches!(message, Ok(None));
            let mut ready = Vec::new();
            let first = message.ok().flatten();
            for message in
                first.into_iter().chain(std::iter::from_fn(|| messages.try_recv().ok())).take(REQUESTS)
            {
                match message {
                    Message::Export(job) => ready.extend(self.take(job)),
                    Message::Hurry => self.hurries = true,
                }
            }
            if self.hurries || is_end {
                self.collator.hurry(Instant::now());
            }
            self.write_due(&mut ready);
            self.answer(ready);
            if is_end {
                return;
            }
        }
    }

    /// Takes an export. Returns its ticket if it waits for nothing.
    fn take(&mut self, job: Job) -> Option<Ticket> {
        let Job { export, answer, room } = job;
        let ticket = self.next;
        self.next += 1;
        let has_calls = !export.calls.is_empty();
        let taken = self.collator.take(export, ticket, Instant::now());
        self.counts.known.fetch_add(taken.known, Ordering::Relaxed);
        if !has_calls {
            // Who asked may be gone.
            let _ = answer.send(Ok(()));
            return None;
        }
        self.waiters.insert(ticket, Waiter { left: taken.waits_for, answer, _room: room });
        (taken.waits_for == 0).then_some(ticket)
    }

    /// Writes the calls that are due. The tickets of those that have no more to wait for are added to `ready`.
    fn write_due(&mut self, ready: &mut Vec<Ticket>) {
        let mut due = self.collator.due(Instant::now()).into_iter();
        let mut claimed = HashSet::new();
        loop {
            let (batch, events) = self.claim(&mut due, &mut claimed, ready);
            if batch.is_empty() {
                return;
            }
            let (stored, failed) = match self.write(events) {
                Ok(stored) => (stored, None),
                Err((stored, why)) => (stored, Some(why)),
            };
            for (index, Due { id, key }) in batch.into_iter().enumerate() {
                match &failed {
                    Some(why) if index >= stored => {
                        key.into_iter().for_each(|key| self.recent.release_told(key));
                        self.refuse_call(id, why);
                    }
                    _ => {
                        key.into_iter()
                            .for_each(|key| self.recent.recorded_told(key, micros(SystemTime::now())));
                        self.counts.recorded.fetch_add(1, Ordering::Relaxed);
                        self.settle(id, ready);
                    }
                }
            }
            if let Some(why) = failed {
                due.by_ref().for_each(|(id, _)| self.refuse_call(id, &why));
            }
        }
    }

    fn refuse_call(&mut self, id: GroupId, why: &NotRecorded) {
        let tickets = self.collator.failed(id);
        self.refuse(tickets, why);
    }

    /// A batch of the calls that are due, without those that another program has recorded.
    fn claim(
        &mut self,
        due: &mut impl Iterator<Item = (GroupId, Vec<Sighting>)>,
        claimed: &mut HashSet<Key>,
        ready: &mut Vec<Ticket>,
    ) -> (Vec<Due>, Vec<Event>) {
        let (mut mine, mut events, mut bytes) = (Vec::new(), Vec::new(), 0);
        while mine.len() < BATCH
            && bytes < BATCH_BYTES
            && let Some((id, sightings)) = due.next()
        {
            // Two calls of one export may have the same identifier.
            let key = Sighting::key(&sightings).filter(|key| claimed.insert(*key));
            if key
                .is_some_and(|key| self.recent.claim_told(key, micros(SystemTime::now())) == Claim::Recorded)
            {
                self.counts.known.fetch_add(sightings.len() as u64, Ordering::Relaxed);
                self.settle(id, ready);
            } else {
                bytes += sightings.iter().map(|sighting| sighting.texts.len()).sum::<usize>();
                let call = Sighting::call(sightings, &self.defaults).unwrap_or_default();
                mine.push(Due { id, key });
                events.push(call.into_event(SystemTime::now()).into());
            }
        }
        (mine, events)
    }

    /// Writes the calls, and returns how many. An error also says how many of the first were written all the same.
    fn write(&mut self, events: Vec<Event>) -> Result<usize, (usize, NotRecorded)> {
        let all = events.len();
        match self.store.write_batch(events) {
            Ok(_) => Ok(all),
            Err(Error::Incomplete(batch)) => {
                let stored = usize::try_from(batch.stored).unwrap_or(all).min(all);
                Err((stored, NotRecorded(batch.reason)))
            }
            Err(error) => Err((0, NotRecorded(error.to_string()))),
        }
    }

    /// The call is recorded. The tickets that have waited for it as the last one are ready.
    fn settle(&mut self, id: GroupId, ready: &mut Vec<Ticket>) {
        for ticket in self.collator.recorded(id) {
            if let Some(waiter) = self.waiters.get_mut(&ticket) {
                waiter.left = waiter.left.saturating_sub(1);
                if waiter.left == 0 {
                    ready.push(ticket);
                }
            }
        }
    }

    /// Answers those whose calls the store has taken, once it has them for good: events for a database wait in memory at first.
    fn answer(&mut self, ready: Vec<Ticket>) {
        if ready.is_empty() {
            return;
        }
        match self.store_for_good() {
            Ok(()) => {
                for waiter in ready.into_iter().filter_map(|ticket| self.waiters.remove(&ticket)) {
                    let _ = waiter.answer.send(Ok(()));
                }
            }
            Err(error) => self.refuse(ready, &NotRecorded(error.to_string())),
        }
    }

    fn store_for_good(&self) -> Result<(), Error> {
        if self.store.status()?.counts.pending == 0 {
            return Ok(());
        }
        self.store.flush()?;
        match self.store.status()?.counts.pending {
            0 => Ok(()),
            pending => Err(Error::Unavailable(format!("{pending} events wait to be stored"))),
        }
    }

    fn refuse(&mut self, tickets: Vec<Ticket>, why: &NotRecorded) {
        for waiter in tickets.into_iter().filter_map(|ticket| self.waiters.remove(&ticket)) {
            let _ = waiter.answer.send(Err(why.clone()));
            if self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
                self.told = Some(Instant::now());
                warn(format_args!(
                    "an export was not recorded, and its sender is told to try again: {}",
                    why.0
                ));
            }
        }
    }
}
