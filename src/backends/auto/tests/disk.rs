//! A disk that is full or broken, rows that the database refuses, and files that other processes change.

use super::*;

#[test]
fn a_refused_row_is_set_aside_and_counted_whether_it_was_spooled_or_not() {
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
fn while_neither_database_nor_disk_work_events_wait_and_a_full_queue_drops_new_events() {
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
    assert!(text.ends_with("takes events; 4 events are not stored"), "{text}");
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
fn a_full_disk_leaves_no_empty_files() {
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
fn the_events_of_a_removed_file_are_counted_as_lost() {
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
fn a_line_that_no_store_wrote_is_set_aside_however_long_it_is() {
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

#[test]
fn what_other_processes_append_to_a_spool_file_costs_none_of_the_later_events() {
    for tamper in ["{\"ts\":\"torn", "no event\n"] {
        let host = TestHost::with_database(NOON);
        let mut store = open_with_batches_of(1, &host);
        set_down(&host, true);
        store.write(event(0));
        host.append(&spools(&host)[0], tamper.as_bytes());
        store.write(event(1));
        // Nor does rolling back an append that did not fit.
        let used: usize = spools(&host).iter().map(|name| host.file(name).len()).sum();
        host.0.borrow_mut().capacity = Some(used + 100);
        store.write(event(2));
        host.0.borrow_mut().capacity = None;
        assert_counts(&store, 0, 2, 1);
        set_down(&host, false);
        store.flush().unwrap();
        assert_eq!(stored(&host), "0 1 2");
        assert_counts(&store, 3, 0, 0);
    }
}

#[test]
fn a_refused_row_counts_once_however_often_its_file_is_drained() {
    let host = TestHost::with_database(NOON);
    host.database(|database| database.poison = ["1"].into());
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    store.write_batch(events(0..3)).unwrap();
    set_down(&host, false);
    host.0.borrow_mut().keeps_files = true;
    for _ in 0..3 {
        store.flush().unwrap();
        let counts = assert_balanced(&store);
        assert_eq!((counts.stored, counts.dropped.unwritable), (2, 1), "{counts:?}");
    }
}

#[test]
fn a_refused_row_counts_once_even_if_a_failed_append_left_a_copy_behind() {
    let host = TestHost::with_database(NOON);
    host.database(|database| database.poison = ["1", "4"].into());
    let mut store = open_with_batches_of(9, &host);
    set_down(&host, true);
    store.write_batch(events(0..3)).unwrap();
    store.flush().unwrap();
    let spool = host.file(&spools(&host)[0]).len();
    host.0.borrow_mut().capacity = Some(2 * spool - 10);
    host.0.borrow_mut().keeps_files = true;
    store.write_batch(events(3..6)).unwrap();
    assert_counts(&store, 0, 3, 3);
    host.0.borrow_mut().capacity = None;
    host.0.borrow_mut().keeps_files = false;
    set_down(&host, false);
    store.flush().unwrap();
    assert_eq!(stored(&host), "0 2 3 5");
    assert_eq!(assert_balanced(&store).dropped.unwritable, 2);
}

#[test]
fn a_slow_folder_that_takes_all_the_time_of_a_call_is_drained_too() {
    let host = TestHost::with_database(NOON);
    let mut killed = open_with_batches_of(1, &host);
    set_down(&host, true);
    killed.write_batch(events(0..30)).unwrap();
    drop(killed);
    set_down(&host, false);
    host.pass_seconds(61);
    host.0.borrow_mut().open_micros = 10_000_000;
    let mut store = open_with_batches_of(1, &host);
    for _ in 0..40 {
        store.flush().unwrap();
    }
    assert_eq!(host.database(|database| database.rows.len()), 30);
    assert_eq!(spools(&host), [""; 0]);
}
