//! The import `audit:store/postgres`: the host's database, if it has one.

use std::time::Instant;

use crate::bindings::audit::store::postgres::Host;
pub use crate::bindings::audit::store::postgres::{RejectedRow, SinkError};
use crate::database::Database;
use crate::instance::State;
use crate::types::{Entry, Filter, Page, PageRequest};

impl Host for State {
    fn insert_batch(&mut self, entries: Vec<Entry>) -> Result<Vec<RejectedRow>, SinkError> {
        if self.read_only && !entries.is_empty() {
            return Err(SinkError::Other("the store is opened for reading only".into()));
        }
        if self.hurry_at.is_some_and(|at| Instant::now() >= at) {
            self.hurried = true;
            let text = "the database does not take events as fast as they come";
            return Err(SinkError::Unavailable(text.into()));
        }
        self.ask(|database| database.insert(entries))
    }

    fn select(&mut self, filter: Filter, page: PageRequest) -> Result<Page, SinkError> {
        self.ask(|database| database.select(filter, page))
    }
}

impl State {
    /// Asks the database. The component's time does not run meanwhile.
    fn ask<T>(&mut self, question: impl FnOnce(&Database) -> Result<T, SinkError>) -> Result<T, SinkError> {
        let database = self.database.as_ref().ok_or(SinkError::NotConfigured)?;
        let asked = Instant::now();
        let answer = question(database);
        self.time.waited += asked.elapsed();
        answer
    }
}
