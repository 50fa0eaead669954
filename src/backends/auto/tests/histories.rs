//! Random histories of two instances on one folder and one table.

use super::*;
use alloc::collections::BTreeMap;
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

proptest! {
    /// Two instances on one folder and one table, with kills, outages, lost answers, a full disk, files that cannot be
    /// read or removed or that others write to, and a clock that is set, at any time: the table has each event that was taken and not lost with a killed instance's memory, once, and each
    /// chain in its order.
    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(steps in steps()) {
        let host = TestHost::with_database(NOON);
        let mut stores = [open_with_batches_of(3, &host), open_with_batches_of(2, &host)];
        let mut written = 0_u32;
        let mut taken: Vec<String> = Vec::new();
        let mut maybe: Vec<String> = Vec::new();
        for step in steps {
            match step {
                Step::Write(who, count) => {
                    let tools = written..written + count as u32;
                    written += count as u32;
                    if stores[who].write_batch(events(tools.clone())).is_ok() {
                        taken.extend(tools.map(|tool| tool.to_string()));
                    }
                }
                Step::Flush(who) => drop(stores[who].flush()),
                Step::Kill(who) => {
                    // What waits in memory is the newest of what it took; it may be in the database all the same.
                    if stores[who].status().counts.pending > 0 {
                        maybe.append(&mut taken);
                    }
                    stores[who] = open_with_batches_of(2, &host);
                }
                Step::Down(down) => {
                    set_down(&host, down);
                    host.database(|database| (database.answers, database.loses_each) = (None, None));
                }
                Step::Answers(answers) => host.database(|database| database.answers = Some(answers)),
                Step::LoseEach(each) => host.database(|database| database.loses_each = Some(each)),
                Step::Pass(seconds) => host.pass_seconds(seconds),
                Step::Capacity(bytes) => {
                    host.0.borrow_mut().capacity = Some(bytes).filter(|bytes| *bytes > 1_000);
                }
                Step::Tamper(which) => {
                    if let Some(name) = spools(&host).get(which) {
                        host.append(name, b"{\"ts\":\"torn");
                    }
                }
                Step::Unreadable(which) => {
                    let name = spools(&host).get(which).cloned();
                    host.0.borrow_mut().unreadable = name;
                }
                Step::KeepFiles(keeps) => host.0.borrow_mut().keeps_files = keeps,
                Step::Read(who, newest, limit) => {
                    let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
                    if stores[who].read(Filter::default(), &PageRequest::default()).is_ok()
                        && host.database(|database| database.answers).is_none()
                        && host.0.borrow().unreadable.is_none()
                    {
                        let mut other_memory = stores[1 - who].status().counts.pending;
                        let found = read(&mut stores[who], order, limit);
                        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
                        for tool in &found {
                            *times.entry(tool).or_default() += 1;
                        }
                        prop_assert!(times.values().all(|times| *times == 1), "{:?}", times);
                        for tool in &taken {
                            if !times.contains_key(tool.as_str()) {
                                prop_assert!(other_memory > 0, "{} is not read", tool);
                                other_memory -= 1;
                            }
                        }
                    }
                }
            }
            for store in &stores {
                assert_balanced(store);
            }
        }
        set_down(&host, false);
        host.database(|database| (database.answers, database.loses_each) = (None, None));
        {
            let mut state = host.0.borrow_mut();
            (state.capacity, state.unreadable, state.keeps_files) = (None, None, false);
        }
        for _ in 0..3 {
            host.pass_seconds(61);
            for store in &mut stores {
                store.flush().unwrap();
            }
        }
        let mut tools: Vec<String> = host.database(|database| database.tools().iter().map(|tool| tool.to_string()).collect());
        let mut chains: BTreeMap<Uuid, u64> = BTreeMap::new();
        host.database(|database| {
            for row in &database.rows {
                let stamp = row.stamp.as_ref().unwrap();
                if let Some(before) = chains.insert(stamp.chain, stamp.seq) {
                    assert!(before < stamp.seq, "{before} before {}", stamp.seq);
                }
            }
        });
        prop_assert_eq!(spools(&host), Vec::<String>::new());
        tools.sort();
        let count = tools.len();
        tools.dedup();
        prop_assert_eq!(tools.len(), count);
        for tool in &taken {
            prop_assert!(tools.binary_search(tool).is_ok(), "{} is lost", tool);
        }
        for tool in &tools {
            prop_assert!(taken.contains(tool) || maybe.contains(tool), "{} was never taken", tool);
        }
        for store in &stores {
            let counts = assert_balanced(store);
            prop_assert_eq!((counts.spooled, counts.pending, counts.dropped.unwritable), (0, 0, 0));
        }
    }
}
