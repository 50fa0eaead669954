//! Offers a store to the guests of other runtimes: the interfaces `audit:store/writer` and `audit:store/reader`, answered
//! by a [`Handle`](crate::Handle). The store itself stays outside of the guest.

mod access;
mod batch;
mod narrow;
mod told;

pub use access::{GuestReader, GuestWriter, Identity};

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance};

use crate::bindings::exports::audit::store::types::Error;
use crate::types::{Event, Filter, PageRequest, Receipt};
use told::told;

/// Guests that were built with another version that is compatible with this one link too.
const WRITER: &str = "audit:store/writer@0.1.0";
const READER: &str = "audit:store/reader@0.1.0";

type Context<'c, T> = StoreContextMut<'c, T>;
type Written = wasmtime::Result<(Result<Receipt, Error>,)>;
type Asked = (Filter, PageRequest);

/// Offers `audit:store/writer` to the guests of a linker. Each guest gets the [`GuestWriter`] that `writer` takes from the
/// data of its store. It can record; it can neither read, nor reach the files or the database.
///
/// Calls that wait block their thread: in an asynchronous program use [`add_writer_to_linker_async`].
///
/// # What the calls wait for
/// - `write` puts the event into the store's queue, and never waits. Where the queue is full, the event is dropped and
///   counted, as with [`Handle::write`](crate::Handle::write).
/// - `write-batch` and `write-jsonl` answer once the component has taken the events, as the WIT promises: with files, once
///   they are written. They come behind everything that was written before.
/// - `flush` answers once all that was written before is handed on.
///
/// # What a guest may send
/// A batch or lines of more than 64 MiB, and those that are sure to have more than 32 MiB once they are stored, are refused
/// as `other`. Wasmtime itself ends a guest that sends more in one call than
/// [`Store::set_hostcall_fuel`](wasmtime::Store::set_hostcall_fuel) allows, by default 128 MiB. Of that, each event of a
/// batch takes some 400 bytes, and its texts theirs.
///
/// All users of a store share its queue. A guest that writes without pause can fill it, and then events of others are
/// dropped and counted too: give a guest that may do so a store of its own.
///
/// # What a guest is told
/// The errors of the WIT. They never name a path, or what a database says: see [`Handle::status`](crate::Handle::status)
/// and [`Options::warnings`](crate::Options::warnings) for that.
///
/// ```
/// use audit_host::{AuditStore, GuestWriter, Identity, Options, add_writer_to_linker};
/// use wasmtime::component::{Component, Linker};
/// use wasmtime::{Engine, Store};
///
/// struct MyState {
///     audit: GuestWriter,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let guest = b"\0asm\x0d\0\x01\0";
/// let audit = AuditStore::open(Options::new().backend("memory"))?;
/// let engine = Engine::default();
/// let mut linker = Linker::new(&engine);
/// add_writer_to_linker(&mut linker, |state: &mut MyState| state.audit.clone())?;
///
/// // Whatever the guest says, its events are those of this agent.
/// let identity = Identity { agent_id: Some("planner".into()), ..Identity::default() };
/// let writer = GuestWriter::new(audit.handle()).with_identity(identity);
/// let mut store = Store::new(&engine, MyState { audit: writer });
/// let instance = linker.instantiate(&mut store, &Component::new(&engine, guest)?)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the linker has a function of this interface already.
pub fn add_writer_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    writer: impl Fn(&mut T) -> GuestWriter + Clone + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    let mut interface = add_write(linker, writer.clone())?;
    let of = writer.clone();
    interface.func_wrap("write-batch", move |mut store: Context<'_, T>, (events,)| -> Written {
        let writer = of(store.data_mut());
        Ok((batch::events(store, &events).and_then(|events| told(writer.write_batch(events))),))
    })?;
    let of = writer.clone();
    interface.func_wrap("write-jsonl", move |mut store: Context<'_, T>, (lines,)| -> Written {
        let writer = of(store.data_mut());
        Ok((batch::lines(lines).and_then(|lines| told(writer.write_jsonl(lines))),))
    })?;
    interface.func_wrap("flush", move |mut store: Context<'_, T>, (): ()| {
        Ok((told(writer(store.data_mut()).handle.flush()),))
    })
}

