//! Instances that live for one event each: none repeats what another has drained, and not each one waits for a database
//! that does not answer.

use super::*;
use alloc::format;
use audit_format::time::Timestamp;

/// Writes an event through an instance of its own, and returns what that had to say.
fn record(host: &TestHost, tool: &str) -> Vec<String> {
    // The identifiers of instances are in the order in which they began.
    host.0.borrow_mut().micros += 1_000;
    let mut store = open_with_batches_of(50, host);
    store.write_batch([event(tool)].into()).unwrap();
    store.close().unwrap();
    core::mem::take(&mut host.0.borrow_mut().warnings)
}

fn tries(host: &TestHost) -> usize {
    host.database(|database| database.tries)
}

/// How many rows were sent, in all inserts.
fn sent(host: &TestHost) -> usize {
    host.database(|database| database.calls.iter().sum())
}

fn outages(host: &TestHost) -> Vec<String> {
    host.files().into_iter().filter(|name| name.starts_with("database_outage")).collect()
}

fn others(store: &mut Store<TestHost>) -> u64 {
    store.survey();
    store.status().spooled_by_others
}

/// Leaves six spool files behind, of the tools 0 to 5.
fn leave_six_files(host: &TestHost) {
    set_down(host, true);
    for tool in 0..6 {
        host.0.borrow_mut().micros += 1_000;
        open_with_batches_of(1, host).write(event(tool));
    }
    set_down(host, false);
    for name in outages(host) {
        host.delete(&name);
    }
}

/// A host whose spool has so many events of an instance that was killed, and whose database answers again.
fn after_an_outage_of(events_in_spool: u32) -> TestHost {
    let host = TestHost::with_database(NOON);
    set_down(&host, true);
    open_with_batches_of(1, &host).write_batch(events(0..events_in_spool)).unwrap();
    set_down(&host, false);
    host
}

#[test]
fn what_one_instance_has_drained_no_other_drains_again() {
    let host = after_an_outage_of(5);
    let mut first = open_with_batches_of(2, &host);
    first.flush().unwrap();
    assert_eq!((stored(&host).as_str(), sent(&host)), ("0 1 2 3 4", 5));
    for _ in 0..3 {
        let mut next = open_with_batches_of(2, &host);
        assert_eq!(others(&mut next), 0);
        next.flush().unwrap();
        next.close().unwrap();
    }
    assert_eq!(sent(&host), 5);

    // Without what the folder remembers, the lines are sent again, and stored once.
    for name in host.files().iter().filter(|name| names::drained_of(name).is_some()) {
        host.delete(name);
    }
    open_with_batches_of(2, &host).flush().unwrap();
    assert_eq!((stored(&host).as_str(), sent(&host)), ("0 1 2 3 4", 10));

    host.pass_seconds(61);
    open_with_batches_of(2, &host).flush().unwrap();
    assert_eq!(host.files(), [names::VISITED]);
}

#[test]
fn a_drain_that_breaks_off_is_gone_on_with_by_the_next_instance() {
    let host = after_an_outage_of(9);
    host.database(|database| database.answers = Some(2));
    open_with_batches_of(2, &host).flush().unwrap();
    host.database(|database| database.answers = None);
    assert_eq!(stored(&host), "0 1 2 3");
    open_with_batches_of(2, &host).flush().unwrap();
    assert_eq!((stored(&host).as_str(), sent(&host)), ("0 1 2 3 4 5 6 7 8", 9));
}

#[test]
fn an_instance_that_breaks_off_its_own_spool_leaves_behind_how_far_it_came() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    store.write_batch(events(0..8)).unwrap();
    set_down(&host, false);
    host.database(|database| database.answers = Some(3));
    store.flush().unwrap();
    drop(store);
    host.database(|database| database.answers = None);
    open_with_batches_of(2, &host).flush().unwrap();
    assert_eq!((stored(&host).as_str(), sent(&host)), ("0 1 2 3 4 5 6 7", 8));
}

