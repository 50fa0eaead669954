use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as ProtoSpan, span, status};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};

use super::*;
use crate::call::input::Hasher;
use crate::otlp::attributes::Key;

/// What was read, as texts that can be compared.
#[derive(Debug, Default, PartialEq)]
struct Seen(Vec<String>);

impl Sink for Seen {
    type Error = Undecodable;

    fn span(&mut self, resource: &Attributes<'_>, span: Span<'_>) -> Result<(), Undecodable> {
        let input = span.attributes.arguments(&[Key::Arguments], &Hasher::default());
        let service = resource.text(Key::ServiceName);
        let Span { trace, id, parent, name, kind, start, end, status, has_exception, .. } = span;
        let all = (service, trace, id, parent, name, kind, start, end, status, has_exception, input);
        self.0.push(format!("{all:?}"));
        Ok(())
    }

    fn record(&mut self, resource: &Attributes<'_>, record: Record<'_>) -> Result<(), Undecodable> {
        let output = record.attributes.result(&[Key::LogOutput]);
        let success = record.attributes.truth(Key::Success);
        let service = resource.text(Key::ServiceName);
        let Record { time, observed, trace, span, event_name, body, .. } = record;
        self.0
            .push(format!("{:?}", (service, time, observed, trace, span, event_name, body, output, success)));
        Ok(())
    }
}

