//! The data that crosses the boundary between host and component. The records are those that are generated
//! from the WIT, so that nothing is copied from one type into another.

use std::fmt;

use audit_format::attributes;
use audit_format::cursor;
use audit_format::event_fields;
use audit_format::query;
use serde::ser::{Serialize, SerializeMap, Serializer};

pub use crate::bindings::exports::audit::store::control::{Counts, Dropped};
pub use crate::bindings::exports::audit::store::types::{
    Attribute, Entry, Event, Filter, IncompleteBatch, InvalidValue, JsonlPage, Order, Page, PageRequest,
    Receipt,
};

use crate::bindings::audit::store::types as imports;
use crate::bindings::exports::audit::store::control::{self, StoreStatus};

audit_format::event_record!(Event, Attribute);
audit_format::filter_record!(Filter);

/// The types that the component's imports use: the same as those of its exports, for the generated code others.
mod imported {
    use crate::bindings::audit::store::types;

    audit_format::event_record!(types::Event, types::Attribute);
    audit_format::filter_record!(types::Filter);
}

/// Declares an enum of the WIT with the names of its cases, which options, the status and JSON have.
macro_rules! named {
    ($(#[$about:meta])* $name:ident { $($(#[$case_about:meta])* $case:ident $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$case_about])* $case,)*
        }

        impl $name {
            /// All cases.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$case),*];

            /// The name in the options, the variables and the status.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $text,)*
                }
            }

            /// The case of this name. `None` if there is none.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|case| case.name() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl From<control::$name> for $name {
            fn from(case: control::$name) -> Self {
                match case {
                    $(control::$name::$case => Self::$case,)*
                }
            }
        }

        impl From<$name> for control::$name {
            fn from(case: $name) -> Self {
                match case {
                    $($name::$case => Self::$case,)*
                }
            }
        }
    };
}

named! {
    /// The backend that a store is asked to use, which says where events are kept.
    Backend {
        /// `memory`: the newest events, in the component's memory. They end with the store.
        Memory "memory",
        /// `jsonl`: daily files of JSON lines.
        Jsonl "jsonl",
        /// `postgres`: the database alone.
        Postgres "postgres",
        /// `auto`: the database while it answers, else a spool on disk that is drained into it later.
        Auto "auto",
        /// `null`: events are discarded, because auditing is off.
        Null "null",
    }
}

impl Backend {
    /// Whether the backend needs a database.
    pub fn needs_database(self) -> bool {
        matches!(self, Self::Postgres | Self::Auto)
    }
}

named! {
    /// What a store uses at the moment. This differs from the requested [`Backend`] under [`Backend::Auto`], and where
    /// the requested one cannot be used.
    Active {
        /// The component's memory, which keeps the newest events.
        Memory "memory",
        /// Daily files of JSON lines.
        Jsonl "jsonl",
        /// The database.
        Postgres "postgres",
        /// Under [`Backend::Auto`]: a spool on disk, while the database does not answer.
        Spool "spool",
        /// Nothing: events are discarded, because auditing is off.
        Null "null",
    }
}

named! {
    /// When an event counts as stored in a file.
    Durability {
        /// `buffered`: once it is in memory; the next flush writes it.
        Buffered "buffered",
        /// `written`: once the operating system has it.
        Written "written",
        /// `synced`: once the disk has it.
        Synced "synced",
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
/// store.write(Event { tool: "x".repeat(5000), ..Event::default() });
///
/// let Status { backend, counts, mended, .. } = store.status()?;
/// assert_eq!(backend, Active::Memory);
/// // The second event is recorded too, with a shorter text.
/// assert_eq!((counts.received, counts.stored, mended), (2, 2, 1));
/// let parts = counts.stored + counts.spooled + counts.pending + counts.rejected;
/// let dropped = counts.dropped.invalid + counts.dropped.queue_full + counts.dropped.unwritable;
/// assert_eq!(counts.received, parts + dropped);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
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
    /// When an event counts as stored in a file.
    pub durability: Durability,
    /// The chain of the instance in use: a UUIDv7.
    pub chain: String,
    /// What became of the events. At every moment `received` is the sum of the others.
    pub counts: Counts,
    /// How many of the events that were taken differ from what was sent: a text was cut, a character or a `ts` replaced, a
    /// number rounded.
    pub mended: u64,
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
        Self {
            backend: status.backend.into(),
            since: status.since,
            requested: status.requested,
            jsonl_dir: status.jsonl_dir,
            durability: status.durability.into(),
            chain: status.chain,
            counts: status.counts,
            mended: status.mended,
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
                Self { $($field: Default::default(),)* attributes: Vec::new() }
            }
        }

        impl Serialize for Event {
            /// The JSON object that [`Handle::write_jsonl`](crate::Handle::write_jsonl) accepts.
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut map = to.serialize_map(None)?;
                self.put(&mut map)?;
                map.end()
            }
        }

        impl Event {
            /// Adds its members, in the order of the stored line.
            fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                $(map.serialize_entry(stringify!($field), &self.$field)?;)*
                if !self.attributes.is_empty() {
                    map.serialize_entry(attributes::NAME, &Pairs(&self.attributes))?;
                }
                Ok(())
            }

            /// Roughly how much memory the event takes, in bytes.
            pub(crate) fn size(&self) -> usize {
                let values = [$(audit_format::event::Value::from(&self.$field)),*];
                let texts: usize = values.iter().filter_map(|value| value.text()).map(str::len).sum();
                let attribute = |pair: &Attribute| size_of::<Attribute>() + pair.key.len() + pair.value.len();
                size_of::<Self>() + texts + self.attributes.iter().map(attribute).sum::<usize>()
            }
        }
    };
}

event_fields!([implement]);

/// Attributes as a JSON object.
struct Pairs<'a>(&'a [Attribute]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|Attribute { key, value }| (key, value)))
    }
}

impl Serialize for Entry {
    /// The JSON object of the stored line.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        self.event.put(&mut map)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("chain", &self.chain)?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("hash", &self.hash)?;
        map.end()
    }
}

/// Implements `Serialize` for a record of counts, with its fields as members.
macro_rules! counts {
    ($record:ident: $($field:ident)*) => {
        impl Serialize for $record {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut map = to.serialize_map(None)?;
                $(map.serialize_entry(stringify!($field), &self.$field)?;)*
                map.end()
            }
        }
    };
}

counts!(Counts: received stored spooled pending rejected dropped);
counts!(Dropped: invalid queue_full unwritable);

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

impl From<imports::PageRequest> for PageRequest {
    fn from(request: imports::PageRequest) -> Self {
        let order = match request.order {
            imports::Order::OldestFirst => Order::OldestFirst,
            imports::Order::NewestFirst => Order::NewestFirst,
        };
        Self { order, limit: request.limit, cursor: request.cursor }
    }
}

impl From<JsonlPage> for imports::JsonlPage {
    fn from(page: JsonlPage) -> Self {
        Self { lines: page.lines, count: page.count, next: page.next, skipped: page.skipped }
    }
}
