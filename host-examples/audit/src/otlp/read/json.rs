//! An export as JSON: identifiers are hexadecimal, 64-bit integers are texts or numbers, enums are numbers or names. Each part
//! is a piece of the body's text until it is its turn.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;

use super::lenient::{Case, Scalar, Text, Whole};
use super::{Kind, Nested, Record, Signal, Sink, Span, Status, Undecodable, id};
use crate::otlp::attributes::{Attributes, Key, Raw, kept};

type Part<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
struct Export<'a> {
    #[serde(borrow, default, alias = "resource_spans")]
    #[serde(rename = "resourceSpans")]
    spans: Part<'a>,
    #[serde(borrow, default, alias = "resource_logs")]
    #[serde(rename = "resourceLogs")]
    logs: Part<'a>,
}

#[derive(Deserialize)]
struct OfResource<'a> {
    #[serde(borrow, default)]
    resource: Part<'a>,
    #[serde(borrow, default, rename = "scopeSpans", alias = "scope_spans")]
    spans: Part<'a>,
    #[serde(borrow, default, rename = "scopeLogs", alias = "scope_logs")]
    logs: Part<'a>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    attributes: Part<'a>,
}

#[derive(Deserialize)]
struct OfScope<'a> {
    #[serde(borrow, default)]
    spans: Part<'a>,
    #[serde(borrow, default, rename = "logRecords", alias = "log_records")]
    records: Part<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanParts<'a> {
    #[serde(borrow, default, alias = "trace_id")]
    trace_id: Text<'a>,
    #[serde(borrow, default, alias = "span_id")]
    span_id: Text<'a>,
    #[serde(borrow, default, alias = "parent_span_id")]
    parent_span_id: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default)]
    kind: Case,
    #[serde(default, alias = "start_time_unix_nano")]
    start_time_unix_nano: Whole,
    #[serde(default, alias = "end_time_unix_nano")]
    end_time_unix_nano: Whole,
    #[serde(borrow, default)]
    attributes: Part<'a>,
    #[serde(borrow, default)]
    events: Part<'a>,
    #[serde(borrow, default)]
    status: Part<'a>,
}

#[derive(Deserialize)]
struct StatusParts {
    #[serde(default)]
    code: Case,
}

#[derive(Deserialize)]
struct EventParts<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordParts<'a> {
    #[serde(default, alias = "time_unix_nano")]
    time_unix_nano: Whole,
    #[serde(default, alias = "observed_time_unix_nano")]
    observed_time_unix_nano: Whole,
    #[serde(borrow, default, alias = "trace_id")]
    trace_id: Text<'a>,
    #[serde(borrow, default, alias = "span_id")]
    span_id: Text<'a>,
    #[serde(borrow, default, alias = "event_name")]
    event_name: Text<'a>,
    #[serde(borrow, default)]
    body: Part<'a>,
    #[serde(borrow, default)]
    attributes: Part<'a>,
}

#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow, default)]
    key: Text<'a>,
    #[serde(borrow, default)]
    value: Part<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue<'a> {
    #[serde(borrow, default, alias = "string_value")]
    string_value: Part<'a>,
    #[serde(borrow, default, alias = "bool_value")]
    bool_value: Part<'a>,
    #[serde(borrow, default, alias = "int_value")]
    int_value: Part<'a>,
    #[serde(borrow, default, alias = "double_value")]
    double_value: Part<'a>,
    #[serde(borrow, default, alias = "array_value")]
    array_value: Part<'a>,
    #[serde(borrow, default, alias = "kvlist_value")]
    kvlist_value: Part<'a>,
    #[serde(borrow, default, alias = "bytes_value")]
    bytes_value: Part<'a>,
}

/// What stands before the name of the field that cannot be read.
const NONE_OF_OTLP: &str = "the JSON is none of OTLP";

