//! The JSON line: how an entry is encoded, and what is read from one.

use crate::Invalid;
use crate::event::{Dated, Event, Field, Value, check_texts};
use crate::event_fields;
use crate::leaf;
use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use memchr::memchr3;
use uuid::Uuid;

/// The longest line, newline included: it is one atomic append in every backend and host.
pub const MAX_LEN: usize = 4096;

/// The names of what the store gives an event, in the line behind the event's fields.
pub const STAMP_FIELDS: [&str; 4] = ["id", "chain", "seq", "hash"];

/// What the store gives an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The entry's identifier.
    pub id: Uuid,
    /// The instance that wrote it.
    pub chain: Uuid,
    /// The position in the chain, from 0.
    pub seq: u64,
    /// The leaf hash, 64 lower-case hexadecimal digits.
    pub hash: Cow<'a, str>,
}

/// A line as it was read: an event, and the stamp if this store wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The event, unchecked.
    pub event: Event<'a>,
    /// `None`: the line came from another writer.
    pub stamp: Option<Stamp<'a>>,
}

/// Appends the entry's line to `out`, with the place of its hash to be filled by `leaf::seal`; or leaves
/// `out` as it was and names the field that has a control character or makes it too long.
pub fn encode(event: &Dated<'_>, id: Uuid, chain: Uuid, seq: u64, out: &mut Vec<u8>) -> Result<(), Invalid> {
    let start = out.len();
    put_event(event.event(), out);
    // One look at all of it: control characters are escaped, or U+007F, or start with the byte C2.
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

/// Appends the line of an entry that was encoded before, with its newline: the same bytes, if it has not
/// changed.
pub fn put_entry(event: &Event<'_>, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
    put_event(event, out);
    put_stamp(stamp.id, stamp.chain, stamp.seq, stamp.hash.as_bytes(), out);
}

/// Goes on with the object that `out` ends with.
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
    // Without an early end the compiler looks at 16 bytes at once.
    if text.bytes().fold(false, |found, b| found | escaped(b)) {
        out.extend_from_slice(serde_json::to_string(text).unwrap_or_default().as_bytes());
    } else {
        out.push(b'"');
        put_bytes(text.as_bytes(), out);
        out.push(b'"');
    }
}

/// Appends a few bytes. Copying a length that is not known is a call into the host's runtime, which for the
/// twenty fields of a line costs more than encoding it.
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
