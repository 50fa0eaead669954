//! Parsing lines: plain ones by a fast parser, all others by serde_json, which also says what is wrong with
//! them.

use crate::attributes::{self, Attribute};
use crate::cut;
use crate::event::{Event, Field};
use crate::fields::{Fields, Name};
use crate::json::{Json, Origin};
use crate::line::Parsed;
use crate::mended::{Change, Mended};
use crate::show::quoted;
use crate::{Invalid, listed, plain};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Parses a line of a file, whoever wrote it, as leniently as Python's `json.loads`: spacing and the order of the
/// fields do not matter, unknown fields are ignored, and of a field that is given twice the last value counts. A value
/// of another type is read as well as it can be, and `NaN` and `Infinity` are texts. A line that has those is another
/// writer's, despite its stamp.
///
/// # Errors
/// If the line is not a JSON object.
///
/// ```
/// use audit_format::read::parse_stored;
///
/// let parsed = parse_stored(r#"{"tool":"search","duration_ms":45.0,"tool":"fetch"}"#)?;
/// assert_eq!((&*parsed.event.tool, parsed.event.duration_ms), ("fetch", 45));
/// # Ok::<(), audit_format::Invalid>(())
/// ```
pub fn parse_stored(line: &str) -> Result<Parsed<'_>, Invalid> {
    let mut fields = Fields::default();
    if plain::parse(line, &mut fields).is_none() {
        fields = parse_any_stored(line)?;
    }
    Ok(fields.stored())
}

/// Parses a row of the database: a stored line. The number is the row's place among others of the same `ts`, if no store
/// wrote it; it stands in the place of `seq`.
///
/// # Errors
/// If the line is not a JSON object.
pub fn parse_row(line: &str) -> Result<(Parsed<'_>, u64), Invalid> {
    let mut fields = Fields::default();
    if plain::parse(line, &mut fields).is_none() {
        fields = parse_any_stored(line)?;
    }
    let place = fields.seq();
    Ok((fields.stored(), place))
}

fn parse_any_stored(line: &str) -> Result<Fields<'_>, Invalid> {
    parse_any(line, Origin::File).or_else(|error| match quote_constants(line) {
        Some(json) => Ok(parse_any(&json, Origin::File)?.of_another_writer()),
        None => Err(error),
    })
}

/// An event that a caller sent as a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent<'a> {
    /// The event.
    pub event: Event<'a>,
    /// What was changed in it so far, because JSON can say what an event cannot.
    pub mended: Mended,
}

impl<'a> From<Event<'a>> for Sent<'a> {
    fn from(event: Event<'a>) -> Self {
        Self { event, mended: Mended::default() }
    }
}

/// Parses a line that a caller wants recorded. Unknown fields are invalid, because they would not be stored.
///
/// # Errors
/// If the line is not a JSON object, a value has the wrong type, or a field is unknown: names it.
pub fn parse_sent(line: &str) -> Result<Sent<'_>, Invalid> {
    let mut fields = Fields::default();
    if plain::parse(line, &mut fields).is_none() {
        fields = parse_any(line, Origin::Caller)?;
    }
    let (event, mended) = fields.sent();
    Ok(Sent { event, mended })
}

fn parse_any(line: &str, origin: Origin) -> Result<Fields<'_>, Invalid> {
    // A file may begin with a byte order mark.
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let Object(members) = serde_json::from_str(line).map_err(|error| not_an_object(&error))?;
    let mut fields = Fields::default();
    for (Text { text: name, .. }, value) in members {
        match Name::of(&name) {
            Some(known) => {
                let value = json(known, value, origin, &mut fields.mended)
                    .map_err(|reason| Invalid::new(&name, reason))?;
                fields.put(known, value, origin).map_err(|reason| Invalid::new(&name, reason))?;
            }
            None if origin == Origin::File => {}
            None => {
                let names: Vec<&str> = Field::NAMES.into_iter().chain([attributes::NAME]).collect();
                let reason = format!("unknown field; accepted are {}", listed(&names));
                return Err(Invalid::new(&quoted(&name), reason));
            }
        }
    }
    Ok(fields)
}

fn not_an_object(error: &serde_json::Error) -> Invalid {
    let text = error.to_string();
    // The text is one line, so its number is left out.
    let position = format!(" at line {} column {}", error.line(), error.column());
    let what = match text.strip_suffix(&position) {
        Some(what) => format!("{what} at column {}", error.column()),
        None => text,
    };
    Invalid::new("json", format!("{what}; accepted is one JSON object a line"))
}