pub(super) fn export<S: Sink>(signal: Signal, body: &[u8], sink: &mut S) -> Result<(), S::Error> {
    let (resources, scopes, items) = match signal {
        Signal::Traces => ("resourceSpans", "scopeSpans", "spans"),
        Signal::Logs => ("resourceLogs", "scopeLogs", "logRecords"),
    };
    if body.trim_ascii().is_empty() {
        return Err(Undecodable(format!(
            "the body is empty; accepted is a JSON object with the field \"{resources}\""
        ))
        .into());
    }
    let text =
        std::str::from_utf8(body).map_err(|error| Undecodable(format!("the JSON is no UTF-8: {error}")))?;
    let export: Export<'_> = parse(text, "the body")?;
    let parts = match signal {
        Signal::Traces => export.spans,
        Signal::Logs => export.logs,
    };
    each(parts, resources, |part| {
        let part: OfResource<'_> = parse(part, resources)?;
        let mut resource = Attributes::default();
        if let Some(Resource { attributes: pairs }) = parse_loosely(part.resource) {
            attributes(pairs, &mut resource);
        }
        let of_scopes = match signal {
            Signal::Traces => part.spans,
            Signal::Logs => part.logs,
        };
        each(of_scopes, scopes, |scope| {
            let scope: OfScope<'_> = parse(scope, scopes)?;
            match signal {
                Signal::Traces => {
                    each(scope.spans, items, |item| sink.span(&resource, span(parse(item, items)?)))
                }
                Signal::Logs => {
                    each(scope.records, items, |item| sink.record(&resource, record(parse(item, items)?)))
                }
            }
        })
    })
}

/// Parses the object of the body, or one in the array of this name. Serde takes an array for one too.
fn parse<'a, T: Deserialize<'a>>(text: &'a str, name: &str) -> Result<T, Undecodable> {
    let is_body = name == "the body";
    if !text.trim_ascii_start().starts_with('{') {
        let place = if is_body { name.to_owned() } else { format!("an item of \"{name}\"") };
        return Err(Undecodable(format!("{NONE_OF_OTLP}: {place}: accepted is an object")));
    }
    serde_json::from_str(text).map_err(|error| {
        let why = error.to_string();
        // Within an item, the line and the column are not those of the body.
        let inner = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why);
        Undecodable(if is_body {
            format!("{NONE_OF_OTLP}: {why}")
        } else {
            format!("{NONE_OF_OTLP}: an item of \"{name}\": {inner}")
        })
    })
}

/// An object, if it is one.
fn parse_loosely<'a, T: Deserialize<'a>>(part: Part<'a>) -> Option<T> {
    let text = part.map(RawValue::get).filter(|text| text.starts_with('{'))?;
    serde_json::from_str(text).ok()
}

/// Calls this for each item of an array.
fn each<'a, E: From<Undecodable>>(
    array: Part<'a>,
    name: &str,
    f: impl FnMut(&'a str) -> Result<(), E>,
) -> Result<(), E> {
    let Some(array) = array.map(RawValue::get) else { return Ok(()) };
    if !array.starts_with('[') {
        return Err(Undecodable(format!("{NONE_OF_OTLP}: \"{name}\": accepted is an array")).into());
    }
    let mut refused = None;
    let mut parser = serde_json::Deserializer::from_str(array);
    parser.deserialize_seq(Items(f, &mut refused)).map_err(|error| {
        refused.unwrap_or_else(|| Undecodable(format!("{NONE_OF_OTLP}: \"{name}\": {error}")).into())
    })
}

/// Calls this for each item of an array, if it is one.
fn each_loosely<'a>(array: Part<'a>, mut f: impl FnMut(Part<'a>)) {
    let Some(array) = array.map(RawValue::get).filter(|array| array.starts_with('[')) else { return };
    let mut refused: Option<Undecodable> = None;
    let f = |item| {
        f(serde_json::from_str(item).ok());
        Ok(())
    };
    // It was parsed before.
    let _ = serde_json::Deserializer::from_str(array).deserialize_seq(Items(f, &mut refused));
}

