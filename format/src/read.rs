//! Parsing lines: plain ones by a fast parser, all others by serde_json, which also says what is wrong with
//! them.

use crate::event::{Event, Field};
use crate::fields::{Fields, Name};
use crate::json::Json;
use crate::line::Parsed;
use crate::time::quoted;
use crate::{Invalid, listed, plain};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Parses a line of a file, whoever wrote it. Spacing and the order of the fields do not matter; unknown
/// fields are ignored.
///
/// # Errors
/// If the line is not a JSON object, or a field has a value of the wrong type or is given twice.
pub fn parse_stored(line: &str) -> Result<Parsed<'_>, Invalid> {
    parse(line, UnknownFields::Ignored)
}

/// Parses a line that a caller wants recorded. Unknown fields are invalid, because they would not be stored.
///
/// # Errors
/// As [`parse_stored`], and if a field is unknown.
pub fn parse_sent(line: &str) -> Result<Event<'_>, Invalid> {
    parse(line, UnknownFields::Invalid).map(|parsed| parsed.event)
}

fn parse(line: &str, unknown: UnknownFields) -> Result<Parsed<'_>, Invalid> {
    match plain::parse(line) {
        Some(parsed) => Ok(parsed),
        None => parse_any(line, unknown),
    }
}

/// What happens to a field that no event has.
#[derive(Clone, Copy)]
enum UnknownFields {
    Ignored,
    Invalid,
}

fn parse_any(line: &str, unknown: UnknownFields) -> Result<Parsed<'_>, Invalid> {
    let Object(members) = serde_json::from_str(line).map_err(|error| not_an_object(&error))?;
    let mut fields = Fields::default();
    for (name, value) in members {
        match Name::of(&name) {
            Some(known) => {
                let value = json(value).map_err(|error| not_an_object(&error))?;
                fields.put(known, value).map_err(|reason| Invalid::new(&name, reason))?;
            }
            None if matches!(unknown, UnknownFields::Ignored) => {}
            None => {
                let reason = format!("unknown field; accepted are {}", listed(&Field::NAMES));
                return Err(Invalid::new(&quoted(&name), reason));
            }
        }
    }
    Ok(fields.finish())
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
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

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
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        json.deserialize_map(Members)
    }
}

/// The value of a member.
fn json(value: &RawValue) -> Result<Json<'_>, serde_json::Error> {
    let text = value.get();
    Ok(match text.as_bytes().first() {
        Some(b'"') => Json::Text(Cow::Owned(serde_json::from_str(text)?)),
        Some(b'n') => Json::Null,
        Some(b'[') => Json::Other("an array".into()),
        Some(b'{') => Json::Other("an object".into()),
        Some(b't' | b'f') => Json::Other(text.into()),
        _ => match text.parse() {
            Ok(number) => Json::Number(number),
            Err(_) => Json::Other(format!("the number {text}")),
        },
    })
}

#[cfg(test)]
mod tests;
