//! The event: a tool call as its caller describes it, and the only list of its fields.

use crate::Invalid;
use crate::attributes::{self, Attribute};
use crate::cut::{self, LENGTHS, Limit, SHORTEST};
use crate::json::{Json, Origin};
use crate::mended::{Change, Mended};
use crate::read::Sent;
use crate::record::Owned;
use crate::time::{TimeError, Timestamp};
use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The most bytes of the texts that reads can be filtered by: an index of PostgreSQL takes no longer ones, and the row would
/// be refused.
pub(crate) const MAX_INDEXED: usize = 2600;

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

/// Sets a field of an event to a JSON value.
macro_rules! set {
    (Time $place:ident.$field:ident $value:ident $origin:ident) => {
        $place.$field = $value.into_time($origin)?
    };
    (Text $place:ident.$field:ident $value:ident $origin:ident) => {
        $place.$field = $value.into_text($origin)?.unwrap_or_default()
    };
    (Number $place:ident.$field:ident $value:ident $origin:ident) => {{
        let rounded = $value.into_number($origin)?;
        $place.$field = rounded.number;
        return Ok(rounded.exact);
    }};
    (Optional $place:ident.$field:ident $value:ident $origin:ident) => {
        $place.$field = $value.into_text($origin)?
    };
}

/// A text that may be cut; other fields have none.
macro_rules! text_mut {
    (Text $place:expr) => {
        Some(&mut $place)
    };
    (Optional $place:expr) => {
        $place.as_mut()
    };
    ($other:ident $place:expr) => {
        None
    };
}

/// The place of a text, or of one that is absent so far; of other fields there is none.
macro_rules! text_place {
    (Text $place:expr) => {
        Some(&mut $place)
    };
    (Optional $place:expr) => {
        Some($place.get_or_insert_default())
    };
    ($other:ident $place:expr) => {
        None
    };
}

/// The value of a field with an empty text, but for `ts`.
macro_rules! emptied {
    (Time $value:expr) => {
        Cow::Borrowed(&*$value)
    };
    (Text $value:expr) => {
        Cow::Borrowed("")
    };
    (Number $value:expr) => {
        $value
    };
    (Optional $value:expr) => {
        $value.as_ref().map(|_| Cow::Borrowed(""))
    };
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
            /// What the fields have no place for. In a stored event: sorted by key, each key once, at most 16.
            pub attributes: Vec<Attribute<'a>>,
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
            /// How many bytes the texts and attributes have together.
            #[inline]
            pub(crate) fn texts_len(&self) -> usize {
                let attribute = |attribute: &Attribute<'_>| attribute.key.len() + attribute.value.len();
                0 $(+ Value::from(&self.$field).text().map_or(0, str::len))*
                    + self.attributes.iter().map(attribute).sum::<usize>()
            }

            /// The value of a field.
            pub fn get(&self, field: Field) -> Value<'_> {
                match field {
                    $(Field::$name => Value::from(&self.$field),)*
                }
            }

            /// Sets a field to a JSON value. False: a number had to be rounded.
            ///
            /// # Errors
            /// If a caller's value has the wrong type: says what was found, and what is accepted.
            #[inline(always)]
            pub(crate) fn set(&mut self, field: Field, value: Json<'a>, origin: Origin) -> Result<bool, String> {
                match field {
                    $(Field::$name => set!($kind self.$field value origin),)*
                }
                Ok(true)
            }

            /// Sets a field that is a text, or may be one. Others stay as they are.
            pub fn set_text(&mut self, field: Field, text: impl Into<Cow<'a, str>>) {
                let place: Option<&mut Cow<'a, str>> = match field {
                    $(Field::$name => text_place!($kind self.$field),)*
                };
                if let Some(place) = place {
                    *place = text.into();
                }
            }

            /// The texts that may be cut, with the names of their fields and the most bytes that they may have: all but
            /// `ts`.
            fn texts_mut(&mut self) -> impl Iterator<Item = (&'static str, usize, &mut Cow<'a, str>)> {
                let fields: [(&'static str, Option<&mut Cow<'a, str>>); Field::ALL.len()] =
                    [$((stringify!($field), text_mut!($kind self.$field))),*];
                let is_indexed = |name| Field::named(name).is_some_and(Field::is_filtered);
                let most = move |name| if is_indexed(name) { MAX_INDEXED } else { usize::MAX };
                let fields = fields.into_iter().filter_map(move |(name, text)| Some((name, most(name), text?)));
                fields.chain(self.attributes.iter_mut().map(|attribute| {
                    (attributes::NAME, attributes::MAX_VALUE, &mut attribute.value)
                }))
            }

            /// The same event with empty texts, also as the values of the attributes.
            pub(crate) fn without_texts(&self) -> Event<'_> {
                let keys = self.attributes.iter().map(|attribute| Attribute::new(&*attribute.key, ""));
                Event { $($field: emptied!($kind self.$field),)* attributes: keys.collect() }
            }

            /// The same event, with copies of the texts that it borrows.
            pub fn into_owned(self) -> Event<'static> {
                let attributes = self.attributes.into_iter().map(Attribute::into_owned).collect();
                Event { $($field: Owned::own(self.$field),)* attributes }
            }
        }
    };
}

event_fields!([declare]);