fn seen(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Vec<String>, Undecodable> {
    let mut seen = Seen::default();
    read(signal, encoding, body, &mut seen)?;
    Ok(seen.0)
}

fn spans(json: &str) -> Result<Vec<String>, Undecodable> {
    seen(Signal::Traces, Encoding::Json, json.as_bytes())
}

fn with_span(span: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#)
}

#[test]
fn json_may_have_any_order_and_unknown_fields_and_names_of_protobuf() {
    let plain = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},
        "scopeSpans":[{"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","name":"n","kind":3,
        "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,"status":{"code":2},
        "events":[{"name":"exception"}],"attributes":[{"key":"gen_ai.tool.call.arguments","value":{"stringValue":"{}"}}]}]}]}]}"#;
    let odd = r#"{"new":[[[{}]]],"resource_spans":[{"scope_spans":[{"scope":null,"spans":[{"status":{"message":"no","code":"STATUS_CODE_ERROR"},
        "attributes":[{"value":{"string_value":"{}"},"key":"gen_ai.tool.call.arguments","x":1},{"key":"unknown","value":{"stringValue":"\ud800"}}],
        "end_time_unix_nano":"1544712661000000000","start_time_unix_nano":1544712660000000000.0,"kind":"SPAN_KIND_CLIENT","name":"n",
        "span_id":"EEE19B7EC3C1B174","trace_id":"5b8efff798038103d269b633813fc60c","parentSpanId":"","links":null,
        "events":[{"name":"a"},{"attributes":[],"name":"exception"}],"flags":256}]}],
        "resource":{"droppedAttributesCount":0,"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]}}]}"#;
    assert_eq!(spans(plain).unwrap().len(), 1);
    assert_eq!(spans(plain), spans(odd));
    assert_eq!(spans("{}"), Ok(vec![]));
    assert_eq!(spans(r#"{"resourceSpans":null}"#), Ok(vec![]));
}

#[test]
fn wrong_types_are_refused_and_half_a_surrogate_pair_is_not() {
    for wrong in [
        "",
        "[]",
        "5",
        "{",
        r#"{"resourceSpans":5}"#,
        r#"{"resourceSpans":[5]}"#,
        r#"{"resourceSpans":[{"scopeSpans":{}}]}"#,
        &with_span("5"),
        &with_span("5,{}"),
    ] {
        assert!(spans(wrong).is_err(), "{wrong}");
    }
    for (wrong, named) in [
        ("", "the body is empty"),
        (r#"{"resourceSpans":5}"#, "\"resourceSpans\": accepted is an array"),
        (r#"{"resourceSpans":[{"scopeSpans":{}}]}"#, "\"scopeSpans\": accepted is an array"),
        (&with_span("5"), "an item of \"spans\": accepted is an object"),
        (&with_span(r#"{"name":"a","name":"b"}"#), "an item of \"spans\": duplicate field `name`"),
    ] {
        let Undecodable(why) = spans(wrong).unwrap_err();
        assert!(why.contains(named) && !why.contains("column"), "{why}");
    }
    assert!(seen(Signal::Traces, Encoding::Json, b"{\"a\":\"\xff\"}").is_err());
    let half = with_span(
        r#"{"name":"a\ud800","attributes":[{"key":"gen_ai.tool.call.arguments","value":{"stringValue":"\udfff"}}]}"#,
    );
    assert_eq!(spans(&half).unwrap().len(), 1);
}

#[test]
fn a_single_bad_value_is_absent() {
    let expected = spans(&with_span("{}"));
    for bad in [
        r#"{"traceId":5,"spanId":[],"parentSpanId":{},"name":5,"kind":"?","status":"ok","events":5}"#,
        r#"{"startTimeUnixNano":"soon","endTimeUnixNano":"","kind":-1,"status":{"code":{}},"events":[5,{"name":7}]}"#,
        r#"{"startTimeUnixNano":-5,"endTimeUnixNano":1e30,"kind":1.5,"status":[],"attributes":{}}"#,
        r#"{"startTimeUnixNano":"18446744073709551616","endTimeUnixNano":-1e999,"attributes":[5,{"key":5},{"key":"event.name","value":"x"}]}"#,
        r#"{"attributes":[{"key":"event.name","value":{"intValue":1.5}},{"key":"gen_ai.tool.call.arguments","value":5}]}"#,
    ] {
        assert_eq!(spans(&with_span(bad)), expected, "{bad}");
    }
    let resource = r#"{"resourceSpans":[{"resource":5,"scopeSpans":[{"spans":[{}]}]}]}"#;
    assert_eq!(spans(resource), expected);
    // A field of Protobuf of another type is an unknown one: here, a name that is a number, and a time that is a text.
    let span = [&[0x28, 5, 0x3A, 1, b'x'][..], &[0x4A, 2, 0x0A, 9]].concat();
    let wrap = |message: &[u8]| [&[0x12, u8::try_from(message.len()).unwrap()], message].concat();
    let resource = wrap(&wrap(&span));
    let body = [&[0x0A, u8::try_from(resource.len()).unwrap()], &resource[..]].concat();
    assert_eq!(seen(Signal::Traces, Encoding::Protobuf, &body), expected);
}

#[test]
fn unknown_fields_of_protobuf_may_have_any_type() {
    let wrap = |tag: u8, message: &[u8]| {
        let mut field = vec![tag << 3 | 2];
        prost::encoding::encode_varint(message.len() as u64, &mut field);
        [&field, message].concat()
    };
    let body = |unknown: &[u8]| {
        let span = [unknown, &wrap(5, b"n"), unknown].concat();
        let scope = [unknown, &wrap(2, &span), unknown].concat();
        let resource = [unknown, &wrap(2, &scope), unknown].concat();
        [unknown, &wrap(1, &resource), unknown].concat()
    };
    let expected = spans(&with_span(r#"{"name":"n"}"#));
    let start_and_end = |n: usize| [[0x6B].repeat(n), [0x6C].repeat(n)].concat();
    for unknown in [
        &[0x68, 0x80, 0x01][..],
        &[0x69, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0x6A, 2, 0xFF, 0xFF],
        // A group of the field 13, in which is one more, and a text.
        &[0x6B, 0x6B, 0x6C, 0x0A, 1, b'a', 0x6C],
        &start_and_end(50),
        &[0x6D, 1, 2, 3, 4],
    ] {
        assert_eq!(seen(Signal::Traces, Encoding::Protobuf, &body(unknown)), expected, "{unknown:?}");
    }
    for wrong in [&[0x6B][..], &[0x6C], &[0x6B, 0x74], &[0x6D, 1, 2, 3]] {
        assert!(seen(Signal::Traces, Encoding::Protobuf, wrong).is_err(), "{wrong:?}");
    }
    let deep = start_and_end(100_000);
    assert!(seen(Signal::Traces, Encoding::Protobuf, &deep).is_err());
}

#[test]
fn a_bad_value_within_arguments_is_hashed_as_it_came() {
    for (value, arguments) in [
        (r#"{"intValue":1e+21}"#, "1e+21"),
        (
            r#"{"kvlistValue":{"values":[{"key":"n","value":{"intValue":1e+21}},{"key":"t","value":{"stringValue":5}}]}}"#,
            r#"{"n":1e+21,"t":5}"#,
        ),
        (
            r#"{"arrayValue":{"values":[{"intValue":"one"},{"boolValue":"no"},{"doubleValue":"x"}]}}"#,
            r#"["one","no","x"]"#,
        ),
        (r#"{"kvlistValue":[]}"#, r#"{"kvlistValue":[]}"#),
    ] {
        let span = format!(r#"{{"attributes":[{{"key":"gen_ai.tool.call.arguments","value":{value}}}]}}"#);
        let found = spans(&with_span(&span)).unwrap();
        assert!(found[0].contains(&Hasher::default().input(arguments.as_bytes()).hash), "{value}: {found:?}");
    }
}

#[test]
fn deep_json_is_refused_and_a_deep_value_is_hashed_as_it_came() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    assert!(spans(&deep("[", "]")).is_err());
    assert!(spans(&format!(r#"{{"resourceSpans":{}}}"#, deep("[", "]"))).is_err());
    assert_eq!(spans(&format!(r#"{{"unknown":{}}}"#, deep(r#"{"a":["#, "]}"))), Ok(vec![]));
    let value = |key: &str| {
        let nested = deep(r#"{"arrayValue":{"values":["#, "]}}");
        with_span(&format!(r#"{{"attributes":[{{"key":"{key}","value":{nested}}}]}}"#))
    };
    assert_eq!(spans(&value("unknown")).unwrap().len(), 1);
    let found = spans(&value("gen_ai.tool.call.arguments")).unwrap();
    assert!(found[0].contains("is_raw: true"), "{found:?}");
}

#[test]
fn pairs_and_lists_may_have_any_order_and_lack_what_they_have() {
    let plain = |text: &str| String::from_utf8(Nested::Json(text).json()).unwrap();
    let list = r#"{"kvlistValue":{"x":[],"values":[{"value":{"intValue":"1"},"y":{},"key":"a"},{"key":"b"},{"value":{}},
        {"key":"c","value":{"array_value":{"values":[{"boolValue":true},{"doubleValue":"NaN"},null,{"arrayValue":{}},
        {"kvlistValue":null,"stringValue":"ä"}]}}}]}}"#;
    assert_eq!(plain(list), r#"{"a":1,"b":null,"":null,"c":[true,"NaN",null,[],"ä"]}"#);
    for none in
        [r#"{"arrayValue":{"values":{}}}"#, r#"{"arrayValue":[]}"#, "5", r#"{"kvlistValue":{"values":[5]}}"#]
    {
        assert_eq!(plain(none), none);
    }
}

#[test]
fn an_array_of_very_many_empty_spans_takes_no_memory_of_its_own() {
    struct Count(u64);
    impl Sink for Count {
        type Error = Undecodable;

        fn span(&mut self, _: &Attributes<'_>, _: Span<'_>) -> Result<(), Undecodable> {
            self.0 += 1;
            Ok(())
        }

        fn record(&mut self, _: &Attributes<'_>, _: Record<'_>) -> Result<(), Undecodable> {
            Ok(())
        }
    }
    let many = 200_000;
    let mut count = Count(0);
    read(Signal::Traces, Encoding::Json, with_span(&vec!["{}"; many].join(",")).as_bytes(), &mut count)
        .unwrap();
    assert_eq!(count.0, many as u64);
    let scope = [0x12, 0x00].repeat(many);
    let scope = ScopeSpans::decode(&scope[..]).unwrap();
    let body = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() }],
    };
    read(Signal::Traces, Encoding::Protobuf, &body.encode_to_vec(), &mut count).unwrap();
    assert_eq!(count.0, 2 * many as u64);
}

/// A value in the types of `opentelemetry-proto`.
fn any_value(value: &Value) -> Option<AnyValue> {
    let value = match value {
        Value::Null => return Some(AnyValue { value: None }),
        Value::Bool(value) => any_value::Value::BoolValue(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => any_value::Value::IntValue(whole),
            None => any_value::Value::DoubleValue(number.as_f64()?),
        },
        Value::String(text) => any_value::Value::StringValue(text.clone()),
        Value::Array(items) => {
            any_value::Value::ArrayValue(ArrayValue { values: items.iter().filter_map(any_value).collect() })
        }
        Value::Object(members) => any_value::Value::KvlistValue(KeyValueList { values: pairs(members) }),
    };
    Some(AnyValue { value: Some(value) })
}

fn pairs(members: &serde_json::Map<String, Value>) -> Vec<KeyValue> {
    let pair = |(key, value): (&String, &Value)| KeyValue {
        key: key.clone(),
        value: any_value(value),
        ..KeyValue::default()
    };
    members.iter().map(pair).collect()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| json!(number)),
        ".{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn both_encodings_of_a_span_say_the_same(
        arguments in value(), trace: [u8; 16], id: [u8; 8], name in ".{0,8}", kind in 0..6_i32, start: u64, code in 0..3_i32,
    ) {
        let body = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![ProtoSpan {
                        trace_id: trace.to_vec(),
                        span_id: id.to_vec(),
                        name,
                        kind,
                        start_time_unix_nano: start,
                        end_time_unix_nano: start / 2,
                        attributes: pairs(json!({ "gen_ai.tool.call.arguments": arguments }).as_object().unwrap()),
                        events: vec![span::Event { name: "exception".into(), ..span::Event::default() }],
                        status: Some(opentelemetry_proto::tonic::trace::v1::Status {
                            code: status::StatusCode::try_from(code).unwrap() as i32,
                            ..Default::default()
                        }),
                        ..ProtoSpan::default()
                    }],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let json = serde_json::to_vec(&body).unwrap();
        let found = seen(Signal::Traces, Encoding::Protobuf, &body.encode_to_vec()).unwrap();
        prop_assert_eq!(&found, &seen(Signal::Traces, Encoding::Json, &json).unwrap());
        if !matches!(arguments, Value::Null | Value::String(_)) {
            let expected = Hasher::default().input(arguments.to_string().as_bytes());
            prop_assert!(found[0].contains(&expected.hash), "{found:?}");
        }
    }

    #[test]
    fn both_encodings_of_a_log_record_say_the_same(output in value(), success in value(), body in value(), time: u64) {
        let record = LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: time / 3,
            body: any_value(&body),
            event_name: "e".into(),
            attributes: pairs(json!({ "output": output, "success": success }).as_object().unwrap()),
            ..LogRecord::default()
        };
        let body = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                scope_logs: vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }],
                ..ResourceLogs::default()
            }],
        };
        let json = serde_json::to_vec(&body).unwrap();
        let found = seen(Signal::Logs, Encoding::Protobuf, &body.encode_to_vec()).unwrap();
        prop_assert_eq!(found, seen(Signal::Logs, Encoding::Json, &json).unwrap());
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..300_usize) {
        let whole = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![ProtoSpan {
                        name: "n".into(),
                        attributes: pairs(json!({ "gen_ai.tool.call.arguments": { "a": [1, "b"] } }).as_object().unwrap()),
                        ..ProtoSpan::default()
                    }],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let mut spoiled = whole.encode_to_vec();
        if let (Some(byte), Some(new)) = (spoiled.get_mut(cut), bytes.first()) {
            *byte = *new;
        }
        let json = serde_json::to_vec(&whole).unwrap();
        for body in [&bytes[..], &spoiled, &spoiled[..cut.min(spoiled.len())], &json[..cut.min(json.len())]] {
            for signal in [Signal::Traces, Signal::Logs] {
                for encoding in [Encoding::Protobuf, Encoding::Json] {
                    let _ = seen(signal, encoding, body);
                }
            }
        }
    }
}
