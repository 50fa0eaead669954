//! Several instances on one folder: no file is lost, and no instance relies on a file that was taken over.

use super::*;
use uuid::Uuid;

#[test]
fn the_spool_of_a_killed_instance_is_drained_by_the_next_and_removed_when_it_is_old() {
    let host = TestHost::with_database(NOON);
    let mut killed = open_with_batches_of(2, &host);
    set_down(&host, true);
    killed.write_batch(events(0..5)).unwrap();
    drop(killed);
    let spool = spools(&host)[0].clone();
    host.append(&spool, b"{\"ts\":\"2026-");

    let mut store = open_with_batches_of(2, &host);
    store.survey();
    assert!(store.status().spooled_by_others > 0);
    assert_counts(&store, 0, 0, 0);
    set_down(&host, false);
    store.flush().unwrap();
    assert_eq!(stored(&host), "0 1 2 3 4");
    assert_eq!(store.status().spooled_by_others, 0);
    assert_eq!(spools(&host), [spool]);
    host.pass_seconds(61);
    store.flush().unwrap();
    assert_eq!(spools(&host), [""; 0]);
    assert_eq!(stored(&host), "0 1 2 3 4");
    // The truncated line is set aside.
    let refused = host.files().into_iter().find(|name| name.starts_with("refused_")).unwrap();
    assert_eq!(host.file(&refused), "{\"ts\":\"2026-\n");
}

#[test]
fn two_live_instances_that_drain_each_other_neither_lose_nor_duplicate_events() {
    let host = TestHost::with_database(NOON);
    let mut one = open_with_batches_of(2, &host);
    let mut other = open_with_batches_of(2, &host);
    set_down(&host, true);
    one.write_batch(events(0..4)).unwrap();
    other.write_batch(events(10..14)).unwrap();
    set_down(&host, false);
    // It drains its own file, and the other's, which it leaves in place because it is young.
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
fn taking_over_the_file_of_a_sleeping_instance_loses_nothing() {
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
fn an_append_to_a_file_that_was_taken_over_is_repeated_in_the_next_file() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(2, &host);
    set_down(&host, true);
    store.write(event(0));
    store.write(event(1));
    let chain = store.status().chain;
    let taken = names::spool(Uuid::from_u128(7 << 64 | 7 << 76 | 2 << 62), 0);
    host.rename(&names::spool(chain, 0), &taken);
    store.write(event(2));
    assert_eq!(host.file(&names::spool(chain, 1)).lines().count(), 1);
    assert_eq!(read_after_recovery(&host, &mut store), ["0", "1", "2"]);
}

#[test]
fn no_file_number_is_used_twice() {
    let host = TestHost::with_database(NOON);
    let (mut store, mut other) = (open_with_batches_of(2, &host), open_with_batches_of(2, &host));
    let mut outage = |tools: core::ops::Range<u32>, other: &mut Store<TestHost>| {
        set_down(&host, true);
        store.write_batch(events(tools)).unwrap();
        set_down(&host, false);
        other.flush().unwrap();
        store.flush().unwrap();
        store.configure(&Config { backend: Some(BackendKind::Memory), ..Config::default() }).unwrap();
        let auto = Config { backend: Some(BackendKind::Auto), batch_size: Some(2), ..Config::default() };
        store.configure(&auto).unwrap();
    };
    outage(0..6, &mut other);
    host.pass_seconds(61);
    outage(6..8, &mut other);
    assert_eq!(stored(&host), "0 1 2 3 4 5 6 7");
}

#[test]
fn a_file_that_was_written_in_the_future_is_taken_over_too() {
    let host = TestHost::with_database(NOON);
    let mut killed = open_with_batches_of(2, &host);
    set_down(&host, true);
    killed.write_batch(events(0..3)).unwrap();
    drop(killed);
    set_down(&host, false);
    host.pass_seconds(-3600);
    open_with_batches_of(2, &host).flush().unwrap();
    assert_eq!(stored(&host), "0 1 2");
    assert_eq!(spools(&host), [""; 0]);
}

#[test]
fn two_paths_of_one_folder_share_a_spool() {
    let host = TestHost::with_database(NOON);
    host.database(|database| database.poison = ["1"].into());
    let mut store = open_with_batches_of(1, &host);
    set_down(&host, true);
    store.write_batch(events(0..3)).unwrap();
    let first = host.file(&spools(&host)[0]);
    let (backend, jsonl_dir) = (Some(BackendKind::Auto), Some("/work/ops/audit".into()));
    store.configure(&Config { backend, jsonl_dir, batch_size: Some(1), ..Config::default() }).unwrap();
    host.0.borrow_mut().capacity = Some(first.len() + 100);
    store.write(event(3));
    assert_eq!(host.file(&spools(&host)[0]), first);
    host.0.borrow_mut().capacity = None;
    store.write(event(4));
    set_down(&host, false);
    store.flush().unwrap();
    assert_eq!(host.database(|database| database.rows.len()), 4);
    assert_balanced(&store);
}

#[test]
fn a_file_that_cannot_be_read_holds_up_the_later_files_of_its_chain() {
    let host = TestHost::with_database(NOON);
    let mut killed = open_with_batches_of(1, &host);
    set_down(&host, true);
    killed.write(event(0));
    host.pass_seconds(31);
    killed.write(event(1));
    drop(killed);
    let mut another = open_with_batches_of(1, &host);
    another.write(event(2));
    drop(another);
    set_down(&host, false);
    let mut store = open_with_batches_of(1, &host);
    host.0.borrow_mut().unreadable = Some(spools(&host)[0].clone());
    store.flush().unwrap();
    // Files of other chains do not wait.
    assert_eq!(stored(&host), "2");
    assert!(store.status().spooled_by_others > 0);
    host.0.borrow_mut().unreadable = None;
    store.flush().unwrap();
    assert_eq!(stored(&host), "2 0 1");
}
