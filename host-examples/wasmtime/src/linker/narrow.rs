//! What is left of a guest's filter within the part of the record that the guest may see.

use audit_format::Invalid;
use audit_format::query::{Filter, PageRequest, Query};
use audit_format::time::{TimeError, parse_bound};

/// The most bytes of a filter's texts. Longer ones can hardly be found: an event is at most 4096 bytes.
const MAX_FILTER: usize = 1 << 20;

/// The filter for what is in `part` and is asked for. `None` if nothing can be in both.
///
/// # Errors
/// If what is asked for is invalid or too large: names it.
pub(super) fn narrow(part: &Filter, asked: Filter, page: &PageRequest) -> Result<Option<Filter>, Invalid> {
    let size = size(&asked);
    if size > MAX_FILTER {
        let reason = format!("found {size} bytes; accepted are texts of {MAX_FILTER} bytes at most together");
        return Err(Invalid::new("filter", reason));
    }
    // Before anything is left out of it, because what is invalid is so in any part.
    Query::new(asked.clone(), page)?;
    let mut both = part.clone();
    for (field, text) in asked.texts {
        match part.texts.iter().find(|(known, _)| *known == field) {
            Some((_, known)) if *known == text => {}
            Some(_) => return Ok(None),
            None => both.texts.push((field, text)),
        }
    }
    // Every one of them must match, also two with the same key.
    both.attributes.extend(asked.attributes);
    let of = |field: &'static str| move |error: TimeError| Invalid::new(field, error.to_string());
    both.from_ts = later(both.from_ts, asked.from_ts).map_err(of("from_ts"))?;
    both.to_ts = earlier(both.to_ts, asked.to_ts).map_err(of("to_ts"))?;
    Ok(Some(both))
}

fn size(filter: &Filter) -> usize {
    let times = [&filter.from_ts, &filter.to_ts].into_iter().flatten().map(String::len);
    let texts = filter.texts.iter().map(|(_, text)| text.len());
    let attributes =
        filter.attributes.iter().map(|pair| size_of_val(pair) + pair.key.len() + pair.value.len());
    times.chain(texts).chain(attributes).sum()
}

fn later(one: Option<String>, other: Option<String>) -> Result<Option<String>, TimeError> {
    let (Some(a), Some(b)) = (&one, &other) else { return Ok(one.or(other)) };
    Ok(if parse_bound(a)?.start() < parse_bound(b)?.start() { other } else { one })
}

fn earlier(one: Option<String>, other: Option<String>) -> Result<Option<String>, TimeError> {
    let (Some(a), Some(b)) = (&one, &other) else { return Ok(one.or(other)) };
    Ok(if parse_bound(a)?.end() > parse_bound(b)?.end() { other } else { one })
}

#[cfg(test)]
mod tests {
    use audit_format::event::Field;

    use super::*;

    fn times(from: Option<&str>, to: Option<&str>) -> Filter {
        Filter { from_ts: from.map(Into::into), to_ts: to.map(Into::into), ..Filter::default() }
    }

    fn text(field: Field, text: &str) -> Filter {
        Filter { texts: vec![(field, text.into())], ..Filter::default() }
    }

    fn both(part: &Filter, asked: Filter) -> Option<Filter> {
        narrow(part, asked, &PageRequest::default()).expect("it is valid")
    }

    #[test]
    fn bounds_only_come_closer() {
        let (from, to) = (Some("2026-11-23"), Some("2026-11-24"));
        for (asked, expected) in [
            (times(None, None), (from, to)),
            (times(Some("2026-11-22T23:59:59Z"), Some("2026-11-25")), (from, to)),
            // In another time zone, and at the very ends.
            (times(Some("2026-11-23T01:00:00+02:00"), Some("2026-11-25T01:00:00+02:00")), {
                (from, Some("2026-11-25T01:00:00+02:00"))
            }),
            (times(Some("2026-11-23T12:00:00Z"), Some("2026-11-23")), {
                (Some("2026-11-23T12:00:00Z"), Some("2026-11-23"))
            }),
        ] {
            let found = both(&times(from, to), asked).expect("something can match");
            assert_eq!((found.from_ts.as_deref(), found.to_ts.as_deref()), expected);
        }
    }

    #[test]
    fn a_text_of_the_part_stays_and_another_one_matches_nothing() {
        let part = text(Field::WorkspaceId, "acme");
        let own = both(&part, text(Field::WorkspaceId, "acme")).expect("it is the same");
        assert_eq!(own.texts, part.texts);
        for other in ["", "acme ", "ACME", "other"] {
            assert!(both(&part, text(Field::WorkspaceId, other)).is_none(), "{other}");
        }
        let found = both(&part, text(Field::Tool, "search")).expect("something can match");
        assert_eq!(found.texts, [(Field::WorkspaceId, "acme".into()), (Field::Tool, "search".into())]);
    }

    #[test]
    fn what_is_invalid_is_named_also_where_nothing_could_match() {
        let part = text(Field::WorkspaceId, "acme");
        let asked = Filter { from_ts: Some("yesterday".into()), ..text(Field::WorkspaceId, "other") };
        assert_eq!(narrow(&part, asked, &PageRequest::default()).unwrap_err().field, "from_ts");
        let page = PageRequest { cursor: Some("'; --".into()), ..PageRequest::default() };
        assert_eq!(narrow(&part, Filter::default(), &page).unwrap_err().field, "cursor");
        let large = text(Field::Tool, &"x".repeat(MAX_FILTER + 1));
        assert_eq!(narrow(&part, large, &PageRequest::default()).unwrap_err().field, "filter");
    }
}
