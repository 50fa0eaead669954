//! The component: implements `audit:store/postgres` with the database that environment or variables name.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;

use audit_format::cursor::Order;
use audit_format::query;
use wasi::cli::environment;
use wasi::cli::stderr::get_stderr;

use crate::address::Address;
use crate::bindings::Spin;
use crate::bindings::audit::store::types;
use crate::bindings::export;
use crate::bindings::exports::audit::store::postgres::{Guest, RefusedRow, SinkError};
use crate::bindings::fermyon::spin::variables;
use crate::database::{Database, Page};
use crate::failure::Error;
use crate::settings::{self, Settings};

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    warn(&format!("audit-store: {info}"));
    core::arch::wasm32::unreachable()
}

/// Writes a line to stderr, of 4096 bytes at most. Errors are ignored: there is nowhere else to report them.
fn warn(line: &str) {
    let line = format!("{line}\n");
    let _ = get_stderr().blocking_write_and_flush(&line.as_bytes()[..line.len().min(4096)]);
}

/// What the settings name.
enum Configured {
    Nothing,
    Database(Database<Spin>),
    /// Something that is no database; why.
    Wrong(SinkError),
}

/// The one database of this instance, once it was asked for.
struct Instance(OnceCell<Configured>);

// SAFETY: a component instance has one thread, and the host does not enter it again before a call returns.
unsafe impl Sync for Instance {}

static INSTANCE: Instance = Instance(OnceCell::new());

fn configured() -> &'static Configured {
    INSTANCE.0.get_or_init(|| {
        let Settings { url, time, warning } = match settings::read(&environment::get_environment(), variable)
        {
            Ok(settings) => settings,
            Err(text) => return Configured::Wrong(SinkError::Unavailable(text)),
        };
        if let Some(warning) = warning {
            warn(&format!("audit-store: {warning}"));
        }
        let Some(url) = url else { return Configured::Nothing };
        match Address::parse(&url, time) {
            Ok(address) => Configured::Database(Database::new(Spin, address, time)),
            Err(text) => Configured::Wrong(SinkError::Other(text)),
        }
    })
}

/// The value of a variable of the application; none: it has no such variable, or this component may not see it.
fn variable(name: &str) -> Result<Option<String>, String> {
    match variables::get(name) {
        Ok(value) => Ok(Some(value)),
        Err(variables::Error::Undefined(_) | variables::Error::InvalidName(_)) => Ok(None),
        Err(variables::Error::Provider(text) | variables::Error::Other(text)) => Err(text),
    }
}

fn ask<T>(question: impl FnOnce(&Database<Spin>) -> Result<T, Error>) -> Result<T, SinkError> {
    match configured() {
        Configured::Nothing => Err(SinkError::NotConfigured),
        Configured::Wrong(error) => Err(error.clone()),
        Configured::Database(database) => Ok(question(database)?),
    }
}

struct Component;

export!(Component with_types_in crate::bindings);

impl Guest for Component {
    fn is_configured() -> bool {
        !matches!(configured(), Configured::Nothing)
    }

    fn insert_batch(lines: String) -> Result<Vec<RefusedRow>, SinkError> {
        let refused = ask(|database| database.insert(&lines))?;
        Ok(refused.into_iter().map(|row| RefusedRow { index: row.index, reason: row.reason }).collect())
    }

    fn select(filter: types::Filter, page: types::PageRequest) -> Result<types::JsonlPage, SinkError> {
        let order = match page.order {
            types::Order::OldestFirst => Order::OldestFirst,
            types::Order::NewestFirst => Order::NewestFirst,
        };
        let request = query::PageRequest { order, limit: page.limit, cursor: page.cursor };
        let Page { lines, count, next, skipped } = ask(|database| database.select(&filter.into(), &request))?;
        Ok(types::JsonlPage { lines, count, next, skipped })
    }
}

impl From<Error> for SinkError {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(text) => Self::Unavailable(text),
            Error::Unanswered(text) => Self::Unanswered(text),
            Error::Other(text) => Self::Other(text),
        }
    }
}
