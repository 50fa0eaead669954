//! Random histories of two instances that share a folder and a table.

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
    End(usize),
    Forget(usize),
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
        2 => (0..2_usize).prop_map(Step::End),
        1 => (0..8_usize).prop_map(Step::Forget),
        3 => any::<bool>().prop_map(Step::Down),
        1 => (0..4_usize).prop_map(Step::Answers),
        1 => (1..4_usize).prop_map(Step::LoseEach),
        2 => (-4_000..200_i64).prop_map(Step::Pass),
        1 => (0..6_000_usize).prop_map(Step::Capacity),
        2 => (0..2_usize, any::<bool>(), 1..9_u32)
            .prop_map(|(who, newest, limit)| Step::Read(who, newest, limit)),
        1 => (0..4_usize).prop_map(Step::Tamper),
        1 => (0..8_usize).prop_map(Step::Unreadable),
        1 => any::<bool>().prop_map(Step::KeepFiles),
    ];
    proptest::collection::vec(step, 0..40)
}

/// The instances, and which events must be stored in the end.
struct World {
    host: TestHost,
    stores: [Store<TestHost>; 2],
    written: u32,
    /// The events that each instance has accepted, in their order.
    accepted: [Vec<u32>; 2],
    /// The events that killed instances had moved out of their memory.
    safe: Vec<u32>,
    /// The events that killed instances still had in memory. They may be in the database nevertheless.
    maybe: Vec<u32>,
}

impl World {
    fn new() -> Self {
        let host = TestHost::with_database(NOON);
        let stores = [open_with_batches_of(3, &host), open_with_batches_of(2, &host)];
        Self { host, stores, written: 0, accepted: Default::default(), safe: vec![], maybe: vec![] }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write(who, count) => {
                let tools = self.written..self.written + count as u32;
                self.written = tools.end;
                if self.stores[who].write_batch(events(tools.clone())).is_ok() {
                    self.accepted[who].extend(tools);
                }
            }
            Step::Flush(who) => drop(self.stores[who].flush()),
            Step::End(who) => {
                let _ = self.stores[who].close();
                self.step(Step::Kill(who));
            }
            Step::Forget(which) => {
                let names = self.host.files();
                let mut notes = names.iter().filter(|name| !name.ends_with(".jsonl"));
                if let Some(name) = notes.nth(which) {
                    self.host.delete(name);
                }
            }
            Step::Kill(who) => {
                let handed_on = self.handed_on(who);
                self.maybe.extend(self.accepted[who].split_off(handed_on));
                self.safe.append(&mut self.accepted[who]);
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

    /// How many of the accepted events of an instance are not in its memory any more. Events leave it in
    /// their order.
    fn handed_on(&self, who: usize) -> usize {
        self.accepted[who].len() - self.stores[who].status().counts.pending as usize
    }

    /// Checks that each event that is not in the memory of another instance is read once.
    fn read(&mut self, who: usize, order: Order, limit: u32) {
        let answers = read_page(&mut self.stores[who], Filter::default(), &PageRequest::default()).is_ok()
            && self.host.database(|database| database.answers).is_none()
            && self.host.0.borrow().unreadable.is_none();
        if !answers {
            return;
        }
        let found = numbers(read(&mut self.stores[who], order, limit));
        let other = 1 - who;
        let handed_on = &self.accepted[other][..self.handed_on(other)];
        for tool in self.safe.iter().chain(&self.accepted[who]).chain(handed_on) {
            assert!(found.contains(tool), "{tool} is not read");
        }
    }

    /// Repairs everything, and gives the instances time to drain.
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
        let known = [&self.safe, &self.accepted[0], &self.accepted[1]];
        self.host.database(|database| {
            let stored = numbers(database.tools().iter().map(ToString::to_string).collect());
            for tool in known.into_iter().flatten() {
                assert!(stored.contains(tool), "{tool} is lost");
            }
            for tool in &stored {
                let accepted = known.into_iter().chain([&self.maybe]).any(|tools| tools.contains(tool));
                assert!(accepted, "{tool} was never accepted");
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

/// The tools as numbers, after checking that none is there twice.
fn numbers(tools: Vec<String>) -> BTreeSet<u32> {
    let numbers: BTreeSet<u32> = tools.iter().map(|tool| tool.parse().unwrap()).collect();
    assert_eq!(numbers.len(), tools.len(), "some are there twice: {tools:?}");
    numbers
}

proptest! {
    /// Two instances share a folder and a table. At any time, instances are killed, the database is down or
    /// its answers are lost, the disk is full, files cannot be read or removed or are written to by others,
    /// and the clock is set. In the end the table has each accepted event once, except those that were lost
    /// with the memory of a killed instance, and each chain is in its order.
    #[test]
    fn no_event_is_lost_duplicated_or_out_of_order(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle();
        world.assert_complete();
    }
}
