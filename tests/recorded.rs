//! Any event whatsoever, given to any function, is in the record afterwards, once, in every backend; or it was refused,
//! with the field's name, for its `ts`, or as a line for its form. What was changed is counted.

use audit_fixtures::{assert_balanced, everything, start};
use audit_host::{Attribute, Backend, Error, Event, Filter, Instance, Options, PageRequest};
use audit_testbed::{ANSWER, Cluster};
use proptest::prelude::*;
use serde_json::Value;
use std::sync::OnceLock;

/// Texts of all kinds and lengths: what JSON and SQL quote, control characters, and more than a line can take.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{0,9}",
        3 => "\\PC{0,20}",
        3 => any::<String>(),
        1 => ("[\u{0}-\u{20}\"\\\\'é\u{1F600}a]{1,9}", 0..1_500_usize).prop_map(|(text, times)| text.repeat(times)),
        // These cannot be compressed, so that an index of the database could not take all of them.
        1 => (0..4_000_usize, any::<u64>()).prop_map(|(len, seed)| {
            let mut rng = audit_testbed::Rng::with_seed(seed);
            (0..len).map(|_| rng.char('!'..='~')).collect()
        }),
    ]
}

prop_compose! {
    fn events()(
        ts in prop_oneof![
            3 => Just(String::new()),
            3 => Just("2026-11-23T06:30:00+01:00".to_owned()),
            1 => text(),
        ],
        texts in proptest::collection::vec(text(), 8),
        numbers in any::<[u64; 3]>(),
        options in proptest::collection::vec(proptest::option::of(text()), 3),
        attributes in proptest::collection::vec((prop_oneof!["[a-z]{1,3}", text()], text()), 0..20),
    ) -> Event {
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap();
        let mut options = options.into_iter();
        let mut option = || options.next().unwrap();
        Event {
            ts,
            req_id: text(), workspace_id: text(), user_id: text(), agent_id: text(),
            tool: text(), action: text(), status: text(), input_hash: text(),
            duration_ms: numbers[0], in_size: numbers[1], out_size: numbers[2],
            graph_run_id: option(), graph_node: option(), job_id: option(),
            attributes: attributes.into_iter().map(|(key, value)| Attribute { key, value }).collect(),
        }
    }
}

/// Numbers as JSON has them, and the number that is stored.
fn numbers() -> impl Strategy<Value = (String, u64)> {
    prop_oneof![
        any::<u64>().prop_map(|number| (number.to_string(), number)),
        (0..1_u64 << 50, 0..10_u32).prop_map(|(whole, digit)| {
            let up = digit > 5 || (digit == 5 && whole % 2 == 1);
            (format!("{whole}.{digit}"), whole + u64::from(up))
        }),
        (1..999_u64, 0..9_u32)
            .prop_map(|(number, zeros)| (format!("{number}E+{zeros}"), number * 10_u64.pow(zeros))),
        "-[1-9][0-9]{0,30}(\\.[0-9])?".prop_map(|text| (text, 0)),
        "[1-9][0-9]{20,40}".prop_map(|text| (text, u64::MAX)),
        Just(("1e999999".to_owned(), u64::MAX)),
    ]
}

/// A store of every backend. Those with a database share one of each test, whose tables are dropped.
fn each_store(
    url: &OnceLock<String>,
    mut run: impl FnMut(Backend, &mut Instance) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let cluster = Cluster::shared();
    let url = url.get_or_init(|| cluster.database());
    for backend in Backend::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new().backend(backend.name()).dir(folder.path()).warnings(|_| ());
        if backend.needs_database() {
            options = options.database_url(url).database_timeout(ANSWER);
            cluster.execute(url, "DROP TABLE IF EXISTS tool_audit_events, tool_audit_refused");
        }
        let mut store = start(&options);
        run(backend, &mut store)?;
        assert_balanced(&store.status().unwrap().counts);
    }
    Ok(())
}

/// Whether the entry is the event as it was sent, but for the form of its `ts` and the order of its attributes.
fn is_unchanged(sent: &Event, stored: &Event) -> bool {
    let all = |event: &Event| {
        let mut attributes: Vec<_> =
            event.attributes.iter().map(|a| (a.key.clone(), a.value.clone())).collect();
        attributes.sort();
        attributes
    };
    let has_ts = sent.ts.is_empty() || audit_format::time::Timestamp::parse(&sent.ts).is_ok();
    let plain = |event: &Event| Event { ts: String::new(), attributes: Vec::new(), ..event.clone() };
    has_ts && all(sent) == all(stored) && plain(sent) == plain(stored)
}

