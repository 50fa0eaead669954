//! A store with a database and a folder, and an outage of the database.

use super::*;

#[test]
fn with_a_database_a_stopped_component_is_replaced_and_each_event_is_stored_once() {
    for backend in ["postgres", "auto"] {
        for (fault, batch) in [(Fault::Before, 1), (Fault::After, 1), (Fault::After, 100)] {
            let folder = tempfile::tempdir().unwrap();
            let options = options(folder.path()).backend(backend).batch_size(batch);
            let options = options.database_url(Cluster::shared().database());
            options.faults.lock().unwrap().extend([Fault::No, fault]);
            let store = AuditStore::open(options).unwrap();
            write_three_batches(store, &format!("{backend} {fault:?} {batch}"));
        }
    }
}

#[test]
fn the_next_component_drains_what_a_stopped_one_had_spooled() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::shared();
    let proxy = Proxy::to(cluster.port());
    let options = options(folder.path()).backend("auto").batch_size(1);
    let options = options.database_url(proxy.url(&cluster.database()));
    options.faults.lock().unwrap().extend([Fault::No, Fault::Before]);
    let store = AuditStore::open(options).unwrap();
    store.flush().unwrap();
    proxy.refuse();
    store.write_batch(vec![event("a"), event("b")]).unwrap();
    let status = store.status().unwrap();
    assert_eq!((status.backend, status.counts.spooled), (Active::Spool, 2));
    assert!(store.write_batch(vec![event("c")]).is_err());
    let status = store.status().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.restarts, status.counts.spooled), (1, 2));
    proxy.pass();
    store.flush().unwrap();
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.stored, status.counts.spooled, status.counts.rejected), (2, 0, 1));
}

#[test]
fn a_component_that_stops_in_an_outage_stores_no_event_twice() {
    for batch in [1, 100] {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Cluster::shared();
        let proxy = Proxy::to(cluster.port());
        let options = options(folder.path()).backend("auto").batch_size(batch);
        let options = options.database_url(proxy.url(&cluster.database()));
        options.faults.lock().unwrap().extend([Fault::No, Fault::After, Fault::Before]);
        let store = AuditStore::open(options).unwrap();
        store.flush().unwrap();
        proxy.refuse();
        proxy.cut();
        store.write(event("a"));
        store.flush().unwrap();
        assert_eq!(store.status().unwrap().counts.spooled, 1);
        for tools in [["b", "c"], ["d", "e"]] {
            let release = hold(&store);
            tools.into_iter().for_each(|tool| store.write(event(tool)));
            drop(release);
            let status = store.status().unwrap();
            assert_balanced(&status.counts);
        }
        let status = store.status().unwrap();
        let Counts { received, spooled, pending, .. } = status.counts;
        assert_eq!((status.restarts, received, spooled + pending), (2, 5, 5), "{status:?}");
        proxy.pass();
        store.flush().unwrap();
        assert_eq!(tools(&store), ["a", "b", "c", "d", "e"]);
        let counts = store.close().unwrap().counts;
        assert_balanced(&counts);
        assert_eq!((counts.received, counts.stored), (5, 5));
    }
}

#[test]
fn a_database_that_did_not_answer_is_tried_again_after_the_recovery_interval() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::shared();
    let proxy = Proxy::to(cluster.port());
    let options = options(folder.path()).backend("auto").batch_size(1);
    let options = options.database_url(proxy.url(&cluster.database()));
    let store = AuditStore::open(options.recovery_interval(Duration::from_secs(1))).unwrap();
    proxy.refuse();
    store.write(event("a"));
    wait_until(&store, |status| status.counts.spooled == 1);
    proxy.pass();
    let status = wait_until(&store, |status| status.counts.stored == 1);
    assert_eq!(status.backend, Active::Postgres);
    assert!(status.last_error.is_some_and(|error| error.contains("events go to the spool")));
    store.close().unwrap();
}

#[test]
fn a_store_opened_for_reading_writes_nothing_and_drains_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::shared();
    let (url, proxy) = (cluster.database(), Proxy::to(cluster.port()));
    let options = options(folder.path()).backend("auto").batch_size(1);
    let store = AuditStore::open(options.clone().database_url(proxy.url(&url))).unwrap();
    store.write_batch(vec![event("a")]).unwrap();
    proxy.refuse();
    proxy.cut();
    store.write_batch(vec![event("b")]).unwrap();
    assert_eq!(store.close().unwrap().counts.spooled, 1);

    let store = AuditStore::open(options.database_url(&url).read_only(true)).unwrap();
    assert_eq!(tools(&store), ["a", "b"]);
    assert!(store.flush().is_ok());
    store.write(event("c"));
    assert!(store.flush().is_err());
    let status = store.close().unwrap();
    assert_balanced(&status.counts);
    assert_eq!((status.counts.stored, status.counts.dropped.unwritable), (0, 1));
    assert_eq!(cluster.sql(&url, "SELECT tool FROM tool_audit_events"), [[Some("a".to_owned())]]);
    assert_eq!(audit_testbed::spools(folder.path()).len(), 1);
}

#[test]
fn in_an_outage_a_folder_that_is_removed_is_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit");
    let cluster = Cluster::shared();
    let proxy = Proxy::to(cluster.port());
    let options = options(&audit).backend("auto").batch_size(1).database_url(proxy.url(&cluster.database()));
    let store = AuditStore::open(options).unwrap();
    proxy.refuse();
    store.write_batch(vec![event("a"), event("b")]).unwrap();
    fs::remove_dir_all(&audit).unwrap();
    store.write(event("c"));
    assert_eq!(store.flush(), Ok(()));
    let status = store.status().unwrap();
    assert_balanced(&status.counts);
    // The first two were in the spool of the old folder.
    assert_eq!((status.counts.spooled, status.counts.dropped.unwritable), (1, 2), "{status:?}");
    proxy.pass();
    assert_eq!(store.flush(), Ok(()));
    assert_eq!(tools(&store), ["c"]);
    assert_balanced(&store.close().unwrap().counts);
}

#[cfg(unix)]
#[test]
fn what_is_named_like_a_spool_but_is_none_does_not_block_the_drain() {
    let folder = tempfile::tempdir().unwrap();
    let name = |last| folder.path().join(format!("spool_01934c5e-7b1a-7000-8000-00000000000{last}_0.jsonl"));
    fs::create_dir(name(1)).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(name(2)).status().unwrap().success());
    fs::write(name(3), "x".repeat(3 << 20)).unwrap();
    let url = Cluster::shared().database();
    let store = AuditStore::open(options(folder.path()).backend("auto").database_url(url)).unwrap();
    store.write(event("a"));
    assert_eq!(store.flush(), Ok(()));
    assert_eq!(tools(&store), ["a"]);
    assert_eq!(store.close().unwrap().restarts, 0);
}
