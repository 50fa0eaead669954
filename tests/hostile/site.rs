//! The component in a host that checks nothing for it, and lends it as much memory as the Rust library does.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store, StoreContextMut, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use xtask::components::{self, World};

pub use self::audit::store::postgres::{RefusedRow, SinkError};
use self::audit::store::types as asked;
pub use self::exports::audit::store::control::{Backend, Config as Settings, Durability, StoreStatus};
pub use self::exports::audit::store::types::{
    Attribute, Entry, Error, Event, Filter, JsonlPage, Order, Page, PageRequest, Receipt,
};

wasmtime::component::bindgen!({
    path: "wit",
    world: "full",
    additional_derives: [Clone, PartialEq],
});

/// The most memory of the component, in bytes: the default of the Rust library.
const MEMORY: usize = 256 << 20;

/// What is kept of stderr, in bytes.
const STDERR: usize = 1 << 20;

/// What the host does when the store asks its database.
pub type Database = fn(StoreContextMut<'_, Host>) -> Result<(), SinkError>;

pub struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
    /// None: there is no database.
    database: Option<Database>,
    exports: Option<Arc<Full>>,
    /// How often the database was asked.
    pub asked: usize,
}

impl Host {
    /// The functions of the store.
    pub fn exports(&self) -> Arc<Full> {
        Arc::clone(self.exports.as_ref().expect("it was instantiated"))
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The compiled component. Each test process compiles it once.
fn compiled() -> &'static (Engine, Component) {
    static COMPILED: OnceLock<(Engine, Component)> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let mut config = Config::new();
        config.concurrency_support(false);
        let engine = Engine::new(&config).expect("an engine");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
        let artifact =
            components::artifact(xtask::root(), target, World::Full).expect("the component builds");
        let component = Component::from_file(&engine, artifact).expect("the component loads");
        (engine, component)
    })
}

/// A store. Where a call traps, the test fails.
pub struct Site {
    pub folder: TempDir,
    pub store: Store<Host>,
    pub exports: Arc<Full>,
    stderr: MemoryOutputPipe,
}

impl Site {
    /// A store with this backend in a folder of its own, in a host without a database.
    pub fn open(backend: &str) -> Self {
        Self::with_database(backend, None)
    }

    pub fn with_database(backend: &str, database: Option<Database>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stderr = MemoryOutputPipe::new(STDERR);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stderr(stderr.clone()).env("AUDIT_BACKEND", backend).env("AUDIT_JSONL_DIR", "/audit");
        wasi.allow_blocking_current_thread(true);
        wasi.preopened_dir(folder.path(), "/audit", FsPerms::ReadWrite).expect("the folder is there");
        let (engine, component) = compiled();
        let limits = StoreLimitsBuilder::new().memory_size(MEMORY).build();
        let host = Host {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            limits,
            database,
            exports: None,
            asked: 0,
        };
        let mut store = Store::new(engine, host);
        store.limiter(|host| &mut host.limits);
        let exports = Full::instantiate(&mut store, component, &linker(engine)).expect("it starts");
        let exports = Arc::new(exports);
        store.data_mut().exports = Some(Arc::clone(&exports));
        Self { folder, store, exports, stderr }
    }

    pub fn write(&mut self, event: &Event) {
        self.exports.audit_store_writer().call_write(&mut self.store, event).expect("no trap");
        self.assert_plain_stderr();
    }

    pub fn write_batch(&mut self, events: &[Event]) -> Result<Receipt, Error> {
        self.exports.audit_store_writer().call_write_batch(&mut self.store, events).expect("no trap")
    }

    pub fn write_jsonl(&mut self, lines: &str) -> Result<Receipt, Error> {
        self.exports.audit_store_writer().call_write_jsonl(&mut self.store, lines).expect("no trap")
    }

    pub fn flush(&mut self) -> Result<(), Error> {
        self.exports.audit_store_writer().call_flush(&mut self.store).expect("no trap")
    }

    pub fn read(&mut self, filter: &Filter, page: &PageRequest) -> Result<Page, Error> {
        self.exports.audit_store_reader().call_read(&mut self.store, filter, page).expect("no trap")
    }

    pub fn read_jsonl(&mut self, filter: &Filter, page: &PageRequest) -> Result<JsonlPage, Error> {
        self.exports.audit_store_reader().call_read_jsonl(&mut self.store, filter, page).expect("no trap")
    }

    pub fn configure(&mut self, settings: &Settings) -> Result<(), Error> {
        self.exports.audit_store_control().call_configure(&mut self.store, settings).expect("no trap")
    }

    pub fn close(&mut self) -> Result<(), Error> {
        self.exports.audit_store_control().call_close(&mut self.store).expect("no trap")
    }

