//! The store for Spin, called directly, as the tests of the contract call every host.

use std::sync::Arc;

use audit_format::event;
use audit_format::query;
use audit_host::{
    Backend, Counts, Dropped, Entry, Error, Event, Filter, IncompleteBatch, InvalidValue, JsonlPage, Order,
    Page, PageRequest, Receipt,
};
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

use crate::app::{Code, Settings, engine};
use crate::bindings::store::exports::audit::store::{control, types};
use crate::bindings::store::{Local, LocalPre};
use crate::state::{State, link};

/// The state of a store, as far as it is the same in every host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The name of the backend in use.
    pub backend: String,
    /// How many events differ from what was sent.
    pub mended: u64,
    /// What became of the events.
    pub counts: Counts,
}

/// An instance of the store for Spin: `audit-store-spin.wasm`.
pub struct SpinStore {
    store: Store<State>,
    exports: Local,
}

/// The store for Spin, compiled.
#[derive(Clone)]
pub struct Compiled(LocalPre<State>);

impl Compiled {
    /// Compiles it.
    ///
    /// # Errors
    /// [`Error::Start`] where it is no such component, or imports what Spin does not offer.
    pub fn new(component: &[u8], code: Code) -> Result<Self, Error> {
        let compile = || -> wasmtime::Result<LocalPre<State>> {
            let engine = engine(code)?;
            let mut linker = Linker::new(&engine);
            link(&mut linker)?;
            LocalPre::new(linker.instantiate_pre(&Component::new(&engine, component)?)?)
        };
        compile().map(Self).map_err(|error| Error::Start(format!("{error:#}")))
    }
}

impl SpinStore {
    /// Starts an instance with a backend that Spin can have: `postgres`, `memory` or `null`.
    ///
    /// # Errors
    /// [`Error::Start`] where the component cannot be started.
    pub fn open(component: &Compiled, backend: Backend, database_url: Option<&str>) -> Result<Self, Error> {
        let mut settings = Settings::default().env("AUDIT_BACKEND", backend.name());
        if let Some(url) = database_url {
            settings = settings.env("DATABASE_URL", url);
            settings.allowed.extend(address(url));
        }
        // A busy machine may need longer than the default.
        Self::start(component, &settings.env("AUDIT_DATABASE_TIMEOUT_MS", "20000"))
    }

    /// Starts an instance with these settings.
    ///
    /// # Errors
    /// As [`SpinStore::open`].
    pub fn start(component: &Compiled, settings: &Settings) -> Result<Self, Error> {
        let start = || -> wasmtime::Result<Self> {
            let mut store = Store::new(component.0.engine(), settings.state(&Arc::default())?);
            let exports = component.0.instantiate(&mut store)?;
            Ok(Self { store, exports })
        };
        start().map_err(|error| Error::Start(format!("{error:#}")))
    }

    /// Records an event. The component never fails; a trap does.
    ///
    /// # Errors
    /// [`Error::Trap`].
    pub fn write(&mut self, event: &Event) -> Result<(), Error> {
        let event = event::Event::from(event.clone()).into();
        self.exports.audit_store_writer().call_write(&mut self.store, &event).map_err(trap)
    }

    /// Records a batch.
    ///
    /// # Errors
    /// Those of the WIT, and [`Error::Trap`].
    pub fn write_batch(&mut self, events: &[Event]) -> Result<Receipt, Error> {
        let events: Vec<types::Event> =
            events.iter().map(|event| event::Event::from(event.clone()).into()).collect();
        let receipt = self.exports.audit_store_writer().call_write_batch(&mut self.store, &events);
        Ok(answered(receipt)?.into())
    }

    /// Records JSON lines.
    ///
    /// # Errors
    /// As [`SpinStore::write_batch`].
    pub fn write_jsonl(&mut self, lines: &str) -> Result<Receipt, Error> {
        let receipt = self.exports.audit_store_writer().call_write_jsonl(&mut self.store, lines);
        Ok(answered(receipt)?.into())
    }

