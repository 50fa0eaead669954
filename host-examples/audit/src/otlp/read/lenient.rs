//! Scalars of OTLP's JSON, which come in more forms than one.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};

use crate::otlp::attributes::kept;

/// A text. JavaScript writes halves of surrogate pairs, which become U+FFFD.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Texts;

        impl<'de> Visitor<'de> for Texts {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_bytes<E>(self, text: &'de [u8]) -> Result<Text<'de>, E> {
                Ok(Text(String::from_utf8_lossy(text)))
            }

            fn visit_bytes<E>(self, text: &[u8]) -> Result<Text<'de>, E> {
                Ok(Text(String::from_utf8_lossy(text).into_owned().into()))
            }
        }

        // The bytes of a text, where serde_json accepts half a pair.
        from.deserialize_bytes(Texts)
    }
}

/// A whole number that is not negative, as a number or as a text.
#[derive(Clone, Copy, Default)]
pub(super) struct Whole(pub(super) u64);

/// A whole number, as a number or as a text.
pub(super) struct Signed(pub(super) i64);

/// A number, also as a text such as `NaN`.
pub(super) struct Real(pub(super) f64);

/// The number of an enum's case, as a number or as its name. Of the names, only those that matter are known.
#[derive(Clone, Copy, Default)]
pub(super) struct Case(pub(super) u64);

/// A number or a text.
enum Lenient {
    Whole(u64),
    Negative(i64),
    Real(f64),
    Text(String),
    Null,
}

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Numbers;

        impl<'de> Visitor<'de> for Numbers {
            type Value = Lenient;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a text that is one")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Lenient, E> {
                Ok(Lenient::Whole(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Lenient, E> {
                Ok(Lenient::Negative(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Lenient, E> {
                Ok(Lenient::Real(value))
            }

            fn visit_str<E>(self, text: &str) -> Result<Lenient, E> {
                Ok(Lenient::Text(kept(text).to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Lenient, E> {
                Ok(Lenient::Null)
            }
        }

        from.deserialize_any(Numbers)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let whole = |value: f64| {
            (value >= 0.0 && value < 2_f64.powi(64) && value.fract() == 0.0).then_some(value as u64)
        };
        let found = match Lenient::deserialize(from)? {
            Lenient::Whole(value) => Some(value),
            Lenient::Null => Some(0),
            Lenient::Real(value) => whole(value),
            Lenient::Text(text) => text.parse().ok(),
            Lenient::Negative(_) => None,
        };
        found.map(Self).ok_or_else(|| D::Error::custom("accepted is a whole number, also as a text"))
    }
}

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bound = 2_f64.powi(63);
        let whole =
            |value: f64| (value >= -bound && value < bound && value.fract() == 0.0).then_some(value as i64);
        let found = match Lenient::deserialize(from)? {
            Lenient::Whole(value) => i64::try_from(value).ok(),
            Lenient::Negative(value) => Some(value),
            Lenient::Real(value) => whole(value),
            Lenient::Text(text) => text.parse().ok(),
            Lenient::Null => None,
        };
        found.map(Self).ok_or_else(|| D::Error::custom("accepted is a whole number, also as a text"))
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let found = match Lenient::deserialize(from)? {
            Lenient::Whole(value) => Some(value as f64),
            Lenient::Negative(value) => Some(value as f64),
            Lenient::Real(value) => Some(value),
            // Rust reads the names that Protobuf gives: NaN, Infinity, -Infinity.
            Lenient::Text(text) => text.parse().ok(),
            Lenient::Null => None,
        };
        found.map(Self).ok_or_else(|| D::Error::custom("accepted is a number, also as a text"))
    }
}

impl<'de> Deserialize<'de> for Case {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Lenient::deserialize(from)? {
            Lenient::Whole(value) => Self(value),
            Lenient::Text(text) => match text.as_str() {
                "STATUS_CODE_OK" => Self(1),
                "SPAN_KIND_SERVER" | "STATUS_CODE_ERROR" => Self(2),
                "SPAN_KIND_CLIENT" => Self(3),
                number => Self(number.parse().unwrap_or_default()),
            },
            _ => Self(0),
        })
    }
}
