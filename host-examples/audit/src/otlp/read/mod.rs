//! Reads an export as it comes over HTTP, as Protobuf or as JSON. One span or log record is in memory at a time, and of that
//! only what is needed, so that a small body that stands for very many things costs no more memory than its own size.
//!
//! The formats: opentelemetry-proto (`trace.proto`, `logs.proto`, `common.proto`), and the rules for JSON of the OTLP
//! specification.

mod json;
mod lenient;
mod plain;
mod protobuf;

use std::fmt;

use super::attributes::Attributes;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

/// What an export has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
}

/// Why an export cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undecodable(pub(super) String);

impl Undecodable {
    fn because(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// How deep arrays and objects may be nested in a value of Protobuf. Of JSON, 128 arrays and objects of the text may be.
const MAX_DEPTH: usize = 100;

pub(super) type TraceId = [u8; 16];
pub(super) type SpanId = [u8; 8];

/// What a span was to the call: it asked for it, or served it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    Client,
    Server,
    #[default]
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Status {
    #[default]
    Unset,
    Ok,
    Error,
}

/// A span. Of the times, in nanoseconds since 1970, 0 is none.
#[derive(Debug, Default)]
pub(super) struct Span<'a> {
    /// None: it is not one of 16 bytes, or all of them are 0.
    pub(super) trace: Option<TraceId>,
    pub(super) id: Option<SpanId>,
    pub(super) parent: Option<SpanId>,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) status: Status,
    /// It has an event of an exception.
    pub(super) has_exception: bool,
    pub(super) attributes: Attributes<'a>,
}

/// A log record. Of the times, in nanoseconds since 1970, 0 is none.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) time: u64,
    pub(super) observed: u64,
    pub(super) trace: Option<TraceId>,
    pub(super) span: Option<SpanId>,
    pub(super) event_name: String,
    /// If that is a text.
    pub(super) body: String,
    pub(super) attributes: Attributes<'a>,
}

/// Takes what is read. An error ends the reading.
pub(super) trait Sink {
    type Error: From<Undecodable>;

    fn span(&mut self, resource: &Attributes<'_>, span: Span<'_>) -> Result<(), Self::Error>;

    fn record(&mut self, resource: &Attributes<'_>, record: Record<'_>) -> Result<(), Self::Error>;
}

/// Reads a whole export.
pub(super) fn read<S: Sink>(
    signal: Signal,
    encoding: Encoding,
    body: &[u8],
    sink: &mut S,
) -> Result<(), S::Error> {
    match encoding {
        Encoding::Protobuf => protobuf::export(signal, body, sink),
        Encoding::Json => json::export(signal, body, sink),
    }
}

/// An array, an object or bytes, as it came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Nested<'a> {
    Protobuf(&'a [u8]),
    Json(&'a str),
}

impl Nested<'_> {
    /// As plain JSON text. What is no value, or is nested too deeply, stays as it came.
    pub(super) fn json(self) -> Vec<u8> {
        match self {
            Self::Protobuf(bytes) => protobuf::plain_json(bytes),
            Self::Json(text) => plain::plain_json(text),
        }
    }
}

/// An identifier of this length that is not all zeros.
fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok().filter(|id| id.iter().any(|byte| *byte != 0))
}

/// Closes an array or an object; the comma behind its last item goes.
fn close(bracket: u8, out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(bracket);
}

/// Appends a text as JSON.
fn quote(text: &str, out: &mut Vec<u8>) {
    // A text can always be written, and a Vec takes it.
    let _ = serde_json::to_writer(out, text);
}

/// Appends a number as JSON. What JSON has no number for is a text there, as in Protobuf's own JSON.
fn number(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        let _ = serde_json::to_writer(out, &value);
    } else if value.is_nan() {
        quote("NaN", out);
    } else {
        quote(if value > 0.0 { "Infinity" } else { "-Infinity" }, out);
    }
}

#[cfg(test)]
mod tests;
