//! A host of the tests' own, in wasmtime: each call that the component makes to it can be made to fail, or can have
//! something else happen before it.

mod bindings;
mod disk;
mod fault;
mod postgres;
mod state;
mod table;
mod wasi;
mod world;

use std::sync::OnceLock;

use audit_format::{event, query};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store};

pub use bindings::exports::audit::store::control::{Backend, Counts, Durability, StoreStatus};
pub use bindings::exports::audit::store::types::{Error, JsonlPage, Order, PageRequest};
pub use fault::{Effect, Fault, Loss, Part, Reason};
pub use wasi::NEVER_FAIL;
pub use world::{Call, World};

use bindings::exports::audit::store::{control, types};
use bindings::{Full, FullPre, audit};
use state::State;

/// The path of the folder that the component is given, and of the one in it that it keeps its files in.
const PREOPENED: &str = "/work";
const FOLDER: &str = "/work/audit";

/// The component, compiled and linked. Each test process does so once.
fn component() -> &'static FullPre<State> {
    static COMPONENT: OnceLock<FullPre<State>> = OnceLock::new();
    COMPONENT.get_or_init(|| link().expect("the component can be linked"))
}

fn link() -> wasmtime::Result<FullPre<State>> {
    let mut config = Config::new();
    config.concurrency_support(false);
    config.cache(Cache::new(CacheConfig::new()).ok());
    let engine = Engine::new(&config)?;
    let mut linker = Linker::new(&engine);
    wasi::link(&mut linker)?;
    audit::store::types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    audit::store::postgres::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    let component = Component::from_binary(&engine, audit_component::FULL)?;
    FullPre::new(linker.instantiate_pre(&component)?)
}

/// What ends an instance in the middle of a call.
fn stopped() -> wasmtime::Error {
    wasmtime::Error::msg("the test ends the instance")
}

/// The settings of a store.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub backend: Backend,
    pub durability: Durability,
    pub batch_size: u64,
}

/// An instance of the component.
pub struct Guest {
    store: Store<State>,
    exports: Full,
}

/// Why a call of the component has not done what it was asked for.
#[derive(Debug)]
pub enum Failed {
    /// The instance was ended in the middle of it.
    Stopped,
    Error(Error),
}

pub type Answer<T> = Result<T, Failed>;

impl Guest {
    /// Starts an instance.
    pub fn start(world: &World, settings: &Settings) -> Answer<Self> {
        let component = component();
        let mut store = Store::new(component.engine(), State::new(world));
        let exports = component.instantiate(&mut store).expect("an instance starts");
        let mut guest = Self { store, exports };
        let config = control::Config {
            backend: Some(settings.backend),
            jsonl_dir: Some(FOLDER.into()),
            durability: Some(settings.durability),
            memory_limit: None,
            batch_size: Some(settings.batch_size),
            flush_interval_ms: None,
            queue_limit: None,
            recovery_interval_s: None,
        };
        guest.call(|exports, store| exports.audit_store_control().call_configure(store, &config))?;
        Ok(guest)
    }

    pub fn write(&mut self, event: &event::Event<'static>) -> Answer<()> {
        let event = event.clone().into();
        self.call(|exports, store| Ok(Ok(exports.audit_store_writer().call_write(store, &event)?)))
    }

    pub fn write_batch(&mut self, events: &[event::Event<'static>]) -> Answer<()> {
        let events: Vec<types::Event> = events.iter().cloned().map(types::Event::from).collect();
        self.call(|exports, store| exports.audit_store_writer().call_write_batch(store, &events)).map(drop)
    }

    pub fn flush(&mut self) -> Answer<()> {
        self.call(|exports, store| exports.audit_store_writer().call_flush(store))
    }

    pub fn close(&mut self) -> Answer<()> {
        self.call(|exports, store| exports.audit_store_control().call_close(store))
    }

    pub fn read(&mut self, request: &PageRequest) -> Answer<JsonlPage> {
        let none = query::Filter::default().into();
        self.call(|exports, store| exports.audit_store_reader().call_read_jsonl(store, &none, request))
    }

    pub fn status(&mut self) -> Answer<StoreStatus> {
        self.call(|exports, store| exports.audit_store_control().call_status(store))
    }

    /// Calls an export. After a call that was stopped, the instance cannot be used.
    fn call<T>(
        &mut self,
        call: impl FnOnce(&Full, &mut Store<State>) -> wasmtime::Result<Result<T, Error>>,
    ) -> Answer<T> {
        match call(&self.exports, &mut self.store) {
            Ok(answer) => answer.map_err(Failed::Error),
            Err(error) => {
                let text = format!("{error:#}");
                assert!(text.contains(&stopped().to_string()), "the component fails: {text}");
                Err(Failed::Stopped)
            }
        }
    }
}

/// The names of the functions that the component imports.
pub fn imports() -> Vec<String> {
    use wasmtime::component::types::ComponentItem;
    let engine = component().engine();
    let component = Component::from_binary(engine, audit_component::FULL).expect("it is compiled");
    let mut names = Vec::new();
    for (_, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        for (name, item) in interface.exports(engine) {
            if let ComponentItem::ComponentFunc(_) = item.ty {
                names.push(name.to_owned());
            }
        }
    }
    names
}
