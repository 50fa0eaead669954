//! Scalars of OTLP's JSON, which come in more forms than one. One that is none of them is absent: a single bad value is no reason
//! to refuse an export, which its sender would then throw away.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A name of a member. JavaScript writes halves of surrogate pairs, which become U+FFFD.
pub(super) struct Name<'a>(Cow<'a, str>);

impl Deref for Name<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_bytes<E>(self, text: &'de [u8]) -> Result<Name<'de>, E> {
                Ok(Name(String::from_utf8_lossy(text)))
            }

            fn visit_bytes<E>(self, text: &[u8]) -> Result<Name<'de>, E> {
                Ok(Name(String::from_utf8_lossy(text).into_owned().into()))
            }
        }

        // The bytes of a text, where serde_json accepts half a pair.
        from.deserialize_bytes(Names)
    }
}

/// A value as it came.
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    /// A number, in its digits.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// An array or an object.
    None,
}

impl<'a> Scalar<'a> {
    pub(super) fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => {
                serde_json::from_str::<Name<'a>>(text).map_or(Self::None, |name| Self::Text(name.0))
            }
            Some(b'-' | b'0'..=b'9') => Self::Number(text),
            _ => Self::None,
        }
    }

    /// The number in it, also as a text such as `NaN`.
    pub(super) fn real(&self) -> Option<f64> {
        // Rust reads the names that Protobuf gives: NaN, Infinity, -Infinity.
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => self.text()?.parse().ok(),
        }
    }

    /// The whole number in it, as a number or as a text, also as one with a fraction of zero.
    pub(super) fn signed(&self) -> Option<i64> {
        let bound = 2_f64.powi(63);
        let whole = |value: &f64| *value >= -bound && *value < bound && value.fract() == 0.0;
        match self {
            Self::Number(text) => {
                text.parse().ok().or_else(|| self.real().filter(whole).map(|value| value as i64))
            }
            _ => self.text()?.parse().ok(),
        }
    }

    /// The whole number in it that is not negative.
    fn unsigned(&self) -> Option<u64> {
        let whole = |value: &f64| *value >= 0.0 && *value < 2_f64.powi(64) && value.fract() == 0.0;
        match self {
            Self::Number(text) => {
                text.parse().ok().or_else(|| self.real().filter(whole).map(|value| value as u64))
            }
            _ => self.text()?.parse().ok(),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A text, if it is one.
#[derive(Default)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

impl Text<'_> {
    pub(super) fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(match Scalar::of(<&RawValue>::deserialize(from)?) {
            Scalar::Text(text) => Some(text),
            _ => None,
        }))
    }
}

/// A whole number that is not negative, as a number or as a text; else 0.
#[derive(Clone, Copy, Default)]
pub(super) struct Whole(pub(super) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Scalar::of(<&RawValue>::deserialize(from)?).unsigned().unwrap_or_default()))
    }
}

/// The number of an enum's case, as a number or as its name; else 0. Of the names, only those that matter are known.
#[derive(Clone, Copy, Default)]
pub(super) struct Case(pub(super) u64);

impl<'de> Deserialize<'de> for Case {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let case = Scalar::of(<&RawValue>::deserialize(from)?);
        Ok(Self(match case.text() {
            Some("STATUS_CODE_OK") => 1,
            Some("SPAN_KIND_SERVER" | "STATUS_CODE_ERROR") => 2,
            Some("SPAN_KIND_CLIENT") => 3,
            _ => case.unsigned().unwrap_or_default(),
        }))
    }
}
