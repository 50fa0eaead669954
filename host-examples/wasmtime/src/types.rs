//! The data that crosses the boundary between host and component. The records are those that are generated
//! from the WIT, so that nothing is copied from one type into another.

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

/// The backend that a store is asked to use, which says where events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// `memory`: the newest events, in the component's memory. They end with the store.
    Memory,
    /// `jsonl`: daily files of JSON lines.
    Jsonl,
    /// `postgres`: the database alone.
    Postgres,
    /// `auto`: the database while it answers, else a spool on disk that is drained into it later.
    Auto,
    /// `null`: events are discarded, because auditing is off.
    Null,
}

impl Backend {
    /// All backends.
    pub const ALL: [Self; 5] = [Self::Memory, Self::Jsonl, Self::Postgres, Self::Auto, Self::Null];

    /// The name of the backend in the options and in `AUDIT_BACKEND`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Jsonl => "jsonl",
            Self::Postgres => "postgres",
            Self::Auto => "auto",
            Self::Null => "null",
        }
    }

    /// The backend with this name. `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }

    /// Whether the backend needs a database.
    pub fn needs_database(self) -> bool {
        matches!(self, Self::Postgres | Self::Auto)
    }
}

/// What a store uses at the moment. This differs from the requested [`Backend`] under [`Backend::Auto`], and
/// where the requested one cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Active {
    /// The component's memory, which keeps the newest events.
    Memory,
    /// Daily files of JSON lines.
    Jsonl,
    /// The database.
    Postgres,
    /// Under [`Backend::Auto`]: a spool on disk, while the database does not answer.
    Spool,
    /// Nothing: events are discarded, because auditing is off.
    Null,
}

impl Active {
    const ALL: [Self; 5] = [Self::Memory, Self::Jsonl, Self::Postgres, Self::Spool, Self::Null];

    /// The name that the status and JSON have.
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

/// The state of a store. An [`AuditStore`](crate::AuditStore) counts each event that was passed to it once,
/// wherever it is: in the host's queue (as `pending`), in the component, or in a component that was replaced.
///
/// ```
/// use audit_host::{Active, AuditStore, Event, Options, Status};
///
/// # fn main() -> Result<(), audit_host::Error> {
/// let store = AuditStore::open(Options::new().backend("memory"))?;
/// store.write(Event { tool: "search".into(), ..Event::default() });
/// store.write(Event { tool: "no\nline breaks".into(), ..Event::default() });
///
/// let Status { backend, counts, .. } = store.status()?;
/// assert_eq!(backend, Active::Memory);
/// assert_eq!((counts.received, counts.stored, counts.dropped.invalid), (2, 1, 1));
/// let parts = counts.stored + counts.spooled + counts.pending + counts.rejected;
/// let dropped = counts.dropped.invalid + counts.dropped.queue_full + counts.dropped.unwritable;
/// assert_eq!(counts.received, parts + dropped);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// What the store uses now. Under `auto`: the database, or the spool while the database does not answer.
    pub backend: Active,
    /// Since when it uses that: RFC 3339 in UTC.
    pub since: String,
    /// The name of the backend that was asked for, by the option, else by the variable, else by default. A
    /// variable may have a name that is unknown; the store then uses `jsonl`.
    pub requested: String,
    /// The folder of the daily files or of the spool. Empty if the backend keeps no files.
    pub jsonl_dir: String,
    /// When an event counts as stored in a file: `buffered`, `written` or `synced`.
    pub durability: String,
    /// The chain of the instance in use: a UUIDv7.
    pub chain: String,
    /// What became of the events. At every moment `received` is the sum of the others.
    pub counts: Counts,
    /// Under `auto`: the bytes that this instance has still to drain from spool files of other instances,
    /// which have ended or use the same folder.
    pub spooled_by_others: u64,
    /// The last error: its time as RFC 3339 in UTC, a space, and the text.
    pub last_error: Option<String>,
    /// What is invalid in the configuration, and what is used instead.
    pub warnings: Vec<String>,
    /// How often a new instance has replaced the component, because it stopped or its folder was gone.
    pub restarts: u64,
}

/// How much there is to drain. Values compare by what the instance in use has, then by what others have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spooled {
    /// Events that the instance in use has spooled.
    events: u64,
    /// Bytes that other instances have spooled. They are drained after the own events.
    bytes_of_others: u64,
}

impl Status {
    /// Whether the backend is [`Backend::Auto`] with a database, so that events may go to a spool.
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
            // The component is built from the same sources and sends no other name.
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
            /// An event with no value in any field. The store sets its `ts` to the current time.
            fn default() -> Self {
                Self { $($field: Default::default(),)* }
            }
        }

        impl Event {
            /// Roughly how much memory the event takes, in bytes.
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
    /// A filter that matches every event.
    fn default() -> Self {
        query::Filter::default().into()
    }
}

impl Default for PageRequest {
    /// The first page, of up to 50 000 entries, the oldest first.
    fn default() -> Self {
        Self { order: Order::OldestFirst, limit: 0, cursor: None }
    }
}

impl Default for Dropped {
    /// All zero.
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
    /// The entry of a row. A row of another writer has no `seq`, so the entry gets the row's position
    /// instead.
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
