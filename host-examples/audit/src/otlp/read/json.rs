//! An export as JSON: identifiers are hexadecimal, 64-bit integers are texts or numbers, enums are numbers or names. Each part
//! is a piece of the body's text until it is its turn.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;

use super::lenient::{Case, Real, Signed, Text, Whole};
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
    resource: Option<Resource<'a>>,
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
    trace_id: Option<Text<'a>>,
    #[serde(borrow, default, alias = "span_id")]
    span_id: Option<Text<'a>>,
    #[serde(borrow, default, alias = "parent_span_id")]
    parent_span_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
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
    #[serde(default)]
    status: Option<StatusParts>,
}

#[derive(Deserialize)]
struct StatusParts {
    #[serde(default)]
    code: Case,
}

#[derive(Deserialize)]
struct EventParts<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordParts<'a> {
    #[serde(default, alias = "time_unix_nano")]
    time_unix_nano: Whole,
    #[serde(default, alias = "observed_time_unix_nano")]
    observed_time_unix_nano: Whole,
    #[serde(borrow, default, alias = "trace_id")]
    trace_id: Option<Text<'a>>,
    #[serde(borrow, default, alias = "span_id")]
    span_id: Option<Text<'a>>,
    #[serde(borrow, default, alias = "event_name")]
    event_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    body: Part<'a>,
    #[serde(borrow, default)]
    attributes: Part<'a>,
}

#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow, default)]
    key: Option<Text<'a>>,
    #[serde(borrow, default)]
    value: Part<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue<'a> {
    #[serde(borrow, default, alias = "string_value")]
    string_value: Option<Text<'a>>,
    #[serde(default, alias = "bool_value")]
    bool_value: Option<bool>,
    #[serde(default, alias = "int_value")]
    int_value: Option<Signed>,
    #[serde(default, alias = "double_value")]
    double_value: Option<Real>,
    #[serde(borrow, default, alias = "array_value")]
    array_value: Part<'a>,
    #[serde(borrow, default, alias = "kvlist_value")]
    kvlist_value: Part<'a>,
    #[serde(borrow, default, alias = "bytes_value")]
    bytes_value: Option<Text<'a>>,
}

pub(super) fn export<S: Sink>(signal: Signal, body: &[u8], sink: &mut S) -> Result<(), S::Error> {
    let text = std::str::from_utf8(body).map_err(Undecodable::because)?;
    let export: Export<'_> = parse(text)?;
    let parts = match signal {
        Signal::Traces => export.spans,
        Signal::Logs => export.logs,
    };
    each(parts, |part| {
        let part: OfResource<'_> = parse(part)?;
        let mut resource = Attributes::default();
        attributes(part.resource.and_then(|resource| resource.attributes), &mut resource)?;
        let scopes = match signal {
            Signal::Traces => part.spans,
            Signal::Logs => part.logs,
        };
        each(scopes, |scope| {
            let scope: OfScope<'_> = parse(scope)?;
            match signal {
                Signal::Traces => each(scope.spans, |item| sink.span(&resource, span(item)?)),
                Signal::Logs => each(scope.records, |item| sink.record(&resource, record(item)?)),
            }
        })
    })
}

/// Parses an object. Serde takes an array for one too.
fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Undecodable> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Undecodable::because(
            "the JSON is none of OTLP: an object is accepted in the place of another value",
        ));
    }
    serde_json::from_str(text).map_err(|error| Undecodable(format!("the JSON is none of OTLP: {error}")))
}

/// Calls this for each item of an array.
fn each<'a, E: From<Undecodable>>(array: Part<'a>, f: impl FnMut(&'a str) -> Result<(), E>) -> Result<(), E> {
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

    let Some(array) = array else { return Ok(()) };
    let mut refused = None;
    let mut parser = serde_json::Deserializer::from_str(array.get());
    match parser.deserialize_seq(Items(f, &mut refused)) {
        Ok(()) => Ok(()),
        Err(error) => {
            Err(refused.unwrap_or_else(|| Undecodable(format!("the JSON is none of OTLP: {error}")).into()))
        }
    }
}

fn span(text: &str) -> Result<Span<'_>, Undecodable> {
    let parts: SpanParts<'_> = parse(text)?;
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
        status: match parts.status {
            Some(StatusParts { code: Case(1) }) => Status::Ok,
            Some(StatusParts { code: Case(2) }) => Status::Error,
            _ => Status::Unset,
        },
        has_exception: false,
        attributes: Attributes::default(),
    };
    attributes(parts.attributes, &mut span.attributes)?;
    each(parts.events, |event| -> Result<(), Undecodable> {
        let event: EventParts<'_> = parse(event)?;
        span.has_exception |= event.name.as_deref() == Some("exception");
        Ok(())
    })?;
    Ok(span)
}

fn record(text: &str) -> Result<Record<'_>, Undecodable> {
    let parts: RecordParts<'_> = parse(text)?;
    let body = match parts.body.map(|body| value_of(body.get())).transpose()?.flatten() {
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
    attributes(parts.attributes, &mut record.attributes)?;
    Ok(record)
}

fn attributes<'a>(pairs: Part<'a>, attributes: &mut Attributes<'a>) -> Result<(), Undecodable> {
    each(pairs, |pair| {
        let pair: Pair<'a> = parse(pair)?;
        if let Some(key) = pair.key.as_deref().and_then(Key::named)
            && let Some(value) = pair.value.map(|value| value_of(value.get())).transpose()?.flatten()
        {
            attributes.put(key, value);
        }
        Ok(())
    })
}

/// An `AnyValue`. None: it has no value.
fn value_of(text: &str) -> Result<Option<Raw<'_>>, Undecodable> {
    let any: AnyValue<'_> = parse(text)?;
    Ok(if let Some(text) = any.string_value {
        Some(Raw::Text(text.0))
    } else if let Some(value) = any.bool_value {
        Some(Raw::Bool(value))
    } else if let Some(Signed(value)) = any.int_value {
        Some(Raw::Integer(value))
    } else if let Some(Real(value)) = any.double_value {
        Some(Raw::Real(value))
    } else if any.array_value.is_some() || any.kvlist_value.is_some() || any.bytes_value.is_some() {
        Some(Raw::Nested(Nested::Json(text)))
    } else {
        None
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
