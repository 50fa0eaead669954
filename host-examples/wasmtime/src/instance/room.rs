//! How much a call may hand over. The component cannot refuse what it has no memory for: its runtime copies the arguments before
//! any of its code runs, and stops it where they do not fit. So the host refuses them before the call.

use audit_format::query;

use crate::types::{Attribute, Event, Filter, PageRequest};

/// The most bytes of a batch or of lines, as they come: a quarter of the memory that the component has by default. The rest is
/// for what it makes of them, and for what it keeps.
pub(crate) const MAX_SENT: usize = 64 << 20;

/// The most bytes of the texts of a filter and a cursor: the component makes several copies of them to search for them.
const MAX_ASKED: usize = 16 << 20;

/// The most bytes of lines in a batch, as in the WIT.
const MAX_LINES: usize = 32 << 20;

/// No stored line is shorter, in bytes.
const SHORTEST_LINE: usize = 400;

/// More events are sure to be more than [`MAX_LINES`].
const MAX_EVENTS: usize = MAX_LINES / SHORTEST_LINE;

/// Checks the number of events in a batch.
pub(crate) fn check_count(events: usize) -> Result<(), String> {
    if events > MAX_EVENTS {
        return Err(too_large(&format!("{events} events; accepted are {MAX_EVENTS} at most")));
    }
    Ok(())
}

/// Checks the size of a batch, or of what has come of it so far.
pub(crate) fn check_size(bytes: usize) -> Result<(), String> {
    if bytes > MAX_SENT {
        return Err(too_large(&format!("{bytes} bytes or more; accepted are {MAX_SENT} at most")));
    }
    Ok(())
}

/// Checks events, as they are handed over.
pub(crate) fn check_events(events: &[Event]) -> Result<(), String> {
    check_count(events.len())?;
    check_size(events.iter().map(Event::size).sum())
}

/// Checks lines, as they are handed over.
pub(crate) fn check_lines(lines: &str) -> Result<(), String> {
    check_size(lines.len())?;
    check_count(count_of(lines))
}

/// How many events the lines have: empty lines are none.
pub(crate) fn count_of(lines: &str) -> usize {
    lines.split('\n').filter(|line| !line.trim_ascii().is_empty()).count()
}

/// Checks what a read asks for.
pub(crate) fn check_query(filter: &Filter, page: &PageRequest) -> Result<(), String> {
    let query::Filter { from_ts, to_ts, texts, attributes } = filter.clone().into();
    let others = [&from_ts, &to_ts, &page.cursor].into_iter().flatten().map(String::len);
    let texts = texts.iter().map(|(_, text)| text.len());
    let attributes = attributes.iter().map(|pair| size_of::<Attribute>() + pair.key.len() + pair.value.len());
    let bytes: usize = others.chain(texts).chain(attributes).sum();
    if bytes > MAX_ASKED {
        return Err(format!(
            "the filter is too large: it has {bytes} bytes; accepted are {MAX_ASKED} at most"
        ));
    }
    Ok(())
}

/// How each error begins that is about a batch which is too large.
pub(crate) const TOO_LARGE: &str = "the batch is too large: ";

fn too_large(what: &str) -> String {
    format!("{TOO_LARGE}it has {what}; send smaller batches")
}
