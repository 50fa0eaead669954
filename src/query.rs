//! What a read asks for: the filter, made ready to rule out lines without parsing them, and the order.

use crate::error::Invalid;
use crate::event::{Event, TextField};
use crate::find::Needle;
use crate::page::Key;
use crate::time::{Timestamp, parse_bound};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use memchr::memchr;

/// How many entries a page has where the request does not say.
pub const DEFAULT_LIMIT: usize = 50_000;

/// What a read selects; the WIT record `filter`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The earliest instant, inclusive.
    pub from_ts: Option<String>,
    /// The latest instant, inclusive.
    pub to_ts: Option<String>,
    /// Fields that must hold exactly this text.
    pub texts: Vec<(TextField, String)>,
}

/// The order of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The earliest `ts` first.
    #[default]
    OldestFirst,
    /// The latest `ts` first.
    NewestFirst,
}

/// Which part of the matching entries to return; the WIT record `page-request`.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// The order of the entries, and of the pages.
    pub order: Order,
    /// The most entries; 0 means `DEFAULT_LIMIT`.
    pub limit: u32,
    /// Where to go on.
    pub cursor: Option<String>,
}

/// A checked filter and page request.
#[derive(Debug)]
pub struct Query {
    /// The earliest instant, inclusive.
    pub from: Timestamp,
    /// The latest instant, inclusive.
    pub to: Timestamp,
    /// The order of the entries.
    pub order: Order,
    /// The most entries, at least 1.
    pub limit: usize,
    /// The entry after which the page starts.
    pub after: Option<Key>,
    texts: Vec<TextMatch>,
}

#[derive(Debug)]
struct TextMatch {
    field: TextField,
    value: String,
    sign: Sign,
}

/// What a line must contain for its field to have a value, however it is spaced.
#[derive(Debug)]
enum Sign {
    /// The value in quotes, or an escape.
    Value(Needle),
    /// An escape.
    Escape,
    /// Nothing: an absent field counts as empty.
    Nothing,
}

impl Query {
    /// Checks what a caller asks for.
    pub fn new(filter: Filter, request: &PageRequest) -> Result<Self, Invalid> {
        let bound = |field, text: Option<String>| {
            let range = text.map(|text| parse_bound(&text)).transpose();
            range.map_err(|e| Invalid::new(field, e.to_string()))
        };
        let from = bound("from_ts", filter.from_ts)?;
        let to = bound("to_ts", filter.to_ts)?;
        let after = request.cursor.as_deref().map(|text| {
            Key::from_cursor(text, request.order).ok_or_else(|| {
                let accepted = "the `next` of the page before, in the same order";
                Invalid::new("cursor", format!("not a cursor of this read; accepted is {accepted}"))
            })
        });
        Ok(Self {
            from: from.map_or(Timestamp::MIN, |range| *range.start()),
            to: to.map_or(Timestamp::MAX, |range| *range.end()),
            order: request.order,
            limit: match request.limit {
                0 => DEFAULT_LIMIT,
                limit => usize::try_from(limit).unwrap_or(usize::MAX),
            },
            after: after.transpose()?,
            texts: filter.texts.into_iter().map(TextMatch::new).collect(),
        })
    }

    /// Asks for all entries between two instants, both inclusive.
    pub fn between(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to, order: Order::OldestFirst, limit: 1_000, after: None, texts: Vec::new() }
    }

    /// Whether the line of an event that matches could look like this. Only reads bytes.
    pub fn may_match(&self, line: &[u8]) -> bool {
        self.texts.iter().all(|text| match &text.sign {
            Sign::Value(needle) => needle.find(line).is_some() || has_escape(line),
            Sign::Escape => has_escape(line),
            Sign::Nothing => true,
        })
    }

    /// The text that a field has to have.
    pub fn text(&self, field: TextField) -> Option<&str> {
        self.texts.iter().find(|text| text.field == field).map(|text| text.value.as_str())
    }

    /// Whether the event's texts are those asked for.
    pub fn texts_match(&self, event: &Event<'_>) -> bool {
        self.texts.iter().all(|text| text.field.of(event) == Some(text.value.as_str()))
    }
}

impl TextMatch {
    fn new((field, value): (TextField, String)) -> Self {
        let sign = match serde_json::to_string(&value) {
            _ if value.is_empty() => Sign::Nothing,
            Ok(json) if !json.contains('\\') => Sign::Value(Needle::new(json.as_bytes())),
            _ => Sign::Escape,
        };
        Self { field, value, sign }
    }
}

fn has_escape(line: &[u8]) -> bool {
    memchr(b'\\', line).is_some()
}
