//! Batches of a guest, taken out of its memory. A guest can make a batch that is far larger than its memory, in which many
//! events have one and the same text: here is how much of it the host takes.

use wasmtime::AsContextMut;
use wasmtime::component::WasmList;

use crate::bindings::exports::audit::store::types::Error;
use crate::types::Event;

/// The most bytes of a batch or of lines, as they come.
const MAX_SENT: usize = 64 << 20;

/// The most bytes of lines in a batch, as in the WIT.
const MAX_LINES: usize = 32 << 20;

/// No stored line is shorter, in bytes.
pub(super) const SHORTEST_LINE: usize = 400;

/// More events are sure to be more than [`MAX_LINES`].
const MAX_EVENTS: usize = MAX_LINES / SHORTEST_LINE;

/// The events of a list that is in the guest's memory.
pub(super) fn events(mut store: impl AsContextMut, list: &WasmList<Event>) -> Result<Vec<Event>, Error> {
    let count = list.len();
    check_count(count)?;
    let mut events = Vec::with_capacity(count);
    let mut size = 0;
    // One by one, so that each may be as large as an event of `write`.
    while let Some(event) = list.get(&mut store, events.len()) {
        let event = event.map_err(|error| Error::Other(format!("event {}: {error:#}", events.len())))?;
        size += event.size();
        if size > MAX_SENT {
            return Err(too_large(&sent(size)));
        }
        events.push(event);
    }
    Ok(events)
}

/// The lines, if they are not too large, and not too many: each takes memory of the store, and may get an identity.
pub(super) fn lines(lines: String) -> Result<String, Error> {
    if lines.len() > MAX_SENT {
        return Err(too_large(&sent(lines.len())));
    }
    check_count(lines.split('\n').filter(|line| !line.trim_ascii().is_empty()).count())?;
    Ok(lines)
}

fn check_count(events: usize) -> Result<(), Error> {
    if events > MAX_EVENTS {
        return Err(too_large(&format!("{events} events; accepted are {MAX_EVENTS} at most")));
    }
    Ok(())
}

fn sent(size: usize) -> String {
    format!("{size} bytes or more; accepted are {MAX_SENT} at most")
}

fn too_large(what: &str) -> Error {
    Error::Other(format!("the batch is too large: it has {what}; send smaller batches"))
}
