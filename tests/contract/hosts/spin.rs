//! The component for Spin, in a host with Spin's interfaces.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use audit_fixtures::{event_from_json, filter_from_json};
use audit_host::{Error, JsonlPage, Page, PageRequest};
use audit_spin_host::{Code, Compiled, SpinStore};
use serde_json::Value;

use super::{Opener, Opening, Status, Store};

pub fn start() -> Box<dyn Opener> {
    Box::new(Spin)
}

struct Spin;

impl Opener for Spin {
    fn open(&mut self, opening: &Opening<'_>) -> Box<dyn Store + '_> {
        let opened = SpinStore::open(component(), opening.backend, opening.database_url);
        Box::new(opened.expect("an instance starts"))
    }
}

/// The component. Each test process compiles it once.
fn component() -> &'static Compiled {
    static COMPONENT: OnceLock<Compiled> = OnceLock::new();
    COMPONENT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
        let [store, _] = xtask::spin::artifacts(xtask::root(), target).expect("the components build");
        let binary = fs::read(store).expect("the artifact is there");
        Compiled::new(&binary, Code::Plain).expect("the component loads")
    })
}

impl Store for SpinStore {
    fn write(&mut self, event: &Value) {
        SpinStore::write(self, &event_from_json(event)).expect("it is recorded");
    }

    fn write_batch(&mut self, events: &[Value]) -> Result<(), Error> {
        SpinStore::write_batch(self, &events.iter().map(event_from_json).collect::<Vec<_>>()).map(drop)
    }

    fn write_jsonl(&mut self, lines: &str) -> Result<(), Error> {
        SpinStore::write_jsonl(self, lines).map(drop)
    }

    fn flush(&mut self) -> Result<(), Error> {
        SpinStore::flush(self)
    }

    fn read(&mut self, filter: &Value, page: &PageRequest) -> Result<Page, Error> {
        SpinStore::read(self, &filter_from_json(filter), page)
    }

    fn read_jsonl(&mut self, filter: &Value, page: &PageRequest) -> Result<JsonlPage, Error> {
        SpinStore::read_jsonl(self, &filter_from_json(filter), page)
    }

    fn status(&mut self) -> Status {
        let status = SpinStore::status(self).expect("it has a status");
        Status { mended: status.mended, counts: status.counts }
    }
}
