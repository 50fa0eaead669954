//! The guest of `tests/guest`, in an engine that is not the store's.

use std::path::Path;
use std::sync::OnceLock;

use audit_host::{
    AuditStore, Entry, Event, Filter, GuestReader, GuestWriter, Options, Order, add_reader_to_linker,
    add_reader_to_linker_async, add_writer_to_linker, add_writer_to_linker_async,
};
use wasmtime::component::{Component, ComponentNamedList, ComponentType, Instance, Lift, Linker, Lower};
use wasmtime::{Config, Engine, Store};
use xtask::guests::{self, Guest};

/// The data of an embedder's own.
pub struct Embedder {
    pub writer: GuestWriter,
    pub reader: Option<GuestReader>,
}

/// What a read gave the guest.
#[derive(Clone, Debug, ComponentType, Lift, PartialEq, Eq)]
#[component(record)]
pub struct Seen {
    pub tools: Vec<String>,
    pub next: Option<String>,
    pub skipped: u64,
}

/// How guests are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    Sync,
    Async,
}

pub const CALLS: [Calls; 2] = [Calls::Sync, Calls::Async];

/// An instance of a guest.
pub struct Running {
    pub store: Store<Embedder>,
    instance: Instance,
    calls: Calls,
}

pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(&Config::new()).expect("the configuration is valid"))
}

/// Each test process compiles a guest once.
pub fn component(guest: Guest) -> &'static Component {
    static CONFINED: OnceLock<Component> = OnceLock::new();
    static TENANT: OnceLock<Component> = OnceLock::new();
    let compiled = match guest {
        Guest::Confined => &CONFINED,
        Guest::Tenant => &TENANT,
        Guest::Spy => panic!("it needs files"),
    };
    compiled.get_or_init(|| {
        let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
        let binary = guests::build(target_dir, guest).expect("the guest builds");
        Component::new(engine(), binary).expect("the guest loads")
    })
}

/// A guest that can write, with the identity that the writer has.
pub fn confined(writer: GuestWriter, calls: Calls) -> Running {
    Running::start(Guest::Confined, Embedder { writer, reader: None }, calls)
}

/// A guest that can read too.
pub fn tenant(writer: GuestWriter, reader: GuestReader, calls: Calls) -> Running {
    Running::start(Guest::Tenant, Embedder { writer, reader: Some(reader) }, calls)
}

impl Running {
    fn start(guest: Guest, embedder: Embedder, calls: Calls) -> Self {
        let mut linker = Linker::new(engine());
        let writer = |state: &mut Embedder| state.writer.clone();
        let reader = |state: &mut Embedder| state.reader.clone().expect("this guest has one");
        match calls {
            Calls::Sync => add_writer_to_linker(&mut linker, writer).expect("it is new"),
            Calls::Async => add_writer_to_linker_async(&mut linker, writer).expect("it is new"),
        }
        match (guest, calls) {
            (Guest::Confined | Guest::Spy, _) => {}
            (Guest::Tenant, Calls::Sync) => add_reader_to_linker(&mut linker, reader).expect("it is new"),
            (Guest::Tenant, Calls::Async) => {
                add_reader_to_linker_async(&mut linker, reader).expect("it is new");
            }
        }
        let mut store = Store::new(engine(), embedder);
        let component = component(guest);
        let instance = match calls {
            Calls::Sync => linker.instantiate(&mut store, component),
            Calls::Async => wait(linker.instantiate_async(&mut store, component)),
        };
        Self { instance: instance.expect("nothing else is imported"), store, calls }
    }

    /// Calls a function of the interface `calls`.
    pub fn call<P, R>(&mut self, name: &str, parameters: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.call_of("audit:guest/calls", name, parameters)
    }

    /// Calls a function of the interface `reads`, whose answer is this.
    pub fn read<P, A>(&mut self, name: &str, parameters: P) -> Result<A, String>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        A: Lift + Send + Sync + 'static,
    {
        let answer = self.call_of::<P, (Result<A, String>,)>("audit:guest/reads", name, parameters);
        answer.expect("the guest goes on").0
    }

    fn call_of<P, R>(&mut self, interface: &str, name: &str, parameters: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let interface = self.instance.get_export_index(&mut self.store, None, interface);
        let function = self.instance.get_export_index(&mut self.store, interface.as_ref(), name);
        let function = function.expect("the guest has it");
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, function)?;
        match self.calls {
            Calls::Sync => function.call(&mut self.store, parameters),
            Calls::Async => wait(function.call_async(&mut self.store, parameters)),
        }
    }
}

/// Runs a future on a runtime that has one thread, and neither time nor I/O.
fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("it starts").block_on(future)
}

pub fn in_memory() -> AuditStore {
    // A busy machine may need longer for a large batch than a call may take.
    AuditStore::open(Options::new().backend("memory").no_call_limit()).expect("it opens")
}

pub fn everything(store: &AuditStore) -> Vec<Entry> {
    store.entries(Filter::default(), Order::OldestFirst).collect::<Result<_, _>>().expect("it can be read")
}

/// An event of the host itself.
pub fn event(workspace: &str, tool: &str) -> Event {
    Event { workspace_id: workspace.into(), tool: tool.into(), ..Event::default() }
}
