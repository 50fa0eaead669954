//! What the host keeps for an instance of the component, and the interfaces that it provides to it.

use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::audit::store::postgres::SinkError;
use crate::bindings::audit::store::types;
use crate::database::Database;

/// What the host keeps for an instance.
pub(crate) struct HostState {
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) memory: MemoryLimit,
    /// None: the component is told that there is none.
    pub(crate) database: Option<Database>,
    pub(crate) read_only: bool,
    pub(crate) time: CallTime,
    /// From when on nothing more is inserted, so that the component goes on without; none: ever.
    pub(crate) hurry_at: Option<Instant>,
    /// Whether something was not inserted because of that.
    pub(crate) hurried: bool,
    /// When an insert last waited in vain, and the error.
    pub(crate) unanswered: Option<(Instant, SinkError)>,
}

/// How a call spends its time.
pub(crate) struct CallTime {
    began: Instant,
    /// For the database.
    pub(crate) waited: Duration,
}

impl CallTime {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), waited: Duration::ZERO }
    }

    /// What is left to a call that may last so long without the database, and has come to the end of that.
    pub(crate) fn left(&self, limit: Duration) -> Option<Duration> {
        let left = (limit + self.waited).saturating_sub(self.began.elapsed());
        (!self.waited.is_zero() && !left.is_zero()).then_some(left)
    }
}

impl HostState {
    pub(crate) fn resources(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for HostState {}

/// How much memory the component may take.
pub(crate) struct MemoryLimit {
    pub(crate) bytes: usize,
    /// Whether it needed more.
    pub(crate) exceeded: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.bytes {
            self.exceeded = true;
            return Err(wasmtime::Error::msg("the limit on memory is reached"));
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(true)
    }
}
