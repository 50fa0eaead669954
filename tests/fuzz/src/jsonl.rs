//! A daily file that anybody may have written, as reads give it.

use std::borrow::Cow;

use audit_evidence::leaf::{self, Line};
use audit_format::attributes::Attribute;
use audit_format::cursor::{Key, Order};
use audit_format::event::{Event, Field};
use audit_format::names;
use audit_format::query::{Filter, PageRequest, Query};
use audit_format::read::parse_stored;
use audit_format::time::{Day, Timestamp};
use audit_store::store::Store;
use serde::de::IgnoredAny;

use crate::host::Memory;
use crate::next_byte;
use crate::pages::{Entry, Whole, read_all};

/// A file is looked through in parts of this size, so that the first bytes of an input can lie at their borders.
const PART: usize = 256 << 10;

/// The file of the first event's day, or of this one.
const DAY: &str = "2026-11-23";

/// The bit of the choice by which a filter has an end.
const UNTIL: u8 = 0x40;

/// The first byte is the limit of a page, the second one says where in the file a part ends, the third one which field is
/// filtered by, and the rest is the file.
///
/// Each line that is not blank is either an entry or counted as skipped, as its leaf in a log and a parser of JSON have it;
/// pages of any size and order give the same entries, each once; a filter gives those that match, and rules out no other;
/// and an entry's line is encoded to itself.
pub fn jsonl(mut input: &[u8]) {
    let (limit, border, choice) = (next_byte(&mut input), next_byte(&mut input), next_byte(&mut input));
    let day = input.split(|byte| *byte == b'\n').find_map(event_of).map(|(_, at)| at.day());
    let day = day.or_else(|| Day::parse(DAY)).expect("a day");
    let host = Memory::with_backend("jsonl");
    host.put(names::daily(day), with_border(input, border));
    let mut store = Store::new(host);

    let whole = read_all(&mut store, &Filter::default(), Order::OldestFirst, 0);
    assert_each_line_counts(input, &whole);
    whole.entries.iter().for_each(|entry| assert_encoded_to_itself(input, entry));
    assert!(whole.entries.is_sorted_by(|a, b| a.key <= b.key), "a read is not in its order");

    let mut newest = read_all(&mut store, &Filter::default(), Order::NewestFirst, 0);
    newest.entries.reverse();
    assert_same(&whole, &newest, "the other order");
    // Lines of other writers that stand far from their day are looked for in the first page alone.
    let is_near = |entry: &Entry| entry.key.at.day() >= day.plus(-1) && entry.key.at.day() <= day.plus(1);
    let are_near = whole.entries.iter().all(is_near);
    if are_near && is_unique(&whole) {
        let paged = read_all(&mut store, &Filter::default(), Order::OldestFirst, u32::from(limit).max(1));
        assert_same(&whole, &paged, "small pages");
        let mut paged = read_all(&mut store, &Filter::default(), Order::NewestFirst, u32::from(limit).max(1));
        paged.entries.reverse();
        assert_same(&whole, &paged, "small pages of the other order");
    }
    assert_filtered(&mut store, &whole, if are_near { choice } else { choice & !UNTIL });
}

/// The file, behind a blank line so long that a part ends `border` times four bytes behind it.
fn with_border(file: &[u8], border: u8) -> Vec<u8> {
    if border == 0 {
        return file.to_vec();
    }
    let mut bytes = vec![b' '; PART - 1 - 4 * usize::from(border)];
    bytes.push(b'\n');
    bytes.extend_from_slice(file);
    bytes
}

/// What stands in a line, without white space and a byte order mark.
fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii();
    line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line).trim_ascii_start()
}

/// The event in a line, with its time.
fn event_of(line: &[u8]) -> Option<(Event<'static>, Timestamp)> {
    let text = String::from_utf8_lossy(trimmed(line));
    let event = parse_stored(&text).ok()?.event.into_owned();
    let at = Timestamp::parse(&event.ts).ok()?;
    Some((event, at))
}

/// Whether a parser of JSON takes a line for an object. Python's constants are no JSON, and are accepted all the same.
fn assert_json(line: &str) -> bool {
    let is_object = line.starts_with('{') && serde_json::from_str::<IgnoredAny>(line).is_ok();
    let is_lenient = line.contains("NaN") || line.contains("Infinity");
    let is_read = parse_stored(line).is_ok();
    assert!(is_read || !is_object, "JSON is not read: {line:?}");
    assert!(!is_read || is_object || is_lenient, "what is no JSON is read: {line:?}");
    is_read
}

