//! JSON values, and how the values of an event's fields are made from them.

use crate::time::quoted;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

/// A JSON value. Text without escapes is borrowed from the line.
#[derive(Debug, Default)]
pub enum Json<'a> {
    /// `null`
    #[default]
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number from 0 to 2^64 - 1.
    Number(u64),
    /// Any other value, described for a message.
    Other(String),
}

impl Json<'_> {
    /// A description for a message.
    fn described(self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Text(text) => format!("the text {}", quoted(&text)),
            Self::Number(number) => format!("the number {number}"),
            Self::Other(described) => described,
        }
    }
}

/// A type of field values that can be made from JSON values.
pub trait FromJson<'a>: Sized {
    /// The value of the field. JSON's null is no text, empty text or 0.
    ///
    /// # Errors
    /// If the JSON value is of another type: says what was found, and what is accepted.
    fn from_json(json: Json<'a>) -> Result<Self, String>;
}

impl<'a> FromJson<'a> for Option<Cow<'a, str>> {
    fn from_json(json: Json<'a>) -> Result<Self, String> {
        match json {
            Json::Null => Ok(None),
            Json::Text(text) => Ok(Some(text)),
            other => Err(format!("found {}; accepted is text or null", other.described())),
        }
    }
}

impl<'a> FromJson<'a> for Cow<'a, str> {
    fn from_json(json: Json<'a>) -> Result<Self, String> {
        Ok(Option::from_json(json)?.unwrap_or_default())
    }
}

impl FromJson<'_> for u64 {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::Null => Ok(0),
            Json::Number(number) => Ok(number),
            other => {
                let (found, most) = (other.described(), Self::MAX);
                Err(format!("found {found}; accepted is a whole number from 0 to {most}"))
            }
        }
    }
}
