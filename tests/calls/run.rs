//! A caller of the store, who remembers what became of each event, and checks that the record and the counts say the same.

use std::collections::{BTreeMap, BTreeSet};

use audit_fixtures::assert_leaf_hash;
use audit_format::event::Event;
use audit_format::line::Parsed;
use audit_format::names;
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;

use crate::host::{
    Answer, Backend, Counts, Durability, Error, Failed, Guest, Loss, Order, PageRequest, Settings, World,
};

/// When the tests begin.
pub const START: &str = "2026-11-23T23:59:50Z";

/// A day, in seconds.
pub const DAY: i64 = 86_400;

/// What the caller knows of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The store has it for good.
    Kept,
    /// The store has it in memory.
    Pending,
    /// The store has refused it.
    Refused,
    /// `write` could not keep it, and has counted it.
    Dropped,
    /// The instance ended before it said so.
    Unknown,
}

/// The instance has ended in the middle of a call.
pub struct Stopped;

/// A caller, and its instance.
pub struct Run {
    pub world: World,
    settings: Settings,
    guest: Option<Guest>,
    /// What became of each event. Its number is its `req_id`.
    pub fates: Vec<Fate>,
    /// Of which of them the instance was told, in their order.
    told: Vec<usize>,
    /// Why calls have failed.
    pub errors: Vec<Error>,
}

impl Run {
    pub fn new(world: World, settings: Settings) -> Self {
        Self { world, settings, guest: None, fates: Vec::new(), told: Vec::new(), errors: Vec::new() }
    }

    /// Starts an instance, in the place of the one before.
    pub fn open(&mut self) -> Result<(), Stopped> {
        self.end();
        let started = Guest::start(&self.world, &self.settings);
        self.guest = self.answered(started)?;
        Ok(())
    }

    /// Ends the instance, as if its process were killed.
    pub fn end(&mut self) {
        self.guest = None;
        self.told.clear();
        for fate in self.fates.iter_mut().filter(|fate| **fate == Fate::Pending) {
            *fate = Fate::Unknown;
        }
    }

    pub fn pass(&self, seconds: i64) {
        self.world.lock().micros += seconds * 1_000_000;
    }

    pub fn set_down(&self, down: bool) {
        self.world.lock().table.down = down;
    }

    /// Writes a batch of new events, each so many seconds after the current time.
    pub fn batch(&mut self, seconds: &[i64]) -> Result<(), Stopped> {
        let numbers: Vec<usize> = (self.fates.len()..).take(seconds.len()).collect();
        self.fates.extend(seconds.iter().map(|_| Fate::Unknown));
        self.send(&numbers, seconds)
    }

    /// Writes events.
    fn send(&mut self, numbers: &[usize], seconds: &[i64]) -> Result<(), Stopped> {
        let now = self.world.now();
        let events =
            numbers.iter().zip(seconds).map(|(n, seconds)| self::event(*n, now + seconds * 1_000_000));
        let events: Vec<_> = events.collect();
        let Some(guest) = &mut self.guest else { return Ok(()) };
        self.told.extend(numbers);
        let kept = match guest.write_batch(&events) {
            Ok(()) => events.len(),
            Err(Failed::Error(error)) => {
                let kept = if let Error::Incomplete(batch) = &error { batch.stored as usize } else { 0 };
                self.errors.push(error);
                kept
            }
            Err(Failed::Stopped) => return Err(self.stop(numbers)),
        };
        for (place, number) in numbers.iter().enumerate() {
            self.fates[*number] = if place < kept { Fate::Kept } else { Fate::Refused };
        }
        self.observe();
        Ok(())
    }

    /// Writes one new event, by the call that never fails.
    pub fn write(&mut self) -> Result<(), Stopped> {
        let number = self.fates.len();
        let event = event(number, self.world.now());
        self.fates.push(Fate::Unknown);
        let dropped = self.counts().map_or(0, |counts| counts.dropped.unwritable);
        let Some(guest) = &mut self.guest else { return Ok(()) };
        self.told.push(number);
        if let Err(Failed::Stopped) = guest.write(&event) {
            return Err(self.stop(&[number]));
        }
        let is_dropped = self.counts().is_some_and(|counts| counts.dropped.unwritable > dropped);
        self.fates[number] = if is_dropped { Fate::Dropped } else { Fate::Kept };
        self.observe();
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), Stopped> {
        let answer = self.guest.as_mut().map(Guest::flush);
        self.answered(answer.unwrap_or(Ok(())))?;
        self.observe();
        Ok(())
    }

    pub fn close(&mut self) -> Result<(), Stopped> {
        let answer = self.guest.as_mut().map(Guest::close);
        let closed = self.answered(answer.unwrap_or(Ok(())))?;
        self.observe();
        if closed.is_some() {
            self.end();
        }
        Ok(())
    }

