//! What a read asks for: a filter, made ready to rule lines out without parsing them, an order and a page.

use crate::Invalid;
use crate::cursor::{Key, Order};
use crate::event::{Event, Field};
use crate::time::{Timestamp, parse_bound};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use memchr::memchr;
use memchr::memmem::Finder;

/// How many entries a page has where the request does not say.
pub const DEFAULT_LIMIT: usize = 50_000;

/// What a read selects: the WIT record `filter`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The earliest instant, inclusive.
    pub from_ts: Option<String>,
    /// The latest instant, inclusive.
    pub to_ts: Option<String>,
    /// Fields that must hold exactly this text.
    pub texts: Vec<(Field, String)>,
}

/// Which part of the matching entries a read returns: the WIT record `page-request`.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// The order of the entries, and of the pages.
    pub order: Order,
    /// The most entries; 0 means [`DEFAULT_LIMIT`].
    pub limit: u32,
    /// Where to go on.
    pub cursor: Option<String>,
}

/// A checked filter and page request.
///
/// ```
/// use audit_format::event::{Event, Field};
/// use audit_format::query::{Filter, PageRequest, Query};
///
/// let filter = Filter { texts: vec![(Field::Tool, "search".into())], ..Filter::default() };
/// let query = Query::new(filter, &PageRequest::default())?;
/// assert!(query.texts_match(&Event { tool: "search".into(), ..Event::default() }));
/// assert!(!query.may_match(br#"{"tool":"shell"}"#));
/// # Ok::<(), audit_format::Invalid>(())
/// ```
#[derive(Clone, Debug)]
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

#[derive(Clone, Debug)]
struct TextMatch {
    field: Field,
    value: String,
    sign: Sign,
}

/// What a line must contain for its field to have a value, however it is spaced.
#[derive(Clone, Debug)]
enum Sign {
    /// The value in quotes, or an escape.
    Value(Box<Finder<'static>>),
    /// An escape.
    Escape,
    /// Nothing: an absent field counts as empty.
    Nothing,
}

impl Query {
    /// Checks what a caller asks for.
    ///
    /// # Errors
    /// Names the bound or the cursor that is invalid.
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

    /// The span of instants of the entries that are left: from the bounds, and from where the page starts.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        match (self.after, self.order) {
            (Some(after), Order::OldestFirst) => (self.from.max(after.at), self.to),
            (Some(after), Order::NewestFirst) => (self.from, self.to.min(after.at)),
            (None, _) => (self.from, self.to),
        }
    }

    /// The texts that fields have to hold.
    pub fn texts(&self) -> impl Iterator<Item = (Field, &str)> + Clone {
        self.texts.iter().map(|text| (text.field, text.value.as_str()))
    }

    /// Whether the line of an event that matches could look like this. Only reads bytes.
    pub fn may_match(&self, line: &[u8]) -> bool {
        self.texts.iter().all(|text| match &text.sign {
            Sign::Value(value) => value.find(line).is_some() || has_escape(line),
            Sign::Escape => has_escape(line),
            Sign::Nothing => true,
        })
    }

    /// Whether the event's texts are those asked for.
    pub fn texts_match(&self, event: &Event<'_>) -> bool {
        self.texts.iter().all(|text| event.get(text.field).text() == Some(text.value.as_str()))
    }
}

impl TextMatch {
    fn new((field, value): (Field, String)) -> Self {
        let sign = match serde_json::to_string(&value) {
            _ if value.is_empty() => Sign::Nothing,
            Ok(json) if !json.contains('\\') => Sign::Value(Box::new(Finder::new(&json).into_owned())),
            _ => Sign::Escape,
        };
        Self { field, value, sign }
    }
}

fn has_escape(line: &[u8]) -> bool {
    memchr(b'\\', line).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_line_that_matches_is_never_ruled_out(
            tool in "[ab\"\\\\é検]{0,4}",
            other in "[ab\"\\\\é検]{0,4}",
            spaces in " {0,2}",
        ) {
            let json = |text: &str| serde_json::to_string(text).unwrap();
            let line = format!("{{{spaces}\"agent_id\":{},\"tool\"{spaces}:{}}}", json(&other), json(&tool));
            let filter = Filter { texts: [(Field::Tool, tool)].into(), ..Filter::default() };
            prop_assert!(Query::new(filter, &PageRequest::default()).unwrap().may_match(line.as_bytes()));
        }

        #[test]
        fn a_plain_line_without_the_text_is_ruled_out(before in "[ab]{0,40}", after in "[ab]{0,40}") {
            let filter = Filter { texts: [(Field::Tool, String::from("abc"))].into(), ..Filter::default() };
            let line = format!("{{\"tool\":\"{before}\",\"req_id\":\"{after}\"}}");
            prop_assert!(!Query::new(filter, &PageRequest::default()).unwrap().may_match(line.as_bytes()));
        }
    }
}
