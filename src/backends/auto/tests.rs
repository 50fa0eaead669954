use crate::error::Error;
use crate::event::Event;
use crate::host::SinkError;
use crate::query::{Filter, Order, PageRequest};
use crate::settings::Config;
use crate::store::{Counts, Store, entry};
use crate::testing::TestHost;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use proptest::prelude::*;
use uuid::Uuid;

const NOON: &str = "2026-11-23T12:00:00Z";

fn open(host: &TestHost, config: Config) -> Store<TestHost> {
    let mut store = Store::new(host.clone());
    store.configure(&Config { backend: Some("auto".into()), ..config }).unwrap();
    store
}

fn open_with_batches_of(batch_size: u64, host: &TestHost) -> Store<TestHost> {
    open(host, Config { batch_size: Some(batch_size), ..Config::default() })
}

fn event(tool: impl ToString) -> Event<'static> {
    Event { tool: tool.to_string().into(), ..Event::default() }
}

fn events(tools: core::ops::Range<u32>) -> Vec<Event<'static>> {
    tools.map(event).collect()
}

fn set_down(host: &TestHost, down: bool) {
    let error = down.then(|| SinkError::Unavailable("it is down".into()));
    host.database(|database| database.down = error);
}

fn stored(host: &TestHost) -> String {
    host.database(|database| database.tools().join(" "))
}

fn read(store: &mut Store<TestHost>, order: Order, limit: u32) -> Vec<String> {
    let mut request = PageRequest { order, limit, cursor: None };
    let mut tools = Vec::new();
    loop {
        let page = store.read(Filter::default(), &request).unwrap();
        tools.extend(page.entries.iter().map(|kept| entry(kept).unwrap().event.tool.into_owned()));
        request.cursor = page.next;
        if request.cursor.is_none() {
            return tools;
        }
    }
}

#[track_caller]
fn assert_balanced(store: &Store<TestHost>) -> Counts {
    let counts = store.status().counts;
    let Counts { received, stored, spooled, pending, rejected, dropped } = counts;
    let dropped = dropped.invalid + dropped.queue_full + dropped.unwritable;
    assert_eq!(received, stored + spooled + pending + rejected + dropped, "{counts:?}");
    counts
}

#[track_caller]
fn assert_counts(store: &Store<TestHost>, stored: u64, spooled: u64, pending: u64) {
    let counts = assert_balanced(store);
    assert_eq!((counts.stored, counts.spooled, counts.pending), (stored, spooled, pending), "{counts:?}");
}

fn spools(host: &TestHost) -> Vec<String> {
    host.files().into_iter().filter(|name| name.starts_with("spool_")).collect()
}

#[test]
fn an_outage_goes_to_the_spool_which_is_drained_first_and_in_order() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(2, &host);
    store.write_batch(events(0..3)).unwrap();
    assert_counts(&store, 2, 0, 1);
    assert_eq!((store.status().backend, store.status().settings.requested.as_str()), ("postgres", "auto"));

    set_down(&host, true);
    host.pass_seconds(1);
    store.write_batch(events(3..6)).unwrap();
    assert_counts(&store, 2, 4, 0);
    let status = store.status();
    assert_eq!((status.backend, status.since.to_string().as_str()), ("spool", "2026-11-23T12:00:01.000000Z"));
    assert!(status.last_error.unwrap().contains("it is down; events go to the spool in ./ops/audit"));
    assert_eq!(spools(&host), [super::spool::name(status.chain, 0)]);

    set_down(&host, false);
    host.pass_seconds(299);
    store.write(event(6));
    assert_eq!(store.status().backend, "spool");
    host.pass_seconds(1);
    store.write(event(7));
    assert_eq!(store.status().backend, "postgres");
    assert_eq!(stored(&host), "0 1 2 3 4 5 6 7");
    assert_eq!(spools(&host), [""; 0]);
    store.write(event(8));
    store.flush().unwrap();
    assert_counts(&store, 9, 0, 0);
}

