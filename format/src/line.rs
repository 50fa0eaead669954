//! The JSON line of an entry: how it is encoded, and what is read from one.

use crate::Invalid;
use crate::event::{Dated, Event, Field, Value, check_texts};
use crate::event_fields;
use crate::leaf;
use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use memchr::memchr3;
use uuid::Uuid;

pub use crate::limit::MAX_LEN;

/// The names of the fields that the store adds to an event. They follow the event's fields in the line.
pub const STAMP_FIELDS: [&str; 4] = ["id", "chain", "seq", "hash"];

/// What the store adds to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The entry's identifier.
    pub id: Uuid,
    /// The chain of the instance that wrote it.
    pub chain: Uuid,
    /// The position in the chain, from 0.
    pub seq: u64,
    /// The leaf hash, 64 lower-case hexadecimal digits.
    pub hash: Cow<'a, str>,
}

/// A line that was read: an event, and its stamp if a store wrote the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The event. Its values are not checked beyond their types.
    pub event: Event<'a>,
    /// `None`: another program wrote the line.
    pub stamp: Option<Stamp<'a>>,
}

/// Appends the line of an entry to `out`. `leaf::seal` fills in its hash.
///
/// # Errors
/// If a text has a control character, or the line is longer than [`MAX_LEN`]: names the field. `out` stays as
/// it was.
pub fn encode(event: &Dated<'_>, id: Uuid, chain: Uuid, seq: u64, out: &mut Vec<u8>) -> Result<(), Invalid> {
    let start = out.len();
    put_event(event.event(), out);
    // One search instead of a check of each field: a control character is escaped with a backslash, or is
    // U+007F, or starts with the byte C2.
    if memchr3(b'\\', 0x7f, 0xc2, &out[start..]).is_some()
        && let Err(invalid) = check_texts(event.event())
    {
        out.truncate(start);
        return Err(invalid);
    }
    put_stamp(id, chain, seq, &leaf::UNSEALED, out);
    let len = out.len() - start;
    if len > MAX_LEN {
        out.truncate(start);
        return Err(too_long(event.event(), len));
    }
    Ok(())
}

/// Appends the line of an entry that was read, with its newline. If it was not changed, this gives the bytes
/// that [`encode`] and `leaf::seal` made.
pub fn put_entry(event: &Event<'_>, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
    put_event(event, out);
    put_stamp(stamp.id, stamp.chain, stamp.seq, stamp.hash.as_bytes(), out);
}

/// Adds the stamp to the JSON object at the end of `out`, and the newline.
fn put_stamp(id: Uuid, chain: Uuid, seq: u64, hash: &[u8], out: &mut Vec<u8>) {
    out.pop();
    let mut text = Uuid::encode_buffer();
    out.extend_from_slice(b",\"id\":\"");
    out.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
    out.extend_from_slice(b"\",\"chain\":\"");
    out.extend_from_slice(chain.hyphenated().encode_lower(&mut text).as_bytes());
    out.extend_from_slice(b"\",\"seq\":");
    put_number(seq, out);
    out.extend_from_slice(leaf::BEFORE);
    out.extend_from_slice(hash);
    out.extend_from_slice(leaf::AFTER);
}

/// Appends the event's fifteen fields as a JSON object, without a newline.
pub fn put_event(event: &Event<'_>, out: &mut Vec<u8>) {
    macro_rules! put {
        ($(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
            $(
                out.extend_from_slice(concat!(",\"", stringify!($field), "\":").as_bytes());
                put_value(Value::from(&event.$field), out);
            )*
        };
    }
    out.reserve(MAX_LEN);
    let start = out.len();
    event_fields!([put]);
    out[start] = b'{';
    out.push(b'}');
}

fn put_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => put_text(text, out),
        Value::Number(number) => put_number(number, out),
        Value::Absent => out.extend_from_slice(b"null"),
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let escaped = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\');
    // Without an early exit the compiler makes this compare 16 bytes at once.
    if text.bytes().fold(false, |found, b| found | escaped(b)) {
        out.extend_from_slice(serde_json::to_string(text).unwrap_or_default().as_bytes());
    } else {
        out.push(b'"');
        put_bytes(text.as_bytes(), out);
        out.push(b'"');
    }
}

/// Appends a few bytes. Copying a length that is not a constant calls the host's runtime. For the
/// nineteen fields of a line, that costs more than encoding them.
fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        out.extend_from_slice(word);
    }
    for byte in rest {
        out.push(*byte);
    }
}

fn put_number(number: u64, out: &mut Vec<u8>) {
    put_bytes(itoa::Buffer::new().format(number).as_bytes(), out);
}

fn too_long(event: &Event<'_>, len: usize) -> Invalid {
    let length = |field: &Field| event.get(*field).text().map_or(0, str::len);
    let longest = Field::ALL.into_iter().max_by_key(length);
    let field = longest.unwrap_or(Field::Tool);
    Invalid::new(
        field.name(),
        format!(
            "the event's line is {len} bytes with its newline, {} of them in this field; accepted are \
             lines up to {MAX_LEN} bytes",
            length(&field)
        ),
    )
}

#[cfg(test)]
mod tests;
