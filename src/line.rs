//! The JSON line: how an entry is encoded, hashed (RFC 6962, section 2.1) and read back.

use crate::error::Invalid;
use crate::event::{Checked, Event, TextField};
use crate::id;
use crate::time::quoted;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The longest line, newline included: it is one atomic append in every backend and host.
pub const MAX_LEN: usize = 4096;

/// The names of an event's fields in the line, in their order.
pub const EVENT_FIELDS: [&str; 15] = [
    "ts",
    "req_id",
    "workspace_id",
    "user_id",
    "agent_id",
    "tool",
    "action",
    "status",
    "duration_ms",
    "in_size",
    "out_size",
    "input_hash",
    "graph_run_id",
    "graph_node",
    "job_id",
];

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

/// Appends the entry's line to `out`, or leaves `out` as it was and says which field makes it too long.
pub fn encode(
    event: &Checked<'_>,
    id: Uuid,
    chain: Uuid,
    seq: u64,
    out: &mut Vec<u8>,
) -> Result<(), Invalid> {
    let start = out.len();
    put_event(event.event(), out);
    out.pop();
    let mut text = Uuid::encode_buffer();
    out.extend_from_slice(b",\"id\":\"");
    out.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
    out.extend_from_slice(b"\",\"chain\":\"");
    out.extend_from_slice(chain.hyphenated().encode_lower(&mut text).as_bytes());
    out.extend_from_slice(b"\",\"seq\":");
    put_number(seq, out);
    out.push(b'}');
    let hash = leaf_hash(&out[start..]);
    out.pop();
    out.extend_from_slice(b",\"hash\":\"");
    out.extend_from_slice(&hash);
    out.extend_from_slice(b"\"}\n");
    let len = out.len() - start;
    if len > MAX_LEN {
        out.truncate(start);
        return Err(too_long(event.event(), len));
    }
    Ok(())
}

/// Appends the event's fifteen fields as a JSON object, without a newline.
pub fn put_event(event: &Event<'_>, out: &mut Vec<u8>) {
    let mut separator = b'{';
    let mut put = |name: &str, value: Field<'_>| {
        out.push(separator);
        separator = b',';
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        match value {
            Field::Text(Some(text)) => put_text(text, out),
            Field::Text(None) => out.extend_from_slice(b"null"),
            Field::Number(number) => put_number(number, out),
        }
    };
    put("ts", Field::Text(Some(&event.ts)));
    put("req_id", Field::Text(Some(&event.req_id)));
    put("workspace_id", Field::Text(Some(&event.workspace_id)));
    put("user_id", Field::Text(Some(&event.user_id)));
    put("agent_id", Field::Text(Some(&event.agent_id)));
    put("tool", Field::Text(Some(&event.tool)));
    put("action", Field::Text(Some(&event.action)));
    put("status", Field::Text(Some(&event.status)));
    put("duration_ms", Field::Number(event.duration_ms));
    put("in_size", Field::Number(event.in_size));
    put("out_size", Field::Number(event.out_size));
    put("input_hash", Field::Text(Some(&event.input_hash)));
    put("graph_run_id", Field::Text(event.graph_run_id.as_deref()));
    put("graph_node", Field::Text(event.graph_node.as_deref()));
    put("job_id", Field::Text(event.job_id.as_deref()));
    out.push(b'}');
}