    /// Sends what waits in memory.
    ///
    /// # Errors
    /// As [`SpinStore::write_batch`].
    pub fn flush(&mut self) -> Result<(), Error> {
        answered(self.exports.audit_store_writer().call_flush(&mut self.store))
    }

    /// Reads a page.
    ///
    /// # Errors
    /// As [`SpinStore::write_batch`].
    pub fn read(&mut self, filter: &Filter, request: &PageRequest) -> Result<Page, Error> {
        let (filter, request) = (asked(filter), request.into());
        let page = answered(self.exports.audit_store_reader().call_read(&mut self.store, &filter, &request))?;
        let entries = page.entries.into_iter().map(Entry::from).collect();
        Ok(Page { entries, next: page.next, skipped: page.skipped })
    }

    /// Reads a page as JSON lines.
    ///
    /// # Errors
    /// As [`SpinStore::write_batch`].
    pub fn read_jsonl(&mut self, filter: &Filter, request: &PageRequest) -> Result<JsonlPage, Error> {
        let (filter, request) = (asked(filter), request.into());
        let page = self.exports.audit_store_reader().call_read_jsonl(&mut self.store, &filter, &request);
        let types::JsonlPage { lines, count, next, skipped } = answered(page)?;
        Ok(JsonlPage { lines, count, next, skipped })
    }

    /// The state of the store.
    ///
    /// # Errors
    /// As [`SpinStore::write_batch`].
    pub fn status(&mut self) -> Result<Status, Error> {
        let status = answered(self.exports.audit_store_control().call_status(&mut self.store))?;
        let control::Counts { received, stored, spooled, pending, rejected, dropped } = status.counts;
        let control::Dropped { invalid, queue_full, unwritable } = dropped;
        let dropped = Dropped { invalid, queue_full, unwritable };
        Ok(Status {
            backend: format!("{:?}", status.backend).to_lowercase().replace("active::", ""),
            mended: status.mended,
            counts: Counts { received, stored, spooled, pending, rejected, dropped },
        })
    }

    /// Closes the store.
    ///
    /// # Errors
    /// As [`SpinStore::write_batch`].
    pub fn close(&mut self) -> Result<(), Error> {
        answered(self.exports.audit_store_control().call_close(&mut self.store))
    }
}

/// The `HOST:PORT` of a URL.
fn address(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?']).next()?;
    Some(authority.rsplit('@').next()?.to_owned())
}

fn trap(error: wasmtime::Error) -> Error {
    Error::Trap(format!("{error:#}"))
}

fn answered<T>(answer: wasmtime::Result<Result<T, types::Error>>) -> Result<T, Error> {
    Ok(answer.map_err(trap)??)
}

fn asked(filter: &Filter) -> types::Filter {
    query::Filter::from(filter.clone()).into()
}

impl From<&PageRequest> for types::PageRequest {
    fn from(request: &PageRequest) -> Self {
        let order = match request.order {
            Order::OldestFirst => types::Order::OldestFirst,
            Order::NewestFirst => types::Order::NewestFirst,
        };
        Self { order, limit: request.limit, cursor: request.cursor.clone() }
    }
}

impl From<types::Receipt> for Receipt {
    fn from(receipt: types::Receipt) -> Self {
        Self { accepted: receipt.accepted, chain: receipt.chain, first_seq: receipt.first_seq }
    }
}

impl From<types::Entry> for Entry {
    fn from(entry: types::Entry) -> Self {
        let event: Event = event::Event::from(entry.event).into();
        Self { event, id: entry.id, chain: entry.chain, seq: entry.seq, hash: entry.hash }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Invalid(value) => {
                Self::Invalid(InvalidValue { index: value.index, field: value.field, reason: value.reason })
            }
            types::Error::Incomplete(batch) => {
                Self::Incomplete(IncompleteBatch { stored: batch.stored, reason: batch.reason })
            }
            types::Error::Config(text) => Self::Config(text),
            types::Error::Access(text) => Self::Access(text),
            types::Error::Unavailable(text) => Self::Unavailable(text),
            types::Error::Unanswered(text) => Self::Unanswered(text),
            types::Error::Other(text) => Self::Other(text),
        }
    }
}
