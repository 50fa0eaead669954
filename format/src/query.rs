//! What a read asks for: a filter, which can rule lines out before they are parsed, an order and a page.

use crate::Invalid;
use crate::attributes::{self, Attribute};
use crate::cursor::{Key, Order};
use crate::cut::{self, Wanted};
use crate::event::{Event, Field};
use crate::leaf;
use crate::time::{Timestamp, parse_bound};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use memchr::memmem::Finder;
use serde::de::IgnoredAny;

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
    /// Attributes that must be among those of the event.
    pub attributes: Vec<Attribute<'static>>,
}

impl Filter {
    /// The same filter as a host's database gets it: with its times in UTC with microseconds, and without characters that
    /// no stored text has.
    ///
    /// # Errors
    /// If a bound is invalid: names it.
    pub fn in_utc(&self) -> Result<Self, Invalid> {
        let from_ts = bound("from_ts", self.from_ts.as_deref())?.map(|range| range.start().to_string());
        let to_ts = bound("to_ts", self.to_ts.as_deref())?.map(|range| range.end().to_string());
        let texts = self.texts.iter().map(|(field, text)| (*field, cut::replaced(text.clone()))).collect();
        let value = |value: &str| cut::replaced(value.into());
        let attributes = self.attributes.iter();
        let attributes =
            attributes.map(|pair| Attribute::new(pair.key.clone(), value(&pair.value))).collect();
        Ok(Self { from_ts, to_ts, texts, attributes })
    }
}

fn bound(field: &str, text: Option<&str>) -> Result<Option<RangeInclusive<Timestamp>>, Invalid> {
    text.map(parse_bound).transpose().map_err(|error| Invalid::new(field, error.to_string()))
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
    place: Place,
    wanted: Wanted,
    needle: Needle,
}

/// Where a text must be.
#[derive(Clone, Debug)]
enum Place {
    Field(Field),
    /// The attribute with this key.
    Attribute(String),
}

/// What a line must contain for one of its fields to have a certain text, whatever its spacing.
#[derive(Clone, Debug)]
enum Needle {
    /// One of these.
    AnyOf(Vec<Finder<'static>>),
    /// One of these; or nothing where the line is not a store's, or has what no line of a store has behind this name, in
    /// quotes: other writers may have written the text as another JSON value, such as a number, or an attribute that is cut
    /// when it is read.
    AnyOfOrForeign(Vec<Finder<'static>>, Box<Finder<'static>>),
    /// Nothing: the text is empty, and so is that of a field that is not in the line; or it has what stands in the place of
    /// bytes that are not UTF-8.
    Nothing,
}

impl Query {
    /// Checks a filter and a page request.
    ///
    /// # Errors
    /// If a bound or the cursor is invalid: names it.
    pub fn new(filter: Filter, request: &PageRequest) -> Result<Self, Invalid> {
        let from = bound("from_ts", filter.from_ts.as_deref())?;
        let to = bound("to_ts", filter.to_ts.as_deref())?;
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
            texts: TextMatch::all(filter.texts, filter.attributes),
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
        self.texts.iter().filter_map(|text| match text.place {
            Place::Field(field) => Some((field, text.wanted.whole())),
            Place::Attribute(_) => None,
        })
    }

    /// The attributes that must be among those of an event.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> + Clone {
        self.texts.iter().filter_map(|text| match &text.place {
            Place::Field(_) => None,
            Place::Attribute(key) => Some(Attribute::new(key, text.wanted.whole())),
        })
    }

    /// Whether the filter asks for texts or attributes.
    pub fn has_texts(&self) -> bool {
        !self.texts.is_empty()
    }

