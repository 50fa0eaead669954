use crate::error::Error;
use crate::settings::{Config, Durability};
use crate::store::Store;
use crate::testing::{NOON, TestHost, assert_balanced, event_at, read_page, read_pages};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::cursor::Order;
use audit_format::event::Field;
use audit_format::query::{Filter, PageRequest};

const TODAY: &str = "tool_audit_2026-11-23.jsonl";

fn store(host: &TestHost) -> Store<TestHost> {
    Store::new(host.clone())
}

/// The tools of all entries, in their order, and the number of skipped lines.
fn tools(store: &mut Store<TestHost>) -> (Vec<String>, u64) {
    let (mut tools, mut skipped) = (Vec::new(), 0);
    for page in read_pages(store, Order::OldestFirst, 0) {
        assert_eq!(page.lines.lines().count(), page.events.len());
        tools.extend(page.tools().into_iter().map(String::from));
        skipped += page.skipped;
    }
    (tools, skipped)
}

#[test]
fn an_event_goes_to_the_file_of_its_own_utc_day() {
    let host = TestHost::at(NOON);
    let mut store = store(&host);
    for ts in [
        "",
        "2026-11-22T23:59:59.999999Z",
        "2026-11-23T00:00:00Z",
        "2026-11-24T00:30:00+01:00",
        "2028-02-29T12:00:00Z",
        "0000-01-01T00:00:00Z",
    ] {
        store.write(event_at(ts, "t"));
    }
    assert_eq!(
        host.files(),
        ["0000-01-01", "2026-11-22", "2026-11-23", "2028-02-29"].map(|d| format!("tool_audit_{d}.jsonl"))
    );
    assert_eq!(host.file(TODAY).lines().count(), 3);
    assert_eq!(tools(&mut store).0.len(), 6);
}

#[test]
fn a_truncated_line_costs_no_other_line_even_while_the_file_is_open() {
    let host = TestHost::at(NOON);
    host.set_file(TODAY, "{\"ts\":\"2026-11-23T0");
    let mut store = store(&host);
    store.write(event_at("", "a"));
    host.append(TODAY, b"{\"ts\":\"2026");
    store.write(event_at("", "b"));
    store.write(event_at("", "c"));
    assert_eq!(tools(&mut store), (["a", "b", "c"].map(String::from).to_vec(), 2));
    assert!(!host.file(TODAY).contains("\n\n"));
}

#[test]
fn a_truncated_line_between_the_pieces_of_a_batch_hides_no_line_of_it() {
    for appends in 0..5 {
        for (theirs, skipped) in [("{\"ts\":\"2026-11-2", 1), ("{\"ts\":\"2026-11-23T12:00:00Z\"}\n", 0)] {
            let host = TestHost::at(NOON);
            host.0.borrow_mut().appended_in_between = Some((appends, theirs.into()));
            let mut store = store(&host);
            let batch = (0..60).map(|n| event_at("", &format!("{n:02}"))).collect();
            store.write_batch(batch).unwrap();
            store.write(event_at("2026-11-23T12:00:01Z", "after"));
            let (mut there, found) = tools(&mut store);
            there.retain(|tool| !tool.is_empty());
            assert_eq!((there.len(), found), (61, skipped), "{appends} {theirs}");
            there.dedup();
            assert_eq!(there.len(), 61);
        }
    }
}

#[test]
fn a_truncated_line_between_long_appends_hides_no_line() {
    for appends in 0..3 {
        let host = TestHost::at(NOON);
        host.0.borrow_mut().appended_in_between = Some((appends, "{\"ts\":\"2026-11-2".into()));
        host.0.borrow_mut().appends_at_once = true;
        let mut store = store(&host);
        let batch = (0..200).map(|n| event_at("", &format!("{n:03}"))).collect();
        store.write_batch(batch).unwrap();
        let left = host.0.borrow().appended_in_between.is_some();
        assert!(!left, "the batch is written in more than {appends} appends");
        store.write(event_at("2026-11-23T12:00:01Z", "after"));
        let (mut there, _) = tools(&mut store);
        there.dedup();
        assert_eq!(there.len(), 201);
    }
}

#[test]
fn a_complete_line_without_a_newline_is_read_and_kept() {
    let host = TestHost::at(NOON);
    host.set_file(TODAY, "{\"ts\":\"2026-11-23T01:00:00Z\",\"tool\":\"whole\"}");
    let mut store = store(&host);
    store.write(event_at("", "next"));
    assert_eq!(tools(&mut store), (["whole", "next"].map(String::from).to_vec(), 0));
}