    /// Reads everything, in pages of so many entries, and checks what is read.
    pub fn read(&mut self, limit: u32) -> Result<(), Stopped> {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let Some(guest) = &mut self.guest else { return Ok(()) };
            let pages = pages(guest, order, limit);
            if let Some((entries, skipped)) = self.answered(pages)? {
                let found = numbers(&entries);
                let known = (0..self.fates.len()).filter(|n| self.is_readable(*n) && !found.contains(n));
                let missing: Vec<usize> = known.collect();
                let is_told = skipped > 0 && self.world.is_impaired();
                assert!(missing.is_empty() || is_told, "{missing:?} are not read, and nothing is skipped");
            }
        }
        Ok(())
    }

    /// Whether the instance has to give this event to a reader.
    fn is_readable(&self, number: usize) -> bool {
        matches!(self.fates[number], Fate::Kept | Fate::Pending)
    }

    /// The value of an answer. An error is kept.
    fn answered<T>(&mut self, answer: Answer<T>) -> Result<Option<T>, Stopped> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(Failed::Error(error)) => {
                self.errors.push(error);
                Ok(None)
            }
            Err(Failed::Stopped) => Err(self.stop(&[])),
        }
    }

    /// Ends the instance, which was given these events last.
    fn stop(&mut self, numbers: &[usize]) -> Stopped {
        for number in numbers {
            self.fates[*number] = Fate::Unknown;
        }
        self.end();
        Stopped
    }

    /// The counts of the instance.
    fn counts(&mut self) -> Option<Counts> {
        let guest = self.guest.as_mut()?;
        let status = self.world.without_faults(|| guest.status());
        Some(status.expect("a status is always given").counts)
    }

    /// Checks the counts, and learns from them which events are in memory alone.
    fn observe(&mut self) {
        let Some(counts) = self.counts() else { return };
        let Counts { received, stored, spooled, pending, rejected, dropped } = counts;
        let lost = dropped.invalid + dropped.queue_full + dropped.unwritable;
        assert_eq!(received, stored + spooled + pending + rejected + lost, "{counts:?}");
        assert_eq!(received, self.told.len() as u64, "{counts:?}");
        let with = |fate| self.told.iter().filter(|n| self.fates[**n] == fate).count() as u64;
        assert_eq!(rejected, with(Fate::Refused), "{counts:?}");
        assert_eq!(lost, with(Fate::Dropped), "{counts:?}");
        let accepted: Vec<usize> = self.told.iter().copied().filter(|n| self.is_readable(*n)).collect();
        for (place, number) in accepted.iter().enumerate() {
            let is_pending = place as u64 + pending >= accepted.len() as u64;
            self.fates[*number] = if is_pending { Fate::Pending } else { Fate::Kept };
        }
    }

    /// After the faults are over: hands everything over again that is not stored, and checks that each event is in the
    /// record once. `loss` is what a crash of the machine has taken.
    pub fn settle(&mut self, loss: Option<Loss>) {
        if let Some(loss) = loss {
            self.end();
            if self.settings.durability != Durability::Synced {
                self.fates
                    .iter_mut()
                    .filter(|fate| **fate == Fate::Kept)
                    .for_each(|fate| *fate = Fate::Unknown);
            }
            self.world.lock().disk.crash(loss);
        }
        self.world.lock().disk.assert_same();
        self.set_down(false);
        let errors = self.errors.len();
        let settled = self.settle_instance();
        assert!(settled.is_ok() && self.errors.len() == errors, "{:?}", self.errors.last());
        self.assert_counts_are_true();
        self.send_again();
        self.world.lock().disk.assert_same();
        self.assert_complete(loss);
    }

    /// Has the instance, or a new one, store all that it has and all that others have left.
    fn settle_instance(&mut self) -> Result<(), Stopped> {
        if self.guest.is_none() {
            self.open()?;
        }
        for _ in 0..3 {
            self.flush()?;
            self.pass(61);
        }
        Ok(())
    }

    /// Checks that the living instance counts as stored what it has stored, and nothing else.
    fn assert_counts_are_true(&mut self) {
        let Some(guest) = &mut self.guest else { return };
        let status = guest.status().expect("a status is always given");
        assert_eq!((status.counts.pending, status.counts.spooled), (0, 0), "{:?}", status.counts);
        let (entries, _) = everything(&self.world, &self.settings);
        let own = entries.iter().filter(|entry| {
            entry.stamp.as_ref().is_some_and(|stamp| stamp.chain.to_string() == status.chain)
        });
        assert_eq!(own.count() as u64, status.counts.stored, "{:?}", status.counts);
    }

    /// Hands over again what is not stored, as a caller does that has kept it.
    fn send_again(&mut self) {
        let found = numbers(&everything(&self.world, &self.settings).0);
        for (number, fate) in self.fates.iter().enumerate() {
            match fate {
                Fate::Kept => assert!(found.contains(&number), "{number} was acknowledged, and is lost"),
                Fate::Refused | Fate::Dropped => {
                    assert!(
                        !found.contains(&number),
                        "{number} is stored, and its caller was told that it is not"
                    );
                }
                Fate::Unknown => {}
                Fate::Pending => panic!("{number} is still in memory"),
            }
        }
        let missing: Vec<usize> = (0..self.fates.len()).filter(|number| !found.contains(number)).collect();
        let errors = self.errors.len();
        let sent = self.open().and_then(|()| self.send(&missing, &vec![0; missing.len()]));
        let sent = sent.and_then(|()| self.settle_instance());
        assert!(sent.is_ok() && self.errors.len() == errors, "{:?}", self.errors.last());
    }

    /// Checks that the record has each event once, each with its hash, and each chain without a gap.
    fn assert_complete(&self, loss: Option<Loss>) {
        let (entries, lines) = everything(&self.world, &self.settings);
        let found = numbers(&entries);
        let missing: Vec<usize> = (0..self.fates.len()).filter(|number| !found.contains(number)).collect();
        assert_eq!(missing, [0; 0], "these are lost");
        for line in &lines {
            assert_leaf_hash(line);
        }
        let mut chains: BTreeMap<_, BTreeSet<u64>> = BTreeMap::new();
        for stamp in entries.iter().filter_map(|entry| entry.stamp.as_ref()) {
            let is_new = chains.entry(stamp.chain).or_default().insert(stamp.seq);
            assert!(is_new, "the chain {} has {} twice", stamp.chain, stamp.seq);
        }
        if self.settings.durability == Durability::Synced || loss.is_none() {
            for (chain, seqs) in chains {
                assert!(
                    seqs.iter().copied().eq(0..seqs.len() as u64),
                    "the chain {chain} has gaps: {seqs:?}"
                );
            }
        }
        let shared = self.world.lock();
        let spools: Vec<String> =
            shared.disk.names().into_iter().filter(|name| names::spool_of(name).is_some()).collect();
        assert_eq!(spools, [""; 0], "these are not drained");
        let rows = shared.table.rows.len();
        assert!(matches!(self.settings.backend, Backend::Jsonl) || rows == entries.len(), "{rows} rows");
    }
}

