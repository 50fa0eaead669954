//! Random histories of two instances on one folder and one table.

use super::*;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use proptest::prelude::*;
use uuid::Uuid;

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(usize, usize),
    Flush(usize),
    Kill(usize),
    Down(bool),
    Answers(usize),
    LoseEach(usize),
    Pass(i64),
    Capacity(usize),
    Read(usize, bool, u32),
    Tamper(usize),
    Unreadable(usize),
    KeepFiles(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2_usize, 1..7_usize).prop_map(|(who, count)| Step::Write(who, count)),
        3 => (0..2_usize).prop_map(Step::Flush),
        1 => (0..2_usize).prop_map(Step::Kill),
        3 => any::<bool>().prop_map(Step::Down),
        1 => (0..4_usize).prop_map(Step::Answers),
        1 => (1..4_usize).prop_map(Step::LoseEach),
        2 => (-4_000..200_i64).prop_map(Step::Pass),
        1 => (0..6_000_usize).prop_map(Step::Capacity),
        2 => (0..2_usize, any::<bool>(), 1..9_u32).prop_map(|(who, newest, limit)| Step::Read(who, newest, limit)),
        1 => (0..4_usize).prop_map(Step::Tamper),
        1 => (0..8_usize).prop_map(Step::Unreadable),
        1 => any::<bool>().prop_map(Step::KeepFiles),
    ];
    proptest::collection::vec(step, 0..40)
}

/// The instances, and what has to become of what they took.
struct World {
    host: TestHost,
    stores: [Store<TestHost>; 2],
    written: u32,
    /// What each has taken, in order.
    taken: [Vec<u32>; 2],
    /// What those that were killed had handed on.
    safe: Vec<u32>,
    /// What those that were killed had in memory: it may be in the database all the same.
    maybe: Vec<u32>,
}

impl World {
    fn new() -> Self {
        let host = TestHost::with_database(NOON);
        let stores = [open_with_batches_of(3, &host), open_with_batches_of(2, &host)];
        Self { host, stores, written: 0, taken: Default::default(), safe: vec![], maybe: vec![] }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write(who, count) => {
                let tools = self.written..self.written + count as u32;
                self.written = tools.end;
                if self.stores[who].write_batch(events(tools.clone())).is_ok() {
                    self.taken[who].extend(tools);
                }
            }
            Step::Flush(who) => drop(self.stores[who].flush()),
            Step::Kill(who) => {
                let handed_on = self.handed_on(who);
                self.maybe.extend(self.taken[who].split_off(handed_on));
                self.safe.append(&mut self.taken[who]);
                self.stores[who] = open_with_batches_of(2, &self.host);
            }
            Step::Down(down) => {
                set_down(&self.host, down);
                self.host.database(|database| (database.answers, database.loses_each) = (None, None));
            }
            Step::Answers(answers) => self.host.database(|database| database.answers = Some(answers)),
            Step::LoseEach(each) => self.host.database(|database| database.loses_each = Some(each)),
            Step::Pass(seconds) => self.host.pass_seconds(seconds),
            Step::Capacity(bytes) => {
                self.host.0.borrow_mut().capacity = Some(bytes).filter(|bytes| *bytes > 1_000);
            }
            Step::Tamper(which) => {
                if let Some(name) = spools(&self.host).get(which) {
                    self.host.append(name, b"{\"ts\":\"torn");
                }
            }
            Step::Unreadable(which) => {
                let name = spools(&self.host).get(which).cloned();
                self.host.0.borrow_mut().unreadable = name;
            }
            Step::KeepFiles(keeps) => self.host.0.borrow_mut().keeps_files = keeps,
            Step::Read(who, newest, limit) => {
                self.read(who, if newest { Order::NewestFirst } else { Order::OldestFirst }, limit);
            }
        }
        for store in &self.stores {
            assert_balanced(store);
        }
    }

    /// How many of the events that an instance took are not in its memory any more: those wait in their
    /// order.
    fn handed_on(&self, who: usize) -> usize {
        self.taken[who].len() - self.stores[who].status().counts.pending as usize
    }

    /// Each event that is not in another instance's memory is read once.
    fn read(&mut self, who: usize, order: Order, limit: u32) {
        let answers = read_page(&mut self.stores[who], Filter::default(), &PageRequest::default()).is_ok()
            && self.host.database(|database| database.answers).is_none()
            && self.host.0.borrow().unreadable.is_none();
        if !answers {
            return;
        }
        let found = numbers(read(&mut self.stores[who], order, limit));
        let other = 1 - who;
        let handed_on = &self.taken[other][..self.handed_on(other)];
        for tool in self.safe.iter().chain(&self.taken[who]).chain(handed_on) {
            assert!(found.contains(tool), "{tool} is not read");
        }
    }

    /// All goes well again.
    fn settle(&mut self) {
        self.step(Step::Down(false));
        {
            let mut state = self.host.0.borrow_mut();
            (state.capacity, state.unreadable, state.keeps_files) = (None, None, false);
        }
        for _ in 0..3 {
            self.host.pass_seconds(61);
            self.stores.iter_mut().for_each(|store| store.flush().unwrap());
        }
    }

    fn assert_complete(&self) {
        let known = [&self.safe, &self.taken[0], &self.taken[1]];
        self.host.database(|database| {
            let stored = numbers(database.tools().iter().map(ToString::to_string).collect());
            for tool in known.into_iter().flatten() {
                assert!(stored.contains(tool), "{tool} is lost");
            }
            for tool in &stored {
                let taken = known.into_iter().chain([&self.maybe]).any(|tools| tools.contains(tool));
                assert!(taken, "{tool} was never taken");
            }
            let mut chains: BTreeMap<Uuid, u64> = BTreeMap::new();
            for stamp in database.rows.iter().filter_map(|row| row.stamp.as_ref()) {
                if let Some(before) = chains.insert(stamp.chain, stamp.seq) {
                    assert!(before < stamp.seq, "{before} before {}", stamp.seq);
                }
            }
        });
        assert_eq!(spools(&self.host), [""; 0]);
        for store in &self.stores {
            let counts = assert_balanced(store);
            assert_eq!((counts.spooled, counts.pending, counts.dropped.unwritable), (0, 0, 0));
        }
    }
}

/// The tools, each of which is there once.
fn numbers(tools: Vec<String>) -> BTreeSet<u32> {
    let numbers: BTreeSet<u32> = tools.iter().map(|tool| tool.parse().unwrap()).collect();
    assert_eq!(numbers.len(), tools.len(), "some are there twice: {tools:?}");
    numbers
}

proptest! {
    /// Two instances on one folder and one table, with kills, outages, lost answers, a full disk, files that
    /// cannot be read or removed or that others write to, and a clock that is set, at any time: the table has
    /// each event that was taken and not lost with a killed instance's memory, once, and each chain in its
    /// order.
    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle();
        world.assert_complete();
    }
}
