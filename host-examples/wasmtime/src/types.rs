//! The data that crosses the boundary. Records are the WIT's own, so that nothing is copied from one shape
//! into another.

use serde::Serialize;

pub use crate::bindings::audit::store::types::{
    Entry, Event, Filter, InvalidValue, JsonlPage, Order, Page, PageRequest, Receipt,
};
pub use crate::bindings::exports::audit::store::control::{Counts, Dropped};

use crate::bindings::exports::audit::store::control::StoreStatus;

/// The state of a store. [`AuditStore`](crate::AuditStore) counts each event that was handed to it once,
/// wherever it is: in the host's queue (`pending`), in the component, in a component that was replaced since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The backend in use. Under `auto`: `postgres`, or `spool` while the database does not answer.
    pub backend: String,
    /// Since when it is in use: RFC 3339 in UTC.
    pub since: String,
    /// The backend that was asked for, where another is in use; else the same.
    pub requested: String,
    /// The folder of the daily files, or of the spool; empty where the backend has none.
    pub jsonl_dir: String,
    /// `buffered`, `written` or `synced`.
    pub durability: String,
    /// The chain of the instance in use, a UUIDv7.
    pub chain: String,
    /// What became of the events. At every moment `received` is the sum of the others.
    pub counts: Counts,
    /// Under `auto`: how many bytes other instances, that ended or use the same folder, have left in spool files
    /// and this one has not handed to the database yet.
    pub spooled_by_others: u64,
    /// The last thing that went wrong, with its time.
    pub last_error: Option<String>,
    /// What is wrong with the configuration, and what is done instead.
    pub warnings: Vec<String>,
    /// How often the component was replaced by a new instance, because it stopped or its folder was gone.
    pub restarts: u64,
}

/// How much is in the spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spooled {
    /// Events of the instance in use.
    events: u64,
    /// Bytes of other instances, whose turn is later.
    bytes_of_others: u64,
}

impl Status {
    pub(crate) fn spooled(&self) -> Spooled {
        Spooled { events: self.counts.spooled, bytes_of_others: self.spooled_by_others }
    }
}

impl From<StoreStatus> for Status {
    fn from(status: StoreStatus) -> Self {
        Self {
            backend: status.backend,
            since: status.since,
            requested: status.requested,
            jsonl_dir: status.jsonl_dir,
            durability: status.durability,
            chain: status.chain,
            counts: status.counts,
            spooled_by_others: status.spooled_by_others,
            last_error: status.last_error,
            warnings: status.warnings,
            restarts: 0,
        }
    }
}

impl Default for Event {
    /// An event without a value in any field; the store gives it the current time.
    fn default() -> Self {
        Self {
            ts: String::new(),
            req_id: String::new(),
            workspace_id: String::new(),
            user_id: String::new(),
            agent_id: String::new(),
            tool: String::new(),
            action: String::new(),
            status: String::new(),
            duration_ms: 0,
            in_size: 0,
            out_size: 0,
            input_hash: String::new(),
            graph_run_id: None,
            graph_node: None,
            job_id: None,
        }
    }
}

impl Event {
    /// About how much memory the event takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let texts = [
            &self.ts,
            &self.req_id,
            &self.workspace_id,
            &self.user_id,
            &self.agent_id,
            &self.tool,
            &self.action,
            &self.status,
            &self.input_hash,
        ];
        let options = [&self.graph_run_id, &self.graph_node, &self.job_id];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        let options: usize = options.iter().filter_map(|text| text.as_ref()).map(String::len).sum();
        size_of::<Self>() + texts + options
    }
}

impl Default for Filter {
    /// A filter that every event matches.
    fn default() -> Self {
        Self {
            from_ts: None,
            to_ts: None,
            tool: None,
            agent_id: None,
            workspace_id: None,
            user_id: None,
            action: None,
            status: None,
            req_id: None,
            graph_run_id: None,
            graph_node: None,
            job_id: None,
        }
    }
}

impl Default for PageRequest {
    /// The first page of the store's default size, oldest first.
    fn default() -> Self {
        Self { order: Order::OldestFirst, limit: 0, cursor: None }
    }
}

impl Default for Dropped {
    /// None.
    fn default() -> Self {
        Self { invalid: 0, queue_full: 0, unwritable: 0 }
    }
}

impl Default for Counts {
    /// All zero.
    fn default() -> Self {
        Self { received: 0, stored: 0, spooled: 0, pending: 0, rejected: 0, dropped: Dropped::default() }
    }
}
