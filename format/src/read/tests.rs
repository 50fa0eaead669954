use super::*;
use crate::event::Dated;
use crate::leaf;
use crate::line::encode;
use crate::time::Timestamp;
use alloc::string::String;
use alloc::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0x01934c5e_7b1a_7000_8000_00000000000a);
const CHAIN: Uuid = Uuid::from_u128(0x01934c5e_7b1a_7000_8000_000000000001);

fn line(event: Event<'_>, seq: u64) -> String {
    let mut out = Vec::new();
    encode(&mut Dated::new(event, Timestamp::clamped(0)).unwrap(), ID, CHAIN, seq, &mut out);
    let range = 0..out.len();
    leaf::seal(&mut out, core::iter::once(range));
    String::from_utf8(out).unwrap()
}

fn parse_any_sent(line: &str) -> Result<Sent<'_>, Invalid> {
    let (event, mended) = parse_any(line, Origin::Caller)?.sent();
    Ok(Sent { event, mended })
}

#[test]
fn lines_of_other_writers_are_read_with_any_spacing_and_order() {
    let text = " { \"tool\" : \"caf\\u00e9\", \"ts\": \"2026-11-23T06:30:00Z\", \"user_id\":null,\
                \"duration_ms\" : 7 , \"extra\": [1, {\"a\": 2}], \"id\": 17 } ";
    let parsed = parse_stored(text).unwrap();
    assert_eq!(parsed.stamp, None);
    assert_eq!(parsed.event.tool, "café");
    assert_eq!(parsed.event.ts, "2026-11-23T06:30:00Z");
    assert_eq!(parsed.event.duration_ms, 7);
}