/// An event of a test.
pub fn event(number: usize, micros: i64) -> Event<'static> {
    Event {
        ts: Timestamp::clamped(micros).to_string().into(),
        req_id: number.to_string().into(),
        tool: "search".into(),
        // Two lines fill more than one append.
        input_hash: "0".repeat(1_500).into(),
        ..Event::default()
    }
}

/// All entries, and how many lines the first page has skipped.
pub fn pages(guest: &mut Guest, order: Order, limit: u32) -> Answer<(Vec<Parsed<'static>>, u64)> {
    let (lines, skipped) = lines(guest, order, limit)?;
    Ok((lines.iter().map(|line| parse(line)).collect(), skipped))
}

/// The lines of all pages.
fn lines(guest: &mut Guest, order: Order, limit: u32) -> Answer<(Vec<String>, u64)> {
    let mut request = PageRequest { order, limit, cursor: None };
    let (mut lines, mut skipped, mut count) = (Vec::new(), 0, 0);
    loop {
        let page = guest.read(&request)?;
        skipped += page.skipped;
        count += 1;
        assert!(count < 1_000, "the pages do not end");
        lines.extend(page.lines.lines().map(String::from));
        request.cursor = page.next;
        if request.cursor.is_none() {
            return Ok((lines, skipped));
        }
    }
}

fn parse(line: &str) -> Parsed<'static> {
    parse_stored(line).expect("a page has entries").into_owned()
}

/// All that a new instance reads, which is the same in both orders.
fn everything(world: &World, settings: &Settings) -> (Vec<Parsed<'static>>, Vec<String>) {
    let mut guest = Guest::start(world, settings).expect("it starts");
    let (oldest, _) = lines(&mut guest, Order::OldestFirst, 0).expect("a read succeeds");
    let (mut newest, _) = lines(&mut guest, Order::NewestFirst, 3).expect("a read succeeds");
    newest.reverse();
    let keys = |lines: &[String]| {
        lines.iter().map(|line| parse(line)).map(|entry| entry.event.req_id).collect::<Vec<_>>()
    };
    assert!(oldest == newest, "the two orders differ: {:?} and {:?}", keys(&oldest), keys(&newest));
    (oldest.iter().map(|line| parse(line)).collect(), oldest)
}

/// The numbers of the events, after checking that none is there twice.
pub fn numbers(entries: &[Parsed<'_>]) -> BTreeSet<usize> {
    let all: Vec<usize> =
        entries.iter().map(|entry| entry.event.req_id.parse().expect("it is a number")).collect();
    let numbers: BTreeSet<usize> = all.iter().copied().collect();
    assert_eq!(numbers.len(), all.len(), "some are there twice: {all:?}");
    numbers
}
