//! The event: a tool call as its caller describes it, and the one list of its fields.

use crate::Invalid;
use crate::json::{FromJson, Json};
use crate::time::Timestamp;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

/// Hands the fifteen fields of an event, in the order of the JSON line, to the macro that is named in
/// brackets, behind `$arguments`. Whatever else lists the fields is made from this list.
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
/// Of each field it hands over: its name in the line, in the table and in records; its name in [`Field`]; its
/// [`Kind`](crate::event::Kind); `filtered`, if reads can be filtered by it, else `unfiltered`; an older name
/// in quotes, or `-`; and what it means.
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

/// What kind of value a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A timestamp, as text.
    Time,
    /// Text; where there is no value it is empty.
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
    /// An optional text that is not there.
    Absent,
}

/// The type of a field in an event that lives for `$life`.
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

            /// An older name, under which it is read too.
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

            /// What it means, in a sentence.
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

            /// Sets a field to a JSON value; an error says what is wrong with that, and what is accepted.
            pub fn set(&mut self, field: Field, value: Json<'a>) -> Result<(), String> {
                match field {
                    $(Field::$name => self.$field = FromJson::from_json(value)?,)*
                }
                Ok(())
            }

            /// The same event, which borrows nothing.
            pub fn into_owned(self) -> Event<'static> {
                Event { $($field: Owned::own(self.$field),)* }
            }
        }
    };
}

event_fields!([declare]);

impl Field {
    /// The names in the JSON line, in its order.
    pub const NAMES: [&'static str; Self::ALL.len()] = {
        let mut names = [""; Self::ALL.len()];
        let mut n = 0;
        while n < names.len() {
            names[n] = Self::ALL[n].name();
            n += 1;
        }
        names
    };

    /// Those that reads can be filtered by, in the order of the JSON line.
    pub fn filtered() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|field| field.is_filtered())
    }
}

impl<'v> Value<'v> {
    /// The text, if it has one.
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

/// A value in a record of another crate, made from one in an [`Event`], or the other way round; see
/// [`event_record`](crate::event_record).
pub trait Owned<T> {
    /// The value as the other type.
    fn own(self) -> T;
}

impl Owned<String> for Cow<'_, str> {
    fn own(self) -> String {
        self.into_owned()
    }
}

impl Owned<Option<String>> for Option<Cow<'_, str>> {
    fn own(self) -> Option<String> {
        self.map(Cow::into_owned)
    }
}

impl Owned<Cow<'static, str>> for Cow<'_, str> {
    fn own(self) -> Cow<'static, str> {
        Cow::Owned(self.into_owned())
    }
}

impl Owned<Option<Cow<'static, str>>> for Option<Cow<'_, str>> {
    fn own(self) -> Option<Cow<'static, str>> {
        self.map(Owned::own)
    }
}

impl Owned<Cow<'static, str>> for String {
    fn own(self) -> Cow<'static, str> {
        Cow::Owned(self)
    }
}

impl Owned<Option<Cow<'static, str>>> for Option<String> {
    fn own(self) -> Option<Cow<'static, str>> {
        self.map(Cow::Owned)
    }
}

impl Owned<u64> for u64 {
    fn own(self) -> u64 {
        self
    }
}

/// Implements the conversions between [`Event`](crate::event::Event) and a record with the same fields, of
/// which the texts are `String`, such as those that are generated from the WIT.
///
/// ```
/// pub struct Record {
///     pub ts: String, pub req_id: String, pub workspace_id: String, pub user_id: String, pub agent_id: String,
///     pub tool: String, pub action: String, pub status: String, pub duration_ms: u64, pub in_size: u64,
///     pub out_size: u64, pub input_hash: String, pub graph_run_id: Option<String>,
///     pub graph_node: Option<String>, pub job_id: Option<String>,
/// }
///
/// audit_format::event_record!(Record);
///
/// # fn main() {
/// let record = Record::from(audit_format::event::Event { tool: "search".into(), ..Default::default() });
/// assert_eq!(record.tool, "search");
/// # }
/// ```
#[macro_export]
macro_rules! event_record {
    ($record:path) => {
        $crate::event_fields!([$crate::event_record] $record;);
    };
    ($record:path; $(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
        impl From<$record> for $crate::event::Event<'static> {
            fn from(record: $record) -> Self {
                Self { $($field: $crate::event::Owned::own(record.$field),)* }
            }
        }

        impl From<$crate::event::Event<'_>> for $record {
            fn from(event: $crate::event::Event<'_>) -> Self {
                Self { $($field: $crate::event::Owned::own(event.$field),)* }
            }
        }
    };
}

