//! Two instances over one folder and one table, interleaved call by call: before any call that one of them makes to the
//! host, the other one may write, flush, read a page, end and start again, and other programs may change files.
//!
//! `AUDIT_FAULT_CASES` is how many random schedules are run of each backend.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use audit_format::names;
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use crate::host::{Backend, Counts, Durability, Error, Failed, Guest, Order, PageRequest, Settings, World};
use crate::run::{START, event, numbers, pages};

/// How many schedules of each backend are run by default.
const CASES: u32 = 60;

/// What an instance does, or another program.
#[derive(Clone, Copy, Debug)]
enum Act {
    Batch(usize),
    Write,
    Flush,
    /// Reads the next page, of so many entries where it is the first.
    Page {
        newest: bool,
        limit: u32,
    },
    /// Is closed, and starts again.
    Close,
    /// Is killed, and starts again. Where it happens within a call of the instance, that call is broken off.
    Kill,
    Pass(i64),
    Down(bool),
    /// Half a line is appended to one of the files with events.
    Tamper(usize),
    /// A daily file is removed.
    Remove(usize),
    /// A daily file is replaced by one without its first line.
    Replace(usize),
    /// One of the files that only save work is removed.
    Forget(usize),
}

/// What an instance does, and what happens before its calls to the host: each after so many of them.
#[derive(Clone, Debug)]
struct Step {
    who: usize,
    act: Act,
    within: Vec<(usize, Act)>,
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1..6_usize).prop_map(Act::Batch),
        2 => Just(Act::Write),
        4 => Just(Act::Flush),
        6 => (any::<bool>(), 1..5_u32).prop_map(|(newest, limit)| Act::Page { newest, limit }),
        2 => Just(Act::Close),
        2 => Just(Act::Kill),
        3 => prop_oneof![-4_000..200_i64, Just(31), Just(61), Just(86_400)].prop_map(Act::Pass),
        4 => any::<bool>().prop_map(Act::Down),
        1 => (0..4_usize).prop_map(Act::Tamper),
        1 => (0..4_usize).prop_map(Act::Remove),
        1 => (0..4_usize).prop_map(Act::Replace),
        1 => (0..8_usize).prop_map(Act::Forget),
    ]
}

fn schedules() -> impl Strategy<Value = Vec<Step>> {
    let within = proptest::collection::vec((0..12_usize, acts()), 0..4);
    let step = (0..2_usize, acts(), within).prop_map(|(who, act, within)| Step { who, act, within });
    proptest::collection::vec(step, 1..16)
}

/// What is known of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is in a file or in the table.
    Kept,
    /// An instance has it in memory.
    Pending,
    /// It may be anywhere or nowhere: its file was removed, or its instance has ended before it said anything.
    Unknown,
    /// Its caller was told that it is not stored.
    Refused,
}

/// A read that is under way.
struct Reading {
    request: PageRequest,
    /// What it has to find.
    expected: BTreeSet<usize>,
    found: BTreeSet<usize>,
    /// How many events had had their files replaced when it began.
    replaced: usize,
}

/// What the callers know.
#[derive(Default)]
struct Known {
    fates: Vec<Fate>,
    /// The events that each instance has accepted, in their order.
    accepted: [Vec<usize>; 2],
    readings: [Option<Reading>; 2],
    /// The events whose files were removed or replaced, in the order of that.
    replaced: Vec<usize>,
    /// How often that was done.
    removals: usize,
    /// The chains with a spool file that another program has written to.
    tampered: BTreeSet<Uuid>,
}

/// The instances, and what they share.
#[derive(Clone)]
struct Scene {
    world: World,
    settings: Settings,
    guests: [Arc<Mutex<Option<Guest>>>; 2],
    known: Arc<Mutex<Known>>,
}

