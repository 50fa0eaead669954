//! One instance of the component, called on the current thread.

mod folder;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTable;
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::WasiCtxBuilder;

use crate::bindings::Full;
use crate::bindings::audit::store::types;
use crate::component::Component;
use crate::error::Error;
#[cfg(test)]
use crate::faults::Fault;
use crate::options::Options;
use crate::state::{CallTime, HostState, MemoryLimit};
use crate::types::{Active, Event, Filter, JsonlPage, Page, PageRequest, Receipt, Status};
use folder::{FolderId, NoFolder, folder_id, preopen};

/// A database that did not answer so shortly before the end is not asked again.
const JUST_NOW: Duration = Duration::from_secs(10);

/// One instance of the component: one store, called on the current thread.
///
/// This is the lower layer, for programs that do nothing else, such as a bulk import. It does not queue,
/// flush by itself or recover: after [`Error::Trap`] each call fails, and a new one has to be opened. Call it
/// outside of asynchronous tasks. [`AuditStore`](crate::AuditStore) does all of that.
pub struct Instance {
    component: Component,
    options: Options,
    store: Store<HostState>,
    exports: Full,
    /// How long a call may last, in epochs; none: as long as it takes.
    epochs: Option<u64>,
    /// The folder of the daily files, or why it could not be opened; none where the backend has none.
    folder: Option<Result<FolderId, NoFolder>>,
    stopped: bool,
}

impl Instance {
    /// Loads the component, and starts an instance of it.
    ///
    /// A folder that cannot be created or opened is no error here: each call that needs it fails with
    /// [`Error::Access`].
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid option, [`Error::Start`] where the component
    /// cannot be started.
    pub fn open(options: &Options) -> Result<Self, Error> {
        Self::start(&Component::load(options)?, options)
    }

    /// The component that this is an instance of.
    pub(crate) fn component(&self) -> &Component {
        &self.component
    }

    /// Another instance of the same component with the same options.
    pub(crate) fn reopen(&self) -> Result<Self, Error> {
        Self::start(&self.component, &self.options)
    }

    /// Starts an instance of the component.
    ///
    /// # Errors
    /// As [`Instance::open`].
    pub fn start(component: &Component, options: &Options) -> Result<Self, Error> {
        options.check()?;
        let mut wasi = WasiCtxBuilder::new();
        // A file operation costs a sixth of what it does through a pool of threads.
        wasi.allow_blocking_current_thread(true).stderr(options.warnings.clone());
        for (name, value) in options.guest_environment() {
            wasi.env(name, value);
        }
        let folder = options.folder().map(|path| preopen(&mut wasi, &path, options.read_only));
        let state = HostState {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            memory: MemoryLimit { bytes: options.guest_memory, exceeded: false },
            database: options.database()?,
            read_only: options.read_only,
            time: CallTime::start(),
            hurry_at: None,
            hurried: false,
            unanswered: None,
        };
        let mut store = Store::new(&component.engine, state);
        store.limiter(|state| &mut state.memory);
        if let Some(limit) = options.call_limit {
            let clock = component.clone();
            store.epoch_deadline_callback(move |store| {
                let left = clock.epochs(store.data().time.left(limit));
                Ok(left.map_or(UpdateDeadline::Interrupt, UpdateDeadline::Continue))
            });
        }
        let epochs = component.epochs(options.call_limit);
        set_deadline(&mut store, epochs);
        let exports = component.linked.instantiate(&mut store).map_err(Error::start)?;
        let (component, options) = (component.clone(), options.clone());
        let mut instance = Self { component, options, store, exports, epochs, folder, stopped: false };
        if let Some(config) = instance.options.guest_config().cloned() {
            instance.call(|exports, store| exports.audit_store_control().call_configure(store, &config))?;
        }
        Ok(instance)
    }

