//! The state that the host keeps for an instance of the component.

use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::audit::store::postgres::SinkError;
use crate::bindings::audit::store::types;
use crate::database::Database;

/// The state that the host keeps for an instance.
pub(crate) struct HostState {
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) memory: MemoryLimit,
    /// `None` if the host has no database, which the component is told when it asks.
    pub(crate) database: Option<Database>,
    pub(crate) read_only: bool,
    pub(crate) time: CallTime,
    /// After this, inserts fail at once, so that the component spools the events instead. `None` for no
    /// deadline.
    pub(crate) insert_deadline: Option<Instant>,
    /// Whether an insert has failed because of the deadline.
    pub(crate) insert_deadline_missed: bool,
    /// The error of the last insert, if it failed after a wait for the database.
    pub(crate) unanswered: Option<SinkError>,
}

/// How a call to the component spends its time.
pub(crate) struct CallTime {
    began: Instant,
    /// The time that the call has waited for the database.
    pub(crate) waited: Duration,
}

impl CallTime {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), waited: Duration::ZERO }
    }

    /// The time that is left to a call which has lasted for `limit`: it may go on for as long as it has
    /// waited for the database. `None` if nothing is left.
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

/// How much memory the component may use, in bytes.
pub(crate) struct MemoryLimit {
    pub(crate) bytes: usize,
    /// Whether it asked for more.
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
            return Err(wasmtime::Error::msg("the component needs more memory than its limit"));
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