/// The members of a JSON object in their order, including those that come twice.
struct Object<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                // A name that is read at once may have control characters, which JSON has not.
                while let Some((name, value)) = map.next_entry::<&RawValue, _>()? {
                    members.push((serde_json::from_str(name.get()).map_err(de::Error::custom)?, value));
                }
                Ok(Object(members))
            }
        }

        json.deserialize_map(Members)
    }
}

/// A JSON text. JavaScript and Python also write halves of UTF-16 surrogate pairs: U+FFFD is in their place.
struct Text<'a> {
    text: Cow<'a, str>,
    replaced: bool,
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
                Ok(match core::str::from_utf8(bytes) {
                    Ok(text) => Text { text: text.into(), replaced: false },
                    Err(_) => Text { text: without_surrogates(bytes).into(), replaced: true },
                })
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
                Ok(match core::str::from_utf8(bytes) {
                    Ok(text) => Text { text: text.to_string().into(), replaced: false },
                    Err(_) => Text { text: without_surrogates(bytes).into(), replaced: true },
                })
            }
        }

        // serde_json gives bytes with the surrogates in them, where it would refuse a text.
        json.deserialize_bytes(Bytes)
    }
}

/// UTF-8 in which a surrogate has the three bytes that its number would have, with U+FFFD in its place.
fn without_surrogates(bytes: &[u8]) -> String {
    const FIRST_BYTE: u8 = 0xed;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if chunk.invalid().first() == Some(&FIRST_BYTE) {
            text.push('\u{fffd}');
        }
    }
    text
}

/// The value of a member.
fn json<'a>(
    name: Name,
    value: &'a RawValue,
    origin: Origin,
    mended: &mut Mended,
) -> Result<Json<'a>, String> {
    let raw = value.get();
    Ok(match raw.as_bytes().first() {
        Some(b'"') => {
            let Text { mut text, replaced } = parsed(raw)?;
            if cut::replace(&mut text) || replaced {
                mended.note(Change::Replaced, name.text());
            }
            Json::Text(text)
        }
        Some(b'n') => Json::Null,
        Some(b'{') if name == Name::Attributes => Json::Attributes(pairs(raw, origin, mended)?),
        Some(b'[' | b'{' | b't' | b'f') => Json::Other(raw),
        _ => raw.parse().map_or(Json::Decimal(raw), Json::Number),
    })
}

/// The attributes in a JSON object.
fn pairs<'a>(raw: &'a str, origin: Origin, mended: &mut Mended) -> Result<Vec<Attribute<'a>>, String> {
    let Object(members) = parsed(raw)?;
    let mut pairs = Vec::with_capacity(members.len());
    for (Text { text: key, replaced }, value) in members {
        if replaced {
            mended.note(Change::Replaced, attributes::NAME);
        }
        let mut changed = Mended::default();
        let value = json(Name::Id, value, origin, &mut changed)?.into_text(origin);
        if !changed.is_empty() {
            mended.note(Change::Replaced, attributes::NAME);
        }
        if let Some(value) = value.map_err(|reason| format!("{}: {reason}", quoted(&key)))? {
            pairs.push(Attribute { key, value });
        }
    }
    Ok(pairs)
}

fn parsed<'a, T: Deserialize<'a>>(raw: &'a str) -> Result<T, String> {
    serde_json::from_str(raw).map_err(|error| error.to_string())
}

/// The line with quotes around `NaN`, `Infinity` and `-Infinity`, which Python writes and reads as numbers; none: it has
/// none of them.
fn quote_constants(line: &str) -> Option<String> {
    const CONSTANTS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
    let mut out = String::with_capacity(line.len() + 16);
    let (mut rest, mut in_text, mut found) = (line, false, false);
    while let Some(char) = rest.chars().next() {
        let constant = CONSTANTS.into_iter().find(|constant| !in_text && rest.starts_with(constant));
        let len = match (char, constant) {
            (_, Some(constant)) => constant.len(),
            ('\\', None) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => char.len_utf8(),
        };
        in_text ^= char == '"';
        found |= constant.is_some();
        let quote = if constant.is_some() { "\"" } else { "" };
        out.push_str(quote);
        out.push_str(&rest[..len]);
        out.push_str(quote);
        rest = &rest[len..];
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests;