    pub fn status(&mut self) -> StoreStatus {
        let status = self.exports.audit_store_control().call_status(&mut self.store).expect("no trap");
        let status = status.expect("a store has a status");
        let counts = &status.counts;
        let dropped = counts.dropped.invalid + counts.dropped.queue_full + counts.dropped.unwritable;
        let all = counts.stored + counts.spooled + counts.pending + counts.rejected + dropped;
        assert_eq!(counts.received, all, "{counts:?}");
        status
    }

    /// All entries, by pages of any size, and how many lines were skipped.
    pub fn everything(&mut self) -> Vec<Entry> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = PageRequest { order: Order::OldestFirst, limit: 0, cursor };
            let page = self.read(&no_filter(), &page).expect("a page");
            assert_eq!(page.skipped, 0, "a line of the store is none");
            all.extend(page.entries);
            cursor = page.next;
            if cursor.is_none() {
                return all;
            }
        }
    }

    /// No caller makes the store write control characters to a terminal.
    pub fn assert_plain_stderr(&self) {
        let bytes = self.stderr.contents();
        let text = std::str::from_utf8(&bytes).expect("stderr is UTF-8");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
}

fn linker(engine: &Engine) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("WASI is linked");
    let mut postgres = linker.instance("audit:store/postgres@0.1.0").expect("it is imported");
    let is_configured = |store: StoreContextMut<'_, Host>, (): ()| Ok((store.data().database.is_some(),));
    postgres.func_wrap("is-configured", is_configured).expect("it is linked");
    let insert = |mut store: StoreContextMut<'_, Host>, (_,): (String,)| {
        Ok((ask(&mut store).map(|()| Vec::<RefusedRow>::new()),))
    };
    postgres.func_wrap("insert-batch", insert).expect("it is linked");
    let select = |mut store: StoreContextMut<'_, Host>, (_, _): (asked::Filter, asked::PageRequest)| {
        let none = asked::JsonlPage { lines: String::new(), count: 0, next: None, skipped: 0 };
        Ok((ask(&mut store).map(|()| none),))
    };
    postgres.func_wrap("select", select).expect("it is linked");
    linker
}

fn ask(store: &mut StoreContextMut<'_, Host>) -> Result<(), SinkError> {
    store.data_mut().asked += 1;
    let database = store.data().database.ok_or(SinkError::NotConfigured)?;
    database(wasmtime::AsContextMut::as_context_mut(store))
}

/// The event without any text.
pub fn empty() -> Event {
    Event {
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
        attributes: Vec::new(),
    }
}

/// The name of a text, and what sets it.
type Named<T> = (&'static str, fn(&mut T, String));

/// What sets each text of an event.
pub const TEXTS: [Named<Event>; 13] = [
    ("ts", |event, text| event.ts = text),
    ("req_id", |event, text| event.req_id = text),
    ("workspace_id", |event, text| event.workspace_id = text),
    ("user_id", |event, text| event.user_id = text),
    ("agent_id", |event, text| event.agent_id = text),
    ("tool", |event, text| event.tool = text),
    ("action", |event, text| event.action = text),
    ("status", |event, text| event.status = text),
    ("input_hash", |event, text| event.input_hash = text),
    ("graph_run_id", |event, text| event.graph_run_id = Some(text)),
    ("graph_node", |event, text| event.graph_node = Some(text)),
    ("job_id", |event, text| event.job_id = Some(text)),
    ("attributes", |event, text| event.attributes.push(Attribute { key: text.clone(), value: text })),
];

/// The filter that all entries match.
pub fn no_filter() -> Filter {
    Filter {
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
        attributes: Vec::new(),
    }
}

/// What sets each text of a filter.
pub const FILTERS: [Named<Filter>; 13] = [
    ("from_ts", |filter, text| filter.from_ts = Some(text)),
    ("to_ts", |filter, text| filter.to_ts = Some(text)),
    ("tool", |filter, text| filter.tool = Some(text)),
    ("agent_id", |filter, text| filter.agent_id = Some(text)),
    ("workspace_id", |filter, text| filter.workspace_id = Some(text)),
    ("user_id", |filter, text| filter.user_id = Some(text)),
    ("action", |filter, text| filter.action = Some(text)),
    ("status", |filter, text| filter.status = Some(text)),
    ("req_id", |filter, text| filter.req_id = Some(text)),
    ("graph_run_id", |filter, text| filter.graph_run_id = Some(text)),
    ("graph_node", |filter, text| filter.graph_node = Some(text)),
    ("job_id", |filter, text| filter.job_id = Some(text)),
    ("attributes", |filter, text| filter.attributes.push(Attribute { key: text.clone(), value: text })),
];

pub fn page(limit: u32, cursor: Option<String>) -> PageRequest {
    PageRequest { order: Order::OldestFirst, limit, cursor }
}

/// No setting.
pub fn no_settings() -> Settings {
    Settings {
        backend: None,
        jsonl_dir: None,
        durability: None,
        memory_limit: None,
        batch_size: None,
        flush_interval_ms: None,
        queue_limit: None,
        recovery_interval_s: None,
    }
}

/// The daily files and others in the folder, and nothing beside it.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