#[test]
fn lines_that_a_living_instance_adds_to_a_drained_file_are_drained_too() {
    let host = TestHost::with_database(NOON);
    let mut living = open_with_batches_of(2, &host);
    set_down(&host, true);
    living.write_batch(events(0..3)).unwrap();
    set_down(&host, false);
    open_with_batches_of(2, &host).flush().unwrap();
    living.write(event(3));
    drop(living);
    assert_eq!(stored(&host), "0 1 2");
    open_with_batches_of(2, &host).flush().unwrap();
    assert_eq!((stored(&host).as_str(), sent(&host)), ("0 1 2 3", 4));
}

#[test]
fn a_closing_instance_gives_little_time_to_what_others_have_left() {
    let host = TestHost::with_database(NOON);
    leave_six_files(&host);
    host.0.borrow_mut().open_micros = 15_000;
    record(&host, "a");
    // It has drained for forty milliseconds.
    assert_eq!(stored(&host), "a 0 1");
    // Then nobody does for a while.
    record(&host, "b");
    assert_eq!(stored(&host), "a 0 1 b");
    host.pass_seconds(5);
    host.0.borrow_mut().open_micros = 500_000;
    record(&host, "c");
    assert_eq!(stored(&host), "a 0 1 b c 2");
    host.0.borrow_mut().open_micros = 0;
    open_with_batches_of(1, &host).flush().unwrap();
    assert_eq!(stored(&host), "a 0 1 b c 2 3 4 5");
}

#[test]
fn old_files_of_others_are_taken_over_a_few_at_a_time() {
    let host = TestHost::with_database(NOON);
    leave_six_files(&host);
    open_with_batches_of(1, &host).flush().unwrap();
    assert_eq!((stored(&host).as_str(), spools(&host).len()), ("0 1 2 3 4 5", 6));
    host.0.borrow_mut().stat_micros = 15_000;
    for (tool, left) in [("a", 3), ("b", 0)] {
        host.pass_seconds(61);
        record(&host, tool);
        assert_eq!(spools(&host).len(), left);
    }
    assert_eq!((host.files(), sent(&host)), (Vec::from([names::VISITED.to_string()]), 8));
}

#[test]
fn a_folder_without_a_spool_stays_as_it_is() {
    let host = TestHost::with_database(NOON);
    record(&host, "0");
    assert_eq!(host.files(), [""; 0]);
    for day in 1..50 {
        host.set_file(&format!("tool_audit_2026-01-{day}.jsonl"), "");
    }
    record(&host, "1");
    assert!(host.files().contains(&names::VISITED.to_string()), "the next one need not list it");
}

#[test]
fn of_instances_that_live_for_one_event_one_waits_in_an_interval() {
    let host = TestHost::with_database(NOON);
    set_down(&host, true);
    let said = record(&host, "0");
    assert!(said[0].contains("it is down; events go to the spool"), "{said:?}");
    assert_eq!(tries(&host), 1);
    for n in 1..5 {
        assert_eq!(record(&host, &n.to_string()), [""; 0]);
    }
    assert_eq!((tries(&host), outages(&host).len()), (1, 1));

    // The waits become as long as the outage has lasted, and no longer than the recovery interval.
    let mut waits = Vec::new();
    for second in 1..2_000 {
        host.pass_seconds(1);
        let before = tries(&host);
        record(&host, "later");
        if tries(&host) > before {
            waits.push(second);
        }
    }
    assert_eq!(waits, [2, 5, 11, 23, 47, 95, 191, 383, 683, 983, 1283, 1583, 1883]);
    assert_eq!(outages(&host).len(), 1);

    set_down(&host, false);
    host.pass_seconds(300);
    record(&host, "last");
    assert_eq!(outages(&host), [""; 0]);
    let rows = stored(&host);
    assert!(rows.starts_with("last 0 1 2 3 4 later"), "{rows}");
    open_with_batches_of(50, &host).flush().unwrap();
    assert_eq!(host.database(|database| database.rows.len()), 2_005);
}

#[test]
fn of_several_instances_one_tries_when_the_time_has_come() {
    let host = TestHost::with_database(NOON);
    set_down(&host, true);
    record(&host, "0");
    host.pass_seconds(3);
    let mut stores = [(); 4].map(|()| open_with_batches_of(50, &host));
    for store in &mut stores {
        store.write(event("1"));
        assert_eq!(store.status().backend, Active::Spool);
    }
    assert_eq!(tries(&host), 2);
    // An instance that is told to flush tries all the same.
    stores[3].flush().unwrap();
    assert_eq!(tries(&host), 3);
    set_down(&host, false);
    stores[3].flush().unwrap();
    assert_eq!((outages(&host), stored(&host).as_str()), (Vec::new(), "1 0 1 1 1"));
}

