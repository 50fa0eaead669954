//! Batches of a guest, taken out of its memory. A guest can make a batch that is far larger than its memory, in which many
//! events have one and the same text: here is how much of it the host takes.

use wasmtime::AsContextMut;
use wasmtime::component::WasmList;

use crate::bindings::exports::audit::store::types::Error;
use crate::instance::room;
use crate::types::Event;

/// The events of a list that is in the guest's memory.
pub(super) fn events(mut store: impl AsContextMut, list: &WasmList<Event>) -> Result<Vec<Event>, Error> {
    let count = list.len();
    room::check_count(count).map_err(Error::Other)?;
    let mut events = Vec::with_capacity(count);
    let mut size = 0;
    // One by one, so that each may be as large as an event of `write`.
    while let Some(event) = list.get(&mut store, events.len()) {
        let event = event.map_err(|error| Error::Other(format!("event {}: {error:#}", events.len())))?;
        size += event.size();
        room::check_size(size).map_err(Error::Other)?;
        events.push(event);
    }
    Ok(events)
}

/// The lines, if they are not too large, and not too many: each takes memory of the store, and may get an identity.
pub(super) fn lines(lines: String) -> Result<String, Error> {
    room::check_lines(&lines).map_err(Error::Other)?;
    Ok(lines)
}