#[test]
fn garbage_is_skipped_and_counted() {
    let host = TestHost::at(NOON);
    let long = "x".repeat(300_000);
    let mut bytes = format!("\n\n  \nnonsense\n{{}}\n[1]\n{long}\n{{\"ts\":\"2026\"}}\n").into_bytes();
    bytes.extend_from_slice(b"{\"ts\":\"2026-11-23T01:00:00Z\",\"tool\":\"\xff\"}\n\0\0\0\n");
    bytes.extend_from_slice(b"{\"ts\":\"2026-11-23T01:00:00Z\",\"tool\":\"good\"}\r\n");
    host.set_file(TODAY, bytes);
    for other in ["tool_audit_2026-11-23.jsonl.gz", "notes.txt", "tool_audit_2026-02-30.jsonl"] {
        host.set_file(other, "{\"ts\":\"2026-11-23T01:00:00Z\"}\n");
    }
    assert_eq!(tools(&mut store(&host)), (["\u{fffd}", "good"].map(String::from).to_vec(), 6));
}

/// What Python's `json.loads` reads, although it is not as a store writes it.
#[test]
fn lines_of_other_writers_are_read_leniently() {
    let host = TestHost::at(NOON);
    let lines = [
        "\u{feff}{\"ts\":\"2026-11-23T00:00:00Z\",\"tool\":\"byte order mark\"}",
        "{\"ts\":\"2026-11-23T00:00:01Z\",\"tool\":\"float\",\"duration_ms\":45.0}",
        "{\"ts\":\"2026-11-23T00:00:02\",\"tool\":\"naive\"}",
        "{\"ts\":\"2026-11-23 00:00:03.5\",\"tool\":\"space\"}",
        "{\"ts\":\"2026-11-23T00:00:04Z\",\"tool\":\"\\ud800\"}",
        "{\"ts\":\"never\",\"tool\":\"x\",\"ts\":\"2026-11-23T00:00:05Z\",\"tool\":\"twice\"}",
        "{\"ts\":\"2026-11-23T00:00:06Z\",\"tool\":\"unknown\",\"payload\":[{\"a\":1}]}",
        "{\"ts\":\"2026-11-23T00:00:07Z\",\"tool\":\"constants\",\"duration_ms\":NaN,\"in_size\":-Infinity}",
        "{\"ts\":\"2026-11-23T00:00:08Z\",\"tool\":9}",
        "{\"ts\":1795392009.25,\"tool\":\"seconds\"}",
    ];
    host.set_file(TODAY, lines.join("\n"));
    let expected = [
        "byte order mark",
        "float",
        "naive",
        "space",
        "\u{fffd}",
        "twice",
        "unknown",
        "constants",
        "9",
        "seconds",
    ];
    let mut store = store(&host);
    assert_eq!(tools(&mut store), (expected.map(String::from).to_vec(), 0));
    for tool in expected {
        let filter = Filter { texts: [(Field::Tool, tool.into())].into(), ..Filter::default() };
        let page = read_page(&mut store, filter, &PageRequest::default()).unwrap();
        assert_eq!(page.tools(), [tool]);
    }
}

#[test]
fn a_file_that_is_deleted_while_it_is_open_is_created_again() {
    let host = TestHost::at(NOON);
    let mut store = store(&host);
    store.write(event_at("", "a"));
    host.delete(TODAY);
    store.write(event_at("", "b"));
    assert_eq!(tools(&mut store).0, ["b"]);
}

#[test]
fn a_file_that_is_renamed_while_it_is_open_is_created_again() {
    let host = TestHost::at(NOON);
    let mut store = store(&host);
    store.write(event_at("", "a"));
    host.rename(TODAY, "tool_audit_2026-11-23.jsonl.1");
    store.write(event_at("", "b"));
    assert_eq!(tools(&mut store).0, ["b"]);
}