impl Event<'_> {
    /// Whether a text is too long, whatever else the line has.
    pub(crate) fn has_long_text(&self) -> bool {
        let is_long = |text: &str| text.len() > MAX_INDEXED;
        Field::filtered().any(|field| self.get(field).text().is_some_and(is_long))
            || self.attributes.iter().any(|attribute| attribute.value.len() > attributes::MAX_VALUE)
    }
}

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

/// An event that can be recorded: its `ts` was parsed and is in the form that is stored, and so are its attributes.
/// Its texts are mended when it is encoded.
#[derive(Clone, Debug)]
pub struct Dated<'a> {
    at: Timestamp,
    event: Event<'a>,
    mended: Mended,
}

impl<'a> Dated<'a> {
    /// Parses the event's `ts`; an empty one becomes `now`.
    ///
    /// # Errors
    /// If `ts` is not a timestamp.
    #[inline]
    pub fn new(event: impl Into<Sent<'a>>, now: Timestamp) -> Result<Self, Invalid> {
        let Sent { event, mended } = event.into();
        let (at, is_stored) =
            instant(&event.ts, now).map_err(|error| Invalid::new(Field::Ts.name(), error.to_string()))?;
        Ok(Self::at(event, mended, at, is_stored))
    }

    /// Parses the event's `ts`; an empty one, and one that is not a timestamp, becomes `now`.
    #[inline]
    pub fn new_or_now(event: impl Into<Sent<'a>>, now: Timestamp) -> Self {
        let Sent { event, mut mended } = event.into();
        let (at, is_stored) = instant(&event.ts, now).unwrap_or_else(|_| {
            mended.note(Change::Clock, Field::Ts.name());
            (now, false)
        });
        Self::at(event, mended, at, is_stored)
    }

    /// The event that happened at `at`. `is_stored`: its `ts` has the form that is stored.
    #[inline]
    fn at(mut event: Event<'a>, mut mended: Mended, at: Timestamp, is_stored: bool) -> Self {
        if !is_stored {
            event.ts = Cow::Owned(at.to_string());
        }
        attributes::mend(&mut event.attributes, &mut mended);
        Self { at, event, mended }
    }

    /// The event with its `ts` as it is.
    pub(crate) fn unchecked(event: Event<'a>) -> Self {
        Self::at(event, Mended::default(), Timestamp::MIN, true)
    }

    /// The event, and what was changed in it.
    pub(crate) fn into_parts(self) -> (Event<'a>, Mended) {
        (self.event, self.mended)
    }

    /// The instant of `ts`.
    pub fn instant(&self) -> Timestamp {
        self.at
    }

    /// The event, with `ts` in the form that is stored.
    pub fn event(&self) -> &Event<'a> {
        &self.event
    }

    /// What was changed in the event so far.
    pub fn mended(&self) -> Mended {
        self.mended
    }

    /// Replaces the characters that cannot be stored.
    pub(crate) fn replace(&mut self) {
        for (name, _, text) in self.event.texts_mut() {
            if cut::replace(text) {
                self.mended.note(Change::Replaced, name);
            }
        }
    }

    /// Cuts the longest texts, so that all texts together take at most `room` bytes in JSON, without their quotes.
    pub(crate) fn cut_to(&mut self, room: usize) {
        let mut takes = |encoded: usize| {
            let texts = self.event.texts_mut();
            texts.map(|(_, bytes, text)| Limit { bytes, encoded }.encoded_len(text)).sum::<usize>()
        };
        let encoded = LENGTHS.into_iter().find(|encoded| takes(*encoded) <= room).unwrap_or(SHORTEST);
        for (name, bytes, text) in self.event.texts_mut() {
            if let Some(end) = (Limit { bytes, encoded }).cuts(text) {
                *text = cut::cut(text, end).into();
                self.mended.note(Change::Cut, name);
            }
        }
    }
}

/// The instant of a `ts`, and whether it has the form that is stored. An empty one is `now`.
#[inline]
fn instant(ts: &str, now: Timestamp) -> Result<(Timestamp, bool), TimeError> {
    match Timestamp::parse_stored(ts.as_bytes()) {
        Some(at) => Ok((at, true)),
        None if ts.is_empty() => Ok((now, false)),
        None => Timestamp::parse(ts).map(|at| (at, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_ts_becomes_the_time_of_the_clock() {
        let dated = Dated::new(Event::default(), Timestamp::clamped(0)).unwrap();
        assert_eq!(dated.event().ts, "1970-01-01T00:00:00.000000Z");
        assert!(dated.mended().is_empty());
    }

    #[test]
    fn an_invalid_ts_is_named_with_its_value_or_replaced_by_the_clock() {
        let event = Event { ts: "yesterday".into(), ..Event::default() };
        let error = Dated::new(event.clone(), Timestamp::clamped(0)).unwrap_err();
        assert_eq!(error.field, "ts");
        assert!(error.reason.contains("\"yesterday\""), "{}", error.reason);
        let dated = Dated::new_or_now(event, Timestamp::clamped(0));
        assert_eq!(dated.event().ts, "1970-01-01T00:00:00.000000Z");
        assert_eq!(dated.mended().changes().collect::<Vec<_>>(), [(Change::Clock, "ts")]);
    }
}
