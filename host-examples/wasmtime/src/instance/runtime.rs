//! The runtime of tokio in which the component's calls to its host run. Wasmtime's WASI needs one, and where there is none it
//! starts one with a thread for each processor, which takes longer than a short read. No call waits for anything there: files
//! are read and written on the thread of the caller.

use std::sync::LazyLock;

use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};

/// None: it cannot be started, and wasmtime's own does.
static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| Builder::new_current_thread().build().ok());

/// Enters the runtime until the end of a call, unless the caller is in one.
pub(super) fn enter() -> Option<EnterGuard<'static>> {
    if Handle::try_current().is_ok() {
        return None;
    }
    RUNTIME.as_ref().map(Runtime::enter)
}