struct Items<'e, F, E>(F, &'e mut Option<E>);

impl<'de, F: FnMut(&'de str) -> Result<(), E>, E> Visitor<'de> for Items<'_, F, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&RawValue>()? {
            if let Err(error) = self.0(item.get()) {
                *self.1 = Some(error);
                return Err(A::Error::custom("it was refused"));
            }
        }
        Ok(())
    }
}

fn span(parts: SpanParts<'_>) -> Span<'_> {
    let mut span = Span {
        trace: hex(parts.trace_id.as_deref()),
        id: hex(parts.span_id.as_deref()),
        parent: hex(parts.parent_span_id.as_deref()),
        name: parts.name.as_deref().map(kept).unwrap_or_default().to_owned(),
        kind: match parts.kind {
            Case(2) => Kind::Server,
            Case(3) => Kind::Client,
            Case(_) => Kind::Other,
        },
        start: parts.start_time_unix_nano.0,
        end: parts.end_time_unix_nano.0,
        status: match parse_loosely(parts.status) {
            Some(StatusParts { code: Case(1) }) => Status::Ok,
            Some(StatusParts { code: Case(2) }) => Status::Error,
            _ => Status::Unset,
        },
        has_exception: false,
        attributes: Attributes::default(),
    };
    attributes(parts.attributes, &mut span.attributes);
    each_loosely(parts.events, |event| {
        let event: Option<EventParts<'_>> = parse_loosely(event);
        span.has_exception |= event.is_some_and(|event| event.name.as_deref() == Some("exception"));
    });
    span
}

fn record(parts: RecordParts<'_>) -> Record<'_> {
    let body = match parts.body.and_then(value_of) {
        Some(Raw::Text(text)) => kept(&text).to_owned(),
        _ => String::new(),
    };
    let mut record = Record {
        time: parts.time_unix_nano.0,
        observed: parts.observed_time_unix_nano.0,
        trace: hex(parts.trace_id.as_deref()),
        span: hex(parts.span_id.as_deref()),
        event_name: parts.event_name.as_deref().map(kept).unwrap_or_default().to_owned(),
        body,
        attributes: Attributes::default(),
    };
    attributes(parts.attributes, &mut record.attributes);
    record
}

fn attributes<'a>(pairs: Part<'a>, attributes: &mut Attributes<'a>) {
    each_loosely(pairs, |pair| {
        if let Some(Pair { key, value }) = parse_loosely(pair)
            && let Some(key) = key.as_deref().and_then(Key::named)
            && let Some(value) = value.and_then(value_of)
        {
            attributes.put(key, value);
        }
    });
}

/// An `AnyValue`. None: it has no value. What is no value of its type stays as it came, and counts as none where arguments and
/// results are not concerned.
fn value_of(part: &RawValue) -> Option<Raw<'_>> {
    let any: AnyValue<'_> = parse_loosely(Some(part))?;
    let as_it_came = Raw::Nested(Nested::Json(part.get()));
    Some(if let Some(text) = any.string_value {
        match Scalar::of(text) {
            Scalar::Text(text) => Raw::Text(text),
            _ => as_it_came,
        }
    } else if let Some(value) = any.bool_value {
        match Scalar::of(value) {
            Scalar::Bool(value) => Raw::Bool(value),
            _ => as_it_came,
        }
    } else if let Some(number) = any.int_value.map(Scalar::of) {
        number.signed().map_or(as_it_came, Raw::Integer)
    } else if let Some(number) = any.double_value.map(Scalar::of) {
        number.real().map_or(as_it_came, Raw::Real)
    } else if any.array_value.is_some() || any.kvlist_value.is_some() || any.bytes_value.is_some() {
        as_it_came
    } else {
        return None;
    })
}

/// An identifier in hexadecimal.
fn hex<const N: usize>(text: Option<&str>) -> Option<[u8; N]> {
    let digits = text?.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |digit: u8| (digit as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> =
        digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    id(&bytes?)
}
