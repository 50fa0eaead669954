//! What a read asks for.

use audit_format::Invalid;
use audit_format::attributes::Attribute;
use audit_format::cursor::{Key, Order};
use audit_format::event::Field;
use audit_format::query::{Filter, PageRequest, Query};
use audit_format::read::parse_stored;
use audit_format::time::{Timestamp, is_stored_text, parse_bound};

use crate::{next_byte, next_text};

/// The first byte chooses a field. Then come a text that it must have, the key and the value of an attribute, two times, and a
/// line.
///
/// A line that matches is never ruled out before it is parsed; a filter with the texts of an event matches it; a wrong time is
/// refused by name; and a filter in UTC means the same.
pub fn filters(mut input: &[u8]) {
    let choice = next_byte(&mut input);
    let [text, key, value, from, to] = std::array::from_fn(|_| next_text(&mut input));
    let line = next_text(&mut input);
    let fields: Vec<Field> = Field::filtered().collect();
    let field = fields[usize::from(choice) % fields.len()];
    let filter = Filter {
        from_ts: (choice & 0x20 != 0).then_some(from),
        to_ts: (choice & 0x40 != 0).then_some(to),
        texts: vec![(field, text)],
        attributes: (choice & 0x80 != 0).then(|| Attribute::new(key, value)).into_iter().collect(),
    };
    assert_checked(&filter);
    let Ok(parsed) = parse_stored(&line) else { return };
    let event = parsed.event;
    let without_times = Filter { from_ts: None, to_ts: None, ..filter };
    assert_not_ruled_out(without_times, &line);
    let all = Filter {
        texts: fields
            .iter()
            .filter_map(|field| Some((*field, event.get(*field).text()?.to_owned())))
            .collect(),
        attributes: event.attributes.iter().map(|attribute| attribute.clone().into_owned()).collect(),
        ..Filter::default()
    };
    for (field, text) in all.texts.clone() {
        assert_not_ruled_out(Filter { texts: vec![(field, text)], ..Filter::default() }, &line);
    }
    let query = Query::new(all.clone(), &PageRequest::default()).expect("texts are never wrong");
    assert!(query.texts_match(&event), "an event does not match its own texts: {line:?}");
    assert_not_ruled_out(all, &line);
}

fn assert_not_ruled_out(filter: Filter, line: &str) {
    let event = parse_stored(line).expect("it was parsed before").event;
    let query = Query::new(filter.clone(), &PageRequest::default()).expect("texts are never wrong");
    let matches = query.texts_match(&event);
    assert!(!matches || query.may_match(line.as_bytes()), "{filter:?} rules out {line:?}");
    let in_utc = filter.in_utc().expect("texts are never wrong");
    let in_utc = Query::new(in_utc, &PageRequest::default()).expect("texts are never wrong");
    assert_eq!(matches, in_utc.texts_match(&event), "{filter:?} in UTC");
}

/// What is wrong with a filter is named, and a filter in UTC is the same one.
fn assert_checked(filter: &Filter) {
    match (Query::new(filter.clone(), &PageRequest::default()), filter.in_utc()) {
        (Ok(query), Ok(in_utc)) => {
            let same = Query::new(in_utc.clone(), &PageRequest::default()).expect("a filter in UTC is valid");
            assert!(query.texts().eq(same.texts()) && query.attributes().eq(same.attributes()));
            // Of a range that has no instant, nothing is in.
            if query.from <= query.to {
                assert_eq!((query.from, query.to), (same.from, same.to), "{filter:?} {in_utc:?}");
            } else {
                assert!(same.from > same.to, "{filter:?} {in_utc:?}");
            }
        }
        (Err(Invalid { field, reason }), Err(other)) => {
            assert!(["from_ts", "to_ts"].contains(&&*field) && !reason.is_empty(), "{field}: {reason}");
            assert_eq!(field, other.field);
            assert!(!reason.contains(char::is_control), "{reason:?}");
        }
        (one, other) => panic!("{filter:?}: {one:?}, but in UTC {other:?}"),
    }
}

/// A cursor, and a time.
///
/// What is accepted as a cursor has one meaning, which its own text keeps, in its order alone; all else is refused by name. A
/// time that is accepted is the same as its text in UTC.
pub fn cursors(mut input: &[u8]) {
    let (cursor, time) = (next_text(&mut input), next_text(&mut input));
    for (order, other) in [(Order::OldestFirst, Order::NewestFirst), (Order::NewestFirst, Order::OldestFirst)]
    {
        let request = PageRequest { order, limit: 0, cursor: Some(cursor.clone()) };
        match Query::new(Filter::default(), &request) {
            Ok(query) => {
                let key = query.after.expect("the page goes on behind a cursor");
                let text = key.to_cursor(order);
                assert_eq!(Key::from_cursor(&text, order), Some(key), "{cursor:?}");
                assert_eq!(Key::from_cursor(&cursor, other), None, "{cursor:?}");
            }
            Err(Invalid { field, reason }) => {
                assert_eq!(field, "cursor");
                assert!(!reason.is_empty());
            }
        }
    }
    if let Some(key) = Key::from_row_cursor(&cursor) {
        assert_eq!(Key::from_row_cursor(&key.to_row_cursor()), Some(key), "{cursor:?}");
    }
    match Timestamp::parse(&time) {
        Ok(at) => {
            let text = at.to_string();
            assert!(is_stored_text(text.as_bytes()), "{text}");
            assert_eq!(
                (Timestamp::parse(&text), Timestamp::parse_stored(text.as_bytes())),
                (Ok(at), Some(at))
            );
            let bound = parse_bound(&time).expect("a time is a bound");
            assert!(*bound.end() == at && bound.start().micros() - at.micros() <= 1, "{time:?}");
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
}
