//! The import `audit:store/postgres`: this host keeps no database, and says so.

use crate::bindings::audit::store::postgres::{Host, RejectedRow, SinkError};
use crate::instance::State;
use crate::types::{Entry, Filter, Page, PageRequest};

impl Host for State {
    fn insert_batch(&mut self, _entries: Vec<Entry>) -> Result<Vec<RejectedRow>, SinkError> {
        Err(SinkError::NotConfigured)
    }

    fn select(&mut self, _filter: Filter, _page: PageRequest) -> Result<Page, SinkError> {
        Err(SinkError::NotConfigured)
    }
}
