//! JSON values as far as a line needs them, and how the fields of an event are made from them.

use crate::time::quoted;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

/// A JSON value; text without escapes is borrowed from the line.
#[derive(Debug, Default)]
pub enum Json<'a> {
    /// `null`
    #[default]
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Number(u64),
    /// Anything else, in words.
    Other(String),
}

impl Json<'_> {
    /// What was found, for a message.
    fn in_words(self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Text(text) => format!("the text {}", quoted(&text)),
            Self::Number(number) => format!("the number {number}"),
            Self::Other(words) => words,
        }
    }
}

/// The value of a field, made from a JSON value; an error says what was found, and what is accepted.
pub trait FromJson<'a>: Sized {
    /// Makes the value.
    fn from_json(json: Json<'a>) -> Result<Self, String>;
}

impl<'a> FromJson<'a> for Option<Cow<'a, str>> {
    fn from_json(json: Json<'a>) -> Result<Self, String> {
        match json {
            Json::Null => Ok(None),
            Json::Text(text) => Ok(Some(text)),
            other => Err(format!("found {}; accepted is text or null", other.in_words())),
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
                let (found, most) = (other.in_words(), Self::MAX);
                Err(format!("found {found}; accepted is a whole number from 0 to {most}"))
            }
        }
    }
}