#[test]
fn an_outage_costs_one_try_until_the_interval_is_over_or_flush_asks() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(1, &host);
    set_down(&host, true);
    host.database(|database| database.answers = Some(1));
    for n in 0..50 {
        store.write(event(n));
    }
    // A second try would have had another error.
    assert!(store.status().last_error.unwrap().contains("it is down"));
    host.database(|database| database.answers = None);
    set_down(&host, false);
    store.flush().unwrap();
    assert_counts(&store, 50, 0, 0);
    assert_eq!(store.status().backend, "postgres");
}

#[test]
fn a_second_outage_during_the_drain_is_survived() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(3, &host);
    set_down(&host, true);
    store.write_batch(events(0..40)).unwrap();
    set_down(&host, false);
    for answers in [0, 2, 1, 5] {
        host.database(|database| database.answers = Some(answers));
        store.flush().unwrap();
        assert_eq!(store.status().backend, "spool");
        assert_balanced(&store);
        store.write(event("later"));
    }
    host.database(|database| database.answers = None);
    store.flush().unwrap();
    let rows = host.database(|database| {
        database.rows.iter().map(|row| row.stamp.as_ref().unwrap().seq).collect::<Vec<_>>()
    });
    assert_eq!(rows, (0..44).collect::<Vec<_>>());
    assert_counts(&store, 44, 0, 0);
    assert_eq!(spools(&host), [""; 0]);
}

#[test]
fn a_spool_of_many_files_is_given_back_as_it_is_drained() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(5, &host);
    set_down(&host, true);
    for n in 0..60 {
        store.write(event(n));
    }
    let files = spools(&host).len();
    assert!(files > 3, "{files}");
    set_down(&host, false);
    host.database(|database| database.answers = Some(6));
    store.flush().unwrap();
    assert!((1..files).contains(&spools(&host).len()));
    let counts = assert_balanced(&store);
    assert_eq!(counts.stored, host.database(|database| database.rows.len() as u64));
    assert!(counts.stored > 0 && counts.spooled > 0, "{counts:?}");
}

#[test]
fn the_spool_of_a_killed_instance_is_drained_by_the_next_and_removed_when_it_is_old() {
    let host = TestHost::with_database(NOON);
    let mut killed = open_with_batches_of(2, &host);
    set_down(&host, true);
    killed.write_batch(events(0..5)).unwrap();
    drop(killed);
    let torn = spools(&host)[0].clone();
    host.append(&torn, b"{\"ts\":\"2026-");

    let mut store = open_with_batches_of(2, &host);
    assert!(store.status().spooled_by_others > 0);
    assert_counts(&store, 0, 0, 0);
    set_down(&host, false);
    store.flush().unwrap();
    assert_eq!(stored(&host), "0 1 2 3 4");
    assert_eq!(store.status().spooled_by_others, 0);
    assert_eq!(spools(&host), [torn]);
    host.pass_seconds(61);
    store.flush().unwrap();
    assert_eq!(spools(&host), [""; 0]);
    assert_eq!(stored(&host), "0 1 2 3 4");
    // What is no event is kept too.
    let refused = host.files().into_iter().find(|name| name.starts_with("refused_")).unwrap();
    assert_eq!(host.file(&refused), "{\"ts\":\"2026-\n");
}

#[test]
fn an_instance_that_starts_in_an_outage_tries_the_database_once() {
    let host = TestHost::with_database(NOON);
    set_down(&host, true);
    open_with_batches_of(1, &host).write(event(0));
    host.database(|database| database.answers = Some(1));
    let mut store = open_with_batches_of(1, &host);
    store.flush().unwrap();
    assert_eq!(store.status().backend, "spool");
    store.write(event(1));
    // A second try would have had another error.
    assert!(store.status().last_error.unwrap().contains("it is down"));
    assert_counts(&store, 0, 1, 0);
    host.database(|database| database.answers = None);
    set_down(&host, false);
    store.flush().unwrap();
    assert_counts(&store, 1, 0, 0);
    assert_eq!(stored(&host), "1 0");
}

