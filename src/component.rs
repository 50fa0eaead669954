//! The component: meets the WIT, and nothing else.

use crate::error::{Error, Invalid};
use crate::event::{Event, TextField};
use crate::query::{Filter, Order, PageRequest};
use crate::settings::Config;
use crate::store::{self, Receipt, Store};
use crate::wasi::{Wasi, warn};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use exports::audit::store::{control, reader, writer};

#[cfg(feature = "postgres")]
wit_bindgen::generate!({ path: "wit", world: "full" });
#[cfg(not(feature = "postgres"))]
wit_bindgen::generate!({ path: "wit", world: "local" });

use audit::store::types;

#[cfg(feature = "postgres")]
mod database;
#[cfg(feature = "postgres")]
pub use database::{insert, select};

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    warn(&format!("audit-store: {info}"));
    core::arch::wasm32::unreachable()
}

/// The one store of this instance.
struct Instance(RefCell<Option<Store<Wasi>>>);

// SAFETY: an instance has one thread, and is not entered again before a call returns.
unsafe impl Sync for Instance {}

static STORE: Instance = Instance(RefCell::new(None));

fn with_store<T>(call: impl FnOnce(&mut Store<Wasi>) -> T) -> T {
    let mut store = STORE.0.borrow_mut();
    call(store.get_or_insert_with(|| Store::new(Wasi::default())))
}

struct Component;

export!(Component);

impl writer::Guest for Component {
    fn write(event: types::Event) {
        with_store(|store| store.write(event.into()));
    }

    fn write_batch(events: Vec<types::Event>) -> Result<types::Receipt, types::Error> {
        let events = events.into_iter().map(Event::from).collect();
        Ok(with_store(|store| store.write_batch(events))?.into())
    }

    fn write_jsonl(lines: String) -> Result<types::Receipt, types::Error> {
        Ok(with_store(|store| store.write_jsonl(&lines))?.into())
    }

    fn flush() -> Result<(), types::Error> {
        Ok(with_store(Store::flush)?)
    }
}

impl reader::Guest for Component {
    fn read(filter: types::Filter, page: types::PageRequest) -> Result<types::Page, types::Error> {
        let page = with_store(|store| store.read(filter.into(), &page.into()))?;
        let entries = page.entries.iter().map(|kept| Ok(kept.entry()?.into()));
        let entries = entries.collect::<Result<_, Invalid>>().map_err(Error::from)?;
        Ok(types::Page { entries, next: page.next, skipped: page.skipped })
    }

    fn read_jsonl(filter: types::Filter, page: types::PageRequest) -> Result<types::JsonlPage, types::Error> {
        let page = with_store(|store| store.read(filter.into(), &page.into()))?;
        Ok(types::JsonlPage {
            lines: page.jsonl(),
            count: u32::try_from(page.entries.len()).unwrap_or(u32::MAX),
            next: page.next,
            skipped: page.skipped,
        })
    }
}

impl control::Guest for Component {
    fn configure(config: control::Config) -> Result<(), types::Error> {
        Ok(with_store(|store| store.configure(&config.into()))?)
    }

    fn status() -> control::StoreStatus {
        with_store(|store| store.status().into())
    }

    fn close() -> Result<(), types::Error> {
        Ok(with_store(Store::close)?)
    }
}

impl From<types::Event> for Event<'static> {
    fn from(event: types::Event) -> Self {
        Self {
            ts: Cow::Owned(event.ts),
            req_id: Cow::Owned(event.req_id),
            workspace_id: Cow::Owned(event.workspace_id),
            user_id: Cow::Owned(event.user_id),
            agent_id: Cow::Owned(event.agent_id),
            tool: Cow::Owned(event.tool),
            action: Cow::Owned(event.action),
            status: Cow::Owned(event.status),
            duration_ms: event.duration_ms,
            in_size: event.in_size,
            out_size: event.out_size,
            input_hash: Cow::Owned(event.input_hash),
            graph_run_id: event.graph_run_id.map(Cow::Owned),
            graph_node: event.graph_node.map(Cow::Owned),
            job_id: event.job_id.map(Cow::Owned),
        }
    }
}

impl From<Event<'_>> for types::Event {
    fn from(event: Event<'_>) -> Self {
        Self {
            ts: event.ts.into(),
            req_id: event.req_id.into(),
            workspace_id: event.workspace_id.into(),
            user_id: event.user_id.into(),
            agent_id: event.agent_id.into(),
            tool: event.tool.into(),
            action: event.action.into(),
            status: event.status.into(),
            duration_ms: event.duration_ms,
            in_size: event.in_size,
            out_size: event.out_size,
            input_hash: event.input_hash.into(),
            graph_run_id: event.graph_run_id.map(Cow::into_owned),
            graph_node: event.graph_node.map(Cow::into_owned),
            job_id: event.job_id.map(Cow::into_owned),
        }
    }
}

impl From<crate::line::Parsed<'_>> for types::Entry {
    fn from(parsed: crate::line::Parsed<'_>) -> Self {
        let event = parsed.event.into();
        match parsed.stamp {
            Some(stamp) => Self {
                event,
                id: stamp.id.to_string(),
                chain: stamp.chain.to_string(),
                seq: stamp.seq,
                hash: stamp.hash.into(),
            },
            None => Self { event, id: String::new(), chain: String::new(), seq: 0, hash: String::new() },
        }
    }
}

impl From<types::Filter> for Filter {
    fn from(filter: types::Filter) -> Self {
        let texts = [
            (TextField::Tool, filter.tool),
            (TextField::AgentId, filter.agent_id),
            (TextField::WorkspaceId, filter.workspace_id),
            (TextField::UserId, filter.user_id),
            (TextField::Action, filter.action),
            (TextField::Status, filter.status),
            (TextField::ReqId, filter.req_id),
            (TextField::GraphRunId, filter.graph_run_id),
            (TextField::GraphNode, filter.graph_node),
            (TextField::JobId, filter.job_id),
        ];
        let texts = texts.into_iter().filter_map(|(field, text)| Some((field, text?))).collect();
        Self { from_ts: filter.from_ts, to_ts: filter.to_ts, texts }
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
            backend: config.backend,
            jsonl_dir: config.jsonl_dir,
            durability: config.durability,
            memory_limit: config.memory_limit,
            batch_size: config.batch_size,
            flush_interval_ms: config.flush_interval_ms,
            queue_limit: config.queue_limit,
            recovery_interval_s: config.recovery_interval_s,
        }
    }
}

impl From<Receipt> for types::Receipt {
    fn from(receipt: Receipt) -> Self {
        Self { accepted: receipt.accepted, chain: receipt.chain.to_string(), first_seq: receipt.first_seq }
    }
}

impl From<store::Status<'_>> for control::StoreStatus {
    fn from(status: store::Status<'_>) -> Self {
        let store::Counts { received, stored, spooled, pending, rejected, dropped } = status.counts;
        let store::Dropped { invalid, queue_full, unwritable } = dropped;
        let dropped = control::Dropped { invalid, queue_full, unwritable };
        let settings = status.settings;
        Self {
            backend: status.backend.into(),
            since: status.since.to_string(),
            requested: settings.requested.clone(),
            jsonl_dir: status.jsonl_dir().into(),
            durability: settings.durability.name().into(),
            chain: status.chain.to_string(),
            counts: control::Counts { received, stored, spooled, pending, rejected, dropped },
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
            Error::Config(text) => Self::Config(text),
            Error::Access(text) => Self::Access(text),
            Error::Unavailable(text) => Self::Unavailable(text),
            Error::Other(text) => Self::Other(text),
        }
    }
}
