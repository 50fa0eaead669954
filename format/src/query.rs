//! What a read asks for: a filter, which can rule lines out before they are parsed, an order and a page.

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

/// The limit of a page whose request has none.
pub const DEFAULT_LIMIT: usize = 50_000;

/// What a read selects: the WIT record `filter`.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The earliest instant, inclusive: RFC 3339 or a date.
    pub from_ts: Option<String>,
    /// The latest instant, inclusive: RFC 3339 or a date.
    pub to_ts: Option<String>,
    /// Fields, and the texts that they must have exactly.
    pub texts: Vec<(Field, String)>,
}

/// Which part of the matching entries a read returns: the WIT record `page-request`.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// The order of the entries, and of the pages.
    pub order: Order,
    /// The most entries of the page; 0 means [`DEFAULT_LIMIT`].
    pub limit: u32,
    /// The cursor of this page, from the page before; none: the first page.
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
    /// The most entries of the page, at least 1.
    pub limit: usize,
    /// The page starts after this key; none: it is the first page.
    pub after: Option<Key>,
    texts: Vec<TextMatch>,
}

#[derive(Clone, Debug)]
struct TextMatch {
    field: Field,
    value: String,
    needle: Needle,
}

/// What a line must contain for one of its fields to have a certain text, whatever its spacing.
#[derive(Clone, Debug)]
enum Needle {
    /// The text in quotes, or any escape: escapes may write the text in another way.
    TextOrEscape(Box<Finder<'static>>),
    /// An escape, because JSON cannot write the text without one.
    Escape,
    /// Nothing: the text is empty, and so is that of a field that is not in the line.
    Nothing,
}

impl Query {
    /// Checks a filter and a page request.
    ///
    /// # Errors
    /// If a bound or the cursor is invalid: names it.
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

    /// A query for all entries between two instants, both inclusive, oldest first and 1000 a page.
    pub fn between(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to, order: Order::OldestFirst, limit: 1_000, after: None, texts: Vec::new() }
    }

    /// The span of instants that this page and later ones can have, both inclusive.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        match (self.after, self.order) {
            (Some(after), Order::OldestFirst) => (self.from.max(after.at), self.to),
            (Some(after), Order::NewestFirst) => (self.from, self.to.min(after.at)),
            (None, _) => (self.from, self.to),
        }
    }

    /// The filtered fields, and the texts that they must have.
    pub fn texts(&self) -> impl Iterator<Item = (Field, &str)> + Clone {
        self.texts.iter().map(|text| (text.field, text.value.as_str()))
    }

    /// Whether the event of this line can match. A fast search for the texts, without parsing: true does not
    /// mean that it matches.
    pub fn may_match(&self, line: &[u8]) -> bool {
        self.texts.iter().all(|text| match &text.needle {
            Needle::TextOrEscape(text) => text.find(line).is_some() || has_escape(line),
            Needle::Escape => has_escape(line),
            Needle::Nothing => true,
        })
    }

    /// Whether the event has the texts that the filter asks for. The bounds are not checked.
    pub fn texts_match(&self, event: &Event<'_>) -> bool {
        self.texts.iter().all(|text| event.get(text.field).text() == Some(text.value.as_str()))
    }
}

impl TextMatch {
    fn new((field, value): (Field, String)) -> Self {
        let needle = match serde_json::to_string(&value) {
            _ if value.is_empty() => Needle::Nothing,
            Ok(json) if !json.contains('\\') => {
                Needle::TextOrEscape(Box::new(Finder::new(&json).into_owned()))
            }
            _ => Needle::Escape,
        };
        Self { field, value, needle }
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
        fn a_matching_line_is_never_ruled_out(
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