#[test]
fn two_live_instances_drain_each_other_without_effect_or_loss() {
    let host = TestHost::with_database(NOON);
    let mut one = open_with_batches_of(2, &host);
    let mut other = open_with_batches_of(2, &host);
    set_down(&host, true);
    one.write_batch(events(0..4)).unwrap();
    other.write_batch(events(10..14)).unwrap();
    set_down(&host, false);
    // Its own, and the other's, whose file it leaves where it is.
    one.flush().unwrap();
    assert_eq!(stored(&host), "0 1 2 3 10 11 12 13");
    assert_eq!(spools(&host).len(), 1);
    other.write(event(14));
    other.flush().unwrap();
    assert_eq!(stored(&host), "0 1 2 3 10 11 12 13 14");
    assert_eq!(spools(&host), [""; 0]);
    assert_counts(&one, 4, 0, 0);
    assert_counts(&other, 5, 0, 0);
}

#[test]
fn a_file_that_is_taken_over_from_a_sleeping_instance_loses_nothing() {
    let host = TestHost::with_database(NOON);
    let mut sleeping = open_with_batches_of(2, &host);
    set_down(&host, true);
    sleeping.write_batch(events(0..3)).unwrap();
    host.pass_seconds(61);
    set_down(&host, false);
    let mut other = open_with_batches_of(2, &host);
    other.flush().unwrap();
    assert_eq!(spools(&host), [""; 0]);
    sleeping.write_batch(events(3..5)).unwrap();
    assert_counts(&sleeping, 0, 5, 0);
    sleeping.flush().unwrap();
    assert_counts(&sleeping, 5, 0, 0);
    assert_eq!(stored(&host), "0 1 2 3 4");
}

#[test]
fn a_file_that_is_taken_over_between_two_appends_is_not_relied_on() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    store.write(event(0));
    store.write(event(1));
    let chain = store.status().chain;
    let taken = super::spool::name(Uuid::from_u128(7 << 64 | 7 << 76 | 2 << 62), 0);
    host.rename(&super::spool::name(chain, 0), &taken);
    store.write(event(2));
    assert_eq!(host.file(&super::spool::name(chain, 1)).lines().count(), 1);
    assert_eq!(read_after_recovery(&host, &mut store), ["0", "1", "2"]);
}

fn read_after_recovery(host: &TestHost, store: &mut Store<TestHost>) -> Vec<String> {
    set_down(host, false);
    store.flush().unwrap();
    read(store, Order::OldestFirst, 0)
}

#[test]
fn reads_join_the_spool_and_the_database_and_give_each_event_once() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(3, &host);
    store.write_batch(events(0..4)).unwrap();
    host.database(|database| database.loses_each = Some(1));
    store.write_batch(events(4..8)).unwrap();
    store.write_batch(events(8..10)).unwrap();
    assert_eq!(store.status().backend, "spool");
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let newest: Vec<String> = expected.iter().rev().cloned().collect();
    for limit in 0..11 {
        assert_eq!(read(&mut store, Order::OldestFirst, limit), expected);
        assert_eq!(read(&mut store, Order::NewestFirst, limit), newest);
    }
    set_down(&host, true);
    let Err(Error::Unavailable(text)) = store.read(Filter::default(), &PageRequest::default()) else {
        panic!()
    };
    assert!(text.contains("it is down"), "{text}");
}

#[test]
fn a_refused_row_is_kept_aside_and_counted_wherever_it_is_refused() {
    let host = TestHost::with_database(NOON);
    host.database(|database| database.poison = ["1", "4"].into());
    let mut store = open_with_batches_of(3, &host);
    store.write_batch(events(0..3)).unwrap();
    set_down(&host, true);
    store.write_batch(events(3..6)).unwrap();
    set_down(&host, false);
    store.flush().unwrap();
    assert_eq!(stored(&host), "0 2 3 5");
    let counts = assert_balanced(&store);
    assert_eq!((counts.stored, counts.dropped.unwritable), (4, 2));
    let refused = host.files().into_iter().find(|name| name.starts_with("refused_")).unwrap();
    assert_eq!(host.file(&refused).lines().count(), 2);
    assert_eq!(spools(&host), [""; 0]);
}

