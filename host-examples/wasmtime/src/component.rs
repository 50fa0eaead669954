//! The compiled component, and the clock that ends calls which take too long.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use wasmtime::component::{self, HasData, HasSelf, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sync};
use wasmtime_wasi::{
    cli as wasi_cli, clocks as wasi_clocks, filesystem as wasi_filesystem, random as wasi_random,
};

use crate::bindings::{FullPre, audit};
use crate::error::Error;
use crate::options::Options;
use crate::state::HostState;
use crate::streams::Streams;

/// How many times the limit of a call is checked within that limit.
const TICKS: u32 = 10;

/// How strong the compression of the cache is. The lowest of Zstandard's levels that wasmtime accepts.
const LEVEL: i32 = 1;

/// How many core instances and tables an instance of the component has at most: its module, and those through which it
/// calls the host.
#[cfg(feature = "pooling-allocator")]
const CORE_INSTANCES: u32 = 4;
#[cfg(feature = "pooling-allocator")]
const TABLES: u32 = 4;

/// How many bytes of a memory that an instance has left are cleared by writing zeros, where giving the pages back to the
/// operating system takes longer. It is what an instance for one request uses.
#[cfg(feature = "pooling-allocator")]
const KEPT_MEMORY: usize = 1 << 20;

/// The compiled component. A clone is cheap. A program with several stores loads the component once: another
/// store then starts in less than a millisecond.
///
/// ```
/// use audit_host::{AuditStore, Component, Options};
///
/// # fn main() -> Result<(), audit_host::Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// let component = Component::load(&Options::new())?;
/// let files = AuditStore::open_with(&component, Options::new().dir(folder.path()))?;
/// let memory = AuditStore::open_with(&component, Options::new().backend("memory"))?;
/// # files.close()?;
/// # memory.close()?;
/// # Ok(())
/// # }
/// ```
///
/// # An instance for each request
/// A program that keeps its requests apart starts an [`Instance`](crate::Instance) for each. With the feature
/// `pooling-allocator`, `Options::pool` keeps room ready for as many of them as there are at once: an instance then takes
/// over a memory that is there already, where else one is mapped and unmapped again.
///
#[cfg_attr(feature = "pooling-allocator", doc = "```")]
#[cfg_attr(not(feature = "pooling-allocator"), doc = "```ignore")]
/// use audit_host::{Component, Event, Instance, Options};
///
/// # fn main() -> Result<(), audit_host::Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// let options = Options::new().dir(folder.path()).pool(100);
/// let component = Component::load(&options)?;
/// for request in ["one", "two"] {
///     let mut instance = Instance::start(&component, &options)?;
///     instance.write(&Event { req_id: request.into(), tool: "search".into(), ..Event::default() })?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// What is configured through variables, and the folder, costs nothing more; any other option is one more call of each
/// instance. An instance beyond the pool's room cannot be started: [`Error::Start`].
#[derive(Clone)]
pub struct Component {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) linked: FullPre<HostState>,
    /// `None` if calls have no limit.
    clock: Option<Arc<Clock>>,
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Component")
    }
}

impl Component {
    /// Loads the component from the cache, or compiles it. Blocks until that is done.
    ///
    /// Three of the options count: [`Options::cache`], `Options::pool`, and [`Options::call_limit`], a tenth of which is
    /// how precisely the time of a call is measured in all stores of this component. With
    /// [`Options::no_call_limit`], none of them has a limit.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid option; [`Error::Start`] if the component cannot be compiled.
    pub fn load(options: &Options) -> Result<Self, Error> {
        Self::compile(audit_component::FULL, options)
    }

    /// Like [`Component::load`], for another build of the component, such as that of the world `local`.
    ///
    /// # Errors
    /// As for [`Component::load`]; [`Error::Start`] also if `binary` is not such a component.
    pub fn compile(binary: &[u8], options: &Options) -> Result<Self, Error> {
        options.check()?;
        let mut config = Config::new();
        // Without support for concurrent calls, a call takes a third of the time.
        config.concurrency_support(false);
        config.epoch_interruption(options.call_limit.is_some());
        // What leads from the machine code back to the component is a sixth of what each start loads, and nobody sees
        // the stack of a component that stops. Windows needs its part of it.
        config.generate_address_map(false).native_unwind_info(cfg!(windows));
        if address_space_is_limited() {
            // By default, wasmtime reserves 4 GiB of addresses for each memory, because that is fastest.
            config.memory_reservation(0).memory_reservation_for_growth(0).memory_guard_size(0);
        }
        if options.cache {
            // Without a home folder that can be written there is no cache, and each start compiles.
            config.cache(Cache::new(cache()).ok());
        }
        #[cfg(feature = "pooling-allocator")]
        if let Some(instances) = options.pool {
            config.allocation_strategy(pool(instances, options.guest_memory));
        }
        let engine = wasmtime::Engine::new(&config).map_err(Error::start)?;
        let component = component::Component::from_binary(&engine, binary).map_err(Error::start)?;
        let linked = link(&engine, &component).map_err(Error::start)?;
        let clock = options.call_limit.map(|limit| Clock::start(engine.clone(), limit / TICKS));
        let clock = clock.transpose().map_err(Error::start)?.map(Arc::new);
        Ok(Self { engine, linked, clock })
    }

