use super::*;
use crate::attributes::Attribute;
use crate::event::Field;
use crate::mended::{Change, Mended};
use crate::query::{Filter, PageRequest, Query};
use crate::read::parse_stored;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use proptest::prelude::*;

const ID: Uuid = Uuid::from_u128(0x01934c5e_7b1a_7000_8000_00000000000a);
const CHAIN: Uuid = Uuid::from_u128(0x01934c5e_7b1a_7000_8000_000000000001);

/// The line of an event, and what was changed in it.
fn mended_line(event: Event<'_>, seq: u64) -> (String, Mended) {
    let mut dated = Dated::new_or_now(event, Timestamp::clamped(0));
    let mut out = b"before".to_vec();
    encode(&mut dated, ID, CHAIN, seq, &mut out);
    let range = "before".len()..out.len();
    leaf::seal(&mut out, core::iter::once(range.clone()));
    assert!(out.starts_with(b"before"));
    (String::from_utf8(out[range].to_vec()).unwrap(), dated.mended())
}

fn line(event: Event<'_>, seq: u64) -> String {
    let (line, mended) = mended_line(event, seq);
    assert!(mended.is_empty(), "{mended:?}");
    line
}

/// An event whose line is `len` bytes long.
fn event_of_len(len: usize) -> Event<'static> {
    let shortest = line(Event::default(), 0).len();
    Event { input_hash: "x".repeat(len - shortest).into(), ..Event::default() }
}

#[test]
fn a_very_long_ts_keeps_its_instant_or_stays_none() {
    let zeros = "0".repeat(70_000);
    let instant = |ts: &str| Timestamp::parse(ts).ok();
    for end in ["Z", "+05:00", "nonsense", "Znonsense", ""] {
        let ts = format!("2026-11-23T06:30:00.{zeros}{end}");
        let (event, _) = fitted(Event { ts: ts.clone().into(), ..Event::default() });
        assert!(event.ts.len() <= 128, "{}", event.ts);
        assert_eq!(instant(&event.ts), instant(&ts), "…{end}");
    }
    for ts in [format!("2026-11-23T06:30:00Z{}", " ".repeat(200)), "é".repeat(200)] {
        let (event, _) = fitted(Event { ts: ts.clone().into(), ..Event::default() });
        assert_eq!((event.ts.len() <= 128, instant(&event.ts)), (true, instant(&ts)));
    }
}

#[test]
fn an_entry_is_encoded_and_hashed_as_documented() {
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
    assert_eq!(line(event, 41), expected);
}

