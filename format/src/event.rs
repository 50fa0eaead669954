//! The event: a tool call as its caller describes it, and the only list of its fields.

use crate::Invalid;
use crate::json::{FromJson, Json};
use crate::record::Owned;
use crate::time::Timestamp;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

/// Calls another macro with the fifteen fields of an event, in the order of the JSON line. The macro is named
/// in brackets; arguments after the brackets are passed on, before the fields. All other lists of the fields
/// are made from this one.
///
/// ```
/// macro_rules! names {
///     ($(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
///         [$(stringify!($field)),*]
///     };
/// }
/// assert_eq!(audit_format::event_fields!([names])[5], "tool");
/// ```
///
/// Each field consists of: its name in the JSON line, the table and records; its name in
/// [`Field`](crate::event::Field); its [`Kind`](crate::event::Kind); `filtered` if reads can be filtered by
/// it, else `unfiltered`; an older name in quotes, or `-`; and what it means.
#[macro_export]
macro_rules! event_fields {
    ([$($callback:tt)+] $($arguments:tt)*) => {
        $($callback)+! { $($arguments)*
            (ts Ts Time unfiltered - "When the call happened.")
            (req_id ReqId Text filtered - "The request that the call belongs to.")
            (workspace_id WorkspaceId Text filtered - "The workspace or tenant.")
            (user_id UserId Text filtered - "The person on whose behalf the agent works.")
            (agent_id AgentId Text filtered - "The agent that called.")
            (tool Tool Text filtered - "The tool that was called.")
            (action Action Text filtered - "What the tool was asked to do, such as `query` or `exec`.")
            (status Status Text filtered - "The outcome, such as `ok`, `error` or an exit status.")
            (duration_ms DurationMs Number unfiltered - "How long the call took, in milliseconds.")
            (in_size InSize Number unfiltered "input_chars" "The size of the input, in bytes.")
            (out_size OutSize Number unfiltered "output_size_bytes" "The size of the output, in bytes.")
            (input_hash InputHash Text unfiltered - "A hash of the input, such as SHA-256 in hexadecimal.")
            (graph_run_id GraphRunId Optional filtered - "The run of an agent graph or workflow.")
            (graph_node GraphNode Optional filtered - "The node of that graph.")
            (job_id JobId Optional filtered - "The background job.")
        }
    };
}

/// The kind of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text with a timestamp.
    Time,
    /// Text; empty if there is no value.
    Text,
    /// A whole number from 0 to 2^64 - 1.
    Number,
    /// Text, or no value.
    Optional,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'v> {
    /// Text.
    Text(&'v str),
    /// A whole number.
    Number(u64),
    /// No value, of an optional field.
    Absent,
}

/// The Rust type of a field. Texts are borrowed for `$life`.
macro_rules! field_type {
    (Time $life:lifetime) => { Cow<$life, str> };
    (Text $life:lifetime) => { Cow<$life, str> };
    (Number $life:lifetime) => { u64 };
    (Optional $life:lifetime) => { Option<Cow<$life, str>> };
}

macro_rules! is_filtered {
    (filtered) => {
        true
    };
    (unfiltered) => {
        false
    };
}

macro_rules! older_name {
    (-) => {
        None
    };
    ($name:literal) => {
        Some($name)
    };
}

macro_rules! declare {
    ($(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
        /// A tool call as its caller describes it: the WIT record `event`, in the order of the JSON line.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Event<'a> {
            $(#[doc = $about] pub $field: field_type!($kind 'a),)*
        }

        /// A field of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field {
            $(#[doc = $about] $name,)*
        }

        impl Field {
            /// All fields, in the order of the JSON line.
            pub const ALL: [Self; [$(stringify!($field)),*].len()] = [$(Self::$name),*];

            /// The name in the JSON line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($field),)*
                }
            }

            /// An older name of the field, which is also read.
            pub const fn older_name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => older_name!($older),)*
                }
            }

            /// The kind of its value.
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$name => Kind::$kind,)*
                }
            }

            /// The meaning of the field, as a sentence.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$name => $about,)*
                }
            }

            /// Whether reads can be filtered by it.
            pub const fn is_filtered(self) -> bool {
                match self {
                    $(Self::$name => is_filtered!($filtered),)*
                }
            }

            /// The field of this name in the JSON line.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($field) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        impl<'a> Event<'a> {
            /// The value of a field.
            pub fn get(&self, field: Field) -> Value<'_> {
                match field {
                    $(Field::$name => Value::from(&self.$field),)*
                }
            }

            /// Sets a field to a JSON value.
            ///
            /// # Errors
            /// If the value is of the wrong type: says what was found, and what is accepted.
            pub fn set(&mut self, field: Field, value: Json<'a>) -> Result<(), String> {
                match field {
                    $(Field::$name => self.$field = FromJson::from_json(value)?,)*
                }
                Ok(())
            }

            /// The same event, with copies of the texts that it borrows.
            pub fn into_owned(self) -> Event<'static> {
                Event { $($field: Owned::own(self.$field),)* }
            }
        }
    };
}