/// Like [`add_writer_to_linker`], for guests that are called with `async`. `write` does not wait here either. The other
/// calls hold up the guest and no thread; they need no particular runtime.
///
/// # Errors
/// As for [`add_writer_to_linker`].
pub fn add_writer_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    writer: impl Fn(&mut T) -> GuestWriter + Clone + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    let mut interface = add_write(linker, writer.clone())?;
    let of = writer.clone();
    interface.func_wrap_async("write-batch", move |mut store: Context<'_, T>, (events,)| {
        let writer = of(store.data_mut());
        let events = batch::events(store, &events);
        Box::new(async move {
            let receipt = match events {
                Ok(events) => told(writer.write_batch_async(events).await),
                Err(error) => Err(error),
            };
            Written::Ok((receipt,))
        })
    })?;
    let of = writer.clone();
    interface.func_wrap_async("write-jsonl", move |mut store: Context<'_, T>, (lines,)| {
        let writer = of(store.data_mut());
        Box::new(async move {
            let receipt = match batch::lines(lines) {
                Ok(lines) => told(writer.write_jsonl_async(lines).await),
                Err(error) => Err(error),
            };
            Written::Ok((receipt,))
        })
    })?;
    interface.func_wrap_async("flush", move |mut store: Context<'_, T>, (): ()| {
        let writer = writer(store.data_mut());
        Box::new(async move { Ok((told(writer.handle.flush_async().await),)) })
    })
}

/// The part that never waits.
fn add_write<T: 'static>(
    linker: &mut Linker<T>,
    writer: impl Fn(&mut T) -> GuestWriter + Send + Sync + 'static,
) -> wasmtime::Result<LinkerInstance<'_, T>> {
    let mut interface = linker.instance(WRITER)?;
    interface.func_wrap("write", move |mut store: Context<'_, T>, (event,): (Event,)| {
        writer(store.data_mut()).write(event);
        Ok(())
    })?;
    Ok(interface)
}

/// Offers `audit:store/reader` to the guests of a linker. Each guest gets the [`GuestReader`] that `reader` takes from the
/// data of its store, and reads the entries that match its filter, and no others.
///
/// Calls block their thread, and a filter of more than 1 MiB is refused as `invalid`. The guests of a store share one
/// thread that reads. The rest is as for [`add_writer_to_linker`].
///
/// ```
/// use audit_host::{AuditStore, Filter, GuestReader, Options, add_reader_to_linker};
/// use wasmtime::Engine;
/// use wasmtime::component::Linker;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let audit = AuditStore::open(Options::new().backend("memory"))?;
/// let tenant = Filter { workspace_id: Some("acme".into()), ..Filter::default() };
/// let reader = GuestReader::new(audit.handle(), tenant)?;
///
/// let mut linker = Linker::<()>::new(&Engine::default());
/// add_reader_to_linker(&mut linker, move |_| reader.clone())?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the linker has a function of this interface already.
pub fn add_reader_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    reader: impl Fn(&mut T) -> GuestReader + Clone + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    let mut interface = linker.instance(READER)?;
    let of = reader.clone();
    interface.func_wrap("read", move |mut store: Context<'_, T>, (filter, page): Asked| {
        Ok((of(store.data_mut()).read(filter, page),))
    })?;
    interface.func_wrap("read-jsonl", move |mut store: Context<'_, T>, (filter, page): Asked| {
        Ok((reader(store.data_mut()).read_jsonl(filter, page),))
    })
}

/// Like [`add_reader_to_linker`], for guests that are called with `async`: a read holds up the guest and no thread.
///
/// # Errors
/// As for [`add_reader_to_linker`].
pub fn add_reader_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    reader: impl Fn(&mut T) -> GuestReader + Clone + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    let mut interface = linker.instance(READER)?;
    let of = reader.clone();
    interface.func_wrap_async("read", move |mut store: Context<'_, T>, (filter, page): Asked| {
        let reader = of(store.data_mut());
        Box::new(async move { Ok((reader.read_async(filter, page).await,)) })
    })?;
    interface.func_wrap_async("read-jsonl", move |mut store: Context<'_, T>, (filter, page): Asked| {
        let reader = reader(store.data_mut());
        Box::new(async move { Ok((reader.read_jsonl_async(filter, page).await,)) })
    })
}
