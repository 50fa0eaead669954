//! The interface `audit:store/postgres` that the component imports: the host's database, if it has one.

use std::time::{Duration, Instant};

use audit_format::query;

use crate::bindings::audit::store::postgres::Host;
pub use crate::bindings::audit::store::postgres::{RefusedRow, SinkError};
use crate::bindings::audit::store::types::{Filter, JsonlPage, PageRequest};
use crate::database::Database;
use crate::state::HostState;

/// An insert that fails after this time counts as one that has waited for the database.
const LONG_WAIT: Duration = Duration::from_millis(100);

impl Host for HostState {
    fn is_configured(&mut self) -> bool {
        self.database.is_some()
    }

    fn insert_batch(&mut self, lines: String) -> Result<Vec<RefusedRow>, SinkError> {
        if self.read_only {
            return Err(SinkError::Other("the store is open for reading only (the option read_only)".into()));
        }
        if self.insert_deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.insert_deadline_missed = true;
            let text = "the database does not take events as fast as they come";
            // This batch is not sent, whatever became of the one before.
            return Err(match &self.unanswered {
                Some(SinkError::Unavailable(text) | SinkError::Unanswered(text)) => {
                    SinkError::Unavailable(text.clone())
                }
                Some(error) => error.clone(),
                None => SinkError::Unavailable(text.into()),
            });
        }
        let asked = Instant::now();
        let answer = self.ask(|database| database.insert(lines));
        self.unanswered = answer.as_ref().err().filter(|_| asked.elapsed() >= LONG_WAIT).cloned();
        answer
    }

    fn select(&mut self, filter: Filter, page: PageRequest) -> Result<JsonlPage, SinkError> {
        let page = self.ask(|database| database.read(query::Filter::from(filter), page.into()))?;
        Ok(page.into())
    }
}

impl HostState {
    /// Asks the database. The time that this takes does not count towards the limit of the call.
    fn ask<T>(&mut self, question: impl FnOnce(&Database) -> Result<T, SinkError>) -> Result<T, SinkError> {
        let database = self.database.as_ref().ok_or(SinkError::NotConfigured)?;
        let asked = Instant::now();
        let answer = question(database);
        self.time.waited += asked.elapsed();
        answer
    }
}