    /// `writer.write`: records one event. What cannot be kept is counted in [`Instance::status`].
    ///
    /// # Errors
    /// [`Error::Trap`].
    pub fn write(&mut self, event: &Event) -> Result<(), Error> {
        self.fault(|instance| {
            instance.call(|exports, store| Ok(Ok(exports.audit_store_writer().call_write(store, event)?)))
        })
    }

    /// `writer.write-batch`: records all of the events, in their order, or none.
    ///
    /// # Errors
    /// As in the WIT, and [`Error::Trap`].
    pub fn write_batch(&mut self, events: &[Event]) -> Result<Receipt, Error> {
        self.fault(|instance| {
            instance.call(|exports, store| exports.audit_store_writer().call_write_batch(store, events))
        })
    }

    /// `writer.write-jsonl`: records all of the lines' events, in their order, or none.
    ///
    /// # Errors
    /// As in the WIT, and [`Error::Trap`].
    pub fn write_jsonl(&mut self, lines: &str) -> Result<Receipt, Error> {
        self.call(|exports, store| exports.audit_store_writer().call_write_jsonl(store, lines))
    }

    /// `writer.flush`: hands on what is buffered.
    ///
    /// # Errors
    /// As in the WIT, and [`Error::Trap`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.hurry(None);
        self.call(|exports, store| exports.audit_store_writer().call_flush(store))
    }

    /// `reader.read`: a page of the entries that match.
    ///
    /// # Errors
    /// As in the WIT, and [`Error::Trap`].
    pub fn read(&mut self, filter: &Filter, page: &PageRequest) -> Result<Page, Error> {
        self.call(|exports, store| exports.audit_store_reader().call_read(store, filter, page))
    }

    /// `reader.read-jsonl`: the same as JSON lines in one string.
    ///
    /// # Errors
    /// As in the WIT, and [`Error::Trap`].
    pub fn read_jsonl(&mut self, filter: &Filter, page: &PageRequest) -> Result<JsonlPage, Error> {
        self.call(|exports, store| exports.audit_store_reader().call_read_jsonl(store, filter, page))
    }

    /// `control.status`: how this instance is doing.
    ///
    /// # Errors
    /// [`Error::Trap`].
    pub fn status(&mut self) -> Result<Status, Error> {
        let status =
            self.call(|exports, store| Ok(Ok(exports.audit_store_control().call_status(store)?)))?;
        Ok(status.into())
    }

    /// `control.close`: flushes and closes.
    ///
    /// # Errors
    /// As in the WIT, and [`Error::Trap`].
    pub fn close(&mut self) -> Result<(), Error> {
        // What is in the spool is not worth another timeout.
        let unanswered = self.store.data().unanswered.as_ref().is_some_and(|(at, _)| at.elapsed() < JUST_NOW);
        let spooled = |status: Status| status.backend == Active::Spool && status.counts.pending == 0;
        let passes_over = unanswered && self.status().is_ok_and(spooled);
        self.hurry(passes_over.then(Instant::now));
        let closed = self.call(|exports, store| exports.audit_store_control().call_close(store));
        self.hurry(None);
        closed
    }

    /// Whether there was no folder when the instance was started, of those that do not create it
    /// ([`Options::read_only`]): nothing was recorded in it then, and the instance cannot read what is since.
    #[must_use]
    pub fn found_no_folder(&self) -> bool {
        matches!(&self.folder, Some(Err(NoFolder { missing: true, .. })))
    }

    /// The folder of the daily files, or of the spool.
    pub(crate) fn folder_path(&self) -> Option<PathBuf> {
        self.options.folder()
    }

    /// Whether the path of the folder leads to another one now than when the instance was started: that one was
    /// removed or replaced, or could not be opened then. Creates it if need be.
    pub(crate) fn folder_has_moved(&self) -> bool {
        let Some(path) = self.options.folder() else { return false };
        if !self.options.read_only {
            let _ = fs::create_dir_all(&path);
        }
        folder_id(&path).is_ok_and(|now| !matches!(&self.folder, Some(Ok(then)) if *then == now))
    }

    /// From `at` on, the database takes nothing more from the component, until it is flushed; none: it does again.
    pub(crate) fn hurry(&mut self, at: Option<Instant>) {
        let state = self.store.data_mut();
        (state.hurry_at, state.hurried) = (at, false);
    }

    /// Whether the component was refused something since it was told to hurry.
    pub(crate) fn hurried(&self) -> bool {
        self.store.data().hurried
    }

    /// Whether a trap has ended this instance.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    fn call<T>(
        &mut self,
        call: impl FnOnce(&Full, &mut Store<HostState>) -> wasmtime::Result<Result<T, types::Error>>,
    ) -> Result<T, Error> {
        if self.stopped {
            return Err(Error::Trap("it was stopped by an earlier call".into()));
        }
        self.store.data_mut().time = CallTime::start();
        set_deadline(&mut self.store, self.epochs);
        match call(&self.exports, &mut self.store) {
            Ok(answer) => answer.map_err(|error| match (error, &self.folder) {
                (types::Error::Access(text), Some(Err(why))) => {
                    Error::Access(format!("{text} ({})", why.text))
                }
                (error, _) => error.into(),
            }),
            Err(trap) => {
                self.stopped = true;
                Err(Error::Trap(reason(&trap, self.store.data(), &self.options)))
            }
        }
    }

    #[cfg(not(test))]
    fn fault<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        call(self)
    }

    #[cfg(test)]
    fn fault<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let fault = self.options.faults.lock().expect("no test panics with it").pop_front();
        if fault == Some(Fault::Before) {
            self.stopped = true;
        }
        let answer = call(self);
        if fault == Some(Fault::After) {
            self.stopped = true;
            return Err(Error::Trap("a fault of the test".into()));
        }
        answer
    }
}