#[test]
fn an_outage_of_which_the_folder_says_nothing_true_is_not_believed() {
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let texts = [
        // The clock was set back since.
        format!("{} {}\n", at("2026-11-24T12:00:00Z"), at("2026-11-24T12:05:00Z")),
        // It is over.
        format!("{} {}\n", at("2026-11-20T12:00:00Z"), at("2026-11-20T12:05:00Z")),
        // It is torn.
        format!("{} {}", at("2026-11-23T11:59:00Z"), at("2026-11-23T12:01:00Z")),
        format!("{} \n", at("2026-11-23T11:59:00Z")),
        "\u{fffd}\n".into(),
        String::new(),
    ];
    for text in texts {
        let host = TestHost::with_database(NOON);
        host.set_file(names::OUTAGE, text.clone());
        record(&host, "0");
        assert_eq!(stored(&host), "0", "{text}");
    }
    // What an instance that was killed has left is removed with the spool.
    let host = after_an_outage_of(1);
    let left = names::outage_of(uuid::Uuid::from_u128(7 << 76 | 2 << 62), "new");
    host.set_file(&left, "");
    open_with_batches_of(1, &host).flush().unwrap();
    assert!(!host.files().contains(&left));
}

#[test]
fn an_error_that_holds_nobody_up_is_told_to_everybody() {
    let host = TestHost::with_database(NOON);
    let error = DatabaseError::Other("the password is wrong".into());
    host.database(|database| database.down = Some(error));
    for n in 1..4 {
        let said = record(&host, "0");
        assert!(said[0].contains("the password is wrong; events go to the spool"), "{said:?}");
        assert_eq!((tries(&host), outages(&host)), (n, Vec::new()));
    }
}

#[test]
fn where_the_folder_cannot_remember_an_outage_nothing_is_lost() {
    let host = TestHost::with_database(NOON);
    set_down(&host, true);
    let mut store = open_with_batches_of(1, &host);
    host.0.borrow_mut().broken = Some("permission denied");
    store.write(event(0));
    assert_counts(&store, 0, 0, 1);
    host.0.borrow_mut().broken = None;
    assert_eq!(read_after_recovery(&host, &mut store), ["0"]);
}

#[test]
fn events_whose_answer_is_lost_may_be_stored_and_the_error_says_so() {
    for kind in [BackendKind::Postgres, BackendKind::Auto] {
        let host = TestHost::with_database(NOON);
        let mut store = Store::new(host.clone());
        store.configure(&Config { backend: Some(kind), batch_size: Some(2), ..Config::default() }).unwrap();
        host.database(|database| database.loses_each = Some(1));
        host.0.borrow_mut().broken = Some("permission denied");
        let _ = store.write_batch(events(0..3));
        assert!(matches!(store.flush(), Err(Error::Unanswered(_))), "{kind:?}");
        // Whatever goes wrong later, the first events may be stored.
        set_down(&host, true);
        let Err(Error::Unanswered(text)) = store.flush() else { panic!("{kind:?}") };
        assert!(text.ends_with("3 events may be stored or not"), "{text}");
        set_down(&host, false);
        host.database(|database| database.loses_each = None);
        store.flush().unwrap();
        set_down(&host, true);
        store.write_batch(events(3..4)).unwrap();
        assert!(!matches!(store.flush(), Ok(()) | Err(Error::Unanswered(_))), "{kind:?}");
    }
}

#[test]
fn a_store_that_is_closed_does_not_wait_again_for_a_database_that_it_has_just_waited_for() {
    for (waits, tries_again) in [(0, 1), (2_000_000, 0)] {
        let host = TestHost::with_database(NOON);
        set_down(&host, true);
        host.database(|database| database.micros = waits);
        let mut store = open_with_batches_of(1, &host);
        store.write(event(0));
        let before = tries(&host);
        store.close().unwrap();
        assert_eq!(tries(&host) - before, tries_again, "{waits}");
        assert_counts(&store, 0, 1, 0);
    }
}