#[test]
fn an_event_that_cannot_be_synced_is_in_the_file_and_counts_as_stored() {
    let host = TestHost::at(NOON);
    host.set_variable("AUDIT_DURABILITY", "synced");
    let mut store = store(&host);
    host.0.borrow_mut().sync_fails = true;
    store.write(event_at("", "1"));
    let error = store.write_batch([event_at("", "2"), event_at("", "3")].into()).unwrap_err();
    assert!(matches!(error, Error::Incomplete { stored: 2, ref reason } if reason.contains("cannot sync")));
    assert_eq!(tools(&mut store).0, ["1", "2", "3"]);
    assert_eq!((store.status().counts.stored, host.0.borrow().warnings.len()), (3, 1));
    assert_balanced(&store);
}

#[test]
fn a_batch_that_is_too_large_is_rejected() {
    let host = TestHost::at(NOON);
    let mut store = store(&host);
    let error = store.write_jsonl(&"{}\n".repeat(100_000)).unwrap_err();
    assert!(matches!(error, Error::Other(text) if text.contains("32 MiB")));
    assert!(host.files().is_empty());
    assert_balanced(&store);
}

#[test]
fn garbage_is_counted_once_over_the_pages_of_a_read() {
    let host = TestHost::at(NOON);
    for day in 10..20 {
        let line = format!("{{\"ts\":\"2026-11-{day}T01:00:00Z\",\"tool\":\"{day}\"}}\n").repeat(50);
        host.set_file(&format!("tool_audit_2026-11-{day}.jsonl"), format!("{line}garbage\n{line}"));
    }
    let mut store = store(&host);
    for _ in 0..2 {
        let mut request = PageRequest { limit: 70, ..PageRequest::default() };
        let mut skipped = 0;
        loop {
            let page = read_page(&mut store, Filter::default(), &request).unwrap();
            skipped += page.skipped;
            request.cursor = page.next;
            if request.cursor.is_none() {
                break;
            }
        }
        assert_eq!(skipped, 10);
    }
}

#[test]
fn on_a_full_disk_the_first_events_of_a_batch_stay_and_the_caller_goes_on_behind_them() {
    let days = ["2026-11-23T13:00:00Z", "2026-11-22T13:00:00Z", "2026-11-23T14:00:00Z"];
    let batch = || (0..60).map(|i| event_at(days[i / 20], &format!("{i:02}"))).collect::<Vec<_>>();
    for room in (0..19_000).step_by(499) {
        let host = TestHost::at(NOON);
        host.0.borrow_mut().appends_at_once = room % 2 == 1;
        let mut store = store(&host);
        store.write(event_at("", "first"));
        let before = host.file(TODAY);
        host.0.borrow_mut().capacity = Some(before.len() + room);
        let stored = match store.write_batch(batch()).unwrap_err() {
            Error::Incomplete { stored, reason } => {
                assert!(stored > 0 && reason.contains("no space left"), "{reason}");
                stored as usize
            }
            error => {
                assert!(matches!(&error, Error::Access(text) if text.contains("no space left")), "{error:?}");
                0
            }
        };
        assert!(host.file(TODAY).starts_with(&before));
        assert_eq!(store.status().counts.stored, 1 + stored as u64);
        assert_eq!(assert_balanced(&store).rejected, 60 - stored as u64);
        host.0.borrow_mut().capacity = None;
        let receipt = store.write_batch(batch().split_off(stored)).unwrap();
        assert_eq!(receipt.first_seq, 1 + stored as u64);
        let (mut found, torn) = tools(&mut store);
        found.sort();
        assert!(found.iter().take(60).eq(batch().iter().map(|event| &*event.tool)), "{found:?}");
        assert!(found.len() == 61 && torn <= 1, "{torn}");
    }
}

/// Two instances share a full disk. Whatever is acknowledged stays, however their batches fail.
#[test]
fn an_acknowledged_event_is_never_lost_to_a_neighbours_full_disk() {
    for room in (0..6_000).step_by(67) {
        let host = TestHost::at(NOON);
        host.0.borrow_mut().appends_at_once = room % 2 == 1;
        let (mut one, mut other) = (store(&host), store(&host));
        let batch = |name: &str| (0..8).map(|i| event_at("", &format!("{name}{i}"))).collect::<Vec<_>>();
        host.0.borrow_mut().capacity = Some(room);
        let mut acknowledged = Vec::new();
        for round in 0..6 {
            let store = if round % 2 == 0 { &mut one } else { &mut other };
            let events = batch(&format!("{round}-"));
            let stored = match store.write_batch(events.clone()) {
                Ok(receipt) => receipt.accepted,
                Err(Error::Incomplete { stored, .. }) => stored,
                Err(_) => 0,
            };
            acknowledged.extend(events[..stored as usize].iter().map(|event| event.tool.to_string()));
            // Somebody makes room for a part of the next batch.
            host.0.borrow_mut().capacity = Some(room + 700 * (round + 1));
        }
        let (mut found, _) = tools(&mut one);
        found.sort();
        acknowledged.sort();
        assert_eq!(found, acknowledged, "{room}");
    }
}

