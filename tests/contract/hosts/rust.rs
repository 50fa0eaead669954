//! The Rust library: an instance that is called on the current thread, of both components, and the handle in front of one.

use audit_fixtures::{component, event_from_json, filter_from_json};
use audit_host::{AuditStore, Component, Error, Handle, Instance, JsonlPage, Options, Page, PageRequest};
use audit_testbed::ANSWER;
use serde_json::Value;

use super::{Opener, Opening, Status, Store};
use crate::common::local_component;

pub fn full() -> Box<dyn Opener> {
    Box::new(Instances(component()))
}

pub fn local() -> Box<dyn Opener> {
    Box::new(Instances(local_component()))
}

pub fn handle() -> Box<dyn Opener> {
    Box::new(Handles)
}

fn options(opening: &Opening<'_>) -> Options {
    let options = Options::new().backend(opening.backend.name()).dir(opening.dir).warnings(|_| ());
    match opening.database_url {
        Some(url) => options.database_url(url).database_timeout(ANSWER),
        None => options,
    }
}

struct Instances(&'static Component);

impl Opener for Instances {
    fn open(&mut self, opening: &Opening<'_>) -> Box<dyn Store + '_> {
        Box::new(Instance::start(self.0, &options(opening)).expect("an instance starts"))
    }
}

impl Store for Instance {
    fn write(&mut self, event: &Value) {
        Instance::write(self, &event_from_json(event)).expect("it is recorded");
    }

    fn write_batch(&mut self, events: &[Value]) -> Result<(), Error> {
        Instance::write_batch(self, &events.iter().map(event_from_json).collect::<Vec<_>>()).map(drop)
    }

    fn write_jsonl(&mut self, lines: &str) -> Result<(), Error> {
        Instance::write_jsonl(self, lines).map(drop)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Instance::flush(self)
    }

    fn read(&mut self, filter: &Value, page: &PageRequest) -> Result<Page, Error> {
        Instance::read(self, &filter_from_json(filter), page)
    }

    fn read_jsonl(&mut self, filter: &Value, page: &PageRequest) -> Result<JsonlPage, Error> {
        Instance::read_jsonl(self, &filter_from_json(filter), page)
    }

    fn status(&mut self) -> Status {
        let status = Instance::status(self).expect("it has a status");
        Status { mended: status.mended, counts: status.counts }
    }
}

struct Handles;

impl Opener for Handles {
    fn open(&mut self, opening: &Opening<'_>) -> Box<dyn Store + '_> {
        let store = AuditStore::open_with(component(), options(opening)).expect("a store opens");
        let handle = store.handle();
        Box::new(Running { handle, _store: store })
    }
}

struct Running {
    handle: Handle,
    _store: AuditStore,
}

impl Store for Running {
    fn write(&mut self, event: &Value) {
        self.handle.write(event_from_json(event));
    }

    fn write_batch(&mut self, events: &[Value]) -> Result<(), Error> {
        self.handle.write_batch(events.iter().map(event_from_json).collect()).map(drop)
    }

    fn write_jsonl(&mut self, lines: &str) -> Result<(), Error> {
        self.handle.write_jsonl(lines).map(drop)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.handle.flush()
    }

    fn read(&mut self, filter: &Value, page: &PageRequest) -> Result<Page, Error> {
        self.handle.read(&filter_from_json(filter), page.clone())
    }

    fn read_jsonl(&mut self, filter: &Value, page: &PageRequest) -> Result<JsonlPage, Error> {
        self.handle.read_jsonl(&filter_from_json(filter), page.clone())
    }

    fn status(&mut self) -> Status {
        // What was handed to the queue counts once the worker has it, whether the database takes it or not.
        let _ = self.handle.flush();
        let status = self.handle.status().expect("it has a status");
        Status { mended: status.mended, counts: status.counts }
    }
}
