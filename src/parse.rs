//! Reading lines: the shortcut for plain ones, and serde_json for all others, which says what is wrong with them.

use crate::error::listed;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use audit_format::fields::{Fields, Value, place_of};
use audit_format::line::{EVENT_FIELDS, Parsed};
use audit_format::time::quoted;
use audit_format::{Invalid, event::Event, plain};
use core::cell::Cell;
use core::fmt;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Reads a line of a file, of any writer: any spacing and order, unknown fields passed over.
pub fn parse_stored(line: &str) -> Result<Parsed<'_>, Invalid> {
    parse(line, Unknown::PassedOver)
}

/// Reads a line that a caller wants written: a field that would be lost is refused.
pub fn parse_sent(line: &str) -> Result<Event<'_>, Invalid> {
    parse(line, Unknown::Refused).map(|parsed| parsed.event)
}

fn parse(line: &str, unknown: Unknown) -> Result<Parsed<'_>, Invalid> {
    match plain::parse(line) {
        Some(parsed) => Ok(parsed),
        None => parse_any(line, unknown),
    }
}

fn parse_any(line: &str, unknown: Unknown) -> Result<Parsed<'_>, Invalid> {
    let reading = Reading { unknown, field: Cell::new(None) };
    let mut json = serde_json::Deserializer::from_str(line);
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
        match json.deserialize_any(AnyVisitor(Some(self)))? {
            Any::Line(parsed) => Ok(*parsed),
            Any::Value(value) => Err(de::Error::custom(format!("found {}", value.in_words()))),
        }
    }
}

impl Reading {
    fn fields<'de, A: MapAccess<'de>>(&self, mut map: A) -> Result<Parsed<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<Any<'de>>()? {
            let Any::Value(Value::Text(key)) = key else { continue };
            let Some((place, name)) = place_of(&key) else {
                if let Unknown::Refused = self.unknown {
                    self.field.set(Some(Cow::Owned(quoted(&key))));
                    let known = listed(&EVENT_FIELDS);
                    return Err(de::Error::custom(format!("unknown field; accepted are {known}")));
                }
                map.next_value::<de::IgnoredAny>()?;
                continue;
            };
            self.field.set(Some(Cow::Borrowed(name)));
            let Any::Value(value) = map.next_value::<Any<'de>>()? else { continue };
            fields.put(place, value).map_err(de::Error::custom)?;
            self.field.set(None);
        }
        Ok(fields.finish())
    }
}

/// A value, or an object that is read as a line.
enum Any<'a> {
    Value(Value<'a>),
    Line(Box<Parsed<'a>>),
}

impl<'de> Deserialize<'de> for Any<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(AnyVisitor(None))
    }
}

/// Reads any value; an object as a line where there is a reading. Every kind of value is met here, so that
/// serde's own messages, which can format floats, are not linked.
struct AnyVisitor<'r>(Option<&'r Reading>);

impl<'de> Visitor<'de> for AnyVisitor<'_> {
    type Value = Any<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Any<'de>, E> {
        Ok(Any::Value(Value::Null))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Any<'de>, E> {
        Ok(Any::Value(Value::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Any<'de>, E> {
        Ok(Any::Value(Value::Text(Cow::Owned(text.into()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Any<'de>, E> {
        Ok(Any::Value(Value::Number(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Any<'de>, E> {
        Ok(Any::Value(Value::Other(format!("the number {number}"))))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Any<'de>, E> {
        // In words: formatting a float would be a tenth of the component.
        Ok(Any::Value(Value::Other("a number with a fraction, an exponent or too many digits".into())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Any<'de>, E> {
        Ok(Any::Value(Value::Other(value.to_string())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Any<'de>, A::Error> {
        while seq.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Any::Value(Value::Other("an array".into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any<'de>, A::Error> {
        if let Some(reading) = self.0 {
            return Ok(Any::Line(Box::new(reading.fields(map)?)));
        }
        while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
        Ok(Any::Value(Value::Other("an object".into())))
    }
}

#[cfg(test)]
mod tests;