    /// The number of epochs from now after which a call with this limit has to end. `None` for no limit.
    pub(crate) fn epochs(&self, call_limit: Option<Duration>) -> Option<u64> {
        let ticks = call_limit?.as_nanos().div_ceil(self.clock.as_ref()?.tick.as_nanos());
        // One more, because a part of the current epoch has passed.
        Some(u64::try_from(ticks).unwrap_or(u64::MAX / 2) + 1)
    }
}

/// The cache of compiled components. Each start decompresses one, which takes the least time at the lowest level. Often used
/// ones are not compressed again: a program that runs for one call would begin that, and end before it is done.
fn cache() -> CacheConfig {
    let mut config = CacheConfig::new();
    config.with_baseline_compression_level(LEVEL).with_optimized_compression_level(LEVEL);
    config
}

/// A pool of so many instances with memories of at most so many bytes.
#[cfg(feature = "pooling-allocator")]
fn pool(instances: u32, memory: usize) -> wasmtime::PoolingAllocationConfig {
    let mut pool = wasmtime::PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES))
        .max_memory_size(memory)
        .max_unused_warm_slots(instances)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_MEMORY);
    pool
}

/// Whether the address space of this process is limited (`ulimit -v`).
#[cfg(unix)]
fn address_space_is_limited() -> bool {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::As).current.is_some()
}

#[cfg(not(unix))]
fn address_space_is_limited() -> bool {
    false
}

/// Provides the interfaces that the component needs, and no others: a component that imported sockets would
/// not start.
fn link(engine: &wasmtime::Engine, component: &component::Component) -> wasmtime::Result<FullPre<HostState>> {
    let mut linker = Linker::<HostState>::new(engine);
    let l = &mut linker;
    cli::environment::add_to_linker::<_, wasi_cli::WasiCli>(l, wasi_cli::WasiCliView::cli)?;
    cli::stderr::add_to_linker::<_, wasi_cli::WasiCli>(l, wasi_cli::WasiCliView::cli)?;
    clocks::wall_clock::add_to_linker::<_, wasi_clocks::WasiClocks>(l, wasi_clocks::WasiClocksView::clocks)?;
    random::random::add_to_linker::<_, wasi_random::WasiRandom>(l, wasi_random::WasiRandomView::random)?;
    let files = wasi_filesystem::WasiFilesystemView::filesystem;
    filesystem::preopens::add_to_linker::<_, wasi_filesystem::WasiFilesystem>(l, files)?;
    sync::filesystem::types::add_to_linker::<_, wasi_filesystem::WasiFilesystem>(l, files)?;
    sync::io::error::add_to_linker::<_, Resources>(l, HostState::resources)?;
    sync::io::streams::add_to_linker::<_, Streams<'static>>(l, |state| Streams(state.resources()))?;
    audit::store::types::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    audit::store::postgres::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    FullPre::new(linker.instantiate_pre(component)?)
}

/// Gives `wasi:io/error` the resources, which are the part of the state that it uses.
struct Resources;

impl HasData for Resources {
    type Data<'a> = &'a mut ResourceTable;
}

/// A thread that advances the engine's epoch at each tick, until this value is dropped.
struct Clock {
    tick: Duration,
    _running: Sender<()>,
}

impl Clock {
    fn start(engine: wasmtime::Engine, tick: Duration) -> std::io::Result<Self> {
        let tick = tick.max(Duration::from_millis(1));
        let (running, stopped) = mpsc::channel::<()>();
        thread::Builder::new().name("audit-clock".into()).spawn(move || {
            while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        })?;
        Ok(Self { tick, _running: running })
    }
}
