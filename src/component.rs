//! The component: implements the exports of the WIT with one [`Store`].

use crate::accounting::{Counts, Dropped};
use crate::bindings::exports::audit::store::{control, reader, writer};
use crate::bindings::{export, types};
use crate::error::Error;
use crate::settings::{Active, BackendKind, Config, Durability};
use crate::sink::{Found, JsonLines, Sink};
use crate::store::{Receipt, Status, Store};
use crate::wasi::{Wasi, warn};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::Invalid;
use audit_format::cursor::Order;
use audit_format::event::Event;
use audit_format::query::PageRequest;
use core::cell::{Cell, RefCell};

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    warn(&format!("audit-store: {info}"));
    core::arch::wasm32::unreachable()
}

/// The one store of this instance.
struct Instance {
    store: RefCell<Option<Store<Wasi>>>,
    /// Events that came while another call was running.
    unwritten: Cell<u64>,
}

// SAFETY: a component instance has one thread, and the host does not enter it again before a call returns.
unsafe impl Sync for Instance {}

static INSTANCE: Instance = Instance { store: RefCell::new(None), unwritten: Cell::new(0) };

const BUSY: &str = "another call is running, or was broken off because a function of the host threw or trapped; call a \
                    store from one place at a time";

/// Calls the store. An error: it is in use.
fn with_store<T>(call: impl FnOnce(&mut Store<Wasi>) -> T) -> Result<T, Error> {
    let mut store = INSTANCE.store.try_borrow_mut().map_err(|_| Error::Other(BUSY.into()))?;
    let store = store.get_or_insert_with(|| Store::new(Wasi::default()));
    store.count_unwritten(INSTANCE.unwritten.take());
    Ok(call(store))
}

struct Component;

export!(Component with_types_in crate::bindings);

impl writer::Guest for Component {
    fn write(event: types::Event) {
        if let Err(error) = with_store(|store| store.write(event.into())) {
            INSTANCE.unwritten.set(INSTANCE.unwritten.get() + 1);
            warn(&format!("audit-store: an event is dropped: {error}"));
        }
    }

    fn write_batch(events: Vec<types::Event>) -> Result<types::Receipt, types::Error> {
        let events = events.into_iter().map(Event::from).collect();
        Ok(with_store(|store| store.write_batch(events))??.into())
    }

    fn write_jsonl(lines: String) -> Result<types::Receipt, types::Error> {
        Ok(with_store(|store| store.write_jsonl(&lines))??.into())
    }

    fn flush() -> Result<(), types::Error> {
        Ok(with_store(Store::flush)??)
    }
}

impl reader::Guest for Component {
    fn read(filter: types::Filter, page: types::PageRequest) -> Result<types::Page, types::Error> {
        let request = PageRequest::from(page);
        let mut entries = Entries::default();
        let end = with_store(|store| store.read(filter.into(), &request, &mut entries))??;
        let next = end.next.map(|key| key.to_cursor(request.order));
        Ok(types::Page { entries: entries.0, next, skipped: end.skipped })
    }

    fn read_jsonl(filter: types::Filter, page: types::PageRequest) -> Result<types::JsonlPage, types::Error> {
        let request = PageRequest::from(page);
        let mut lines = JsonLines::default();
        let end = with_store(|store| store.read(filter.into(), &request, &mut lines))??;
        let next = end.next.map(|key| key.to_cursor(request.order));
        let (lines, count) = lines.into_parts();
        Ok(types::JsonlPage { lines, count, next, skipped: end.skipped })
    }
}

/// The entries of a page as records.
#[derive(Default)]
struct Entries(Vec<types::Entry>);

impl Sink for Entries {
    fn take(&mut self, entry: Found<'_>) {
        // A line of a page was parsed when it was selected, so this does not fail.
        self.0.extend(entry.parsed().map(types::Entry::from));
    }
}

impl control::Guest for Component {
    fn configure(config: control::Config) -> Result<(), types::Error> {
        Ok(with_store(|store| store.configure(&config.into()))??)
    }

    fn status() -> Result<control::StoreStatus, types::Error> {
        Ok(with_store(|store| {
            store.survey();
            store.status().into()
        })?)
    }

    fn close() -> Result<(), types::Error> {
        Ok(with_store(Store::close)??)
    }
}

impl From<types::PageRequest> for PageRequest {
    fn from(request: types::PageRequest) -> Self {
        let order = match request.order {
            types::Order::OldestFirst => Order::OldestFirst,
            types::Order::NewestFirst => Order::NewestFirst,
        };
        Self { order, limit: request.limit, cursor: request.cursor }
    }
}

impl From<control::Config> for Config {
    fn from(config: control::Config) -> Self {
        Self {
            backend: config.backend.map(BackendKind::from),
            jsonl_dir: config.jsonl_dir,
            durability: config.durability.map(Durability::from),
            memory_limit: config.memory_limit,
            batch_size: config.batch_size,
            flush_interval_ms: config.flush_interval_ms,
            queue_limit: config.queue_limit,
            recovery_interval_s: config.recovery_interval_s,
        }
    }
}

/// Implements the conversions between an enum and the one of the WIT with the same cases.
macro_rules! same_cases {
    ($ours:ident { $($case:ident)* }, $theirs:path, $name:ident) => {
        impl From<$theirs> for $ours {
            fn from(case: $theirs) -> Self {
                match case {
                    $(control::$name::$case => Self::$case,)*
                }
            }
        }

        impl From<$ours> for $theirs {
            fn from(case: $ours) -> Self {
                match case {
                    $($ours::$case => Self::$case,)*
                }
            }
        }
    };
}

same_cases!(BackendKind { Memory Jsonl Postgres Auto Null }, control::Backend, Backend);
same_cases!(Active { Memory Jsonl Postgres Spool Null }, control::Active, Active);
same_cases!(Durability { Buffered Written Synced }, control::Durability, Durability);

impl From<Receipt> for types::Receipt {
    fn from(receipt: Receipt) -> Self {
        Self { accepted: receipt.accepted, chain: receipt.chain.to_string(), first_seq: receipt.first_seq }
    }
}

impl From<Status<'_>> for control::StoreStatus {
    fn from(status: Status<'_>) -> Self {
        let Counts { received, stored, spooled, pending, rejected, dropped } = status.counts;
        let Dropped { invalid, queue_full, unwritable } = dropped;
        let dropped = control::Dropped { invalid, queue_full, unwritable };
        let settings = status.settings;
        Self {
            backend: status.backend.into(),
            since: status.since.to_string(),
            requested: settings.requested.clone(),
            jsonl_dir: status.jsonl_dir().into(),
            durability: settings.durability.into(),
            chain: status.chain.to_string(),
            counts: control::Counts { received, stored, spooled, pending, rejected, dropped },
            mended: status.mended,
            spooled_by_others: status.spooled_by_others,
            last_error: status.last_error.map(String::from),
            warnings: settings.warnings.clone(),
        }
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { index, invalid: Invalid { field, reason } } => {
                Self::Invalid(types::InvalidValue { index, field, reason })
            }
            Error::Incomplete { stored, reason } => {
                Self::Incomplete(types::IncompleteBatch { stored, reason })
            }
            Error::Config(text) => Self::Config(text),
            Error::Access(text) => Self::Access(text),
            Error::Unavailable(text) => Self::Unavailable(text),
            Error::Unanswered(text) => Self::Unanswered(text),
            Error::Other(text) => Self::Other(text),
        }
    }
}
