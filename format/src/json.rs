//! JSON values, and how the values of an event's fields are made from them.

use crate::attributes::Attribute;
use crate::decimal::{self, Rounded};
use crate::show::quoted;
use crate::time::Timestamp;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A JSON value of a member that has a meaning. Text without escapes is borrowed from the line.
#[derive(Debug, Default)]
pub(crate) enum Json<'a> {
    /// `null`
    #[default]
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number from 0 to 2^64 - 1.
    Number(u64),
    /// Any other number, as it is written.
    Decimal(&'a str),
    /// The attributes of an event.
    Attributes(Vec<Attribute<'a>>),
    /// Any other value, as it is written.
    Other(&'a str),
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A caller, who can be told that a value has the wrong type.
    Caller,
    /// Any writer of a file: every value is read as well as it can be.
    File,
}

impl<'a> Json<'a> {
    /// A text, or none.
    ///
    /// # Errors
    /// If a caller's value has another type: says what was found, and what is accepted.
    pub(crate) fn into_text(self, origin: Origin) -> Result<Option<Cow<'a, str>>, String> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Number(number) if origin == Origin::File => Ok(Some(number.to_string().into())),
            Self::Decimal(raw) | Self::Other(raw) if origin == Origin::File => Ok(Some(raw.into())),
            Self::Attributes(_) if origin == Origin::File => Ok(None),
            other => Err(format!("found {}; accepted is text or null", other.described())),
        }
    }

    /// A whole number from 0 to 2^64 - 1; null is 0.
    ///
    /// # Errors
    /// As [`Json::into_text`].
    pub(crate) fn into_number(self, origin: Origin) -> Result<Rounded, String> {
        let exactly = |number| Rounded { number, exact: true };
        match self {
            Self::Null => Ok(exactly(0)),
            Self::Number(number) => Ok(exactly(number)),
            Self::Decimal(raw) => Ok(decimal::rounded(raw).unwrap_or(Rounded { number: 0, exact: false })),
            Self::Text(text) if origin == Origin::File => Ok(match text.trim() {
                "Infinity" => exactly(u64::MAX),
                text => decimal::rounded(text).unwrap_or(exactly(0)),
            }),
            Self::Other(raw) if origin == Origin::File => Ok(exactly((raw == "true").into())),
            Self::Attributes(_) if origin == Origin::File => Ok(exactly(0)),
            other => Err(format!("found {}; accepted is a number", other.described())),
        }
    }

    /// The text of a timestamp; null is empty. A number is one of seconds or milliseconds since 1970.
    ///
    /// # Errors
    /// As [`Json::into_text`], and if no time has this number.
    pub(crate) fn into_time(self, origin: Origin) -> Result<Cow<'a, str>, String> {
        let number = match &self {
            Self::Null => return Ok("".into()),
            Self::Number(number) => number.to_string().into(),
            Self::Decimal(raw) => Cow::Borrowed(*raw),
            Self::Text(_) => return Ok(self.into_text(origin)?.unwrap_or_default()),
            _ => Cow::Borrowed(""),
        };
        let accepted = "accepted is a text in RFC 3339, or a number of seconds or milliseconds since 1970";
        match decimal::micros(&number).and_then(Timestamp::from_micros) {
            Some(at) => Ok(at.to_string().into()),
            None if origin == Origin::File => Ok("".into()),
            None => Err(format!("found {}; {accepted}", self.described())),
        }
    }

    /// Attributes; null is none.
    ///
    /// # Errors
    /// As [`Json::into_text`].
    pub(crate) fn into_attributes(self, origin: Origin) -> Result<Vec<Attribute<'a>>, String> {
        match self {
            Self::Null => Ok(Vec::new()),
            Self::Attributes(attributes) => Ok(attributes),
            _ if origin == Origin::File => Ok(Vec::new()),
            other => Err(format!("found {}; accepted is an object of texts", other.described())),
        }
    }

    /// A description for a message.
    fn described(self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Text(text) => format!("the text {}", quoted(&text)),
            Self::Number(number) => format!("the number {number}"),
            Self::Decimal(raw) => format!("the number {}", raw.chars().take(40).collect::<String>()),
            Self::Attributes(_) => "an object".into(),
            Self::Other(raw) if raw.starts_with('[') => "an array".into(),
            Self::Other(raw) if raw.starts_with('{') => "an object".into(),
            Self::Other(raw) => raw.into(),
        }
    }
}