#[test]
fn while_neither_takes_anything_events_wait_in_memory_and_the_newest_are_refused() {
    let host = TestHost::with_database(NOON);
    let mut store = open(&host, Config { queue_limit: Some(4), batch_size: Some(2), ..Config::default() });
    set_down(&host, true);
    host.0.borrow_mut().broken = Some("permission denied");
    for n in 0..6 {
        store.write(event(n));
    }
    assert_counts(&store, 0, 0, 4);
    assert_eq!(store.status().counts.dropped.queue_full, 2);
    let Err(Error::Access(text)) = store.flush() else { panic!() };
    assert!(text.ends_with("takes anything; 4 events wait in memory"), "{text}");
    host.0.borrow_mut().broken = None;
    store.write(event(6));
    assert_counts(&store, 0, 5, 0);
    set_down(&host, false);
    store.flush().unwrap();
    assert_eq!(stored(&host), "0 1 2 3 6");
}

#[test]
fn a_full_disk_leaves_no_part_of_a_batch_in_the_spool() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    store.write_batch(events(0..2)).unwrap();
    let used = host.file(&spools(&host)[0]).len();
    host.0.borrow_mut().capacity = Some(used + 700);
    store.write_batch(events(2..6)).unwrap();
    assert_counts(&store, 0, 2, 4);
    assert_eq!(host.file(&spools(&host)[0]).len(), used);
    host.0.borrow_mut().capacity = None;
    store.flush().unwrap();
    assert_counts(&store, 0, 6, 0);
    assert_eq!(read_after_recovery(&host, &mut store).join(""), "012345");
}

#[test]
fn what_is_spooled_stays_counted_when_the_store_is_closed_or_configured_anew() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    store.write_batch(events(0..4)).unwrap();
    store.configure(&Config { backend: Some("jsonl".into()), ..Config::default() }).unwrap();
    assert_counts(&store, 0, 4, 0);
    store.write(event(4));
    assert_counts(&store, 1, 4, 0);
    store.configure(&Config { backend: Some("auto".into()), ..Config::default() }).unwrap();
    store.write(event(5));
    store.close().unwrap();
    assert_counts(&store, 1, 5, 0);
    set_down(&host, false);
    store.configure(&Config { backend: Some("auto".into()), ..Config::default() }).unwrap();
    store.flush().unwrap();
    assert_counts(&store, 6, 0, 0);
    assert_eq!(stored(&host), "0 1 2 3 5");
}

#[test]
fn a_full_queue_is_sent_before_anything_is_refused() {
    let host = TestHost::with_database(NOON);
    let config = Config { queue_limit: Some(10), batch_size: Some(50), ..Config::default() };
    let mut store = open(&host, config);
    store.write(event(0));
    store.write_batch(events(1..20)).unwrap();
    for n in 20..50 {
        store.write(event(n));
    }
    store.flush().unwrap();
    assert_counts(&store, 50, 0, 0);
}

#[test]
fn numbers_of_files_are_never_given_twice() {
    let host = TestHost::with_database(NOON);
    let (mut store, mut other) = (open_with_batches_of(2, &host), open_with_batches_of(2, &host));
    let mut outage = |tools: core::ops::Range<u32>, other: &mut Store<TestHost>| {
        set_down(&host, true);
        store.write_batch(events(tools)).unwrap();
        set_down(&host, false);
        other.flush().unwrap();
        store.flush().unwrap();
        store.configure(&Config { backend: Some("memory".into()), ..Config::default() }).unwrap();
        let auto = Config { backend: Some("auto".into()), batch_size: Some(2), ..Config::default() };
        store.configure(&auto).unwrap();
    };
    outage(0..6, &mut other);
    host.pass_seconds(61);
    outage(6..8, &mut other);
    assert_eq!(stored(&host), "0 1 2 3 4 5 6 7");
}

