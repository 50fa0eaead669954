//! An export as Protobuf. It is walked over instead of being decoded into the types of `opentelemetry-proto`: two bytes can
//! stand for an empty span there, which takes some hundred bytes in memory.

use std::borrow::Cow;

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::{
    Kind, MAX_DEPTH, Nested, Record, Signal, Sink, Span, Status, Undecodable, close, id, number, quote,
};
use crate::call::hex;
use crate::otlp::attributes::{Attributes, Key, Raw, kept};

/// The value of a field.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// Of a type that no known field has.
    Other,
}

fn wrong_type(tag: u32) -> Undecodable {
    Undecodable(format!("the field {tag} of the Protobuf message has the wrong type; accepted is a message"))
}

fn cut() -> Undecodable {
    Undecodable::because("the Protobuf message is cut")
}

/// The fields of a message.
struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, Undecodable> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (tag, wire_type) = decode_key(&mut self.0).map_err(Undecodable::because)?;
        let wire = match wire_type {
            WireType::Varint => Wire::Varint(self.varint()?),
            WireType::SixtyFourBit => {
                let (bytes, rest) = self.0.split_first_chunk().ok_or_else(cut)?;
                self.0 = rest;
                Wire::Fixed64(u64::from_le_bytes(*bytes))
            }
            WireType::LengthDelimited => {
                let len = usize::try_from(self.varint()?).map_err(|_| cut())?;
                let (bytes, rest) = self.0.split_at_checked(len).ok_or_else(cut)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            WireType::ThirtyTwoBit | WireType::StartGroup | WireType::EndGroup => {
                skip_field(wire_type, tag, &mut self.0, DecodeContext::default())
                    .map_err(Undecodable::because)?;
                Wire::Other
            }
        };
        Ok(Some((tag, wire)))
    }

    fn varint(&mut self) -> Result<u64, Undecodable> {
        decode_varint(&mut self.0).map_err(Undecodable::because)
    }

    /// Calls this for each field of the tag, which has to be a message.
    fn each<E: From<Undecodable>>(
        mut self,
        tag: u32,
        mut f: impl FnMut(&'a [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some((found, wire)) = self.next()? {
            match wire {
                Wire::Bytes(bytes) if found == tag => f(bytes)?,
                _ if found == tag => return Err(wrong_type(tag).into()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads an export. The numbers of the fields are the same for both signals down to the span or log record.
pub(super) fn export<S: Sink>(signal: Signal, body: &[u8], sink: &mut S) -> Result<(), S::Error> {
    Message(body).each(1, |part| {
        let mut resource = Attributes::default();
        // The resource may stand behind what belongs to it.
        Message(part).each(1, |message| {
            Message(message).each(1, |pair| -> Result<(), Undecodable> {
                attribute(pair, &mut resource);
                Ok(())
            })
        })?;
        Message(part).each(2, |scope| {
            Message(scope).each(2, |item| match signal {
                Signal::Traces => sink.span(&resource, span(item)?),
                Signal::Logs => sink.record(&resource, record(item)?),
            })
        })
    })
}

fn span(message: &[u8]) -> Result<Span<'_>, Undecodable> {
    let mut span = Span::default();
    let mut fields = Message(message);
    while let Some(field) = fields.next()? {
        // A value of another type is absent, as an unknown field is.
        match field {
            (1, Wire::Bytes(bytes)) => span.trace = id(bytes),
            (2, Wire::Bytes(bytes)) => span.id = id(bytes),
            (4, Wire::Bytes(bytes)) => span.parent = id(bytes),
            (5, Wire::Bytes(bytes)) => span.name = kept(&String::from_utf8_lossy(bytes)).to_owned(),
            (6, Wire::Varint(kind)) => {
                span.kind = match kind {
                    2 => Kind::Server,
                    3 => Kind::Client,
                    _ => Kind::Other,
                }
            }
            (7, Wire::Fixed64(time)) => span.start = time,
            (8, Wire::Fixed64(time)) => span.end = time,
            (9, Wire::Bytes(pair)) => attribute(pair, &mut span.attributes),
            (11, Wire::Bytes(event)) => span.has_exception |= is_exception(event),
            (15, Wire::Bytes(message)) => span.status = status(message).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(span)
}

fn is_exception(event: &[u8]) -> bool {
    let mut is_one = false;
    let read = Message(event).each(2, |name| -> Result<(), Undecodable> {
        is_one = name == b"exception";
        Ok(())
    });
    read.is_ok() && is_one
}

fn status(message: &[u8]) -> Result<Status, Undecodable> {
    let mut status = Status::Unset;
    let mut fields = Message(message);
    while let Some(field) = fields.next()? {
        if let (3, Wire::Varint(code)) = field {
            status = match code {
                1 => Status::Ok,
                2 => Status::Error,
                _ => Status::Unset,
            };
        }
    }
    Ok(status)
}

fn record(message: &[u8]) -> Result<Record<'_>, Undecodable> {
    let mut record = Record::default();
    let mut fields = Message(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Wire::Fixed64(time)) => record.time = time,
            (5, Wire::Bytes(body)) => {
                if let Ok(Some(Raw::Text(text))) = value(body) {
                    record.body = kept(&text).to_owned();
                }
            }
            (6, Wire::Bytes(pair)) => attribute(pair, &mut record.attributes),
            (9, Wire::Bytes(bytes)) => record.trace = id(bytes),
            (10, Wire::Bytes(bytes)) => record.span = id(bytes),
            (11, Wire::Fixed64(time)) => record.observed = time,
            (12, Wire::Bytes(bytes)) => {
                record.event_name = kept(&String::from_utf8_lossy(bytes)).to_owned();
            }
            _ => {}
        }
    }
    Ok(record)
}

/// Puts an attribute to the others, if it is known. A value that cannot be read stays as it came.
fn attribute<'a>(pair: &'a [u8], attributes: &mut Attributes<'a>) {
    let Ok((name, bytes)) = key_and_value(pair) else { return };
    let Some(key) = Key::named(&name) else { return };
    let value = value(bytes).unwrap_or(Some(Raw::Nested(Nested::Protobuf(bytes))));
    value.into_iter().for_each(|value| attributes.put(key, value));
}

fn key_and_value(pair: &[u8]) -> Result<(Cow<'_, str>, &[u8]), Undecodable> {
    let (mut key, mut value) = (Cow::default(), &[][..]);
    let mut fields = Message(pair);
    while let Some(field) = fields.next()? {
        match field {
            (1, Wire::Bytes(bytes)) => key = String::from_utf8_lossy(bytes),
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Ok((key, value))
}

/// An `AnyValue`. None: it has no value.
fn value(message: &[u8]) -> Result<Option<Raw<'_>>, Undecodable> {
    let mut found = None;
    let mut fields = Message(message);
    while let Some(field) = fields.next()? {
        // Of a `oneof`, the last one counts.
        found = match field {
            (1, Wire::Bytes(text)) => Some(Raw::Text(String::from_utf8_lossy(text))),
            (2, Wire::Varint(value)) => Some(Raw::Bool(value != 0)),
            (3, Wire::Varint(value)) => Some(Raw::Integer(value.cast_signed())),
            (4, Wire::Fixed64(bits)) => Some(Raw::Real(f64::from_bits(bits))),
            (5..=7, Wire::Bytes(_)) => Some(Raw::Nested(Nested::Protobuf(message))),
            _ => found,
        };
    }
    Ok(found)
}

/// An `AnyValue` as plain JSON. Where it cannot be read, or is nested too deeply, the message as it came.
pub(super) fn plain_json(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match put_json(message, MAX_DEPTH, &mut out) {
        Ok(()) => out,
        Err(_) => message.into(),
    }
}

fn put_json(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Undecodable> {
    let deeper = depth.checked_sub(1).ok_or_else(|| Undecodable::because("it is nested too deeply"))?;
    let mut last = None;
    let mut fields = Message(message);
    while let Some(field) = fields.next()? {
        if matches!(field, (1 | 5..=7, Wire::Bytes(_)) | (2 | 3, Wire::Varint(_)) | (4, Wire::Fixed64(_))) {
            last = Some(field);
        }
    }
    match last {
        None => out.extend_from_slice(b"null"),
        Some((1, Wire::Bytes(text))) => quote(&String::from_utf8_lossy(text), out),
        Some((2, Wire::Varint(value))) => out.extend_from_slice(if value != 0 { b"true" } else { b"false" }),
        Some((_, Wire::Varint(value))) => out.extend_from_slice(value.cast_signed().to_string().as_bytes()),
        Some((_, Wire::Fixed64(bits))) => number(f64::from_bits(bits), out),
        Some((5, Wire::Bytes(items))) => {
            out.push(b'[');
            Message(items).each(1, |item| {
                put_json(item, deeper, out)?;
                out.push(b',');
                Ok::<_, Undecodable>(())
            })?;
            close(b']', out);
        }
        Some((6, Wire::Bytes(pairs))) => {
            out.push(b'{');
            Message(pairs).each(1, |pair| {
                let (key, value) = key_and_value(pair)?;
                quote(&key, out);
                out.push(b':');
                put_json(value, deeper, out)?;
                out.push(b',');
                Ok::<_, Undecodable>(())
            })?;
            close(b'}', out);
        }
        // Bytes. Only their size and hash matter, so that any text that stands for them will do.
        Some((_, Wire::Bytes(bytes))) => {
            quote(&hex(bytes), out);
        }
        Some((_, Wire::Other)) => {}
    }
    Ok(())
}