/// Implements the conversion of a record of filters, such as the one that is generated from the WIT, into
/// [`Filter`](crate::query::Filter), and back: two optional bounds and an optional text for each field that
/// reads can be filtered by.
#[macro_export]
macro_rules! filter_record {
    ($record:path) => {
        $crate::event_fields!([$crate::filter_record] $record;);
    };
    ($record:path; $(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
        impl From<$record> for $crate::query::Filter {
            fn from(record: $record) -> Self {
                let mut filter = Self { from_ts: record.from_ts, to_ts: record.to_ts, ..Self::default() };
                $($crate::filter_record!(@$filtered if let Some(text) = record.$field {
                    filter.texts.push(($crate::event::Field::$name, text));
                });)*
                filter
            }
        }

        impl From<$crate::query::Filter> for $record {
            fn from(filter: $crate::query::Filter) -> Self {
                let $crate::query::Filter { from_ts, to_ts, mut texts } = filter;
                let mut text = |field| {
                    let place = texts.iter().position(|(known, _)| *known == field)?;
                    Some(texts.swap_remove(place).1)
                };
                $crate::filter_record!(@record from_ts to_ts text []
                    $(($field $name $kind $filtered $older $about))*)
            }
        }
    };
    (@record $from:ident $to:ident $text:ident [$($done:ident $name:ident)*]) => {
        Self { from_ts: $from, to_ts: $to, $($done: $text($crate::event::Field::$name),)* }
    };
    (@record $from:ident $to:ident $text:ident [$($done:tt)*]
        ($field:ident $name:ident $kind:ident filtered $older:tt $about:literal) $($rest:tt)*) => {
        $crate::filter_record!(@record $from $to $text [$($done)* $field $name] $($rest)*)
    };
    (@record $from:ident $to:ident $text:ident [$($done:tt)*] $unfiltered:tt $($rest:tt)*) => {
        $crate::filter_record!(@record $from $to $text [$($done)*] $($rest)*)
    };
    (@filtered $($then:tt)*) => { $($then)* };
    (@unfiltered $($then:tt)*) => {};
}

/// An event with its instant: its `ts` is the stored text. Its texts are checked when it is encoded.
#[derive(Clone, Debug)]
pub struct Dated<'a> {
    at: Timestamp,
    event: Event<'a>,
}

impl<'a> Dated<'a> {
    /// Reads the event's `ts`; an empty one becomes `now`.
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

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The event, with `ts` as it is stored.
    pub fn event(&self) -> &Event<'a> {
        &self.event
    }
}

/// Names the first text with a control character.
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
    use crate::line;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn check(event: Event<'_>) -> Result<Dated<'_>, Invalid> {
        let event = Dated::new(event, Timestamp::clamped(0))?;
        line::encode(&event, Uuid::nil(), Uuid::nil(), 0, &mut Vec::new()).map(|()| event)
    }

    fn texts() -> Vec<Field> {
        Field::ALL.into_iter().filter(|field| matches!(field.kind(), Kind::Text | Kind::Optional)).collect()
    }

    #[test]
    fn an_empty_ts_is_the_clock() {
        let checked = check(Event::default()).unwrap();
        assert_eq!(checked.event().ts, "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_wrong_ts_names_the_field() {
        let error = check(Event { ts: "yesterday".into(), ..Event::default() }).unwrap_err();
        assert_eq!(error.field, "ts");
        assert!(error.reason.contains("\"yesterday\""), "{}", error.reason);
    }

    proptest! {
        #[test]
        fn a_control_character_in_any_field_is_invalid_and_named(
            field in proptest::sample::select(texts()),
            before in "\\PC{0,9}",
            control in "\\p{Cc}",
        ) {
            let mut event = Event::default();
            event.set(field, Json::Text(format!("{before}{control}").into())).unwrap();
            prop_assert_eq!(check(event).unwrap_err().field, field.name());
        }

        #[test]
        fn other_text_is_accepted(tool in "\\PC{0,40}") {
            let event = Event { tool: tool.into(), ..Event::default() };
            prop_assert!(check(event).is_ok());
        }
    }
}
