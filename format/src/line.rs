//! The JSON line of an entry: how it is encoded, and what is read from one.

use crate::attributes::Attribute;
use crate::event::{Dated, Event, Value};
use crate::event_fields;
use crate::leaf;
use crate::mended::Mended;
use crate::time::Timestamp;
use alloc::borrow::{Cow, ToOwned as _};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use memchr::{memchr, memmem};
use uuid::Uuid;

pub use crate::cut::known_by;
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

impl Stamp<'_> {
    /// The same stamp, with a copy of the hash.
    pub fn into_owned(self) -> Stamp<'static> {
        Stamp { hash: Cow::Owned(self.hash.into_owned()), ..self }
    }
}

impl Parsed<'_> {
    /// The same line, with copies of the texts that it borrows.
    pub fn into_owned(self) -> Parsed<'static> {
        Parsed { event: self.event.into_owned(), stamp: self.stamp.map(Stamp::into_owned) }
    }
}

/// Appends the line of an entry to `out`. `leaf::seal` fills in its hash.
///
/// Every event has a line: characters that cannot be stored are replaced, and texts are cut where the line would be
/// longer than [`MAX_LEN`]. The event says afterwards what was changed.
pub fn encode(event: &mut Dated<'_>, id: Uuid, chain: Uuid, seq: u64, out: &mut Vec<u8>) {
    let start = out.len();
    if event.event().texts_len() > MAX_LEN || event.event().has_long_text() {
        event.mend(room(seq));
    }
    put_event(event.event(), out);
    // JSON writes U+0000 with a backslash, as few other characters.
    let may_hold_nul =
        memchr(b'\\', &out[start..]).is_some() && memmem::find(&out[start..], b"u0000").is_some();
    if may_hold_nul || out.len() - start > room(seq) {
        out.truncate(start);
        event.mend(room(seq));
        put_event(event.event(), out);
    }
    out.pop();
    put_stamp(id, chain, seq, &leaf::UNSEALED, out);
}

/// The event, made to fit into a line as [`encode`] does it, and what was changed. Where its `ts` is very long, the same
/// instant is in its place, or the start of what is no timestamp, which is none either.
pub fn fitted(mut event: Event<'_>) -> (Event<'_>, Mended) {
    const MAX_TS: usize = 128;
    const CUT: &str = "…";
    if event.ts.len() > MAX_TS {
        let ts = match Timestamp::parse(&event.ts) {
            Ok(at) => at.to_string(),
            Err(_) => event.ts[..event.ts.floor_char_boundary(MAX_TS - CUT.len())].to_owned() + CUT,
        };
        event.ts = Cow::Owned(ts);
    }
    let mut event = Dated::unchecked(event);
    event.mend(room(u64::MAX) - MAX_TS);
    event.into_parts()
}

/// How many bytes the JSON object of an event may have, so that its line with this `seq` is not longer than
/// [`MAX_LEN`].
pub(crate) fn room(seq: u64) -> usize {
    const IDS: usize = ",\"id\":\"\",\"chain\":\"\",\"seq\":".len() + 2 * 36;
    MAX_LEN - IDS - itoa::Buffer::new().format(seq).len() - leaf::TAIL + "}".len()
}

impl Dated<'_> {
    /// Replaces characters that cannot be stored, and cuts texts where the event's JSON object would have more than
    /// `room` bytes.
    fn mend(&mut self, room: usize) {
        self.replace();
        let mut fixed = Vec::new();
        put_event(&self.event().without_texts(), &mut fixed);
        self.cut_to(room.saturating_sub(fixed.len()));
    }
}

/// Appends the line of an entry that was read, with its newline. If it was not changed, this gives the bytes
/// that [`encode`] and `leaf::seal` made.
pub fn put_entry(event: &Event<'_>, stamp: &Stamp<'_>, out: &mut Vec<u8>) {
    put_event(event, out);
    out.pop();
    put_stamp(stamp.id, stamp.chain, stamp.seq, stamp.hash.as_bytes(), out);
}

/// Adds the stamp to the JSON object at the end of `out`, which is not closed yet, and the newline.
pub(crate) fn put_stamp(id: Uuid, chain: Uuid, seq: u64, hash: &[u8], out: &mut Vec<u8>) {
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

/// Appends the event's fifteen fields, and its attributes if it has some, as a JSON object, without a newline.
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
    if !event.attributes.is_empty() {
        out.extend_from_slice(b",\"attributes\":");
        put_attributes(&event.attributes, out);
    }
    out.push(b'}');
}

/// Appends the attributes as a JSON object. There is one at least.
pub fn put_attributes(attributes: &[Attribute<'_>], out: &mut Vec<u8>) {
    let start = out.len();
    for Attribute { key, value } in attributes {
        out.push(b',');
        put_text(key, out);
        out.push(b':');
        put_text(value, out);
    }
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

#[cfg(test)]
mod tests;
