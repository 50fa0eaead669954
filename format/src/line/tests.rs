use super::*;
use crate::event::Kind;
use crate::json::Json;
use crate::time::Timestamp;
use alloc::string::String;
use proptest::prelude::*;

const ID: Uuid = Uuid::from_u128(0x01934c5e_7b1a_7000_8000_00000000000a);
const CHAIN: Uuid = Uuid::from_u128(0x01934c5e_7b1a_7000_8000_000000000001);

fn dated(event: Event<'_>) -> Dated<'_> {
    Dated::new(event, Timestamp::clamped(0)).unwrap()
}

fn line(event: Event<'_>, seq: u64) -> Result<Vec<u8>, Invalid> {
    let mut out = Vec::new();
    encode(&dated(event), ID, CHAIN, seq, &mut out)?;
    let range = 0..out.len();
    leaf::seal(&mut out, core::iter::once(range));
    Ok(out)
}

/// An event whose line is `len` bytes long.
fn event_of_len(len: usize) -> Event<'static> {
    let shortest = line(Event::default(), 0).unwrap().len();
    Event { tool: "x".repeat(len - shortest).into(), ..Event::default() }
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
    assert_eq!(String::from_utf8(line(event, 41).unwrap()).unwrap(), expected);
}

#[test]
fn lines_up_to_4096_bytes_are_accepted_and_longer_ones_name_the_longest_field() {
    for len in [4095, 4096] {
        assert_eq!(line(event_of_len(len), 0).unwrap().len(), len);
    }
    let mut out = b"before".to_vec();
    let error = encode(&dated(event_of_len(4097)), ID, CHAIN, 0, &mut out).unwrap_err();
    assert_eq!(error.field, "tool");
    assert!(error.reason.contains("4097 bytes"), "{}", error.reason);
    assert_eq!(out, b"before");
}

fn texts() -> Vec<Field> {
    Field::ALL.into_iter().filter(|field| matches!(field.kind(), Kind::Text | Kind::Optional)).collect()
}

proptest! {
    #[test]
    fn a_control_character_in_any_text_is_invalid_and_its_field_is_named(
        field in proptest::sample::select(texts()),
        before in "\\PC{0,9}",
        control in "\\p{Cc}",
    ) {
        let mut event = Event::default();
        event.set(field, Json::Text(format!("{before}{control}").into())).unwrap();
        prop_assert_eq!(line(event, 0).unwrap_err().field, field.name());
    }

    #[test]
    fn text_without_control_characters_is_accepted(tool in "\\PC{0,40}") {
        let event = Event { tool: tool.into(), ..Event::default() };
        prop_assert!(line(event, 0).is_ok());
    }
}
