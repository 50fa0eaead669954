//! The index of a day's file, through the built component and real files: it makes reads fast, and never changes what they
//! give.

use audit_fixtures::{open, read_all};
use audit_host::{Backend, Event, Filter, Instance, Options, Order, PageRequest};
use std::fs;
use std::path::Path;
use std::process::Command;

const DAILY: &str = "tool_audit_2026-11-23.jsonl";
const INDEX: &str = ".tool_audit_2026-11-23.blocks";

/// Events of one day, mostly in order, that take more than 32 blocks of 240 KiB.
fn events() -> Vec<Event> {
    let event = |n: u32| {
        // Each hundredth event is late.
        let second = if n.is_multiple_of(100) { n / 2 } else { n };
        let ts = format!("2026-11-23T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
        let tool = if n.is_multiple_of(500) { "rare" } else { "common" };
        let input_hash = "ab".repeat(128);
        Event { ts, req_id: n.to_string(), tool: tool.into(), input_hash, ..Event::default() }
    };
    (0..15_000).map(event).collect()
}

fn filled(folder: &Path) -> Vec<Event> {
    let events = events();
    let mut store = open(Backend::Jsonl, folder);
    events.chunks(200).for_each(|batch| assert!(store.write_batch(batch).is_ok()));
    store.close().unwrap();
    assert!(fs::metadata(folder.join(DAILY)).unwrap().len() > 32 * (240 << 10));
    events
}

fn reader(folder: &Path) -> Instance {
    Instance::open(&Options::new().dir(folder).read_only(true)).unwrap()
}

fn newest(folder: &Path, filter: &Filter, limit: u32) -> Vec<String> {
    let request = PageRequest { order: Order::NewestFirst, limit, cursor: None };
    let page = reader(folder).read(filter, &request).unwrap();
    page.entries.into_iter().map(|entry| entry.event.req_id).collect()
}

/// The `req_id` of the events in the order of a read.
fn in_order(events: &[Event], order: Order, keep: impl Fn(&Event) -> bool) -> Vec<String> {
    let mut kept: Vec<_> = events.iter().enumerate().filter(|(_, event)| keep(event)).collect();
    kept.sort_by(|a, b| (&a.1.ts, a.0).cmp(&(&b.1.ts, b.0)));
    if order == Order::NewestFirst {
        kept.reverse();
    }
    kept.into_iter().map(|(_, event)| event.req_id.clone()).collect()
}

#[test]
fn whatever_becomes_of_an_index_reads_give_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let events = filled(folder.path());
    let index = folder.path().join(INDEX);
    let whole = fs::read(&index).expect("a writer leaves an index");
    assert!(whole.len() >= 24 * 32);
    let mut others = whole.clone();
    // The records of each block are those of another one.
    others.rotate_left(32 * 8);
    let mut torn = whole.clone();
    torn.splice(40..77, *b"torn");
    let mut forged = whole.clone();
    forged[200] ^= 1;
    let rare = Filter { tool: Some("rare".into()), ..Filter::default() };
    let minute = Filter {
        from_ts: Some("2026-11-23T01:00:00Z".into()),
        to_ts: Some("2026-11-23T01:01:00Z".into()),
        ..Filter::default()
    };
    let in_minute = |event: &Event| ("2026-11-23T01:00:00Z"..="2026-11-23T01:01:00Z").contains(&&*event.ts);
    for content in [Some(whole), None, Some(Vec::new()), Some(others), Some(torn), Some(forged)] {
        match &content {
            Some(content) => fs::write(&index, content).unwrap(),
            None => fs::remove_file(&index).unwrap(),
        }
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for limit in [0, 999] {
                let (entries, skipped) =
                    read_all(&mut reader(folder.path()), &Filter::default(), order, limit);
                let found: Vec<String> = entries.into_iter().map(|entry| entry.event.req_id).collect();
                assert!(found == in_order(&events, order, |_| true) && skipped == 0);
            }
            let (entries, _) = read_all(&mut reader(folder.path()), &minute, order, 7);
            let found: Vec<String> = entries.into_iter().map(|entry| entry.event.req_id).collect();
            assert_eq!(found, in_order(&events, order, in_minute));
        }
        let expected = in_order(&events, Order::NewestFirst, |_| true);
        assert_eq!(newest(folder.path(), &Filter::default(), 100), expected[..100]);
        let expected = in_order(&events, Order::NewestFirst, |event| event.tool == "rare");
        assert_eq!(newest(folder.path(), &rare, 7), expected[..7]);
        // A reader that may not change the folder leaves it as it is.
        assert_eq!(fs::read(&index).ok(), content);
    }
}