    /// Whether the event of this line can match. A fast search for the texts, without parsing: true does not
    /// mean that it matches.
    pub fn may_match(&self, line: &[u8]) -> bool {
        let has_any = |finders: &[Finder<'_>]| finders.iter().any(|finder| finder.find(line).is_some());
        self.texts.iter().all(|text| match &text.needle {
            Needle::AnyOf(finders) => has_any(finders),
            Needle::AnyOfOrForeign(finders, name) => {
                has_any(finders) || !leaf::ends_as_stored(line) || has_other_value(line, name)
            }
            Needle::Nothing => true,
        })
    }

    /// The places in these lines that lines which [may match](Self::may_match) have. None: each line has to be looked at.
    pub fn candidates<'b>(&self, lines: &'b [u8]) -> Option<Candidates<'_, 'b>> {
        let finders = self.texts.iter().filter_map(|text| match &text.needle {
            Needle::AnyOf(finders) => Some(finders),
            Needle::AnyOfOrForeign(..) | Needle::Nothing => None,
        });
        // A long text is rare.
        let rarest =
            finders.max_by_key(|finders| finders.first().map_or(0, |finder| finder.needle().len()))?;
        let found = rarest.iter().map(|finder| (finder, None)).collect();
        Some(Candidates { lines, found })
    }

    /// Whether the event has the texts and attributes that the filter asks for. The bounds are not checked.
    pub fn texts_match(&self, event: &Event<'_>) -> bool {
        self.texts.iter().all(|text| text.stored(event).is_some_and(|stored| text.wanted.matches(stored)))
    }
}

impl TextMatch {
    fn all(texts: Vec<(Field, String)>, attributes: Vec<Attribute<'static>>) -> Vec<Self> {
        let fields = texts.into_iter().map(|(field, text)| Self::new(Place::Field(field), text));
        let attributes = attributes.into_iter().map(|Attribute { key, value }| {
            let key = attributes::accepted_key(&key).unwrap_or_else(|| key.into());
            Self::new(Place::Attribute(key), value.into())
        });
        fields.chain(attributes).collect()
    }

    fn new(place: Place, text: String) -> Self {
        let wanted = Wanted::new(cut::replaced(text));
        let name = match &place {
            Place::Field(field) => field.name(),
            // Its key may be written in another way.
            Place::Attribute(_) => attributes::NAME,
        };
        let needle = Needle::new(&wanted, name);
        Self { place, wanted, needle }
    }

    /// The text that the event has in this place.
    fn stored<'e>(&self, event: &'e Event<'_>) -> Option<&'e str> {
        match &self.place {
            Place::Field(field) => event.get(*field).text(),
            Place::Attribute(key) => {
                Some(&*event.attributes.iter().find(|attribute| attribute.key == *key)?.value)
            }
        }
    }
}

impl Needle {
    /// `name` is that of the member that has the text, or of the one that is around it.
    fn new(wanted: &Wanted, name: &str) -> Self {
        let text = wanted.whole();
        if text.is_empty() || text.contains(char::REPLACEMENT_CHARACTER) {
            return Self::Nothing;
        }
        let json = serde_json::to_string(text).unwrap_or_default();
        let mut needles: Vec<&str> = Vec::new();
        if json.contains('\\') {
            // Escapes can be written in several ways.
            needles.push("\\");
        } else {
            // Its characters can be written as they are, or as these escapes.
            needles.extend([&*json, "\\u"]);
            if text.contains('/') {
                needles.push("\\/");
            }
        }
        // What the line has where the text was cut.
        needles.extend(wanted.ending());
        let finders = needles.into_iter().map(|needle| Finder::new(needle).into_owned()).collect();
        if is_other_value(text) || name == attributes::NAME && is_cut(text) {
            Self::AnyOfOrForeign(finders, Box::new(Finder::new(&format!("\"{name}\"")).into_owned()))
        } else {
            Self::AnyOf(finders)
        }
    }
}

/// Whether the text can stand for a JSON value that is no text.
fn is_other_value(text: &str) -> bool {
    let is_json = || serde_json::from_str::<IgnoredAny>(text).is_ok();
    let may_begin = |first: char| first.is_ascii_digit() || matches!(first, '-' | '[' | '{');
    matches!(text, "true" | "false" | "NaN" | "Infinity" | "-Infinity")
        || text.starts_with(may_begin) && is_json()
}

/// Whether the text ends as those that were cut.
fn is_cut(text: &str) -> bool {
    matches!(cut::known_by(text), Cow::Borrowed(ending) if ending.len() < text.len())
}

