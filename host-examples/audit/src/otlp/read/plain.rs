//! Values of OTLP's JSON as plain JSON, in one pass, however they are nested.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::lenient::{Name, Scalar, Text};
use super::{close, number, quote};

/// An `AnyValue` as plain JSON. Where it is none, or is nested too deeply, the text as it came.
pub(super) fn plain_json(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut parser = serde_json::Deserializer::from_str(text);
    match Part::Value.into(&mut out).deserialize(&mut parser) {
        Ok(()) => out,
        Err(_) => text.into(),
    }
}

/// What stands at a place.
#[derive(Clone, Copy)]
enum Part {
    /// An `AnyValue`.
    Value,
    /// An `ArrayValue` or a `KeyValueList`, whose items are such.
    List(Item),
    /// The items of one.
    Items(Item),
    /// A `KeyValue`.
    Pair,
}

#[derive(Clone, Copy)]
enum Item {
    Value,
    Pair,
}

impl Part {
    fn into(self, out: &mut Vec<u8>) -> Put<'_> {
        Put { part: self, out }
    }
}

impl Item {
    fn part(self) -> Part {
        match self {
            Self::Value => Part::Value,
            Self::Pair => Part::Pair,
        }
    }

    fn brackets(self) -> (u8, u8) {
        match self {
            Self::Value => (b'[', b']'),
            Self::Pair => (b'{', b'}'),
        }
    }
}

/// Appends a part as plain JSON.
struct Put<'o> {
    part: Part,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Put<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Put<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.part {
            Part::Items(_) => "an array",
            _ => "an object",
        })
    }

    /// What is null is absent.
    fn visit_unit<E>(self) -> Result<(), E> {
        match self.part {
            Part::Value => self.out.extend_from_slice(b"null"),
            Part::List(item) | Part::Items(item) => self.out.extend([item.brackets().0, item.brackets().1]),
            Part::Pair => self.out.extend_from_slice(b"\"\":null"),
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        let out = self.out;
        match self.part {
            Part::Value => value(members, out),
            Part::List(item) => list(members, item, out),
            Part::Pair => pair(members, out),
            Part::Items(_) => Err(serde::de::Error::custom("an array is accepted in the place of an object")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Part::Items(item) = self.part else {
            return Err(serde::de::Error::custom("an object is accepted in the place of an array"));
        };
        let (open, end) = item.brackets();
        self.out.push(open);
        while items.next_element_seed(item.part().into(self.out))?.is_some() {
            self.out.push(b',');
        }
        close(end, self.out);
        Ok(())
    }
}

fn value<'de, A: MapAccess<'de>>(mut members: A, out: &mut Vec<u8>) -> Result<(), A::Error> {
    let start = out.len();
    while let Some(key) = members.next_key::<Name<'de>>()? {
        let before = out.len();
        match &*key {
            "stringValue" | "string_value" | "bytesValue" | "bytes_value" | "boolValue" | "bool_value"
            | "intValue" | "int_value" | "doubleValue" | "double_value" => {
                scalar(&key, members.next_value()?, out);
            }
            "arrayValue" | "array_value" => members.next_value_seed(Part::List(Item::Value).into(out))?,
            "kvlistValue" | "kvlist_value" => members.next_value_seed(Part::List(Item::Pair).into(out))?,
            _ => {
                members.next_value::<IgnoredAny>()?;
            }
        }
        // The last one that is there counts.
        if out.len() > before {
            out.drain(start..before);
        }
    }
    if out.len() == start {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

/// Appends a value of the type that the key names. One that is none of it stays as it came.
fn scalar(key: &str, raw: &RawValue, out: &mut Vec<u8>) {
    let scalar = Scalar::of(raw);
    let is = |start: &str| key.starts_with(start);
    match (&scalar, scalar.signed(), scalar.real()) {
        (Scalar::Null, ..) => {}
        (Scalar::Text(text), ..) if is("string") || is("bytes") => quote(text, out),
        (_, Some(value), _) if is("int") => out.extend_from_slice(value.to_string().as_bytes()),
        (_, _, Some(value)) if is("double") => number(value, out),
        _ => out.extend_from_slice(raw.get().as_bytes()),
    }
}

fn list<'de, A: MapAccess<'de>>(mut members: A, item: Item, out: &mut Vec<u8>) -> Result<(), A::Error> {
    let start = out.len();
    while let Some(key) = members.next_key::<Name<'de>>()? {
        if &*key == "values" {
            out.truncate(start);
            members.next_value_seed(Part::Items(item).into(out))?;
        } else {
            members.next_value::<IgnoredAny>()?;
        }
    }
    if out.len() == start {
        out.extend([item.brackets().0, item.brackets().1]);
    }
    Ok(())
}

fn pair<'de, A: MapAccess<'de>>(mut members: A, out: &mut Vec<u8>) -> Result<(), A::Error> {
    let start = out.len();
    let mut name = None;
    while let Some(key) = members.next_key::<Name<'de>>()? {
        match &*key {
            "key" => name = members.next_value::<Text<'de>>()?.0,
            "value" => {
                out.truncate(start);
                members.next_value_seed(Part::Value.into(out))?;
            }
            _ => {
                members.next_value::<IgnoredAny>()?;
            }
        }
    }
    if out.len() == start {
        out.extend_from_slice(b"null");
    }
    // The key may stand behind the value.
    let mut head = Vec::new();
    quote(name.as_deref().unwrap_or_default(), &mut head);
    head.push(b':');
    out.splice(start..start, head);
    Ok(())
}
