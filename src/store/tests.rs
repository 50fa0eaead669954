use super::*;
use crate::settings::BackendKind;
use crate::testing::{NOON, TestHost, assert_balanced, event_at, read_page, read_tools};
use alloc::collections::BTreeSet;
use audit_format::cursor::Order;
use audit_format::event::{Event, Field};
use proptest::prelude::*;

fn open(host: &TestHost, kind: BackendKind) -> Store<TestHost> {
    let mut store = Store::new(host.clone());
    store.configure(&Config { backend: Some(kind), ..Config::default() }).unwrap();
    store
}

/// A host with what the backend needs.
fn host_for(kind: BackendKind) -> TestHost {
    if kind.needs_database() { TestHost::with_database(NOON) } else { TestHost::at(NOON) }
}

#[test]
fn the_environment_chooses_the_backend_and_an_invalid_value_is_a_warning() {
    for (value, backend, warnings) in
        [("memory", "memory", 0), ("", "jsonl", 0), ("Postgres!", "jsonl", 1), ("auto", "jsonl", 1)]
    {
        let host = TestHost::at(NOON);
        host.set_variable("AUDIT_BACKEND", value);
        let store = Store::new(host.clone());
        assert_eq!(store.status().settings.backend.name(), backend);
        assert_eq!(store.status().settings.warnings.len(), warnings);
        assert_eq!(host.0.borrow().warnings.len(), warnings);
    }
}

#[test]
fn the_default_folder_is_in_the_repository() {
    for (root, expected) in [("", "./ops/audit"), ("/srv/repo/", "/srv/repo/ops/audit"), ("/", "/ops/audit")]
    {
        let host = TestHost::at(NOON);
        host.set_variable("REPO_ROOT", root);
        assert_eq!(Store::new(host).status().settings.jsonl_dir, expected);
    }
}

#[test]
fn an_invalid_configuration_names_the_setting_and_changes_nothing() {
    let host = TestHost::at(NOON);
    let mut store = open(&host, BackendKind::Memory);
    store.write(event_at("", "kept"));
    for (config, name) in [
        (Config { backend: Some(BackendKind::Auto), ..Config::default() }, "backend"),
        (Config { memory_limit: Some(0), ..Config::default() }, "memory_limit"),
        (Config { batch_size: Some(0), ..Config::default() }, "batch_size"),
        (Config { queue_limit: Some(0), ..Config::default() }, "queue_limit"),
    ] {
        let Err(Error::Config(text)) = store.configure(&config) else { panic!("{name} was accepted") };
        assert!(text.starts_with(name) && text.contains("accepted is"), "{text}");
    }
    assert_eq!(read_tools(&mut store, Order::OldestFirst, 0), ["kept"]);
}

#[test]
fn memory_keeps_the_newest() {
    let host = TestHost::at(NOON);
    host.set_variable("AUDIT_BACKEND", "memory");
    host.set_variable("AUDIT_MEMORY_LIMIT", "3");
    let mut store = Store::new(host);
    for tool in ["1", "2", "3", "4", "5"] {
        store.write(event_at("", tool));
    }
    assert_eq!(read_tools(&mut store, Order::OldestFirst, 0), ["3", "4", "5"]);
    assert_eq!(store.status().counts.stored, 5);
}

#[test]
fn a_closed_store_drops_and_rejects_events_until_it_is_configured_again() {
    for kind in BackendKind::ALL {
        let mut store = open(&host_for(kind), kind);
        store.write(event_at("", "a"));
        store.close().unwrap();
        store.write(event_at("", "b"));
        assert!(matches!(store.write_batch([event_at("", "c")].into()), Err(Error::Unavailable(_))));
        let read = read_page(&mut store, Filter::default(), &PageRequest::default());
        assert!(matches!(read, Err(Error::Unavailable(_))));
        let counts = store.status().counts;
        assert_eq!((counts.stored, counts.dropped.unwritable, counts.rejected), (1, 1, 1));
        store.configure(&Config { backend: Some(kind), ..Config::default() }).unwrap();
        store.write(event_at("", "d"));
        store.flush().unwrap();
        assert_eq!(store.status().counts.stored, 2);
        assert_eq!(assert_balanced(&store).received, 4);
    }
}

