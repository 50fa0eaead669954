use super::*;
use crate::time::Timestamp;
use alloc::vec;
use proptest::prelude::*;

const ID: Uuid = Uuid::from_u128(0x01934c5e_7b1a_7000_8000_00000000000a);
const CHAIN: Uuid = Uuid::from_u128(0x01934c5e_7b1a_7000_8000_000000000001);

fn checked(event: Event<'_>) -> Checked<'_> {
    Checked::new(event, Timestamp::clamped(0)).unwrap()
}

fn line(event: Event<'_>, seq: u64) -> Result<Vec<u8>, Invalid> {
    let mut out = Vec::new();
    encode(&checked(event), ID, CHAIN, seq, &mut out).map(|()| out)
}

/// An event whose line is `len` bytes long.
fn event_of_len(len: usize) -> Event<'static> {
    let shortest = line(Event::default(), 0).unwrap().len();
    Event { tool: "x".repeat(len - shortest).into(), ..Event::default() }
}

#[test]
fn the_line_and_its_hash_are_as_the_format_says() {
    let event = Event {
        ts: "2026-11-23T07:30:00.123456+01:00".into(),
        req_id: "r-1".into(),
        agent_id: "agent \"7\"".into(),
        tool: "shell".into(),
        status: "ok".into(),
        duration_ms: 12,
        out_size: u64::MAX,
        job_id: Some("".into()),
        ..Event::default()
    };
    let body = concat!(
        r#"{"ts":"2026-11-23T06:30:00.123456Z","req_id":"r-1","workspace_id":"","user_id":"","#,
        r#""agent_id":"agent \"7\"","tool":"shell","action":"","status":"ok","duration_ms":12,"#,
        r#""in_size":0,"out_size":18446744073709551615,"input_hash":"","graph_run_id":null,"#,
        r#""graph_node":null,"job_id":"","id":"01934c5e-7b1a-7000-8000-00000000000a","#,
        r#""chain":"01934c5e-7b1a-7000-8000-000000000001","seq":41}"#,
    );
    // Made with: printf '\0%s' "$body" | sha256sum
    let hash = "82c6e57030867ac6dc05c03cad6cc09196570a8c018dceded3401cf007b88d24";
    let expected = format!("{},\"hash\":\"{hash}\"}}\n", &body[..body.len() - 1]);
    assert_eq!(String::from_utf8(line(event, 41).unwrap()).unwrap(), expected);
}

#[test]
fn lines_up_to_4096_bytes_are_accepted_and_longer_ones_name_the_longest_field() {
    for len in [4095, 4096] {
        assert_eq!(line(event_of_len(len), 0).unwrap().len(), len);
    }
    let mut out = b"before".to_vec();
    let error = encode(&checked(event_of_len(4097)), ID, CHAIN, 0, &mut out).unwrap_err();
    assert_eq!(error.field, "tool");
    assert!(error.reason.contains("4097 bytes"), "{}", error.reason);
    assert_eq!(out, b"before");
}

#[test]
fn lines_of_other_writers_are_read_with_any_spacing_and_order() {
    let text = " { \"tool\" : \"caf\\u00e9\", \"ts\": \"2026-11-23T06:30:00Z\", \"user_id\":null,\
                \"duration_ms\" : 7 , \"extra\": [1, {\"a\": 2}], \"id\": 17 } ";
    let parsed = parse_stored(text.as_bytes()).unwrap();
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
fn a_wrong_line_names_the_field_and_what_is_accepted() {
    for (text, field, reason) in [
        (r#"{"duration_ms":-5}"#, "duration_ms", "found the number -5; accepted is a whole number from 0"),
        (r#"{"duration_ms":1.5}"#, "duration_ms", "found a number with a fraction"),
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

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(event in events(), seq in any::<u64>()) {
        let line = line(event.clone(), seq).unwrap();
        let parsed = parse_stored(&line).unwrap();
        prop_assert_eq!(&parsed.event, &event);
        let stamp = parsed.stamp.unwrap();
        prop_assert_eq!((stamp.id, stamp.chain, stamp.seq), (ID, CHAIN, seq));
        let body_end = line.windows(9).rposition(|w| w == b",\"hash\":\"").unwrap();
        let mut leaf = vec![0];
        leaf.extend_from_slice(&line[..body_end]);
        leaf.push(b'}');
        let mut hex = String::new();
        for byte in Sha256::digest(&leaf) {
            hex += &format!("{byte:02x}");
        }
        prop_assert_eq!(stamp.hash, hex);
        prop_assert_eq!(parse_sent(core::str::from_utf8(&line).unwrap()).unwrap(), event);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_stored(&bytes);
    }

    #[test]
    fn no_json_like_text_panics(text in "[\\[\\]{}\":,0-9a-zé\\\\ ]{0,60}") {
        let _ = parse_stored(text.as_bytes());
        let _ = parse_sent(&text);
    }
}