#[test]
fn a_sent_line_may_use_the_older_names_and_carry_a_stamp() {
    let sent = parse_sent(r#"{"input_chars":3,"output_size_bytes":4,"id":"x","seq":1,"hash":null}"#);
    let event = sent.unwrap().event;
    assert_eq!((event.in_size, event.out_size), (3, 4));
}

#[test]
fn an_invalid_line_names_the_field_and_what_is_accepted() {
    for (text, field, reason) in [
        (r#"{"in_size":"12"}"#, "in_size", "found the text \"12\"; accepted is a number"),
        (r#"{"in_size":true}"#, "in_size", "found true"),
        (r#"{"ts":true}"#, "ts", "found true; accepted is a text in RFC 3339, or a number"),
        (r#"{"ts":1e99}"#, "ts", "found the number 1e99"),
        (r#"{"ts":{}}"#, "ts", "found an object"),
        (r#"{"attributes":5}"#, "attributes", "found the number 5; accepted is an object of texts"),
        (r#"{"attributes":{"a":1}}"#, "attributes", "\"a\": found the number 1; accepted is text"),
        (r#"{"tool":5}"#, "tool", "found the number 5; accepted is text or null"),
        (r#"{"tool":{"a":1}}"#, "tool", "found an object"),
        (r#"{"job_id":[]}"#, "job_id", "found an array"),
        (r#"{"payload":"x"}"#, "\"payload\"", "unknown field; accepted are ts, req_id"),
        ("[1]", "json", "accepted is one JSON object"),
        ("nonsense", "json", "at column"),
        (r#"{"tool":"a"} {"#, "json", "at column"),
        (r#"{"tool":"a"#, "json", "at column"),
        (r#"{"in_size":NaN}"#, "json", "accepted is one JSON object"),
        ("", "json", "accepted is one JSON object"),
    ] {
        let error = parse_sent(text).unwrap_err();
        assert_eq!(error.field, field, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
}

#[test]
fn what_json_can_say_and_an_event_cannot_is_changed() {
    let duration = |number: &str| {
        let line = format!("{{\"duration_ms\":{number}}}");
        let sent = parse_sent(&line).unwrap();
        let changes: Vec<_> = sent.mended.changes().collect();
        assert!(changes.is_empty() || changes == [(Change::Rounded, "duration_ms")]);
        (sent.event.duration_ms, !changes.is_empty())
    };
    assert_eq!(duration("45.0"), (45, false));
    assert_eq!(duration("1e3"), (1000, false));
    assert_eq!(duration("12.7"), (13, true));
    assert_eq!(duration("-5"), (0, true));
    assert_eq!(duration("18446744073709551616"), (u64::MAX, true));

    let sent = parse_sent(r#"{"tool":"a\ud800b","ts":1795415400.5,"attributes":{"k":"\udfff\ud83d\ude00"}}"#)
        .unwrap();
    assert_eq!((&*sent.event.tool, &*sent.event.ts), ("a\u{fffd}b", "2026-11-23T06:30:00.500000Z"));
    assert_eq!(sent.event.attributes, [Attribute::new("k", "\u{fffd}\u{1f600}")]);
    assert_eq!(sent.mended.changes().collect::<Vec<_>>(), [(Change::Replaced, "tool")]);
    for changed in [
        r#"{"attributes":{"k":"\u0000"}}"#,
        r#"{"attributes":{"k":"\ud800"}}"#,
        r#"{"attributes":{"\ud800":"v"}}"#,
    ] {
        let changes = parse_sent(changed).unwrap().mended;
        assert_eq!(changes.changes().collect::<Vec<_>>(), [(Change::Replaced, "attributes")]);
    }

    let sent = parse_sent("\u{feff}{\"tool\":\"a\",\"tool\":\"b\",\"in_size\":1,\"input_chars\":2}").unwrap();
    assert_eq!((&*sent.event.tool, sent.event.in_size), ("b", 2));
    assert!(sent.mended.is_empty());
}

#[test]
fn values_of_other_types_are_read_from_files_as_well_as_they_can_be() {
    let parsed = parse_stored(
        r#"{"ts":1795415400123,"tool":5,"action":true,"status":[1, 2],"agent_id":{"a":"b"},"user_id":1.50,
        "duration_ms":"45.7","in_size":true,"out_size":NaN,"job_id":-Infinity,"req_id":"a NaN \"\u00e9",
        "attributes":{"A":1,"b":{"c":null},"d":null}}"#,
    );
    let event = parsed.unwrap().event;
    let texts = [&event.ts, &event.tool, &event.action, &event.status, &event.agent_id, &event.user_id];
    assert_eq!(texts, ["2026-11-23T06:30:00.123000Z", "5", "true", "[1, 2]", r#"{"a":"b"}"#, "1.50"]);
    assert_eq!((event.duration_ms, event.in_size, event.out_size), (46, 1, 0));
    assert_eq!((event.job_id.as_deref(), &*event.req_id), (Some("-Infinity"), "a NaN \"é"));
    assert_eq!(event.attributes, [Attribute::new("a", "1"), Attribute::new("b", r#"{"c":null}"#)]);
    assert!(parse_stored("[NaN]").is_err() && parse_stored(r#"{"a":NaN,}"#).is_err());
}

#[test]
fn what_is_no_json_has_no_stamp() {
    let line = line(Event::default(), 7);
    let with = |member: &str| line.replacen("\"duration_ms\"", &format!("{member},\"duration_ms\""), 1);
    assert!(parse_stored(&with(r#""x\u0000":1"#)).unwrap().stamp.is_some());
    for constant in ["NaN", "Infinity", "-Infinity"] {
        let parsed = with(&format!("\"x\":{constant}"));
        let parsed = parse_stored(&parsed).unwrap();
        assert_eq!((parsed.stamp, &*parsed.event.ts), (None, "1970-01-01T00:00:00.000000Z"));
    }
    for control in ["\0", "\n", "\x1f"] {
        for name in [format!("x{control}"), format!("\\u0041{control}")] {
            assert!(parse_stored(&with(&format!("\"{name}\":1"))).is_err(), "{name:?}");
            assert!(parse_stored(&format!("{{\"attributes\":{{\"{name}\":\"\"}}}}")).is_err(), "{name:?}");
        }
    }
}

prop_compose! {
    fn events()(
        micros in Timestamp::MIN.micros()..=Timestamp::MAX.micros(),
        texts in proptest::collection::vec("\\PC{0,12}", 8),
        numbers in any::<(u64, u64, u64)>(),
        options in proptest::collection::vec(proptest::option::of("\\PC{0,12}"), 3),
        attributes in proptest::collection::btree_map("[a-z0-9_.-]{1,9}", "[^\u{0}]{0,12}", 0..4),
    ) -> Event<'static> {
        let mut texts = texts.into_iter().map(Cow::Owned);
        let mut text = move || texts.next().unwrap_or_default();
        let mut options = options.into_iter().map(|o| o.map(Cow::Owned));
        let mut option = move || options.next().unwrap_or_default();
        Event {
            ts: Timestamp::clamped(micros).to_string().into(),
            req_id: text(), workspace_id: text(), user_id: text(), agent_id: text(),
            tool: text(), action: text(), status: text(), input_hash: text(),
            duration_ms: numbers.0, in_size: numbers.1, out_size: numbers.2,
            graph_run_id: option(), graph_node: option(), job_id: option(),
            attributes: attributes.into_iter().map(|(key, value)| Attribute::new(key, value)).collect(),
        }
    }
}

/// Lines that are valid or nearly so: fields in any order, some twice, with all kinds of values and spaces.
fn json_like() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        8 => proptest::sample::select(Field::NAMES.to_vec()).prop_map(String::from),
        2 => proptest::sample::select(vec!["id", "chain", "seq", "hash", "input_chars", "x", "attributes"])
            .prop_map(String::from),
    ];
    let value = prop_oneof![
        6 => "\"[ -~é検]{0,20}\"",
        1 => "\"[\\x00-\\x7f]{0,12}\"",
        3 => "[0-9]{1,3}",
        1 => "-?[0-9]{1,22}(\\.[0-9])?(e[0-9])?",
        2 => Just("null".to_string()),
        1 => "nul|true|\\[\\]|\\{\\}|",
        1 => "\\{ ?\"[a-z]\": ?\"[a-z]{0,3}\"(,\"[A-Z]\":(\"x\"|1))? ?\\}",
    ];
    let field = (name, "[ \t]{0,2}", value, "[ \n]{0,2}")
        .prop_map(|(name, before, value, after)| format!("{before}\"{name}\"{after}:{before}{value}{after}"));
    (proptest::collection::vec(field, 0..6), "[ }]{0,2}")
        .prop_map(|(fields, end)| format!("{{{}}}{end}", fields.join(",")))
}

proptest! {
    #[test]
    fn an_encoded_event_is_read_back(event in events(), seq in any::<u64>()) {
        let line = line(event.clone(), seq);
        let parsed = parse_stored(&line).unwrap();
        prop_assert_eq!(&parse_any(&line, Origin::Caller).unwrap().stored(), &parsed);
        prop_assert_eq!(&parsed.event, &event);
        let stamp = parsed.stamp.unwrap();
        prop_assert_eq!((stamp.id, stamp.chain, stamp.seq), (ID, CHAIN, seq));
        let body_end = line.rfind(",\"hash\":\"").unwrap();
        let mut leaf = vec![0];
        leaf.extend_from_slice(&line.as_bytes()[..body_end]);
        leaf.push(b'}');
        let mut hex = String::new();
        for byte in Sha256::digest(&leaf) {
            hex += &format!("{byte:02x}");
        }
        prop_assert_eq!(stamp.hash, hex);
        prop_assert_eq!(parse_sent(&line).unwrap(), Sent::from(event));
    }

    #[test]
    fn the_fast_parser_reads_what_serde_json_reads(text in json_like()) {
        let mut fields = Fields::default();
        if plain::parse(&text, &mut fields).is_some() {
            prop_assert_eq!(&parse_any(&text, Origin::File).unwrap().stored(), &fields.stored());
            prop_assert_eq!(parse_any_sent(&text).unwrap(), parse_sent(&text).unwrap());
        }
    }

    /// What is accepted from a caller is read from a file with the same result.
    #[test]
    fn files_are_read_at_least_as_leniently_as_callers(text in json_like()) {
        if let Ok(sent) = parse_sent(&text) {
            let dated = Dated::new_or_now(sent, Timestamp::clamped(0));
            let stored = parse_stored(&text).unwrap().event;
            let dated = Event { ts: stored.ts.clone(), ..dated.event().clone() };
            prop_assert_eq!(&dated, &stored);
        }
    }

    #[test]
    fn no_json_like_text_panics(text in "[\\[\\]{}\":,0-9a-zé\\\\ ]{0,60}") {
        let _ = parse_stored(&text);
        let _ = parse_sent(&text);
    }
}
