//! Days that are large enough for an index: what others do to the file and the index while somebody reads.

use crate::store::Store;
use crate::testing::{NOON, Page, TestHost, event_at, read_page, read_pages};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::cursor::Order;
use audit_format::names;
use audit_format::query::{Filter, PageRequest};
use audit_format::time::Day;

const TODAY: &str = "tool_audit_2026-11-23.jsonl";
const INDEX: &str = ".tool_audit_2026-11-23.blocks";

/// Another writer's line. About twelve of them are a block.
fn line(day: &str, second: u32) -> String {
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{{\"ts\":\"2026-11-{day}T{hour:02}:{minute:02}:{second:02}Z\",\"tool\":\"t\"}}\n")
}

/// So many of them, a second apart, from ten o'clock on.
fn lines(day: &str, count: u32) -> String {
    (36_000..36_000 + count).map(|second| line(day, second)).collect()
}

fn store(host: &TestHost) -> Store<TestHost> {
    Store::new(host.clone())
}

fn bytes(host: &TestHost, name: &str) -> Vec<u8> {
    let state = host.0.borrow();
    state.files.get(name).map(|file| file.borrow().bytes.clone()).unwrap_or_default()
}

/// Changes a file in place.
fn change(host: &TestHost, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let file = host.0.borrow().files[name].clone();
    change(&mut file.borrow_mut().bytes);
}

/// Dates the first line that begins in this block back to this time, in place.
fn date_back(host: &TestHost, name: &str, block: usize, time: &str) {
    change(host, name, |bytes| {
        let from = block * 600;
        let start = from + bytes[from..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
        bytes[start + 18..start + 26].copy_from_slice(time.as_bytes());
    });
}

fn read_all(store: &mut Store<TestHost>, order: Order, limit: u32) -> (Vec<String>, u64) {
    let pages = read_pages(store, order, limit);
    let times = |page: &Page| page.events.iter().map(|event| event.ts[11..19].into()).collect::<Vec<_>>();
    (pages.iter().flat_map(times).collect(), pages.iter().map(|page| page.skipped).sum())
}

/// How many bytes of files this reads.
fn bytes_read<T>(host: &TestHost, read: impl FnOnce() -> T) -> (u64, T) {
    let before = host.0.borrow().bytes_read;
    let answer = read();
    (host.0.borrow().bytes_read - before, answer)
}

/// The entries between two times of the day.
fn between(store: &mut Store<TestHost>, from: &str, to: &str) -> usize {
    let time = |time: &str| Some(format!("2026-11-23T{time}Z"));
    let filter = Filter { from_ts: time(from), to_ts: time(to), ..Filter::default() };
    read_page(store, filter, &PageRequest::default()).unwrap().events.len()
}

#[test]
fn blocks_without_events_are_not_read_again_for_each_page() {
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let host = TestHost::at(NOON);
        let garbage = "Traceback (most recent call last):\n".repeat(300);
        host.set_file(TODAY, lines("23", 150) + &garbage + &line("23", 40_000));
        let size = bytes(&host, TODAY).len() as u64;
        let (read, (times, skipped)) = bytes_read(&host, || read_all(&mut store(&host), order, 10));
        assert_eq!((times.len(), skipped), (151, 300));
        // Each page reads some blocks of events, and what tells that the file is the same.
        assert!(read < 8 * size, "{read} of {size}");
    }
}

#[test]
fn a_line_that_is_completed_while_a_page_is_made_makes_no_index_wrong() {
    let torn = |host: &TestHost| {
        let last = line("23", 50_000);
        let (first, rest) = last.split_at(last.len() / 2);
        host.set_file(TODAY, lines("23", 150) + first);
        rest.as_bytes().to_vec()
    };
    let quiet = TestHost::at(NOON);
    torn(&quiet);
    let (quiet, _) = bytes_read(&quiet, || read_all(&mut store(&quiet), Order::OldestFirst, 0));
    let mut counts = [0, 0];
    for calls in 0..200 {
        let host = TestHost::at(NOON);
        let rest = torn(&host);
        host.0.borrow_mut().appended_meanwhile = Some((calls, [(TODAY.into(), rest)].into()));
        let mut store = store(&host);
        let (read, (times, skipped)) = bytes_read(&host, || read_all(&mut store, Order::OldestFirst, 0));
        assert!(read < quiet * 5 / 4, "{read} after {calls} calls, {quiet} without");
        // It counts as torn or as a line, and as both where the survey saw it one way.
        assert!((150..=151).contains(&times.len()) && skipped <= 1, "{} {skipped}", times.len());
        counts[times.len() - 150] += 1;
        assert!(!bytes(&host, INDEX).is_empty());
    }
    assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");
}

#[test]
fn a_reader_that_could_not_extend_an_index_uses_it_later() {
    let host = TestHost::at(NOON);
    host.set_file(TODAY, lines("23", 150));
    let mut reader = store(&host);
    let full = |host: &TestHost| {
        let used = host.files().iter().map(|name| bytes(host, name).len()).sum();
        host.0.borrow_mut().capacity = Some(used);
    };
    full(&host);
    assert_eq!(read_all(&mut reader, Order::OldestFirst, 0).0.len(), 150);
    assert!(bytes(&host, INDEX).is_empty());
    host.0.borrow_mut().capacity = None;
    let mut writer = store(&host);
    for second in 0..200 {
        let (minute, second) = (second / 60, second % 60);
        writer.write(event_at(&format!("2026-11-23T12:{minute:02}:{second:02}Z"), "t"));
    }
    full(&host);
    let request = PageRequest { order: Order::NewestFirst, limit: 1, cursor: None };
    let (read, page) = bytes_read(&host, || read_page(&mut reader, Filter::default(), &request).unwrap());
    assert_eq!(page.events[0].ts, "2026-11-23T12:03:19.000000Z");
    let size = bytes(&host, TODAY).len() as u64;
    assert!(read < size / 4, "{read} of {size}");
}

#[test]
fn an_index_that_another_process_extends_meanwhile_is_not_removed() {
    let fill = |host: &TestHost, from: u32, to: u32| {
        let mut store = store(host);
        (from..to).for_each(|second| store.write(event_at(&line("23", second)[7..27], "t")));
    };
    for calls in 0..30 {
        let host = TestHost::at(NOON);
        fill(&host, 0, 40);
        let short = [TODAY, INDEX].map(|name| bytes(&host, name).len());
        fill(&host, 40, 80);
        let mut appended = Vec::new();
        for (name, len) in [TODAY, INDEX].into_iter().zip(short) {
            change(&host, name, |bytes| appended.push((name.into(), bytes.split_off(len))));
        }
        let index = bytes(&host, INDEX);
        assert!(!index.is_empty());
        host.0.borrow_mut().appended_meanwhile = Some((calls, appended));
        fill(&host, 80, 81);
        assert!(bytes(&host, INDEX).starts_with(&index), "after {calls} calls");
    }
}

#[test]
fn a_read_that_comes_across_a_changed_line_corrects_the_index_for_other_programs() {
    let host = TestHost::at(NOON);
    host.set_file(TODAY, lines("23", 300));
    assert_eq!(read_all(&mut store(&host), Order::OldestFirst, 0).0.len(), 300);
    date_back(&host, TODAY, 7, "09:00:00");
    assert_eq!(read_all(&mut store(&host), Order::OldestFirst, 0).0[0], "09:00:00");
    assert_eq!(between(&mut store(&host), "08:00:00", "09:30:00"), 1);
    let (read, _) = bytes_read(&host, || between(&mut store(&host), "08:00:00", "09:30:00"));
    // The index was made anew.
    assert!(read < bytes(&host, TODAY).len() as u64);
}

#[test]
fn where_an_index_is_wrong_the_page_is_made_without_any() {
    let host = TestHost::at(NOON);
    // More than are remembered.
    let days: Vec<String> = (1..=20).map(|day| format!("{day:02}")).collect();
    let daily = |day: &str| names::daily(Day::parse(&format!("2026-11-{day}")).unwrap());
    days.iter().for_each(|day| host.set_file(&daily(day), lines(day, 80)));
    assert_eq!(read_all(&mut store(&host), Order::OldestFirst, 0).0.len(), 1600);
    assert_eq!(host.files().len(), 40);
    for day in &days[..19] {
        // A second earlier, as the line before it: all lines are still in order.
        let len = line(day, 0).len();
        let from = (4 * 600 / len + 1) * len;
        change(&host, &daily(day), |bytes| bytes.copy_within(from - len..from, from));
    }
    date_back(&host, &daily("20"), 4, "09:00:00");
    // The folder cannot be changed.
    host.0.borrow_mut().keeps_files = true;
    host.0.borrow_mut().capacity = Some(0);
    // The page ends before the changed line of the last day, where that was.
    let request = PageRequest { limit: 19 * 80 + 10, ..PageRequest::default() };
    let mut reader = store(&host);
    let mut page = read_page(&mut reader, Filter::default(), &request).unwrap();
    for pages in 0.. {
        if !page.events.is_empty() {
            break;
        }
        assert!(pages < 100, "the read gets nowhere");
        page =
            read_page(&mut reader, Filter::default(), &PageRequest { cursor: page.next, ..request }).unwrap();
    }
    assert_eq!(page.events[19 * 80].ts, "2026-11-20T09:00:00.000000Z");
}

#[test]
fn garbage_is_counted_once_where_a_page_is_made_anew() {
    let host = TestHost::at(NOON);
    let line = |second| line("23", second);
    let half = |from: u32| (from..from + 80).map(line).collect::<String>();
    host.set_file(TODAY, half(36_000) + "garbage\n" + &half(37_000));
    let mut reader = store(&host);
    let mut request = PageRequest { limit: 20, ..PageRequest::default() };
    let first = read_page(&mut reader, Filter::default(), &request).unwrap();
    date_back(&host, TODAY, 8, "10:59:59");
    request = PageRequest { limit: 0, cursor: first.next, ..request };
    let second = read_page(&mut reader, Filter::default(), &request).unwrap();
    assert_eq!((second.events.len(), first.skipped + second.skipped), (140, 1));
}

#[test]
fn garbage_that_is_appended_between_two_pages_is_counted() {
    let host = TestHost::at(NOON);
    host.set_file(TODAY, lines("23", 5));
    let mut reader = store(&host);
    let mut request = PageRequest { limit: 2, ..PageRequest::default() };
    let first = read_page(&mut reader, Filter::default(), &request).unwrap();
    host.append(TODAY, b"garbage\n");
    let mut skipped = Vec::new();
    request.cursor = first.next;
    for _ in 0..2 {
        let page = read_page(&mut reader, Filter::default(), &request).unwrap();
        skipped.push(page.skipped);
        request.cursor = page.next;
    }
    assert_eq!((skipped, request.cursor), ([1, 0].into(), None));
}

#[test]
fn a_line_that_was_appended_again_is_found_by_its_time() {
    for torn in 1..=600 {
        let host = TestHost::at(NOON);
        host.0.borrow_mut().appended_in_between = Some((0, "x".repeat(torn).into()));
        let mut writer = store(&host);
        let event = |second: u32| event_at(&line("23", second)[7..27], "t");
        writer.write_batch((0..20).map(event).collect()).unwrap();
        (20..30).for_each(|second| writer.write(event(second)));
        assert!(!bytes(&host, INDEX).is_empty());
        for second in 8..12 {
            let time = &line("23", second)[18..26];
            assert_ne!(between(&mut store(&host), time, time), 0, "{time} behind {torn}");
        }
    }
}

#[test]
fn a_line_with_two_times_counts_at_the_last_wherever_a_page_ends() {
    let twice = format!(
        "{{\"ts\":\"2026-11-23T06:00:00.000000Z\",\"tool\":\"t\",\"\\u0074s\":\"2026-11-23T20:00:00.000000Z\",\"hash\":\"{}\"}}\n",
        "a".repeat(64)
    );
    for twice in [twice.replace("\\u0074", "t"), twice] {
        let host = TestHost::at(NOON);
        host.set_file(TODAY, lines("23", 60) + &twice + &line("23", 75_600));
        let mut all: Vec<String> = (36_000..36_060).map(|second| line("23", second)[18..26].into()).collect();
        all.extend(["20:00:00", "21:00:00"].map(String::from));
        assert_eq!(read_all(&mut store(&host), Order::OldestFirst, 1).0, all);
        assert_eq!(between(&mut store(&host), "19:00:00", "20:30:00"), 1);
        all.reverse();
        assert_eq!(read_all(&mut store(&host), Order::NewestFirst, 7).0, all);
    }
}

/// A read whose pages may have no entries. Returns the entries of each.
fn pages(store: &mut Store<TestHost>, order: Order, limit: u32) -> Vec<usize> {
    read_pages(store, order, limit).iter().map(|page| page.events.len()).collect()
}

/// Two days without indexes, each with more than a page gets to know.
fn two_large_days(host: &TestHost) {
    let garbage = "garbage\n".repeat(100);
    host.set_file(&names::daily(Day::parse("2026-11-22").unwrap()), lines("22", 700) + &garbage);
    host.set_file(TODAY, garbage + &lines("23", 700));
    host.0.borrow_mut().capacity = Some(0);
}

#[test]
fn a_page_that_would_have_to_read_much_ends_early_and_the_next_one_goes_on() {
    for order in [Order::OldestFirst, Order::NewestFirst] {
        for limit in [0, 300] {
            let host = TestHost::at(NOON);
            two_large_days(&host);
            let mut reader = store(&host);
            let (times, skipped) = read_all(&mut reader, order, limit);
            let mut expected: Vec<String> =
                (36_000..36_700).map(|second| line("23", second)[18..26].into()).collect();
            expected = [&expected[..], &expected].concat();
            if order == Order::NewestFirst {
                expected.reverse();
            }
            assert_eq!((times, skipped), (expected, 200));
            // All is known now, so that no page ends early.
            assert!(pages(&mut reader, order, limit).iter().all(|count| *count > 0));
            let found = pages(&mut store(&host), order, limit);
            assert!(found[0] == 0 && found.iter().filter(|count| **count == 0).count() >= 2, "{found:?}");
            let most = bytes_read(&host, || {
                read_page(&mut store(&host), Filter::default(), &PageRequest::default())
            })
            .0;
            assert!(most < 2 * 20_000, "{most}");
        }
    }
}

#[test]
fn a_read_gets_on_where_each_page_has_an_instance_of_its_own() {
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let host = TestHost::at(NOON);
        two_large_days(&host);
        let mut request = PageRequest { order, limit: 300, cursor: None };
        let mut counts = Vec::new();
        loop {
            let page = read_page(&mut store(&host), Filter::default(), &request).unwrap();
            counts.push(page.events.len());
            request.cursor = page.next;
            if request.cursor.is_none() {
                break;
            }
        }
        assert_eq!(counts, [0, 300, 300, 300, 300, 200]);
    }
}

#[test]
fn a_read_gets_on_where_more_days_are_without_an_index_than_are_remembered() {
    let host = TestHost::at(NOON);
    for day in 1..=20 {
        let day = format!("{day:02}");
        host.set_file(&format!("tool_audit_2026-11-{day}.jsonl"), lines(&day, 200));
    }
    host.0.borrow_mut().capacity = Some(0);
    let found = pages(&mut store(&host), Order::OldestFirst, 0);
    assert!(found.last() == Some(&4000) && found.len() > 2, "{found:?}");
}

#[test]
fn a_page_that_ends_early_leaves_what_it_has_learned_to_others() {
    let host = TestHost::at(NOON);
    host.set_file(TODAY, lines("23", 2000));
    let page = read_page(&mut store(&host), Filter::default(), &PageRequest::default()).unwrap();
    assert!(page.events.is_empty() && page.next.is_some());
    assert_eq!(bytes(&host, INDEX).len() as u64, 20_000_u64.div_ceil(600) * 32);
}
