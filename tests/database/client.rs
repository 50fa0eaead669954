//! The two ways to the component, an `Instance` and an `AuditStore`, behind one type.

use audit_fixtures::{assert_balanced, component, every_page, start};
use audit_host::{
    AuditStore, Counts, Entry, Error, Event, Filter, Instance, Options, Order, PageRequest, Receipt, Status,
};
use audit_testbed::wait_for;

/// How a program uses the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Instance,
    Store,
}

pub const WAYS: [Way; 2] = [Way::Instance, Way::Store];

pub enum Client {
    Instance(Box<Instance>),
    Store(AuditStore),
}

impl Client {
    pub fn open(way: Way, options: Options) -> Self {
        match way {
            Way::Instance => Self::Instance(Box::new(start(&options))),
            Way::Store => Self::Store(AuditStore::open_with(component(), options).expect("a store opens")),
        }
    }

    pub fn write_batch(&mut self, events: &[Event]) -> Result<Receipt, Error> {
        match self {
            Self::Instance(instance) => instance.write_batch(events),
            Self::Store(store) => store.write_batch(events.to_vec()),
        }
    }

    pub fn flush(&mut self) -> Result<(), Error> {
        match self {
            Self::Instance(instance) => instance.flush(),
            Self::Store(store) => store.flush(),
        }
    }

    /// All entries that match, read in pages of this many entries.
    pub fn read_all(&mut self, filter: &Filter, order: Order, limit: u32) -> Vec<Entry> {
        let pages = every_page(order, limit, |request: &PageRequest| {
            let page = match self {
                Self::Instance(instance) => instance.read(filter, request),
                Self::Store(store) => store.read(filter, request.clone()),
            };
            let page = page.expect("a read succeeds");
            assert_eq!(page.skipped, 0);
            page
        });
        pages.into_iter().flat_map(|page| page.entries).collect()
    }

    /// The status. Every event is accounted for in it.
    #[track_caller]
    pub fn status(&mut self) -> Status {
        let status = match self {
            Self::Instance(instance) => instance.status(),
            Self::Store(store) => store.status(),
        };
        let status = status.expect("a status");
        assert_balanced(&status.counts);
        status
    }

    /// Flushes until no event waits in memory or in the spool.
    #[track_caller]
    pub fn settle(&mut self) -> Counts {
        wait_for(|| {
            let flushed = self.flush();
            let status = self.status();
            match flushed {
                Ok(()) if status.counts.pending + status.counts.spooled == 0 => Ok(status.counts),
                flushed => Err(format!("{flushed:?}, {status:?}")),
            }
        })
    }
}