fn assert_found(store: &mut Instance, sent: &Event) -> Result<(), TestCaseError> {
    let filter = Filter {
        tool: Some(sent.tool.clone()),
        agent_id: Some(sent.agent_id.clone()),
        workspace_id: Some(sent.workspace_id.clone()),
        user_id: Some(sent.user_id.clone()),
        action: Some(sent.action.clone()),
        status: Some(sent.status.clone()),
        req_id: Some(sent.req_id.clone()),
        graph_run_id: sent.graph_run_id.clone(),
        graph_node: sent.graph_node.clone(),
        job_id: sent.job_id.clone(),
        ..Filter::default()
    };
    let found = store.read(&filter, &PageRequest::default()).unwrap().entries;
    prop_assert!(!found.is_empty(), "a filter with the whole texts does not find the event");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_event_is_recorded_once_by_write_and_by_write_batch(
        events in proptest::collection::vec(events(), 1..5),
        batch in any::<bool>(),
    ) {
        static DATABASE: OnceLock<String> = OnceLock::new();
        each_store(&DATABASE, |backend, store| {
            let mut sent = events.clone();
            if batch {
                let is_invalid = |event: &Event| {
                    !event.ts.is_empty() && audit_format::time::Timestamp::parse(&event.ts).is_err()
                };
                while let Err(error) = store.write_batch(&sent) {
                    let Error::Invalid(value) = error else { panic!("{backend:?}: {error}") };
                    prop_assert_eq!(&value.field, "ts");
                    let refused = sent.remove(value.index as usize);
                    prop_assert!(is_invalid(&refused));
                }
            } else {
                sent.iter().for_each(|event| store.write(event).unwrap());
            }
            store.flush().unwrap();
            let status = store.status().unwrap();
            prop_assert_eq!(status.counts.stored, sent.len() as u64, "{:?}", backend);
            if backend == Backend::Null {
                return Ok(());
            }
            let (mut entries, skipped) = everything(store);
            prop_assert_eq!((entries.len(), skipped), (sent.len(), 0), "{:?}", backend);
            entries.sort_by_key(|entry| entry.seq);
            let changed = sent.iter().zip(&entries).filter(|(sent, entry)| !is_unchanged(sent, &entry.event)).count();
            prop_assert_eq!(status.mended, changed as u64, "{:?}", backend);
            sent.iter().try_for_each(|event| assert_found(store, event))
        })?;
    }

    #[test]
    fn any_line_is_recorded_once_or_refused_with_the_name_of_the_field(
        texts in proptest::collection::vec(text(), 3),
        (written, number) in numbers(),
        surrogate in proptest::option::of("[dD][89abAB][0-9a-f]{2}"),
        wrong in 0..6_usize,
    ) {
        let json = |text: &str| Value::from(text).to_string();
        let mut tool = json(&texts[0]);
        if let Some(surrogate) = &surrogate {
            tool.insert_str(tool.len() - 1, &format!("\\u{surrogate}"));
        }
        let good = format!(
            "{{\"tool\":{tool},\"user_id\":{},\"duration_ms\":{written},\"attributes\":{{{}:\"v\"}}}}\n",
            json(&texts[1]), json(&texts[2]),
        );
        let (bad, field) = [
            ("", ""),
            ("{\"tool\":5}\n", "tool"),
            ("{\"ts\":\"soon\"}\n", "ts"),
            ("{\"odd\":1}\n", "\"odd\""),
            ("[1]\n", "json"),
            ("{\"in_size\":\"1\"}\n", "in_size"),
        ][wrong];
        static DATABASE: OnceLock<String> = OnceLock::new();
        each_store(&DATABASE, |backend, store| {
            match store.write_jsonl(&format!("{good}{bad}")) {
                Ok(receipt) => prop_assert_eq!((receipt.accepted, wrong), (1, 0)),
                Err(Error::Invalid(value)) => {
                    prop_assert_eq!((value.index, value.field.as_str()), (1, field));
                    store.write_jsonl(&good).unwrap();
                }
                Err(error) => panic!("{backend:?}: {error}"),
            }
            store.flush().unwrap();
            prop_assert_eq!(store.status().unwrap().counts.stored, 1);
            let (entries, _) = everything(store);
            prop_assert_eq!(entries.len(), usize::from(backend != Backend::Null));
            for entry in entries {
                prop_assert_eq!(entry.event.duration_ms, number);
                let tool = &entry.event.tool;
                let is_replaced = tool.ends_with(char::REPLACEMENT_CHARACTER) || tool.contains('…');
                prop_assert!(surrogate.is_none() || is_replaced, "{}", tool);
            }
            Ok(())
        })?;
    }
}