#[test]
fn what_another_process_appended_meanwhile_is_never_removed() {
    let host = TestHost::at(NOON);
    let mut store = store(&host);
    let theirs = "\n{\"ts\":\"2026-11-23T12:00:01Z\",\"tool\":\"theirs\"}\n";
    host.0.borrow_mut().capacity = Some(6_000);
    host.0.borrow_mut().appended_on_failure = Some(theirs.into());
    let batch = (0..60).map(|i| event_at("", &i.to_string())).collect();
    let error = store.write_batch(batch).unwrap_err().to_string();
    let (there, skipped) = tools(&mut store);
    let stored = there.len() - 1;
    assert!(stored > 0 && there[stored] == "theirs" && skipped == 1, "{there:?} {skipped}");
    assert!(error.contains(&format!("the first {stored} events are stored")), "{error}");
    assert_eq!(store.status().counts.stored, stored as u64);
    assert_balanced(&store);
    host.0.borrow_mut().capacity = None;
    let receipt = store.write_batch([event_at("2026-11-23T12:00:02Z", "next")].into()).unwrap();
    assert_eq!(receipt.first_seq, stored as u64);
    assert_eq!(tools(&mut store).0.last().unwrap(), "next");
}

#[test]
fn a_line_that_lacks_only_its_newline_counts_as_stored() {
    let theirs = "{\"ts\":\"2026-11-23T12:00:01Z\",\"tool\":\"theirs\"}\n";
    let batch = || (0..20).map(|i| event_at("", &i.to_string())).collect();
    let roomy = TestHost::at(NOON);
    store(&roomy).write_batch(batch()).unwrap();
    let size = roomy.file(&roomy.files()[0]).len() + theirs.len();

    let host = TestHost::at(NOON);
    let mut store = store(&host);
    host.0.borrow_mut().appended_in_between = Some((1, theirs.into()));
    host.0.borrow_mut().capacity = Some(size - 1);
    let error = store.write_batch(batch()).unwrap_err().to_string();
    assert!(error.contains("the first 20 events are stored"), "{error}");
    assert_eq!(tools(&mut store).0.len(), 21);
    assert_eq!(store.status().counts.stored, 20);
    assert_balanced(&store);
}

#[test]
fn a_broken_folder_is_a_warning_for_write_and_an_access_error_for_other_calls() {
    let host = TestHost::at(NOON);
    host.set_variable("AUDIT_JSONL_DIR", "/var/audit");
    let mut store = store(&host);
    host.0.borrow_mut().broken = Some("permission denied");
    store.write(event_at("", "a"));
    store.write(event_at("", "b"));
    let is_access = |error: Error| matches!(error, Error::Access(text) if text.contains("/var/audit"));
    assert!(is_access(store.write_batch([event_at("", "c")].into()).unwrap_err()));
    assert!(is_access(read_page(&mut store, Filter::default(), &PageRequest::default()).unwrap_err()));
    let counts = store.status().counts;
    assert_eq!((counts.dropped.unwritable, counts.rejected), (2, 1));
    assert_eq!(host.0.borrow().warnings.len(), 1);
    assert!(store.status().last_error.unwrap().contains("permission denied"));
    assert_balanced(&store);
}

fn buffered(host: &TestHost) -> Store<TestHost> {
    let mut store = store(host);
    let config = Config {
        durability: Some(Durability::Buffered),
        queue_limit: Some(5),
        flush_interval_ms: Some(1_000),
        ..Config::default()
    };
    store.configure(&config).unwrap();
    store
}

#[test]
fn buffered_events_are_pending_until_a_flush_a_read_or_the_flush_interval() {
    let host = TestHost::at(NOON);
    let mut store = buffered(&host);
    store.write(event_at("", "a"));
    assert_eq!((host.file(TODAY), store.status().counts.pending), (String::new(), 1));
    assert_eq!(tools(&mut store).0, ["a"]);
    assert_eq!(store.status().counts.pending, 0);
    store.write(event_at("", "b"));
    host.set_clock("2026-11-23T12:00:01Z");
    store.write(event_at("", "c"));
    assert_eq!(host.file(TODAY).lines().count(), 3);
    store.write(event_at("", "d"));
    store.flush().unwrap();
    assert_eq!(host.file(TODAY).lines().count(), 4);
    assert_balanced(&store);
}

