//! A folder that cannot be written, as on a full disk, and one that is removed.

use super::*;

#[test]
fn events_that_cannot_be_stored_now_wait_until_they_can() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "a file in the place of the folder").unwrap();
    let tick = Duration::from_millis(20);
    let store = AuditStore::open(options(&blocked.join("audit")).flush_interval(tick)).unwrap();
    for n in 0..5 {
        store.write(event(n.to_string()));
    }
    let Err(Error::Access(text)) = store.flush() else { panic!() };
    assert!(text.contains("cannot create"), "{text}");
    let counts = wait_until(&store, |status| status.last_error.is_some()).counts;
    assert_eq!((counts.received, counts.pending), (5, 5));
    assert!(matches!(store.write_batch(vec![event("rejected")]), Err(Error::Access(_))));

    fs::remove_file(&blocked).unwrap();
    let status = wait_until(&store, |status| status.counts.pending == 0);
    assert_eq!((status.counts.received, status.counts.stored, status.counts.rejected), (6, 5, 1));
    assert_eq!(tools(&store), ["0", "1", "2", "3", "4"]);
}

#[test]
fn events_that_wait_for_the_disk_count_towards_the_limit_of_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "a file in the place of the folder").unwrap();
    let store = AuditStore::open(options(&blocked.join("audit")).queue(5, 1 << 20)).unwrap();
    for n in 0..8 {
        store.write(event(n.to_string()));
        assert!(store.flush().is_err());
    }
    let counts = store.status().unwrap().counts;
    assert_balanced(&counts);
    assert_eq!((counts.received, counts.pending, counts.dropped.queue_full), (8, 5, 3));
}

#[test]
fn events_that_still_cannot_be_stored_are_counted_when_the_store_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "a file in the place of the folder").unwrap();
    let store = AuditStore::open(options(&blocked.join("audit"))).unwrap();
    for n in 0..5 {
        store.write(event(n.to_string()));
    }
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.dropped.unwritable), (5, 5));
    assert!(status.last_error.is_some_and(|error| error.contains("5 events were not recorded")));
}

#[test]
fn a_folder_that_is_removed_is_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit");
    let store = AuditStore::open(options(&audit)).unwrap();
    store.write(event("before"));
    store.flush().unwrap();
    fs::remove_dir_all(&audit).unwrap();
    store.write(event("after"));
    assert_eq!(store.flush(), Ok(()));
    assert_eq!(tools(&store), ["after"]);
    fs::remove_dir_all(&audit).unwrap();
    store.write_batch(vec![event("again")]).unwrap();
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.received, status.counts.stored, status.counts.rejected), (3, 3, 0));
}
