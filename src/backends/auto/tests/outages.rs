//! Outages of the database: what is spooled, in what order it is drained, and what is counted.

use super::*;

#[test]
fn events_of_an_outage_are_spooled_and_drained_first_and_in_order() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(2, &host);
    store.write_batch(events(0..3)).unwrap();
    assert_counts(&store, 2, 0, 1);
    assert_eq!(
        (store.status().backend, store.status().settings.requested.as_str()),
        (Active::Postgres, "auto")
    );

    set_down(&host, true);
    host.pass_seconds(1);
    store.write_batch(events(3..6)).unwrap();
    assert_counts(&store, 2, 4, 0);
    let status = store.status();
    assert_eq!(
        (status.backend, status.since.to_string().as_str()),
        (Active::Spool, "2026-11-23T12:00:01.000000Z")
    );
    assert!(status.last_error.unwrap().contains("it is down; events go to the spool in ./ops/audit"));
    assert_eq!(spools(&host), [names::spool(status.chain, 0)]);

    set_down(&host, false);
    host.pass_seconds(299);
    store.write(event(6));
    assert_eq!(store.status().backend, Active::Spool);
    host.pass_seconds(1);
    store.write(event(7));
    assert_eq!(store.status().backend, Active::Postgres);
    assert_eq!(stored(&host), "0 1 2 3 4 5 6 7");
    assert_eq!(spools(&host), [""; 0]);
    store.write(event(8));
    store.flush().unwrap();
    assert_counts(&store, 9, 0, 0);
}

#[test]
fn an_outage_costs_one_try_until_the_recovery_interval_is_over_or_flush_is_called() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(1, &host);
    set_down(&host, true);
    host.database(|database| database.answers = Some(1));
    for n in 0..50 {
        store.write(event(n));
    }
    // A second try would have failed with another error.
    assert!(store.status().last_error.unwrap().contains("it is down"));
    host.database(|database| database.answers = None);
    set_down(&host, false);
    store.flush().unwrap();
    assert_counts(&store, 50, 0, 0);
    assert_eq!(store.status().backend, Active::Postgres);
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
        assert_eq!(store.status().backend, Active::Spool);
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
fn the_files_of_a_spool_are_removed_one_by_one_as_they_are_drained() {
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
fn an_instance_that_starts_in_an_outage_tries_the_database_once() {
    let host = TestHost::with_database(NOON);
    set_down(&host, true);
    open_with_batches_of(1, &host).write(event(0));
    host.database(|database| database.answers = Some(1));
    let mut store = open_with_batches_of(1, &host);
    store.flush().unwrap();
    assert_eq!(store.status().backend, Active::Spool);
    store.write(event(1));
    // A second try would have failed with another error.
    assert!(store.status().last_error.unwrap().contains("it is down"));
    assert_counts(&store, 0, 1, 0);
    host.database(|database| database.answers = None);
    set_down(&host, false);
    store.flush().unwrap();
    assert_counts(&store, 1, 0, 0);
    assert_eq!(stored(&host), "1 0");
}

#[test]
fn spooled_events_stay_counted_when_the_store_is_closed_or_configured_again() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    store.write_batch(events(0..4)).unwrap();
    store.configure(&Config { backend: Some(BackendKind::Jsonl), ..Config::default() }).unwrap();
    assert_counts(&store, 0, 4, 0);
    store.write(event(4));
    assert_counts(&store, 1, 4, 0);
    store.configure(&Config { backend: Some(BackendKind::Auto), ..Config::default() }).unwrap();
    store.write(event(5));
    store.close().unwrap();
    assert_counts(&store, 1, 5, 0);
    set_down(&host, false);
    store.configure(&Config { backend: Some(BackendKind::Auto), ..Config::default() }).unwrap();
    store.flush().unwrap();
    assert_counts(&store, 6, 0, 0);
    assert_eq!(stored(&host), "0 1 2 3 5");
}

#[test]
fn a_full_queue_is_sent_before_any_event_is_rejected() {
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
fn spooled_events_are_inserted_first_even_after_another_configuration() {
    let host = TestHost::with_database(NOON);
    host.database(|database| database.poison = ["1"].into());
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    store.write_batch(events(0..4)).unwrap();
    let configure = |store: &mut Store<TestHost>, dir: &str, batch_size| {
        let (backend, jsonl_dir) = (Some(BackendKind::Auto), Some(dir.into()));
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
    // The spool of another folder is not drained.
    configure(&mut store, "./elsewhere", 4);
    assert_counts(&store, 6, 4, 0);
    assert_eq!(store.status().counts.dropped.unwritable, 1);
}

#[test]
fn a_clock_that_is_set_back_does_not_delay_the_next_try() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(1, &host);
    set_down(&host, true);
    store.write(event(0));
    set_down(&host, false);
    host.pass_seconds(-86_400);
    store.write(event(1));
    host.pass_seconds(300);
    store.write(event(2));
    assert_eq!(stored(&host), "0 1 2");
}