event_fields!([declare]);

impl Field {
    /// The names of all fields, in the order of the JSON line.
    pub const NAMES: [&'static str; Self::ALL.len()] = {
        let mut names = [""; Self::ALL.len()];
        let mut n = 0;
        while n < names.len() {
            names[n] = Self::ALL[n].name();
            n += 1;
        }
        names
    };

    /// The fields that reads can be filtered by, in the order of the JSON line.
    pub fn filtered() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|field| field.is_filtered())
    }
}

impl<'v> Value<'v> {
    /// The text, if it is one.
    pub fn text(self) -> Option<&'v str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Absent => None,
        }
    }
}

impl<'v> From<&'v Cow<'_, str>> for Value<'v> {
    fn from(text: &'v Cow<'_, str>) -> Self {
        Self::Text(text)
    }
}

impl<'v> From<&'v Option<Cow<'_, str>>> for Value<'v> {
    fn from(text: &'v Option<Cow<'_, str>>) -> Self {
        text.as_deref().map_or(Self::Absent, Self::Text)
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Self::Text(text)
    }
}

impl<'v> From<&'v Option<String>> for Value<'v> {
    fn from(text: &'v Option<String>) -> Self {
        text.as_deref().map_or(Self::Absent, Self::Text)
    }
}

impl From<&u64> for Value<'_> {
    fn from(number: &u64) -> Self {
        Self::Number(*number)
    }
}

/// An event whose `ts` was parsed, and is in the form that is stored. The other texts are checked when it is
/// encoded.
#[derive(Clone, Debug)]
pub struct Dated<'a> {
    at: Timestamp,
    event: Event<'a>,
}

impl<'a> Dated<'a> {
    /// Parses the event's `ts`; an empty one becomes `now`.
    ///
    /// # Errors
    /// If `ts` is not a timestamp.
    pub fn new(mut event: Event<'a>, now: Timestamp) -> Result<Self, Invalid> {
        let stored = Timestamp::parse_stored(event.ts.as_bytes());
        let at = match stored {
            Some(at) => at,
            None if event.ts.is_empty() => now,
            None => Timestamp::parse(&event.ts).map_err(|e| Invalid::new("ts", e.to_string()))?,
        };
        if stored.is_none() {
            event.ts = Cow::Owned(at.to_string());
        }
        Ok(Self { at, event })
    }

    /// The instant of `ts`.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The event, with `ts` in the form that is stored.
    pub fn event(&self) -> &Event<'a> {
        &self.event
    }
}

/// Checks that no text has a control character.
///
/// # Errors
/// Names the first field that has one.
pub fn check_texts(event: &Event<'_>) -> Result<(), Invalid> {
    for field in Field::ALL {
        if let Some(control) = event.get(field).text().and_then(|text| text.chars().find(|c| c.is_control()))
        {
            let reason = format!(
                "control character U+{:04X}; accepted is text without control characters",
                control as u32
            );
            return Err(Invalid::new(field.name(), reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_ts_becomes_the_time_of_the_clock() {
        let dated = Dated::new(Event::default(), Timestamp::clamped(0)).unwrap();
        assert_eq!(dated.event().ts, "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn an_invalid_ts_is_named_with_its_value() {
        let event = Event { ts: "yesterday".into(), ..Event::default() };
        let error = Dated::new(event, Timestamp::clamped(0)).unwrap_err();
        assert_eq!(error.field, "ts");
        assert!(error.reason.contains("\"yesterday\""), "{}", error.reason);
    }
}