impl Scene {
    fn new(world: World, backend: Backend) -> Self {
        let settings = Settings { backend, durability: Durability::Written, batch_size: 2 };
        let guests = [(); 2].map(|()| Arc::new(Mutex::new(Guest::start(&world, &settings).ok())));
        Self { world, settings, guests, known: Arc::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the instances. None: it has just ended.
    fn guest(&self, who: usize) -> MutexGuard<'_, Option<Guest>> {
        self.guests[who].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, step: &Step) {
        let mut within = step.within.clone();
        within.sort_by_key(|(calls, _)| *calls);
        let (scene, other, mut calls) = (self.clone(), 1 - step.who, 0);
        let mut within = within.into_iter().peekable();
        self.world.set_between(Some(Box::new(move |_| {
            let mut ends = false;
            while let Some((_, act)) = within.next_if(|(after, _)| *after <= calls) {
                match act {
                    // One of the two may end in the middle of a call: the one that makes it.
                    Act::Kill if calls % 2 == 0 => ends = true,
                    act => scene.act(other, act),
                }
            }
            calls += 1;
            ends
        })));
        self.act(step.who, step.act);
        self.world.set_between(None);
        if self.guest(step.who).is_none() {
            self.restart(step.who);
        }
    }

    fn act(&self, who: usize, act: Act) {
        match act {
            Act::Batch(count) => self.batch(who, count),
            Act::Write => self.write(who),
            Act::Flush => drop(self.call(who, Guest::flush)),
            Act::Page { newest, limit } => self.page(who, newest, limit),
            Act::Close => {
                if let Some(Ok(())) = self.call(who, Guest::close) {
                    self.known().settle(who, 0);
                }
                self.restart(who);
            }
            Act::Kill => self.restart(who),
            Act::Pass(seconds) => self.world.lock().micros += seconds * 1_000_000,
            Act::Down(down) => self.world.lock().table.down = down,
            Act::Tamper(which) => self.tamper(which),
            Act::Remove(which) => self.replace(which, None),
            Act::Replace(which) => self.replace(which, Some(1)),
            Act::Forget(which) => self.forget(which),
        }
    }

    /// Calls an instance, and learns from its status afterwards. None: it has ended.
    fn call<T>(
        &self,
        who: usize,
        call: impl FnOnce(&mut Guest) -> Result<T, Failed>,
    ) -> Option<Result<T, Error>> {
        let mut guest = self.guest(who);
        match call(guest.as_mut()?) {
            Err(Failed::Stopped) => {
                *guest = None;
                drop(guest);
                self.forget_memory(who);
                None
            }
            Err(Failed::Error(error)) => Some(Err(error)),
            Ok(value) => Some(Ok(value)),
        }
    }

    /// An instance has ended: what was in its memory may be lost.
    fn forget_memory(&self, who: usize) {
        let known = &mut *self.known();
        for number in known.accepted[who].drain(..) {
            if known.fates[number] == Fate::Pending {
                known.fates[number] = Fate::Unknown;
            }
        }
    }

    fn restart(&self, who: usize) {
        self.forget_memory(who);
        let mut guest = self.guest(who);
        *guest = None;
        // It is started without anything in between: its start is a part of whatever it does first.
        *guest = Guest::start(&self.world, &self.settings).ok();
    }

    fn batch(&self, who: usize, count: usize) {
        let (first, removals) = self.announce(count);
        let now = self.world.now();
        let events: Vec<_> = (first..first + count).map(|n| event(n, now)).collect();
        let answer = self.call(who, |guest| guest.write_batch(&events));
        let kept = match answer {
            None => return,
            Some(Ok(())) => count,
            Some(Err(Error::Incomplete(batch))) => batch.stored as usize,
            Some(Err(_)) => 0,
        };
        self.learn(who, first, kept, count, removals);
    }

    fn write(&self, who: usize) {
        let (first, removals) = self.announce(1);
        let event = event(first, self.world.now());
        if self.call(who, |guest| guest.write(&event)).is_some() {
            // What it drops is for lack of space alone, of which there is enough.
            self.learn(who, first, 1, 1, removals);
        }
    }

    /// New events. Until an answer comes, they may be anywhere.
    fn announce(&self, count: usize) -> (usize, usize) {
        let mut known = self.known();
        let first = known.fates.len();
        known.fates.extend((0..count).map(|_| Fate::Unknown));
        (first, known.removals)
    }

    /// Notes which of new events are stored, unless their file may have been removed meanwhile.
    fn learn(&self, who: usize, first: usize, kept: usize, count: usize, removals: usize) {
        let pending = self.counts(who).pending as usize;
        let known = &mut *self.known();
        known.accepted[who].extend(first..first + kept);
        let is_removed = known.removals > removals && self.settings.backend == Backend::Jsonl;
        for number in first..first + count {
            known.fates[number] = match number < first + kept {
                true if is_removed => Fate::Unknown,
                true => Fate::Pending,
                false => Fate::Refused,
            };
        }
        known.settle(who, pending);
    }

    /// The counts of an instance, which add up.
    fn counts(&self, who: usize) -> Counts {
        let mut guest = self.guest(who);
        // Looking at them is no part of the schedule.
        let between = self.world.take_between();
        let status = guest.as_mut().expect("it has just answered").status();
        self.world.set_between(between);
        let counts = status.expect("a status is always given").counts;
        let Counts { received, stored, spooled, pending, rejected, dropped } = counts;
        let lost = dropped.invalid + dropped.queue_full + dropped.unwritable;
        assert_eq!(received, stored + spooled + pending + rejected + lost, "{counts:?}");
        assert_eq!(lost, 0, "{counts:?}");
        counts
    }

    fn page(&self, who: usize, newest: bool, limit: u32) {
        let reading = self.known().begin(who, newest, limit);
        let answer = self.call(who, |guest| guest.read(&reading.request));
        let mut known = self.known();
        // Without an answer, the same page can be asked for again.
        let Some(Ok(page)) = answer else {
            known.readings[who] = Some(reading);
            return;
        };
        let mut reading = known.still_expected(reading);
        let entries: Vec<_> =
            page.lines.lines().map(|line| parse_stored(line).expect("a page has entries")).collect();
        for number in numbers(&entries) {
            assert!(reading.found.insert(number), "{number} is on two pages");
        }
        reading.request.cursor = page.next;
        if reading.request.cursor.is_some() {
            known.readings[who] = Some(reading);
        } else {
            let missing: Vec<_> = reading.expected.difference(&reading.found).collect();
            assert!(missing.is_empty(), "{missing:?} were stored before the first page, and are not read");
        }
    }

    fn tamper(&self, which: usize) {
        let mut shared = self.world.lock();
        let has_events = |name: &String| names::day_of(name).is_some() || names::spool_of(name).is_some();
        let name = shared.disk.names().into_iter().filter(has_events).nth(which);
        let (disk, now) = shared.disk_and_time();
        if let Some(name) = name {
            disk.append_as_other(&name, b"{\"ts\":\"torn", now);
            let chain = names::spool_of(&name).map(|(chain, _)| chain);
            drop(shared);
            self.known().tampered.extend(chain);
        }
    }

    /// Removes a daily file, or replaces it by one without so many of its first lines.
    fn replace(&self, which: usize, without: Option<usize>) {
        let mut known = self.known();
        let mut shared = self.world.lock();
        let Some(name) =
            shared.disk.names().into_iter().filter(|name| names::day_of(name).is_some()).nth(which)
        else {
            return;
        };
        let content = shared.disk.content(&name).expect("it is there").to_vec();
        let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
        let gone = without.unwrap_or(lines.len()).min(lines.len());
        let (disk, now) = shared.disk_and_time();
        disk.remove_as_other(&name);
        if without.is_some() {
            disk.append_as_other(&name, &lines[gone..].concat(), now);
        }
        let number = |line: &&[u8]| {
            parse_stored(std::str::from_utf8(line).ok()?.trim_end()).ok()?.event.req_id.parse().ok()
        };
        for (place, number) in lines.iter().map(number).enumerate() {
            let Some(number) = number else { continue };
            let number: usize = number;
            if place < gone {
                known.fates[number] = Fate::Unknown;
            }
            known.replaced.push(number);
        }
        known.removals += 1;
    }

    fn forget(&self, which: usize) {
        let mut shared = self.world.lock();
        let has_no_events = |name: &String| !name.ends_with(".jsonl");
        if let Some(name) = shared.disk.names().into_iter().filter(has_no_events).nth(which) {
            shared.disk.remove_as_other(&name);
        }
    }

    /// Has both instances store all that they have and all that is left behind, and checks the record.
    fn settle(&self) {
        self.world.lock().table.down = false;
        for _ in 0..3 {
            self.world.lock().micros += 61_000_000;
            for who in 0..2 {
                let flushed = self.call(who, Guest::flush);
                assert!(matches!(flushed, Some(Ok(()))), "{flushed:?}");
            }
        }
        for who in 0..2 {
            let counts = self.counts(who);
            assert_eq!((counts.pending, counts.spooled), (0, 0), "{counts:?}");
            self.known().settle(who, 0);
        }
        self.assert_complete();
    }

    fn assert_complete(&self) {
        let mut guest = Guest::start(&self.world, &self.settings).expect("it starts");
        let (entries, _) = pages(&mut guest, Order::OldestFirst, 0).expect("a read succeeds");
        let found = numbers(&entries);
        for (number, fate) in self.known().fates.iter().enumerate() {
            match fate {
                Fate::Kept => assert!(found.contains(&number), "{number} was acknowledged, and is lost"),
                Fate::Refused => assert!(!found.contains(&number), "{number} was refused, and is stored"),
                Fate::Unknown => {}
                Fate::Pending => panic!("{number} is still in memory"),
            }
        }
        let shared = self.world.lock();
        shared.disk.assert_same();
        if self.settings.backend == Backend::Auto {
            let is_spool = |name: &String| names::spool_of(name).is_some();
            assert_eq!(shared.disk.names().into_iter().find(is_spool), None, "it is not drained");
            assert_eq!(shared.table.rows.len(), entries.len());
            let lines = shared.table.rows.iter().map(|row| &*row.line);
            assert_chains_are_in_order(lines, &self.known().tampered);
        }
    }
}

/// Checks that the rows of each chain were inserted in the order of their `seq`. Only the owner writes to a spool file, so
/// that nothing is promised of the order of a chain where another program has: half a line may hide the first line of a
/// batch alone.
fn assert_chains_are_in_order<'l>(lines: impl Iterator<Item = &'l str>, tampered: &BTreeSet<Uuid>) {
    let mut last = BTreeMap::new();
    for line in lines {
        let stamp = parse_stored(line.trim_end()).expect("it is an entry").stamp.expect("it has a stamp");
        if let Some(before) = last.insert(stamp.chain, stamp.seq) {
            assert!(before < stamp.seq || tampered.contains(&stamp.chain), "{before} before {}", stamp.seq);
        }
    }
}

