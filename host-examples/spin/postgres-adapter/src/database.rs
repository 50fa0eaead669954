//! The database: what the store asks of it, each time on a connection of Spin's pool that begins with the settings that the
//! statements need.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use audit_format::query::{Filter, PageRequest};
use audit_sql::key::Key;

use crate::address::Address;
use crate::failure::{Error, of_nothing_stored};
use crate::insert;
use crate::link::{Connection as _, Driver};
use crate::select;

/// How much longer a statement of a read may take than one that writes.
const READ_TIME: Duration = Duration::from_secs(10);

/// A row that the database refused, while the others of its batch were stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The position in the batch, from 0.
    pub index: u32,
    /// Why, without the values of the row.
    pub reason: String,
}

/// Some of the matching entries: the WIT record `jsonl-page`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries, each as a JSON line with a newline.
    pub lines: String,
    /// How many lines there are.
    pub count: u32,
    /// The cursor of the next page; none: this is the last.
    pub next: Option<String>,
    /// How many rows were passed over.
    pub skipped: u64,
}

/// The database at an address.
pub struct Database<D> {
    pub(crate) driver: D,
    pub(crate) address: Address,
    /// How long a statement that writes may take.
    time: Duration,
    /// The key of the table, as far as it is known.
    pub(crate) key: RefCell<Key>,
}

impl<D: Driver> Database<D> {
    /// The database at this address, of which a statement that writes may take this time. This does not connect.
    pub fn new(driver: D, address: Address, time: Duration) -> Self {
        Self { driver, address, time, key: RefCell::default() }
    }

    /// Stores the entries, each as its JSON line with a newline, in their order. Returns those that the database refuses.
    ///
    /// # Errors
    /// As the WIT function `insert-batch`.
    pub fn insert(&self, lines: &str) -> Result<Vec<Refused>, Error> {
        insert::batch(self, lines)
    }

    /// A page of the entries that match.
    ///
    /// # Errors
    /// As the WIT function `select`.
    pub fn select(&self, filter: &Filter, request: &PageRequest) -> Result<Page, Error> {
        select::page(self, filter, request)
    }

    /// A connection whose session has the settings for statements that write.
    pub(crate) fn writes(&self) -> Result<D::Connection, Error> {
        self.session(self.time)
    }

    /// A connection whose session has the settings for statements that read.
    pub(crate) fn reads(&self) -> Result<D::Connection, Error> {
        self.session(self.time + READ_TIME)
    }

    fn session(&self, time: Duration) -> Result<D::Connection, Error> {
        let failed = |fault| of_nothing_stored(&fault, &self.address);
        let connection = self.driver.open(self.address.secret_text()).map_err(failed)?;
        connection.query(&settings(time), &[]).map_err(failed)?;
        Ok(connection)
    }
}

/// The statement with which a session begins. Spin resets a session before it gives it to somebody again, so each use begins
/// anew. The server itself ends a statement that takes too long: a component cannot wait for a limited time. A `pg_catalog`
/// that the search path names is taken out of it, so that it comes first.
fn settings(time: Duration) -> String {
    let millis = time.as_millis().clamp(1, i32::MAX as u128);
    format!(
        "SELECT pg_catalog.set_config('statement_timeout', '{millis}', false),
                pg_catalog.set_config('lock_timeout', '{millis}', false),
                pg_catalog.set_config('TimeZone', 'UTC', false),
                pg_catalog.set_config('DateStyle', 'ISO, MDY', false),
                pg_catalog.set_config('standard_conforming_strings', 'on', false),
                pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
                pg_catalog.set_config('plan_cache_mode', 'force_custom_plan', false),
                CASE WHEN 'pg_catalog' OPERATOR(pg_catalog.=) ANY (pg_catalog.current_schemas(false))
                THEN pg_catalog.set_config('search_path', pg_catalog.array_to_string(ARRAY(
                    SELECT pg_catalog.quote_ident(schema)
                    FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path (schema, place)
                    WHERE schema OPERATOR(pg_catalog.<>) 'pg_catalog'
                    ORDER BY place
                ), ', '), false) END"
    )
}
