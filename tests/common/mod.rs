//! What the tests of the built component share: opening it, and JSON as events and filters.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use audit_host::Backend;
use audit_host::{Component, Entry, Event, Filter, Instance, Options, Order, PageRequest};
use serde_json::Value;
use xtask::components::{self, World};

/// The component that is built into the host, compiled once a test binary.
pub fn component() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| Component::load(&Options::new()).expect("the component loads"))
}

/// The component of the world `local`.
pub fn local_component() -> &'static Component {
    static COMPONENT: OnceLock<Component> = OnceLock::new();
    COMPONENT.get_or_init(|| {
        let binary = std::fs::read(artifact(World::Local)).expect("the artifact is there");
        Component::compile(&binary, &Options::new()).expect("the component loads")
    })
}

/// The artifact of a world, built if need be.
pub fn artifact(world: World) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
    components::artifact(xtask::root(), target, world).expect("the component builds")
}

/// An instance of the built component on `dir`.
pub fn open(kind: Backend, dir: &Path) -> Instance {
    start(&Options::new().backend(kind.name()).dir(dir))
}

pub fn start(options: &Options) -> Instance {
    Instance::start(component(), options).expect("an instance starts")
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_string()
}

fn option(value: &Value, field: &str) -> Option<String> {
    value[field].as_str().map(String::from)
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}

/// An event from its JSON fields; those that are absent are empty.
pub fn event(json: &Value) -> Event {
    Event {
        ts: text(json, "ts"),
        req_id: text(json, "req_id"),
        workspace_id: text(json, "workspace_id"),
        user_id: text(json, "user_id"),
        agent_id: text(json, "agent_id"),
        tool: text(json, "tool"),
        action: text(json, "action"),
        status: text(json, "status"),
        duration_ms: number(json, "duration_ms"),
        in_size: number(json, "in_size"),
        out_size: number(json, "out_size"),
        input_hash: text(json, "input_hash"),
        graph_run_id: option(json, "graph_run_id"),
        graph_node: option(json, "graph_node"),
        job_id: option(json, "job_id"),
    }
}

/// A filter from its JSON fields.
pub fn filter(json: &Value) -> Filter {
    Filter {
        from_ts: option(json, "from_ts"),
        to_ts: option(json, "to_ts"),
        tool: option(json, "tool"),
        agent_id: option(json, "agent_id"),
        workspace_id: option(json, "workspace_id"),
        user_id: option(json, "user_id"),
        action: option(json, "action"),
        status: option(json, "status"),
        req_id: option(json, "req_id"),
        graph_run_id: option(json, "graph_run_id"),
        graph_node: option(json, "graph_node"),
        job_id: option(json, "job_id"),
    }
}

/// All entries that match, read in pages of `limit`, and how many lines the first page skipped.
pub fn read_all(store: &mut Instance, filter: &Filter, order: Order, limit: u32) -> (Vec<Entry>, u64) {
    let mut request = PageRequest { order, limit, cursor: None };
    let mut entries = Vec::new();
    let mut skipped = None;
    loop {
        let page = store.read(filter, &request).expect("a read succeeds");
        skipped.get_or_insert(page.skipped);
        assert!(limit == 0 || page.entries.len() <= limit as usize);
        entries.extend(page.entries);
        request.cursor = page.next;
        if request.cursor.is_none() {
            return (entries, skipped.unwrap_or_default());
        }
    }
}

/// Everything in the store, in order.
pub fn everything(store: &mut Instance) -> (Vec<Entry>, u64) {
    read_all(store, &Filter::default(), Order::OldestFirst, 0)
}

/// The `req_id` of each entry.
pub fn req_ids(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.event.req_id.as_str()).collect()
}

/// Checks that every event is accounted for.
pub fn identity_holds(store: &mut Instance) {
    let counts = store.status().expect("a status").counts;
    let dropped = &counts.dropped;
    let dropped = dropped.invalid + dropped.queue_full + dropped.unwritable;
    let sum = counts.stored + counts.spooled + counts.pending + counts.rejected + dropped;
    assert_eq!(counts.received, sum, "{counts:?}");
}