#[test]
fn a_batch_is_accepted_or_rejected_as_a_whole() {
    for kind in BackendKind::ALL {
        let mut store = open(&host_for(kind), kind);
        let batch = [event_at("", "a"), event_at("tomorrow", "b"), event_at("", "c")];
        let Err(Error::Invalid { index, invalid }) = store.write_batch(batch.into()) else { panic!() };
        assert_eq!((index, invalid.field.as_str()), (1, "ts"));
        let lines = "\n{\"tool\":\"a\"}\r\n\n{\"tool\":7}\n";
        let Err(Error::Invalid { index, invalid }) = store.write_jsonl(lines) else { panic!() };
        assert_eq!((index, invalid.field.as_str()), (3, "tool"));
        assert!(read_tools(&mut store, Order::OldestFirst, 0).is_empty());
        let receipt = store.write_jsonl("{\"tool\":\"a\"}\n\n{\"tool\":\"b\"}").unwrap();
        assert_eq!((receipt.accepted, receipt.first_seq), (2, 0));
        assert_eq!(store.write_batch(Vec::new()).unwrap().accepted, 0);
        store.flush().unwrap();
        let counts = store.status().counts;
        assert_eq!((counts.received, counts.rejected, counts.stored), (7, 5, 2));
    }
}

#[test]
fn no_event_is_dropped_for_what_it_is_and_changes_are_counted() {
    for kind in BackendKind::ALL {
        let host = host_for(kind);
        let mut store = open(&host, kind);
        let long = "x".repeat(100_000);
        store.write(event_at("", &long));
        store.write(event_at("yesterday", "a\nb"));
        store.write_batch([event_at("", "a\0"), event_at("", "plain"), event_at("", &long)].into()).unwrap();
        store.write_jsonl("{\"duration_ms\":1.5}\n{\"duration_ms\":1.0}\n{\"tool\":\"\\ud800\"}").unwrap();
        store.flush().unwrap();
        let status = store.status();
        assert_eq!((status.counts.stored, status.mended), (8, 6), "{kind:?}");
        let warnings = host.0.borrow().warnings.join("\n");
        for field in ["tool: the text", "ts: it is", "tool: a character", "duration_ms: the number"] {
            assert!(warnings.contains(field), "{warnings}");
        }
        if kind != BackendKind::Null {
            let texts = [(Field::Tool, long)].into();
            let filter = Filter { texts, ..Filter::default() };
            let page = read_page(&mut store, filter, &PageRequest::default()).unwrap();
            assert_eq!(page.events.len(), 2, "{kind:?}");
            assert_eq!(page.events[0].tool, page.events[1].tool);
        }
    }
}

#[test]
fn a_cursor_of_another_order_and_invalid_cursors_and_bounds_are_rejected() {
    let mut store = open(&TestHost::at(NOON), BackendKind::Memory);
    for tool in ["a", "b"] {
        store.write(event_at("", tool));
    }
    let newest = PageRequest { order: Order::NewestFirst, limit: 1, cursor: None };
    let next = read_page(&mut store, Filter::default(), &newest).unwrap().next;
    assert!(next.is_some());
    for cursor in [next, Some("".into()), Some("o1.2.3".into()), Some("o1.x.0.0".into())] {
        let request = PageRequest { cursor, ..PageRequest::default() };
        let Err(Error::Invalid { invalid, .. }) = read_page(&mut store, Filter::default(), &request) else {
            panic!()
        };
        assert_eq!(invalid.field, "cursor");
    }
    for (from_ts, to_ts, field) in [(Some("soon"), None, "from_ts"), (None, Some("2026-13-01"), "to_ts")] {
        let filter = Filter {
            from_ts: from_ts.map(String::from),
            to_ts: to_ts.map(String::from),
            ..Filter::default()
        };
        let Err(Error::Invalid { invalid, .. }) = read_page(&mut store, filter, &PageRequest::default())
        else {
            panic!()
        };
        assert_eq!(invalid.field, field);
    }
}

/// Instants around a midnight, so that several days, equal instants and late events are common.
fn instants() -> impl Strategy<Value = String> {
    (-3_i64..=3, 0_i64..3, -2_i64..=2).prop_map(|(day, micros, hours)| {
        let midnight = Timestamp::parse("2028-02-29T00:00:00Z").unwrap().micros();
        let at = midnight + day * 43_200_000_000 + micros + hours * 3_600_000_000;
        let local = Timestamp::clamped(at + hours * 3_600_000_000).to_string();
        let sign = if hours < 0 { '-' } else { '+' };
        format!("{}{sign}{:02}:00", local.trim_end_matches('Z'), hours.abs())
    })
}