impl Known {
    /// An instance has so many events in memory: the last ones that it has accepted.
    fn settle(&mut self, who: usize, pending: usize) {
        let accepted = &self.accepted[who];
        for (place, number) in accepted.iter().enumerate() {
            if place + pending < accepted.len() && self.fates[*number] == Fate::Pending {
                self.fates[*number] = Fate::Kept;
            }
        }
    }

    /// The read of an instance that is under way, or a new one.
    fn begin(&mut self, who: usize, newest: bool, limit: u32) -> Reading {
        if let Some(reading) = self.readings[who].take() {
            return reading;
        }
        let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
        let own =
            |number: &usize| self.fates[*number] == Fate::Pending && self.accepted[who].contains(number);
        let expected =
            (0..self.fates.len()).filter(|number| self.fates[*number] == Fate::Kept || own(number));
        Reading {
            request: PageRequest { order, limit, cursor: None },
            expected: expected.collect(),
            found: BTreeSet::new(),
            replaced: self.replaced.len(),
        }
    }

    /// The read, without what may have been lost since it began. It may have seen a file that was replaced as it was.
    fn still_expected(&self, mut reading: Reading) -> Reading {
        reading.expected.retain(|number| matches!(self.fates[*number], Fate::Kept | Fate::Pending));
        for number in &self.replaced[reading.replaced..] {
            reading.expected.remove(number);
        }
        reading
    }
}

fn config() -> ProptestConfig {
    let cases = match env::var("AUDIT_FAULT_CASES") {
        Ok(text) => text.parse().unwrap_or(10_000),
        Err(_) => CASES,
    };
    ProptestConfig { cases, ..ProptestConfig::default() }
}

fn play(schedule: &[Step], backend: Backend) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let micros = Timestamp::parse(START).expect("it is a time").micros();
    let scene = Scene::new(World::new(&folder.path().join("audit"), micros), backend);
    for step in schedule {
        scene.step(step);
    }
    scene.settle();
}

proptest! {
    #![proptest_config(config())]

    /// In the end, daily files have each acknowledged event once, and each read has given what was there before its first
    /// page.
    #[test]
    fn instances_that_share_daily_files_lose_and_repeat_nothing(schedule in schedules()) {
        play(&schedule, Backend::Jsonl);
    }

    /// In the end, the table has each acknowledged event once, each chain in its order, and no spool is left.
    #[test]
    fn instances_that_share_a_spool_and_a_table_lose_and_repeat_nothing(schedule in schedules()) {
        play(&schedule, Backend::Auto);
    }
}