/// Whether a member of this name, which is in quotes, has a value that is neither a text nor null.
fn has_other_value(line: &[u8], name: &Finder<'_>) -> bool {
    name.find_iter(line).any(|place| {
        let value = line[place + name.needle().len()..].trim_ascii_start();
        let value = value.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value.and_then(<[u8]>::first).is_some_and(|first| !matches!(first, b'"' | b'n'))
    })
}

/// Finds lines that may match among others, without looking at each.
#[derive(Debug)]
pub struct Candidates<'q, 'b> {
    lines: &'b [u8],
    /// What is searched for, and where it was found last; none: it was not searched for yet.
    found: Vec<(&'q Finder<'static>, Option<usize>)>,
}

impl Candidates<'_, '_> {
    /// The first place from this offset on that is in a line which may match; none: there is none.
    pub fn next(&mut self, from: usize) -> Option<usize> {
        let lines = self.lines;
        let places = self.found.iter_mut().map(|(finder, found)| match found {
            Some(place) if *place >= from => *place,
            _ => {
                let place = finder.find(&lines[from..]).map_or(usize::MAX, |place| from + place);
                *found.insert(place)
            }
        });
        places.min().filter(|place| *place < usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;
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
        fn the_candidates_are_in_all_lines_that_may_match(
            tool in "[ab/]{1,2}",
            lines in prop::collection::vec("[ab\"\\\\/u,]{0,6}", 0..30),
        ) {
            let filter = Filter { texts: [(Field::Tool, tool)].into(), ..Filter::default() };
            let query = Query::new(filter, &PageRequest::default()).unwrap();
            let text = lines.join("\n");
            let mut candidates = query.candidates(text.as_bytes()).unwrap();
            let mut start = 0;
            for line in &lines {
                let found = candidates.next(start).is_some_and(|place| place < start + line.len());
                prop_assert_eq!(found, query.may_match(line.as_bytes()), "{}", line);
                start += line.len() + 1;
            }
        }

        #[test]
        fn an_attribute_of_another_writer_is_found_by_the_text_that_it_is_read_as(len in 500..600_usize) {
            let line = format!("{{\"attributes\":{{\"k\":\"{}\"}}}}", "v".repeat(len));
            let event = crate::read::parse_stored(&line).unwrap().event;
            let attributes = event.attributes.iter().map(|attribute| attribute.clone().into_owned()).collect();
            let query = Query::new(Filter { attributes, ..Filter::default() }, &PageRequest::default()).unwrap();
            prop_assert!(query.texts_match(&event) && query.may_match(line.as_bytes()));
        }

        #[test]
        fn a_text_that_another_writer_wrote_as_another_value_is_not_ruled_out(
            value in prop_oneof![
                "-?(0|[1-9][0-9]{0,2})", Just("1e3".into()), Just("true".into()), Just("false".into()), Just("NaN".into()),
                Just("-Infinity".into()), Just("[1]".into()), Just("{\"a\":1}".into()), "\"[a\u{fffd}]{0,3}\"",
                Just("\"\\ud800\"".into()), Just("\"\\u0061\\/\"".into()),
            ],
            spaces in " {0,2}",
            ends_as_stored in any::<bool>(),
        ) {
            // Who edits the line of a store leaves its end.
            let end = if ends_as_stored { format!(",\"hash\":\"{}\"", "0".repeat(64)) } else { String::new() };
            let line = format!("{{\"ts\":\"2026-11-23T06:30:00Z\",\"tool\"{spaces}:{spaces}{value}{end}}}");
            let event = crate::read::parse_stored(&line).unwrap().event;
            let filter = Filter { texts: [(Field::Tool, event.tool.clone().into_owned())].into(), ..Filter::default() };
            let query = Query::new(filter, &PageRequest::default()).unwrap();
            prop_assert!(query.texts_match(&event) && query.may_match(line.as_bytes()));
        }

        #[test]
        fn a_plain_line_without_the_text_is_ruled_out(before in "[ab]{0,40}", after in "[ab]{0,40}") {
            let filter = Filter { texts: [(Field::Tool, String::from("abc"))].into(), ..Filter::default() };
            let line = format!("{{\"tool\":\"{before}\",\"req_id\":\"{after}\"}}");
            prop_assert!(!Query::new(filter, &PageRequest::default()).unwrap().may_match(line.as_bytes()));
        }
    }
}