fn assert_each_line_counts(file: &[u8], whole: &Whole) {
    let (mut entries, mut skipped) = (0, 0);
    for line in file.split(|byte| *byte == b'\n') {
        let trimmed = trimmed(line);
        let expected = leaf::of_line(line);
        if trimmed.is_empty() {
            assert_eq!(expected, Line::Blank);
            continue;
        }
        let text: Cow<'_, str> = String::from_utf8_lossy(trimmed);
        let is_object = text.ends_with('}') && text.starts_with('{') && assert_json(&text);
        let is_event = is_object && event_of(line).is_some();
        assert_eq!(matches!(expected, Line::Leaf(_)), is_event, "{text:?} has another leaf");
        if is_event { entries += 1 } else { skipped += 1 }
    }
    assert_eq!((whole.entries.len(), whole.skipped), (entries, skipped), "entries and skipped lines");
}

fn assert_encoded_to_itself(file: &[u8], entry: &Entry) {
    let Entry { key, line } = entry;
    let text = line.strip_suffix('\n').expect("a line of a page ends");
    assert!(!text.contains('\n'), "a line of a page is several: {text:?}");
    assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "a line of a page is no JSON: {text:?}");
    let host = Memory::with_backend("jsonl");
    host.put(names::daily(key.at.day()), line.clone().into_bytes());
    let again = read_all(&mut Store::new(host), &Filter::default(), Order::OldestFirst, 0);
    assert_eq!(again.skipped, 0, "a line of a page is skipped: {text:?}");
    let [again] = &again.entries[..] else {
        panic!("a line of a page is another number of entries: {text:?}")
    };
    assert_eq!((&again.line, again.key.at, again.key.id), (line, key.at, key.id));
    if key.id.is_none() {
        // What a log has of another writer's line is what a read gives.
        let expected = leaf::of_line(line.as_bytes());
        let mut leaves = file.split(|byte| *byte == b'\n').map(leaf::of_line);
        assert!(leaves.any(|leaf| leaf == expected), "{text:?} has another leaf");
    }
}

fn assert_same(whole: &Whole, other: &Whole, how: &str) {
    let texts = |whole: &Whole| {
        let lines = whole.entries.iter().map(|entry| entry.line.clone());
        let mut pairs: Vec<(Key, String)> = whole.entries.iter().map(|entry| entry.key).zip(lines).collect();
        // Lines with the same identifier may be in any order.
        pairs.sort();
        pairs
    };
    assert_eq!(texts(whole), texts(other), "{how}");
    // A line that begins like an event of another page may be passed over unparsed.
    assert!(whole.skipped >= other.skipped, "{how}: skipped");
}

/// Whether no line of a store is there twice.
fn is_unique(whole: &Whole) -> bool {
    whole.entries.windows(2).all(|pair| pair[0].key != pair[1].key)
}

/// A filter that one of the events matches gives all that match.
fn assert_filtered(store: &mut Store<Memory>, whole: &Whole, choice: u8) {
    let Some((event, at)) = whole.entries.first().and_then(|entry| event_of(entry.line.as_bytes())) else {
        return;
    };
    let fields: Vec<Field> = Field::filtered().collect();
    let field = fields[usize::from(choice) % fields.len()];
    let mut filter = Filter::default();
    if let Some(text) = event.get(field).text() {
        filter.texts.push((field, text.to_owned()));
    }
    if choice & 0x80 != 0 {
        let attribute = event.attributes.first();
        filter.attributes.extend(attribute.map(|a| Attribute::new(a.key.to_string(), a.value.to_string())));
    }
    if choice & UNTIL != 0 {
        filter.to_ts = Some(at.to_string());
    }
    let query = Query::new(filter.clone(), &PageRequest::default()).expect("a valid filter");
    let matches = |entry: &&Entry| {
        let (event, at) = event_of(entry.line.as_bytes()).expect("an event");
        query.texts_match(&event) && at <= query.to
    };
    let expected: Vec<&Entry> = whole.entries.iter().filter(matches).collect();
    assert!(!expected.is_empty(), "an event does not match its own texts: {filter:?}");
    let found = read_all(store, &filter, Order::OldestFirst, 0);
    assert_eq!(found.entries.iter().collect::<Vec<_>>(), expected, "{filter:?}");
}
