//! Any calls in any order.

use proptest::prelude::*;

use crate::site::{
    Attribute, Backend, Durability, Error, Event, FILTERS, Filter, Order, PageRequest, Settings, Site, TEXTS,
    empty, no_filter, no_settings,
};

#[derive(Clone, Debug)]
enum Call {
    Write(Event),
    Batch(Vec<Event>),
    Lines(String),
    Flush,
    Read(Filter, PageRequest, bool),
    /// With the cursor that the last read returned.
    ReadOn(Order, u32),
    Configure(Settings),
    Status,
    Close,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{0,3}",
        2 => any::<String>(),
        1 => Just("2026-11-23T06:30:00Z".to_owned()),
        1 => "[\u{0}-\u{1f}\u{202a}-\u{202e}\u{fdd0}\u{fffe}\u{ffff}\u{10ffff}\"\\\\]{1,20}",
        1 => ("\\PC{1,3}", 0..3000_usize).prop_map(|(text, times)| text.repeat(times)),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let set = (0..TEXTS.len(), text());
    (proptest::collection::vec(set, 0..6), any::<[u64; 3]>()).prop_map(
        |(texts, [duration_ms, in_size, out_size])| {
            let mut event = Event { duration_ms, in_size, out_size, ..empty() };
            texts.into_iter().for_each(|(place, text)| TEXTS[place].1(&mut event, text));
            event
        },
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    proptest::collection::vec((0..FILTERS.len(), text()), 0..3).prop_map(|texts| {
        let mut filter = no_filter();
        texts.into_iter().for_each(|(place, text)| FILTERS[place].1(&mut filter, text));
        filter
    })
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::OldestFirst), Just(Order::NewestFirst)]
}

fn limit() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()]
}

fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => text().prop_map(|text| serde_json::json!({ "tool": text, "attributes": { "k": text } }).to_string()),
        1 => text(),
        1 => "\\{(\"[a-z_]{1,7}\":[0-9a-z\"\\[{]{0,4},?){0,3}\\}",
    ];
    proptest::collection::vec(line, 0..5).prop_map(|lines| lines.join("\n"))
}

prop_compose! {
    fn settings()(
        backend in proptest::option::of(prop_oneof![
            Just(Backend::Jsonl), Just(Backend::Memory), Just(Backend::Null), Just(Backend::Auto), Just(Backend::Postgres),
        ]),
        durability in proptest::option::of(prop_oneof![Just(Durability::Buffered), Just(Durability::Written)]),
        dir in proptest::option::of(prop_oneof![Just("/audit".to_owned()), text()]),
        numbers in proptest::collection::vec(proptest::option::of(prop_oneof![0..3_u64, any::<u64>()]), 5),
    ) -> Settings {
        Settings {
            backend,
            durability,
            jsonl_dir: dir,
            memory_limit: numbers[0],
            batch_size: numbers[1],
            flush_interval_ms: numbers[2],
            queue_limit: numbers[3],
            recovery_interval_s: numbers[4],
        }
    }
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => event().prop_map(Call::Write),
        2 => proptest::collection::vec(event(), 0..5).prop_map(Call::Batch),
        2 => lines().prop_map(Call::Lines),
        1 => Just(Call::Flush),
        2 => (filter(), order(), limit(), proptest::option::weighted(0.2, text()), any::<bool>())
            .prop_map(|(filter, order, limit, cursor, lines)| Call::Read(filter, PageRequest { order, limit, cursor }, lines)),
        2 => (order(), limit()).prop_map(|(order, limit)| Call::ReadOn(order, limit)),
        1 => settings().prop_map(Call::Configure),
        1 => Just(Call::Status),
        1 => Just(Call::Close),
    ]
}

/// Makes the call. What is written counts, whatever becomes of it.
fn make(site: &mut Site, call: Call, cursor: &mut Option<String>, sent: &mut u64) {
    let rows = |lines: &str| lines.split('\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64;
    let why = match call {
        Call::Write(event) => {
            *sent += 1;
            site.write(&event);
            None
        }
        Call::Batch(events) => {
            *sent += events.len() as u64;
            site.write_batch(&events).err()
        }
        Call::Lines(lines) => {
            *sent += rows(&lines);
            site.write_jsonl(&lines).err()
        }
        Call::Flush => site.flush().err(),
        Call::Read(filter, request, false) => {
            site.read(&filter, &request).map(|page| *cursor = page.next).err()
        }
        Call::Read(filter, request, true) => {
            site.read_jsonl(&filter, &request).map(|page| *cursor = page.next).err()
        }
        Call::ReadOn(order, limit) => {
            let request = PageRequest { order, limit, cursor: cursor.clone() };
            site.read_jsonl(&no_filter(), &request).map(|page| *cursor = page.next).err()
        }
        Call::Configure(settings) => site.configure(&settings).err(),
        Call::Status => {
            site.status();
            None
        }
        Call::Close => site.close().err(),
    };
    if let Some(Error::Invalid(value)) = why {
        assert!(!value.field.is_empty() && !value.reason.contains(char::is_control), "{value:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_calls_in_any_order_are_answered_and_every_event_is_accounted_for(
        calls in proptest::collection::vec(call(), 1..40),
    ) {
        let mut site = Site::open("jsonl");
        let (mut cursor, mut sent) = (None, 0);
        for call in calls {
            make(&mut site, call, &mut cursor, &mut sent);
        }
        prop_assert_eq!(site.status().counts.received, sent);
        site.assert_plain_stderr();
        // It goes on as if nothing had been.
        let settings = Settings { backend: Some(Backend::Memory), memory_limit: Some(10), ..no_settings() };
        let _ = site.configure(&settings);
        let attributes = vec![Attribute { key: "k".into(), value: "v".into() }];
        if site.configure(&settings).is_ok() {
            site.write_batch(&[Event { attributes, ..empty() }]).expect("an event in memory");
            prop_assert_eq!(site.everything().len(), 1);
        }
    }
}