enum Field<'e> {
    Text(Option<&'e str>),
    Number(u64),
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let escaped = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\');
    // Without an early end the compiler looks at 16 bytes at once.
    if text.bytes().fold(false, |found, b| found | escaped(b)) {
        out.extend_from_slice(serde_json::to_string(text).unwrap_or_default().as_bytes());
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

fn put_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn too_long(event: &Event<'_>, len: usize) -> Invalid {
    let length = |field: &TextField| field.of(event).map_or(0, str::len);
    let longest = TextField::ALL.into_iter().max_by_key(length);
    let field = longest.unwrap_or(TextField::Tool);
    Invalid::new(
        field.name(),
        format!(
            "the event's line is {len} bytes with its newline, {} of them in this field; accepted are \
             lines up to {MAX_LEN} bytes",
            length(&field)
        ),
    )
}

/// SHA-256(0x00 || body) in lower-case hexadecimal.
fn leaf_hash(body: &[u8]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut sha = Sha256::new();
    sha.update([0]);
    sha.update(body);
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(sha.finalize()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// Reads a line of a file, of any writer: any spacing and order, unknown fields passed over.
pub fn parse_stored(line: &[u8]) -> Result<Parsed<'_>, Invalid> {
    parse(line, Unknown::PassedOver)
}

/// Reads a line that a caller wants written: a field that would be lost is refused.
pub fn parse_sent(line: &str) -> Result<Event<'_>, Invalid> {
    parse(line.as_bytes(), Unknown::Refused).map(|parsed| parsed.event)
}

fn parse(line: &[u8], unknown: Unknown) -> Result<Parsed<'_>, Invalid> {
    let reading = Reading { unknown, field: Cell::new(None) };
    let mut json = serde_json::Deserializer::from_slice(line);
    let parsed = (&reading).deserialize(&mut json);
    let parsed = parsed.and_then(|parsed| json.end().map(|()| parsed));
    parsed.map_err(|error| reading.explain(&error))
}

#[derive(Clone, Copy)]
enum Unknown {
    PassedOver,
    Refused,
}

/// Reads one object and remembers which field it is at, so that an error can name it.
struct Reading {
    unknown: Unknown,
    field: Cell<Option<Cow<'static, str>>>,
}

impl Reading {
    fn explain(&self, error: &serde_json::Error) -> Invalid {
        let text = error.to_string();
        // A line has one line; where it says more than the column it only misleads.
        let position = format!(" at line {} column {}", error.line(), error.column());
        let what = match text.strip_suffix(&position) {
            Some(what) if error.is_data() => what.to_string(),
            Some(what) => format!("{what} at column {}", error.column()),
            None => text,
        };
        match self.field.take().filter(|_| error.is_data()) {
            Some(field) => Invalid::new(&field, what),
            None => Invalid::new("json", format!("{what}; accepted is one JSON object a line")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for &Reading {
    type Value = Parsed<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Parsed<'de>, D::Error> {
        match json.deserialize_any(ValueVisitor(Some(self)))? {
            Value::Line(parsed) => Ok(*parsed),
            value => Err(de::Error::custom(format!("found {}", value.in_words()))),
        }
    }
}

impl Reading {
    fn fields<'de, A: MapAccess<'de>>(&self, mut map: A) -> Result<Parsed<'de>, A::Error> {
        let mut event = Event::default();
        let mut stamp = StampFields::default();
        let mut seen = 0_u32;
        while let Some(key) = map.next_key::<Value<'de>>()? {
            let Value::Text(key) = key else { continue };
            let Some((place, name)) = place_of(&key) else {
                if let Unknown::Refused = self.unknown {
                    self.field.set(Some(Cow::Owned(quoted(&key))));
                    let known = EVENT_FIELDS.join(", ");
                    return Err(de::Error::custom(format!("unknown field; accepted are {known}")));
                }
                map.next_value::<de::IgnoredAny>()?;
                continue;
            };
            self.field.set(Some(Cow::Borrowed(name)));
            if seen & (1 << place) != 0 {
                return Err(de::Error::custom("given twice; accepted is each field once"));
            }
            seen |= 1 << place;
            let value = map.next_value::<Value<'de>>()?;
            match place {
                0 => event.ts = value.text()?,
                1 => event.req_id = value.text()?,
                2 => event.workspace_id = value.text()?,
                3 => event.user_id = value.text()?,
                4 => event.agent_id = value.text()?,
                5 => event.tool = value.text()?,
                6 => event.action = value.text()?,
                7 => event.status = value.text()?,
                8 => event.duration_ms = value.number()?,
                9 => event.in_size = value.number()?,
                10 => event.out_size = value.number()?,
                11 => event.input_hash = value.text()?,
                12 => event.graph_run_id = value.optional()?,
                13 => event.graph_node = value.optional()?,
                14 => event.job_id = value.optional()?,
                15 => stamp.id = value,
                16 => stamp.chain = value,
                17 => stamp.seq = value,
                _ => stamp.hash = value,
            }
            self.field.set(None);
        }
        Ok(Parsed { event, stamp: stamp.check() })
    }
}

/// The position of a field in the line, and the name under which it came.
fn place_of(key: &str) -> Option<(usize, &'static str)> {
    Some(match key {
        "ts" => (0, "ts"),
        "req_id" => (1, "req_id"),
        "workspace_id" => (2, "workspace_id"),
        "user_id" => (3, "user_id"),
        "agent_id" => (4, "agent_id"),
        "tool" => (5, "tool"),
        "action" => (6, "action"),
        "status" => (7, "status"),
        "duration_ms" => (8, "duration_ms"),
        "in_size" => (9, "in_size"),
        "input_chars" => (9, "input_chars"),
        "out_size" => (10, "out_size"),
        "output_size_bytes" => (10, "output_size_bytes"),
        "input_hash" => (11, "input_hash"),
        "graph_run_id" => (12, "graph_run_id"),
        "graph_node" => (13, "graph_node"),
        "job_id" => (14, "job_id"),
        "id" => (15, "id"),
        "chain" => (16, "chain"),
        "seq" => (17, "seq"),
        "hash" => (18, "hash"),
        _ => return None,
    })
}

/// A JSON value as far as a line needs it; texts without escapes are borrowed from the line.
#[derive(Default)]
enum Value<'a> {
    #[default]
    Null,
    Text(Cow<'a, str>),
    Number(u64),
    /// An object where a line was read.
    Line(Box<Parsed<'a>>),
    /// Anything else, in words.
    Other(String),
}

impl<'a> Value<'a> {
    fn text<E: de::Error>(self) -> Result<Cow<'a, str>, E> {
        Ok(self.optional()?.unwrap_or_default())
    }

    fn optional<E: de::Error>(self) -> Result<Option<Cow<'a, str>>, E> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            other => Err(E::custom(format!("found {}; accepted is text or null", other.in_words()))),
        }
    }

    fn number<E: de::Error>(self) -> Result<u64, E> {
        match self {
            Self::Null => Ok(0),
            Self::Number(number) => Ok(number),
            other => {
                let (words, most) = (other.in_words(), u64::MAX);
                Err(E::custom(format!("found {words}; accepted is a whole number from 0 to {most}")))
            }
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Text(text) => format!("the text {}", quoted(&text)),
            Self::Number(number) => format!("the number {number}"),
            Self::Line(_) => "an object".into(),
            Self::Other(words) => words,
        }
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(ValueVisitor(None))
    }
}