#[test]
fn a_file_that_replaced_another_with_the_same_bytes_around_its_blocks_is_read_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let daily = folder.path().join(DAILY);
    let mut store = reader(folder.path());
    let noon = Filter { from_ts: Some("2026-11-23T12:00:00Z".into()), ..Filter::default() };
    assert!(read_all(&mut store, &noon, Order::OldestFirst, 0).0.is_empty());
    // Another instant, far from the ends of all blocks.
    let mut bytes = fs::read(&daily).unwrap();
    let middle = 10 * (240 << 10) + (100 << 10);
    let at = middle + bytes[middle..].windows(6).position(|bytes| bytes == b"\"ts\":\"").unwrap();
    bytes[at + 6..][..13].copy_from_slice(b"2026-11-23T13");
    fs::write(folder.path().join("other"), bytes).unwrap();
    fs::rename(folder.path().join("other"), &daily).unwrap();
    for store in [&mut store, &mut reader(folder.path())] {
        let (entries, skipped) = read_all(store, &noon, Order::OldestFirst, 0);
        assert_eq!((entries.len(), skipped), (1, 0));
    }
}

#[test]
fn the_next_writer_replaces_an_index_of_another_file_and_one_that_cannot_be_replaced_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let (index, daily) = (folder.path().join(INDEX), folder.path().join(DAILY));
    let file = fs::read(&daily).unwrap();
    // The file without its first line: every byte is elsewhere.
    let first = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(&daily, &file[first..]).unwrap();
    let stale = fs::read(&index).unwrap();
    let late = Event { ts: "2026-11-23T00:00:00Z".into(), req_id: "late".into(), ..Event::default() };
    for _ in 0..20 {
        open(Backend::Jsonl, folder.path()).write(&late).unwrap();
    }
    let made = fs::read(&index).unwrap();
    assert!(made.len() >= 24 * 32 && made[..32] != stale[..32]);
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    let mut store = open(Backend::Jsonl, folder.path());
    store.write(&late).unwrap();
    let (entries, skipped) = read_all(&mut store, &Filter::default(), Order::OldestFirst, 0);
    assert_eq!((entries.len(), skipped), (15_000 - 1 + 20 + 1, 0));
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let events = filled(folder.path());
    let index = folder.path().join(INDEX);
    fs::remove_file(&index).unwrap();
    assert!(Command::new("mkfifo").arg(&index).status().unwrap().success());
    let expected = in_order(&events, Order::NewestFirst, |_| true);
    assert_eq!(newest(folder.path(), &Filter::default(), 100), expected[..100]);
    let mut store = open(Backend::Jsonl, folder.path());
    // More than a pipe holds.
    for batch in events.chunks(500) {
        store.write_batch(batch).unwrap();
    }
    let daily = folder.path().join("tool_audit_2026-11-24.jsonl");
    assert!(Command::new("mkfifo").arg(&daily).status().unwrap().success());
    let next = Event { ts: "2026-11-24T00:00:00Z".into(), ..Event::default() };
    let error = store.write_batch(&[next]).unwrap_err().to_string();
    assert!(error.contains("tool_audit_2026-11-24.jsonl: it is not a regular file"), "{error}");
    assert_eq!(newest(folder.path(), &Filter::default(), 100).len(), 100);
}