fn set_deadline(store: &mut Store<HostState>, epochs: Option<u64>) {
    // An engine that counts no epochs has no use for it, and one that does starts with none left.
    store.set_epoch_deadline(epochs.unwrap_or(u64::MAX / 2));
}

/// Why the component stopped, in terms of the options.
fn reason(trap: &wasmtime::Error, state: &HostState, options: &Options) -> String {
    if let (Some(Trap::Interrupt), Some(limit)) = (trap.downcast_ref(), options.call_limit) {
        return format!("the call took longer than its limit of {limit:?}");
    }
    if state.memory.exceeded {
        return format!("it needs more memory than its limit of {} bytes", state.memory.bytes);
    }
    trap.root_cause().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that takes the component some hundredths of a second, of which the database is said to have taken so
    /// long.
    fn write(waited: Duration) -> Result<Receipt, Error> {
        let options = Options::new().backend("null").call_limit(Duration::from_millis(1)).warnings(|_| {});
        // On a busy machine the start alone can take longer than the limit.
        let mut instance = (0..100).find_map(|_| Instance::open(&options).ok()).expect("it starts");
        let lines = "{\"tool\":\"search\",\"status\":\"ok\"}\n".repeat(20_000);
        instance.call(|exports, store| {
            store.data_mut().time.waited = waited;
            exports.audit_store_writer().call_write_jsonl(store, &lines)
        })
    }

    #[test]
    fn a_folder_that_comes_after_the_start_was_not_there() {
        let place = tempfile::tempdir().expect("a folder");
        let options = Options::new().dir(place.path().join("audit")).read_only(true);
        let instance = Instance::open(&options).expect("it starts");
        std::fs::create_dir(place.path().join("audit")).expect("it was not there");
        assert!(instance.found_no_folder());
        assert!(!Instance::open(&options).expect("it starts").found_no_folder());
    }

    #[test]
    fn the_time_of_the_database_is_not_the_components() {
        assert!(write(Duration::from_secs(60)).is_ok());
        for waited in [Duration::ZERO, Duration::from_millis(2)] {
            let answer = write(waited);
            let limit = |text: &String| text.contains("longer than its limit of 1ms");
            assert!(matches!(&answer, Err(Error::Trap(text)) if limit(text)), "{answer:?}");
        }
    }
}
