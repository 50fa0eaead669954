//! An export as Protobuf. It is walked over instead of being decoded into the types of `opentelemetry-proto`: two bytes can
//! stand for an empty span there, which takes some hundred bytes in memory.

use std::borrow::Cow;

use prost::encoding::{WireType, decode_key, decode_varint};

use super::{
    Kind, MAX_DEPTH, Nested, Record, Signal, Sink, Span, Status, Undecodable, close, id, number, quote,
};
use crate::otlp::attributes::{Attributes, Key, Raw, kept};

/// The value of a field.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Wire<'a> {
    fn bytes(self) -> Result<&'a [u8], Undecodable> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(wrong_type()),
        }
    }

    fn text(self) -> Result<Cow<'a, str>, Undecodable> {
        self.bytes().map(String::from_utf8_lossy)
    }

    fn varint(self) -> Result<u64, Undecodable> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(wrong_type()),
        }
    }

    fn fixed64(self) -> Result<u64, Undecodable> {
        match self {
            Self::Fixed64(value) => Ok(value),
            _ => Err(wrong_type()),
        }
    }
}

fn wrong_type() -> Undecodable {
    Undecodable::because("a field of the Protobuf message has the wrong type")
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
            WireType::ThirtyTwoBit => {
                self.0 = self.0.get(4..).ok_or_else(cut)?;
                Wire::Fixed32
            }
            WireType::LengthDelimited => {
                let len = usize::try_from(self.varint()?).map_err(|_| cut())?;
                let (bytes, rest) = self.0.split_at_checked(len).ok_or_else(cut)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            WireType::StartGroup | WireType::EndGroup => {
                return Err(Undecodable::because("the Protobuf message has a group"));
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
            if found == tag {
                f(wire.bytes()?)?;
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
        Message(part).each(1, |message| Message(message).each(1, |pair| attribute(pair, &mut resource)))?;
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
    while let Some((tag, wire)) = fields.next()? {
        match tag {
            1 => span.trace = id(wire.bytes()?),
            2 => span.id = id(wire.bytes()?),
            4 => span.parent = id(wire.bytes()?),
            5 => span.name = kept(&wire.text()?).to_owned(),
            6 => {
                span.kind = match wire.varint()? {
                    2 => Kind::Server,
                    3 => Kind::Client,
                    _ => Kind::Other,
                }
            }
            7 => span.start = wire.fixed64()?,
            8 => span.end = wire.fixed64()?,
            9 => attribute(wire.bytes()?, &mut span.attributes)?,
            11 => span.has_exception |= is_exception(wire.bytes()?)?,
            15 => span.status = status(wire.bytes()?)?,
            _ => {}
        }
    }
    Ok(span)
}

fn is_exception(event: &[u8]) -> Result<bool, Undecodable> {
    let mut is_one = false;
    Message(event).each(2, |name| -> Result<(), Undecodable> {
        is_one = name == b"exception";
        Ok(())
    })?;
    Ok(is_one)
}

fn status(message: &[u8]) -> Result<Status, Undecodable> {
    let mut status = Status::Unset;
    let mut fields = Message(message);
    while let Some((tag, wire)) = fields.next()? {
        if tag == 3 {
            status = match wire.varint()? {
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
    while let Some((tag, wire)) = fields.next()? {
        match tag {
            1 => record.time = wire.fixed64()?,
            5 => {
                if let Some(Raw::Text(text)) = value(wire.bytes()?)? {
                    record.body = kept(&text).to_owned();
                }
            }
            6 => attribute(wire.bytes()?, &mut record.attributes)?,
            9 => record.trace = id(wire.bytes()?),
            10 => record.span = id(wire.bytes()?),
            11 => record.observed = wire.fixed64()?,
            12 => record.event_name = kept(&wire.text()?).to_owned(),
            _ => {}
        }
    }
    Ok(record)
}

/// Puts an attribute to the others, if it is known.
fn attribute<'a>(pair: &'a [u8], attributes: &mut Attributes<'a>) -> Result<(), Undecodable> {
    let (name, bytes) = key_and_value(pair)?;
    if let Some(key) = Key::named(&name)
        && let Some(value) = value(bytes)?
    {
        attributes.put(key, value);
    }
    Ok(())
}

fn key_and_value(pair: &[u8]) -> Result<(Cow<'_, str>, &[u8]), Undecodable> {
    let (mut key, mut value) = (Cow::default(), &[][..]);
    let mut fields = Message(pair);
    while let Some((tag, wire)) = fields.next()? {
        match tag {
            1 => key = wire.text()?,
            2 => value = wire.bytes()?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// An `AnyValue`. None: it has no value.
fn value(message: &[u8]) -> Result<Option<Raw<'_>>, Undecodable> {
    let mut found = None;
    let mut fields = Message(message);
    while let Some((tag, wire)) = fields.next()? {
        // Of a `oneof`, the last one counts.
        found = match tag {
            1 => Some(Raw::Text(wire.text()?)),
            2 => Some(Raw::Bool(wire.varint()? != 0)),
            3 => Some(Raw::Integer(wire.varint()?.cast_signed())),
            4 => Some(Raw::Real(f64::from_bits(wire.fixed64()?))),
            5..=7 => Some(Raw::Nested(Nested::Protobuf(message))),
            _ => found,
        };
    }
    Ok(found)
}

/// An `AnyValue` as plain JSON. Where it is nested too deeply for that, the message as it came.
pub(super) fn plain_json(message: &[u8]) -> Result<Vec<u8>, Undecodable> {
    let mut out = Vec::new();
    match put_json(message, MAX_DEPTH, &mut out) {
        Ok(()) => Ok(out),
        Err(NoJson::TooDeep) => Ok(message.into()),
        Err(NoJson::Undecodable(undecodable)) => Err(undecodable),
    }
}

enum NoJson {
    TooDeep,
    Undecodable(Undecodable),
}

impl From<Undecodable> for NoJson {
    fn from(undecodable: Undecodable) -> Self {
        Self::Undecodable(undecodable)
    }
}

fn put_json(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), NoJson> {
    let deeper = depth.checked_sub(1).ok_or(NoJson::TooDeep)?;
    let mut last = None;
    let mut fields = Message(message);
    while let Some((tag, wire)) = fields.next()? {
        if (1..=7).contains(&tag) {
            last = Some((tag, wire));
        }
    }
    let Some((tag, wire)) = last else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    match tag {
        1 => quote(&wire.text()?, out),
        2 => out.extend_from_slice(if wire.varint()? != 0 { b"true" } else { b"false" }),
        3 => out.extend_from_slice(wire.varint()?.cast_signed().to_string().as_bytes()),
        4 => number(f64::from_bits(wire.fixed64()?), out),
        5 => {
            out.push(b'[');
            Message(wire.bytes()?).each(1, |item| {
                put_json(item, deeper, out)?;
                out.push(b',');
                Ok::<_, NoJson>(())
            })?;
            close(b']', out);
        }
        6 => {
            out.push(b'{');
            Message(wire.bytes()?).each(1, |pair| {
                let (key, value) = key_and_value(pair)?;
                quote(&key, out);
                out.push(b':');
                put_json(value, deeper, out)?;
                out.push(b',');
                Ok::<_, NoJson>(())
            })?;
            close(b'}', out);
        }
        // Bytes. Only their size and hash matter, so that any text that stands for them will do.
        _ => quote(&wire.bytes()?.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), out),
    }
    Ok(())
}