#[test]
fn what_is_spooled_goes_first_also_after_another_configuration() {
    let host = TestHost::with_database(NOON);
    host.database(|database| database.poison = ["1"].into());
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    store.write_batch(events(0..4)).unwrap();
    let configure = |store: &mut Store<TestHost>, dir: &str, batch_size| {
        let (backend, jsonl_dir) = (Some("auto".into()), Some(dir.into()));
        let config = Config { backend, jsonl_dir, batch_size: Some(batch_size), ..Config::default() };
        store.configure(&config).unwrap();
        assert_balanced(store);
    };
    configure(&mut store, "./ops/audit", 3);
    assert_counts(&store, 0, 4, 0);
    set_down(&host, false);
    store.write_batch(events(4..7)).unwrap();
    store.flush().unwrap();
    assert_eq!(stored(&host), "0 2 3 4 5 6");
    configure(&mut store, "./ops/audit", 4);
    set_down(&host, true);
    store.write_batch(events(7..11)).unwrap();
    // Nobody drains it from another folder.
    configure(&mut store, "./elsewhere", 4);
    assert_counts(&store, 6, 4, 0);
    assert_eq!(store.status().counts.dropped.unwritable, 1);
}

#[test]
fn a_full_disk_leaves_no_empty_files_behind() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    host.0.borrow_mut().capacity = Some(0);
    for n in 0..50 {
        store.write(event(n));
    }
    assert_eq!(spools(&host), [""; 0]);
    host.0.borrow_mut().capacity = None;
    store.write(event(50));
    assert_counts(&store, 0, 51, 0);
}

#[test]
fn a_file_that_is_removed_is_told_and_counted() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    store.write_batch(events(0..4)).unwrap();
    host.delete(&spools(&host)[0]);
    set_down(&host, false);
    store.flush().unwrap();
    assert!(store.status().last_error.unwrap().contains("is gone, and 4 events with it"));
    let counts = assert_balanced(&store);
    assert_eq!((counts.stored, counts.dropped.unwritable), (0, 4));
}

#[test]
fn what_is_no_line_of_a_store_is_kept_however_long_it_is() {
    let host = TestHost::with_database(NOON);
    let mut killed = open_with_batches_of(1, &host);
    set_down(&host, true);
    killed.write(event(0));
    let spool = spools(&host)[0].clone();
    host.append(&spool, "x".repeat(50_000).as_bytes());
    host.append(&spool, b"\n");
    killed.write(event(1));
    drop(killed);
    set_down(&host, false);
    host.pass_seconds(61);
    open_with_batches_of(2, &host).flush().unwrap();
    assert_eq!(stored(&host), "0 1");
    let refused = host.files().into_iter().find(|name| name.starts_with("refused_")).unwrap();
    assert_eq!(host.file(&refused).matches('x').count(), 50_000);
    assert_eq!(spools(&host), [""; 0]);
}

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
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2_usize, 1..7_usize).prop_map(|(who, count)| Step::Write(who, count)),
        3 => (0..2_usize).prop_map(Step::Flush),
        1 => (0..2_usize).prop_map(Step::Kill),
        3 => any::<bool>().prop_map(Step::Down),
        1 => (0..4_usize).prop_map(Step::Answers),
        1 => (1..4_usize).prop_map(Step::LoseEach),
        2 => (1..200_i64).prop_map(Step::Pass),
        1 => (0..6_000_usize).prop_map(Step::Capacity),
        2 => (0..2_usize, any::<bool>(), 1..9_u32).prop_map(|(who, newest, limit)| Step::Read(who, newest, limit)),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    /// Two instances on one folder and one table, with kills, outages, lost answers and a full disk at any time:
    /// the table has each event that was taken and not lost with a killed instance's memory, once, and each
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
                Step::Read(who, newest, limit) => {
                    let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
                    if stores[who].read(Filter::default(), &PageRequest::default()).is_ok()
                        && host.database(|database| database.answers).is_none()
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
        host.0.borrow_mut().capacity = None;
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
