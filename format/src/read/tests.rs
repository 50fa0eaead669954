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

fn line(event: Event<'_>, seq: u64) -> Result<Vec<u8>, Invalid> {
    let mut out = Vec::new();
    encode(&Dated::new(event, Timestamp::clamped(0))?, ID, CHAIN, seq, &mut out)?;
    let range = 0..out.len();
    leaf::seal(&mut out, core::iter::once(range));
    Ok(out)
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
    let event = parse_sent(r#"{"input_chars":3,"output_size_bytes":4,"id":"x","seq":1,"hash":null}"#);
    let event = event.unwrap();
    assert_eq!((event.in_size, event.out_size), (3, 4));
}

#[test]
fn an_invalid_line_names_the_field_and_what_is_accepted() {
    for (text, field, reason) in [
        (r#"{"duration_ms":-5}"#, "duration_ms", "found the number -5; accepted is a whole number from 0"),
        (r#"{"duration_ms":1.5}"#, "duration_ms", "found the number 1.5"),
        (r#"{"in_size":"12"}"#, "in_size", "found the text \"12\""),
        (r#"{"in_size":18446744073709551616}"#, "in_size", "accepted is a whole number"),
        (r#"{"tool":5}"#, "tool", "found the number 5; accepted is text or null"),
        (r#"{"tool":{"a":1}}"#, "tool", "found an object"),
        (r#"{"job_id":[]}"#, "job_id", "found an array"),
        (r#"{"tool":"a","tool":"b"}"#, "tool", "given twice"),
        (r#"{"in_size":1,"input_chars":2}"#, "input_chars", "given twice"),
        (r#"{"payload":"x"}"#, "\"payload\"", "unknown field; accepted are ts, req_id"),
        ("[1]", "json", "accepted is one JSON object"),
        ("nonsense", "json", "at column"),
        (r#"{"tool":"a"} {"#, "json", "at column"),
        (r#"{"tool":"a"#, "json", "at column"),
        (r#"{"tool":"\ud800"}"#, "json", "accepted is one JSON object"),
        ("", "json", "accepted is one JSON object"),
    ] {
        let error = parse_sent(text).unwrap_err();
        assert_eq!(error.field, field, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
}

prop_compose! {
    fn events()(
        micros in Timestamp::MIN.micros()..=Timestamp::MAX.micros(),
        texts in proptest::collection::vec("\\PC{0,12}", 8),
        numbers in any::<(u64, u64, u64)>(),
        options in proptest::collection::vec(proptest::option::of("\\PC{0,12}"), 3),
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
        }
    }
}

/// Lines that are valid or nearly so: fields in any order, some twice, with all kinds of values and spaces.
fn json_like() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        8 => proptest::sample::select(Field::NAMES.to_vec()).prop_map(String::from),
        2 => proptest::sample::select(vec!["id", "chain", "seq", "hash", "input_chars", "x", "t\\u0073"])
            .prop_map(String::from),
    ];
    let value = prop_oneof![
        6 => "\"[ -~é検]{0,20}\"",
        1 => "\"[\\x00-\\x7f]{0,12}\"",
        3 => "[0-9]{1,3}",
        1 => "-?[0-9]{1,22}(\\.[0-9])?(e[0-9])?",
        2 => Just("null".to_string()),
        1 => "nul|true|\\[\\]|\\{\\}|",
    ];
    let field = (name, "[ \t]{0,2}", value, "[ \n]{0,2}")
        .prop_map(|(name, before, value, after)| format!("{before}\"{name}\"{after}:{before}{value}{after}"));
    (proptest::collection::vec(field, 0..6), "[ }]{0,2}")
        .prop_map(|(fields, end)| format!("{{{}}}{end}", fields.join(",")))
}

proptest! {
    #[test]
    fn an_encoded_event_is_read_back(event in events(), seq in any::<u64>()) {
        let line = line(event.clone(), seq).unwrap();
        let line = String::from_utf8(line).unwrap();
        let parsed = parse_stored(&line).unwrap();
        prop_assert_eq!(&parse_any(&line, UnknownFields::Invalid).unwrap(), &parsed);
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
        prop_assert_eq!(parse_sent(&line).unwrap(), event);
    }

    #[test]
    fn the_fast_parser_reads_what_serde_json_reads(text in json_like()) {
        if let Some(parsed) = plain::parse(&text) {
            prop_assert_eq!(&parse_any(&text, UnknownFields::Ignored).unwrap(), &parsed);
            prop_assert_eq!(&parse_any(&text, UnknownFields::Invalid).unwrap(), &parsed);
        }
    }

    #[test]
    fn no_json_like_text_panics(text in "[\\[\\]{}\":,0-9a-zé\\\\ ]{0,60}") {
        let _ = parse_stored(&text);
        let _ = parse_sent(&text);
    }
}