#[test]
fn buffered_events_survive_a_full_disk_and_a_full_queue_drops_new_events() {
    let host = TestHost::at(NOON);
    let mut store = buffered(&host);
    host.0.borrow_mut().capacity = Some(0);
    for tool in ["1", "2", "3", "4", "5", "6"] {
        store.write(event_at("", tool));
        assert_balanced(&store);
    }
    assert!(matches!(store.flush(), Err(Error::Access(text)) if text.contains("5 events are not stored")));
    assert!(store.close().is_err() && store.configure(&Config::default()).is_err());
    assert_eq!(store.status().counts.dropped.queue_full, 1);
    assert_eq!(tools(&mut store).0, ["1", "2", "3", "4", "5"]);
    host.0.borrow_mut().capacity = None;
    store.close().unwrap();
    assert_eq!(host.file(TODAY).lines().count(), 5);
    assert_balanced(&store);
}

#[test]
fn synced_events_sync_the_file_and_the_names_of_new_files() {
    let host = TestHost::at(NOON);
    host.set_variable("AUDIT_DURABILITY", "synced");
    let mut store = store(&host);
    store.write(event_at("", "a"));
    assert_eq!(host.0.borrow().syncs, 2);
    store.write(event_at("", "b"));
    assert_eq!(host.0.borrow().syncs, 3);
}

#[test]
fn files_of_other_days_are_not_read() {
    let host = TestHost::at(NOON);
    for day in 10..30 {
        host.set_file(
            &format!("tool_audit_2026-11-{day}.jsonl"),
            format!("{{\"ts\":\"2026-11-{day}T01:00:00Z\",\"tool\":\"{day}\"}}\n").repeat(100),
        );
    }
    let mut store = store(&host);
    let filter =
        Filter { from_ts: Some("2026-11-20".into()), to_ts: Some("2026-11-20".into()), ..Filter::default() };
    let page = read_page(&mut store, filter, &PageRequest::default()).unwrap();
    assert_eq!(page.events.len(), 100);
    // The file of the day and of the days beside it. A line that crosses from one part to the next is read
    // twice.
    let one_file = host.file("tool_audit_2026-11-20.jsonl").len() as u64;
    assert!(host.0.borrow().bytes_read < 9 * one_file);
}

#[test]
fn the_pages_of_a_long_read_do_not_each_read_the_whole_file() {
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let host = TestHost::at(NOON);
        let mut store = store(&host);
        for second in 0..600 {
            let (minute, second) = (second / 60, second % 60);
            store.write(event_at(&format!("2026-11-23T12:{minute:02}:{second:02}Z"), "t"));
        }
        let pages = read_pages(&mut store, order, 20);
        assert!(pages.iter().all(|page| page.events.len() == 20));
        assert_eq!(pages.len(), 30);
        let file = host.file(TODAY).len() as u64;
        assert!(host.0.borrow().bytes_read < 10 * file, "{} of {file}", host.0.borrow().bytes_read);
    }
}

#[test]
fn a_new_read_does_not_rely_on_the_zone_map_of_a_file_that_was_replaced() {
    let host = TestHost::at("2026-11-23T12:00:00Z");
    let write = |hour: u32, count: usize| {
        let event = |day: u32| event_at(&format!("2026-11-{day}T{hour:02}:00:00Z"), "t");
        let mut store = Store::new(host.clone());
        store.write_batch((0..count).flat_map(|_| [event(20), event(23)]).collect()).unwrap();
    };
    let mut reader = Store::new(host.clone());
    let count = |reader: &mut Store<TestHost>, order| {
        read_pages(reader, order, 5).iter().map(|page| page.events.len()).sum::<usize>()
    };
    write(23, 20);
    assert_eq!(count(&mut reader, Order::NewestFirst), 40);
    host.delete("tool_audit_2026-11-23.jsonl");
    write(12, 10);
    // The new file is not smaller than the old one, so its size does not show that it is another file.
    write(1, 12);
    assert_eq!(count(&mut reader, Order::OldestFirst), 64);
    assert_eq!(count(&mut reader, Order::NewestFirst), 64);
}