#[test]
fn attributes_stand_between_the_fields_and_the_identifiers() {
    let attributes = vec![Attribute::new("model", "m\"1"), Attribute::new("trace_id", "é")];
    let line = line(Event { attributes, ..Event::default() }, 0);
    assert!(line.contains(r#""job_id":null,"attributes":{"model":"m\"1","trace_id":"é"},"id":""#), "{line}");
}

#[test]
fn a_line_of_4096_bytes_is_not_cut_and_a_longer_one_is() {
    for len in [4095, 4096] {
        assert_eq!(line(event_of_len(len), 0).len(), len);
    }
    let (line, mended) = mended_line(event_of_len(4097), 0);
    assert!(line.len() <= MAX_LEN, "{line}");
    assert_eq!(mended.changes().collect::<Vec<_>>(), [(Change::Cut, "input_hash")]);
}

#[test]
fn a_text_that_may_have_an_index_is_at_most_2600_bytes() {
    for field in Field::filtered() {
        for (text, is_cut) in [("x".repeat(2600), false), ("x".repeat(2601), true)] {
            let mut event = Event::default();
            event.set_text(field, text);
            let (line, mended) = mended_line(event, 0);
            assert_eq!(parse_stored(&line).unwrap().event.get(field).text().map(str::len), Some(2600));
            assert_eq!(!mended.is_empty(), is_cut, "{field:?}");
        }
    }
}

#[test]
fn the_longest_texts_are_cut_and_equal_texts_stay_equal() {
    let long = "x".repeat(5000);
    let event = |req_id: &str| Event {
        req_id: req_id.to_string().into(),
        input_hash: long.as_str().into(),
        agent_id: "a".repeat(900).into(),
        ..Event::default()
    };
    let hash = |event| parse_stored(&mended_line(event, 7).0).unwrap().event.input_hash.into_owned();
    let cut = hash(event("1"));
    // printf 'x%.0s' $(seq 5000) | sha256sum
    assert_eq!(cut, "x".repeat(2048 - 19) + "…c59d3c0480cc2d71");
    assert_eq!(hash(event("request 10")), cut);
    let parsed = mended_line(event("1"), 7).0;
    assert_eq!(parse_stored(&parsed).unwrap().event.agent_id.len(), 900);
}

#[test]
fn control_characters_are_kept_and_what_cannot_be_stored_is_replaced() {
    let event = Event { tool: "a\n\u{1b}[2J\u{7f}\u{9b}".into(), ..Event::default() };
    assert!(line(event, 0).contains(r#""tool":"a\n\u001b[2J"#));
    let event = Event { user_id: "a\0b".into(), job_id: Some("\0".into()), ..Event::default() };
    let (line, mended) = mended_line(event, 0);
    assert!(
        line.contains("\"user_id\":\"a\u{fffd}b\"") && line.contains("\"job_id\":\"\u{fffd}\""),
        "{line}"
    );
    assert_eq!(mended.changes().collect::<Vec<_>>(), [(Change::Replaced, "user_id")]);
}

/// Texts of all lengths and kinds.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\\PC{0,9}",
        2 => ".{0,40}",
        1 => ("[a\"é\u{0}\n\u{1F600}]{1,9}", 0..900_usize).prop_map(|(text, times)| text.repeat(times)),
    ]
}

proptest! {
    #[test]
    fn every_event_has_a_line_and_is_found_by_what_was_sent(
        ts in prop_oneof![Just(String::new()), text()],
        texts in proptest::collection::vec(text(), 8),
        options in proptest::collection::vec(proptest::option::of(text()), 3),
        attributes in proptest::collection::vec((prop_oneof!["[a-z]{1,3}", text()], text()), 0..20),
        seq in any::<u64>(),
    ) {
        let event = Event {
            ts: ts.into(),
            req_id: (&texts[0]).into(), workspace_id: (&texts[1]).into(), user_id: (&texts[2]).into(),
            agent_id: (&texts[3]).into(), tool: (&texts[4]).into(), action: (&texts[5]).into(),
            status: (&texts[6]).into(), input_hash: (&texts[7]).into(),
            graph_run_id: options[0].as_ref().map(Into::into),
            graph_node: options[1].as_ref().map(Into::into),
            job_id: options[2].as_ref().map(Into::into),
            attributes: attributes.iter().map(|(key, value)| Attribute::new(key, value)).collect(),
            duration_ms: u64::MAX, in_size: u64::MAX, out_size: u64::MAX,
        };
        let (line, mended) = mended_line(event.clone(), seq);
        prop_assert!(line.len() <= MAX_LEN);
        prop_assert_eq!(line.matches('\n').count(), 1);
        let parsed = parse_stored(&line).unwrap();
        prop_assert_eq!(parsed.stamp.as_ref().map(|stamp| stamp.seq), Some(seq));
        let mut again = Vec::new();
        put_entry(&parsed.event, parsed.stamp.as_ref().unwrap(), &mut again);
        prop_assert_eq!(again, line.as_bytes());

        // Sorting attributes and writing a time in another form is no change of what was sent.
        let sent = Event { ts: parsed.event.ts.clone(), ..event.clone() };
        let is_same = Event { attributes: Vec::new(), ..sent } == Event { attributes: Vec::new(), ..parsed.event.clone() }
            && event.attributes.len() == parsed.event.attributes.len()
            && event.attributes.iter().all(|attribute| parsed.event.attributes.contains(attribute));
        let has_ts = event.ts.is_empty() || Timestamp::parse(&event.ts).is_ok();
        prop_assert_eq!(mended.is_empty(), is_same && has_ts);

        let texts = Field::filtered().filter_map(|field| Some((field, event.get(field).text()?.to_string())));
        let filter = Filter { texts: texts.collect(), ..Filter::default() };
        let query = Query::new(filter, &PageRequest::default()).unwrap();
        prop_assert!(query.may_match(line.trim_end().as_bytes()), "ruled out: {line}");
        prop_assert!(query.texts_match(&parsed.event), "not matched: {line}");

        // Of one key the last value is kept.
        let kept = event.attributes.iter().enumerate().filter(|(n, attribute)| {
            attribute.key.len() <= 3 && event.attributes[n + 1..].iter().all(|other| {
                !other.key.eq_ignore_ascii_case(&attribute.key)
            })
        });
        if event.attributes.len() <= 16 && event.attributes.iter().all(|a| a.key.chars().all(|c| c.is_ascii_lowercase())) {
            let attributes = kept.map(|(_, attribute)| attribute.clone().into_owned()).collect();
            let query = Query::new(Filter { attributes, ..Filter::default() }, &PageRequest::default()).unwrap();
            prop_assert!(query.may_match(line.trim_end().as_bytes()) && query.texts_match(&parsed.event));
        }
    }
}