proptest! {
    /// All backends that keep events return the same entries as a filtered and sorted list does, in pages of
    /// any size. The daily files also have lines of another writer.
    #[test]
    fn reads_return_what_a_filtered_and_sorted_list_has(
        events in proptest::collection::vec((instants(), 0..3_usize, 0..3_usize), 0..40),
        foreign in proptest::collection::vec((instants(), 0..3_usize), 0..6),
        from in proptest::option::of(instants()),
        to in proptest::option::of(instants()),
        tool in proptest::option::of(0..3_usize),
        agent in proptest::option::of(0..3_usize),
        newest in any::<bool>(),
        limit in 1..9_u32,
    ) {
        const NAMES: [&str; 3] = ["sh", "s\"h", "é"];
        for kind in BackendKind::ALL.into_iter().filter(|kind| *kind != BackendKind::Null) {
            let host = host_for(kind);
            let mut expected: Vec<(Timestamp, u8, String, usize, usize)> = Vec::new();
            if kind == BackendKind::Jsonl {
                for (n, (ts, tool)) in foreign.iter().enumerate() {
                    let local_day = &ts[..10];
                    let req_id = format!("foreign{n}");
                    let line = format!(
                        "{{ \"req_id\" : \"{req_id}\", \"ts\":\"{ts}\", \"tool\": {}, \
                         \"agent_id\":\"sh\"}}\n",
                        serde_json::to_string(NAMES[*tool]).unwrap().replace('é', "\\u00e9"),
                    );
                    host.append(&format!("tool_audit_{local_day}.jsonl"), line.as_bytes());
                    expected.push((Timestamp::parse(ts).unwrap(), 0, req_id, *tool, 0));
                }
            }
            let mut store = open(&host, kind);
            for (n, (ts, tool, agent)) in events.iter().enumerate() {
                store.write(Event {
                    req_id: format!("{n:03}").into(),
                    agent_id: NAMES[*agent].into(),
                    ..event_at(ts, NAMES[*tool])
                });
                expected.push((Timestamp::parse(ts).unwrap(), 1, format!("{n:03}"), *tool, *agent));
            }
            let (first, last) = (from.as_deref(), to.as_deref());
            expected.retain(|(at, _, _, t, a)| {
                first.is_none_or(|first| *at >= Timestamp::parse(first).unwrap())
                    && last.is_none_or(|last| *at <= Timestamp::parse(last).unwrap())
                    && tool.is_none_or(|tool| tool == *t)
                    && agent.is_none_or(|agent| agent == *a)
            });
            expected.sort();
            if newest {
                expected.reverse();
            }
            let texts = [(Field::Tool, tool), (Field::AgentId, agent)];
            let texts = texts.into_iter().filter_map(|(field, name)| Some((field, NAMES[name?].into())));
            let (from_ts, to_ts, texts) = (from.clone(), to.clone(), texts.collect());
            let filter = Filter { from_ts, to_ts, texts, ..Filter::default() };
            let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
            let mut request = PageRequest { order, limit, cursor: None };
            let mut found = Vec::new();
            loop {
                let page = read_page(&mut store, filter.clone(), &request).unwrap();
                prop_assert_eq!(page.skipped, 0);
                prop_assert!(page.events.len() <= limit as usize);
                let ids = |event: Event<'_>| (event.ts.into_owned(), event.req_id.into_owned());
                found.extend(page.events.into_iter().map(ids));
                request.cursor = page.next;
                if request.cursor.is_none() {
                    break;
                }
            }
            // Lines of other writers with the same `ts` come in the order of their position, which the list
            // does not have. So their names are only compared as a set.
            let own = |name: &str| if name.starts_with("foreign") { String::new() } else { name.to_string() };
            let found_in_order: Vec<_> = found.iter().map(|(ts, name)| (ts.clone(), own(name))).collect();
            let expected_in_order: Vec<_> =
                expected.iter().map(|(at, _, name, ..)| (at.to_string(), own(name))).collect();
            prop_assert_eq!(found_in_order, expected_in_order);
            let found: BTreeSet<_> = found.into_iter().map(|(_, name)| name).collect();
            let expected: BTreeSet<_> = expected.into_iter().map(|(_, _, name, ..)| name).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn every_event_is_accounted_for(
        calls in proptest::collection::vec((0..4_u8, 0..5_usize, any::<bool>(), 0..3_000_usize), 0..30),
    ) {
        for kind in BackendKind::ALL {
            let host = host_for(kind);
            let mut store = open(&host, kind);
            let mut sent = 0;
            for (call, count, valid, capacity) in &calls {
                let one = || event_at(if *valid { "" } else { "never" }, "t");
                host.0.borrow_mut().capacity = Some(*capacity);
                match call {
                    0 => {
                        sent += 1;
                        store.write(one());
                    }
                    1 => {
                        sent += *count as u64;
                        let _ = store.write_batch((0..*count).map(|_| one()).collect());
                    }
                    2 => {
                        sent += 2;
                        let _ = store.write_jsonl(if *valid { "{}\n{}" } else { "{}\n{" });
                    }
                    _ => drop(store.flush()),
                }
                let counts = assert_balanced(&store);
                prop_assert_eq!(counts.received, sent);
                if kind == BackendKind::Jsonl {
                    let page = read_page(&mut store, Filter::default(), &PageRequest::default()).unwrap();
                    prop_assert_eq!(page.events.len() as u64, counts.stored);
                }
            }
        }
    }
}
