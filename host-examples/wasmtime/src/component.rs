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

/// How finely the time of a call is measured.
const TICKS: u32 = 10;

/// The compiled component. Programs with several stores load it once: a clone is cheap, and a store of it starts
/// in less than a millisecond.
#[derive(Clone)]
pub struct Component {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) linked: FullPre<HostState>,
    /// None: calls have no limit.
    clock: Option<Arc<Clock>>,
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Component")
    }
}

impl Component {
    /// Loads the component from the cache, else compiles it. Of the options, [`Options::cache`] counts, and
    /// [`Options::call_limit`]: a tenth of it is how finely the time of a call is measured, for all of the stores.
    /// With [`Options::no_call_limit`] no store has a limit.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid option, [`Error::Start`] where the component
    /// cannot be compiled.
    pub fn load(options: &Options) -> Result<Self, Error> {
        Self::compile(audit_component::FULL, options)
    }

    /// [`Component::load`] for another build of the component, such as that of the world `local`.
    ///
    /// # Errors
    /// As [`Component::load`], and [`Error::Start`] where `binary` is no such component.
    pub fn compile(binary: &[u8], options: &Options) -> Result<Self, Error> {
        options.check()?;
        let mut config = Config::new();
        // A call costs a third of what it does with the machinery for concurrent calls.
        config.concurrency_support(false);
        config.epoch_interruption(options.call_limit.is_some());
        if address_space_is_limited() {
            // Not 4 GiB for a memory that may grow to that size, as is fastest.
            config.memory_reservation(0).memory_reservation_for_growth(0).memory_guard_size(0);
        }
        if options.cache {
            // Without a home, or with one that cannot be written, each start compiles.
            config.cache(Cache::new(CacheConfig::new()).ok());
        }
        let engine = wasmtime::Engine::new(&config).map_err(Error::start)?;
        let component = component::Component::from_binary(&engine, binary).map_err(Error::start)?;
        let linked = link(&engine, &component).map_err(Error::start)?;
        let clock = options.call_limit.map(|limit| Clock::start(engine.clone(), limit / TICKS));
        let clock = clock.transpose().map_err(Error::start)?.map(Arc::new);
        Ok(Self { engine, linked, clock })
    }

    /// How many epochs from now on a call of this length has to end; none if it may go on.
    pub(crate) fn epochs(&self, call_limit: Option<Duration>) -> Option<u64> {
        let ticks = call_limit?.as_nanos().div_ceil(self.clock.as_ref()?.tick.as_nanos());
        // One more, because the current one has begun before.
        Some(u64::try_from(ticks).unwrap_or(u64::MAX / 2) + 1)
    }
}

/// Whether this process may use less address space than is at hand (`ulimit -v`).
#[cfg(unix)]
fn address_space_is_limited() -> bool {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::As).current.is_some()
}

#[cfg(not(unix))]
fn address_space_is_limited() -> bool {
    false
}

/// Provides the interfaces that the component is known to need, and no other: one that asked for a socket
/// would not start.
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
    sync::io::streams::add_to_linker::<_, Resources>(l, HostState::resources)?;
    audit::store::types::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    audit::store::postgres::add_to_linker::<_, HasSelf<HostState>>(l, |state| state)?;
    FullPre::new(linker.instantiate_pre(component)?)
}

/// The part of the state that `wasi:io` works on.
struct Resources;

impl HasData for Resources {
    type Data<'a> = &'a mut ResourceTable;
}

/// A thread that advances the engine's epoch, until this is dropped.
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
