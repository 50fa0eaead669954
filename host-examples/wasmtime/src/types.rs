//! The data that crosses the boundary. Records are the WIT's own, so that nothing is copied from one shape
//! into another.

use std::fmt;

use audit_format::cursor::{self, Key};
use audit_format::event_fields;
use audit_format::line::Parsed;
use audit_format::query;
use serde::Serialize;

pub use crate::bindings::audit::store::types::{
    Entry, Event, Filter, InvalidValue, JsonlPage, Order, Page, PageRequest, Receipt,
};
pub use crate::bindings::exports::audit::store::control::{Counts, Dropped};

use crate::bindings::exports::audit::store::control::StoreStatus;

audit_format::event_record!(Event);
audit_format::filter_record!(Filter);

/// Where events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The newest events, in memory.
    Memory,
    /// Daily files of JSON lines.
    Jsonl,
    /// The database.
    Postgres,
    /// The database while it answers, else a spool on disk.
    Auto,
    /// Nowhere: auditing is off.
    Null,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Memory, Self::Jsonl, Self::Postgres, Self::Auto, Self::Null];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Jsonl => "jsonl",
            Self::Postgres => "postgres",
            Self::Auto => "auto",
            Self::Null => "null",
        }
    }

    /// The backend of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }

    /// Whether it works on a database.
    pub fn needs_database(self) -> bool {
        matches!(self, Self::Postgres | Self::Auto)
    }
}

/// The backend in use. It is the one that was asked for, but where that is not possible, and under [`Backend::Auto`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Active {
    /// The newest events, in memory.
    Memory,
    /// Daily files of JSON lines.
    Jsonl,
    /// The database.
    Postgres,
    /// A spool on disk, while the database does not answer.
    Spool,
    /// Nowhere: auditing is off.
    Null,
}

impl Active {
    const ALL: [Self; 5] = [Self::Memory, Self::Jsonl, Self::Postgres, Self::Spool, Self::Null];

    /// The name in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Jsonl => "jsonl",
            Self::Postgres => "postgres",
            Self::Spool => "spool",
            Self::Null => "null",
        }
    }
}

impl fmt::Display for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The state of a store. [`AuditStore`](crate::AuditStore) counts each event that was handed to it once,
/// wherever it is: in the host's queue (`pending`), in the component, in a component that was replaced since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The backend in use. Under `auto`: `postgres`, or `spool` while the database does not answer.
    pub backend: Active,
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
    /// Whether the backend is [`Backend::Auto`], with a database.
    pub(crate) fn has_spool(&self) -> bool {
        let in_use = matches!(self.backend, Active::Postgres | Active::Spool);
        in_use && Backend::named(&self.requested) == Some(Backend::Auto)
    }

    pub(crate) fn spooled(&self) -> Spooled {
        Spooled { events: self.counts.spooled, bytes_of_others: self.spooled_by_others }
    }
}

impl From<StoreStatus> for Status {
    fn from(status: StoreStatus) -> Self {
        let backend = Active::ALL.into_iter().find(|active| active.name() == status.backend);
        Self {
            // The component has no other.
            backend: backend.unwrap_or(Active::Null),
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

macro_rules! implement {
    ($(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
        impl Default for Event {
            /// An event without a value in any field; the store gives it the current time.
            fn default() -> Self {
                Self { $($field: Default::default(),)* }
            }
        }

        impl Event {
            /// About how much memory the event takes, in bytes.
            pub(crate) fn size(&self) -> usize {
                let values = [$(audit_format::event::Value::from(&self.$field)),*];
                let texts: usize = values.iter().filter_map(|value| value.text()).map(str::len).sum();
                size_of::<Self>() + texts
            }
        }
    };
}

event_fields!([implement]);

impl Default for Filter {
    /// A filter that every event matches.
    fn default() -> Self {
        query::Filter::default().into()
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

impl From<Order> for cursor::Order {
    fn from(order: Order) -> Self {
        match order {
            Order::OldestFirst => Self::OldestFirst,
            Order::NewestFirst => Self::NewestFirst,
        }
    }
}

impl From<&PageRequest> for query::PageRequest {
    fn from(request: &PageRequest) -> Self {
        Self { order: request.order.into(), limit: request.limit, cursor: request.cursor.clone() }
    }
}

impl From<(Key, Parsed<'_>)> for Entry {
    /// The entry of a row. That of another writer has its position as `seq`.
    fn from((key, Parsed { event, stamp }): (Key, Parsed<'_>)) -> Self {
        let event = event.into();
        match stamp {
            Some(stamp) => Self {
                event,
                id: stamp.id.to_string(),
                chain: stamp.chain.to_string(),
                seq: stamp.seq,
                hash: stamp.hash.into_owned(),
            },
            None => Self {
                event,
                id: String::new(),
                chain: String::new(),
                seq: key.position.offset,
                hash: String::new(),
            },
        }
    }
}