/// Reads any value; an object as a line where there is a reading. Every kind of value is met here, so that
/// serde's own messages, which can format floats, are not linked.
struct ValueVisitor<'r>(Option<&'r Reading>);

impl<'de> Visitor<'de> for ValueVisitor<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Other(format!("the number {number}")))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        // In words: formatting a float would be a tenth of the component.
        Ok(Value::Other("a number with a fraction, an exponent or too many digits".into()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Other(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        while seq.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Value::Other("an array".into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        if let Some(reading) = self.0 {
            return Ok(Value::Line(Box::new(reading.fields(map)?)));
        }
        while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
        Ok(Value::Other("an object".into()))
    }
}

#[derive(Default)]
struct StampFields<'a> {
    id: Value<'a>,
    chain: Value<'a>,
    seq: Value<'a>,
    hash: Value<'a>,
}

impl<'a> StampFields<'a> {
    /// Only a whole stamp is one: anything less came from another writer.
    fn check(self) -> Option<Stamp<'a>> {
        let (Value::Text(id), Value::Text(chain), Value::Number(seq), Value::Text(hash)) =
            (self.id, self.chain, self.seq, self.hash)
        else {
            return None;
        };
        let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let hashed = hash.len() == 64 && hash.bytes().all(hexadecimal);
        Some(Stamp { id: id::parse(&id)?, chain: id::parse(&chain)?, seq, hash: hashed.then_some(hash)? })
    }
}

#[cfg(test)]
mod tests;
