//! What a store does with a database.

use std::collections::BTreeSet;

use audit_fixtures::{all_numbered, assert_balanced, assert_chains, assert_same_events, component};
use audit_host::{AuditStore, Error, Filter, Order, PageRequest};
use audit_testbed::{DATABASE_BACKENDS, age_spools, wait_for};

use super::place::{BATCH, Place, Table};
use super::writer::{Writer, drain};
use super::{Run, Scenario, Variant};

/// The tool of the events that the database refuses.
const REFUSED: &str = "refused by this test";

/// How many events a page has at most.
const PAGE: u32 = 13;

/// Rows as the original program leaves them.
const OLD_ROWS: &str = "
    INSERT INTO tool_audit_events (ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size,
        out_size, input_hash)
    SELECT now(), n, '', '', '', 'old', '', 'ok', n, 0, 0, '' FROM generate_series(1, 3) AS n";

pub fn all() -> Vec<Scenario> {
    let both: [(&'static str, Run); 9] = [
        ("the first use", first_use),
        ("the upgrade of a table", upgrade),
        ("a batch", batch),
        ("a batch on a session that keeps statements", prepared),
        ("a batch with a row that is refused", refused),
        ("a read of several pages", pages),
        ("the end of an outage", recovery),
        ("the end of a store", close),
        ("the end of a store with a queue", queue),
    ];
    let mut all = vec![Scenario { name: "the takeover of a spool", backend: "auto", run: take_over }];
    for backend in DATABASE_BACKENDS {
        all.extend(both.map(|(name, run)| Scenario { name, backend, run }));
    }
    all
}

fn first_use(place: &Place, variant: &Variant) {
    place.table(Table::None);
    let mut writer = Writer::open(place, variant);
    place.begin();
    writer.write(BATCH + 5);
    writer.flush();
    writer.finish();
}

fn upgrade(place: &Place, variant: &Variant) {
    place.table(Table::Original);
    place.sql(OLD_ROWS);
    let mut writer = Writer::open(place, variant);
    place.begin();
    writer.write(5);
    writer.flush();
    writer.flush();
    place.heal();
    assert_eq!(place.number("SELECT count(*) FROM tool_audit_events WHERE tool = 'old'"), 3);
    place.sql("DELETE FROM tool_audit_events WHERE tool = 'old'");
    writer.finish();
}

/// A store that has stored so many batches.
fn open_connected<'p>(place: &'p Place, variant: &Variant, batches: usize) -> Writer<'p> {
    place.table(Table::Usual);
    let mut writer = Writer::open(place, variant);
    for _ in 0..batches {
        writer.write(3);
        writer.flush();
    }
    writer
}

fn batch(place: &Place, variant: &Variant) {
    let mut writer = open_connected(place, variant, 1);
    place.begin();
    writer.write(2 * BATCH + 5);
    writer.flush();
    // Under `postgres`, nothing is tried again before the next flush.
    writer.flush();
    writer.finish();
}

fn prepared(place: &Place, variant: &Variant) {
    let mut writer = open_connected(place, variant, 9);
    place.begin();
    writer.write(2 * BATCH + 5);
    writer.flush();
    writer.finish();
}

fn refused(place: &Place, variant: &Variant) {
    let mut writer = open_connected(place, variant, 1);
    place.cluster().refuse_tool(&place.url, REFUSED);
    place.begin();
    writer.write(3);
    writer.write_refused(REFUSED);
    writer.write(3);
    writer.flush();
    writer.write(2);
    writer.flush();
    writer.finish();
}

/// A store with events in the table, and others in memory or in the spool.
fn pages(place: &Place, variant: &Variant) {
    let mut writer = open_connected(place, variant, 1);
    writer.write(2 * BATCH + 5);
    writer.flush();
    place.proxy.disconnect();
    writer.write(BATCH + 2);
    place.proxy.pass();
    let written: BTreeSet<String> = (0..3 + 2 * BATCH + 5 + BATCH + 2).map(|n| n.to_string()).collect();
    place.begin();
    let mut found = Vec::new();
    let order = if variant.killed { Order::NewestFirst } else { Order::OldestFirst };
    let mut request = PageRequest { order, limit: PAGE, cursor: None };
    loop {
        match writer.store.read(&Filter::default(), &request) {
            Ok(page) => {
                found.extend(page.entries);
                request.cursor = page.next;
                if request.cursor.is_none() {
                    break;
                }
            }
            Err(Error::Unavailable(_)) => place.heal(),
            Err(error) => panic!("{error:?}"),
        }
    }
    let number = |id: &str| id.rsplit('-').next().unwrap_or_default().to_owned();
    let numbers: BTreeSet<String> = found.iter().map(|entry| number(&entry.event.req_id)).collect();
    assert_eq!((numbers, found.len()), (written.clone(), written.len()));
    writer.finish();
}

fn recovery(place: &Place, variant: &Variant) {
    let mut writer = open_connected(place, variant, 1);
    place.proxy.disconnect();
    writer.write(2 * BATCH + 5);
    writer.flush();
    place.proxy.pass();
    place.begin();
    writer.flush();
    writer.write(4);
    writer.flush();
    writer.finish();
}

fn take_over(place: &Place, variant: &Variant) {
    place.table(Table::Usual);
    place.proxy.disconnect();
    let mut dead = Writer::open(place, variant);
    dead.write(2 * BATCH + 5);
    dead.flush();
    age_spools(place.folder());
    place.proxy.pass();
    let mut writer = Writer::open(place, variant);
    place.begin();
    writer.write(3);
    writer.flush();
    age_spools(place.folder());
    writer.flush();
    writer.finish();
    // The other one has not written since, and finds that its events are stored.
    dead.finish();
}

fn close(place: &Place, variant: &Variant) {
    let mut writer = open_connected(place, variant, 1);
    place.begin();
    writer.write(5);
    let closed = writer.store.close();
    writer.check(&closed);
    if closed.is_err() {
        place.heal();
        wait_for(|| writer.store.close());
        writer.check(&Ok(()));
    }
    writer.finish_closed();
}

fn queue(place: &Place, variant: &Variant) {
    place.table(Table::Usual);
    let store = AuditStore::open_with(component(), place.options(variant.backend)).unwrap();
    store.write_batch(all_numbered("queue", 0..3)).expect("there is room");
    wait_for(|| store.flush());
    place.begin();
    let sent = 3 + 2 * BATCH + 5;
    all_numbered("queue", 3..sent).into_iter().for_each(|event| store.write(event));
    let flushed = store.flush();
    match &flushed {
        Ok(()) | Err(Error::Unavailable(_) | Error::Unanswered(_)) => {}
        Err(error) => panic!("{error:?}"),
    }
    let status = store.status().unwrap();
    assert_balanced(&status.counts);
    assert_eq!(status.counts.received, sent);
    assert!(status.counts.stored <= place.stored(&status.chain), "{:?}", status.counts);
    place.heal();
    wait_for(|| store.flush());
    let counts = store.close().unwrap().counts;
    assert_eq!((counts.received, counts.stored + counts.spooled), (sent, sent), "{counts:?}");
    drain(place, variant);
    let rows = place.rows();
    assert_chains(&rows, &[]);
    assert_same_events(&rows, &all_numbered("queue", 0..sent));
}
