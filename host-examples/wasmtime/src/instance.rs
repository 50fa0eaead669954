//! An instance of the component, called on the current thread.

mod folder;
pub(crate) mod large;
pub(crate) mod room;
mod runtime;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use audit_format::line::put_event;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::WasiCtxBuilder;

use crate::bindings::Full;
use crate::bindings::exports::audit::store::types;
use crate::component::Component;
use crate::error::Error;
#[cfg(test)]
use crate::faults::Fault;
use crate::options::Options;
use crate::state::{CallTime, HostState, MemoryLimit};
use crate::types::{Event, Filter, JsonlPage, Page, PageRequest, Receipt, Status};
use folder::{FolderId, NoFolder, folder_id, preopen};

/// How much memory for the lines of a batch is kept for the next one, in bytes: more than the batches of the worker take.
const LINES_KEPT: usize = 4 << 20;

/// An instance of the component: a store that is called on the current thread.
///
/// This is the lower layer, for programs that do nothing else meanwhile, such as a bulk import. It has no
/// queue, does not flush by itself and does not recover. After [`Error::Trap`], all calls fail, and a new
/// instance has to be opened. [`AuditStore`](crate::AuditStore) does all of that.
///
/// All calls block, and may write files or wait for the database. Call them outside of asynchronous tasks.
///
/// ```
/// use audit_host::{Error, Filter, Instance, Options, PageRequest};
///
/// # fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// let mut instance = Instance::open(&Options::new().dir(folder.path()))?;
/// let lines = "{\"tool\":\"search\"}\n{\"tool\":\"fetch\"}\n";
/// assert_eq!(instance.write_jsonl(lines)?.accepted, 2);
///
/// // A batch is recorded as a whole or not at all; the error names the invalid line.
/// match instance.write_jsonl("{\"tool\":\"list\"}\n{\"in_size\":\"5\"}\n") {
///     Err(Error::Invalid(value)) => assert_eq!((value.index, value.field.as_str()), (1, "in_size")),
///     answer => panic!("{answer:?}"),
/// }
///
/// let page = instance.read(&Filter::default(), &PageRequest::default())?;
/// assert_eq!(page.entries.len(), 2);
/// instance.close()?;
/// # Ok(())
/// # }
/// ```
pub struct Instance {
    component: Component,
    options: Options,
    store: Store<HostState>,
    exports: Full,
    /// The limit of a call, in epochs of the engine. `None` for no limit.
    epochs: Option<u64>,
    /// The folder of the daily files or of the spool, or why it could not be opened. `None` if the backend
    /// keeps no files.
    folder: Option<Result<FolderId, NoFolder>>,
    /// Whether a trap has ended the instance.
    stopped: bool,
    /// How many accepted events were too large to be passed on as they were.
    mended: u64,
    /// The memory of the lines of the last batch, which is used again.
    lines: Vec<u8>,
}

impl Instance {
    /// Loads the component and starts an instance of it.
    ///
    /// It is no error if the folder cannot be created or opened. Each call that needs the folder then fails
    /// with [`Error::Access`].
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid option; [`Error::Start`] if the component cannot be started.
    pub fn open(options: &Options) -> Result<Self, Error> {
        Self::start(&Component::load(options)?, options)
    }

    /// The component of this instance.
    pub(crate) fn component(&self) -> &Component {
        &self.component
    }

    /// Another instance of the same component with the same options.
    ///
    /// # Errors
    /// As for [`Instance::open`].
    pub fn reopen(&self) -> Result<Self, Error> {
        Self::start(&self.component, &self.options)
    }

    /// Starts an instance of the component.
    ///
    /// # Errors
    /// As for [`Instance::open`].
    pub fn start(component: &Component, options: &Options) -> Result<Self, Error> {
        options.check()?;
        let mut wasi = WasiCtxBuilder::new();
        // File operations on the current thread take a sixth of the time that they take on a thread pool.
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
            insert_deadline: None,
            insert_deadline_missed: false,
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
        let mut instance = Self {
            component,
            options,
            store,
            exports,
            epochs,
            folder,
            stopped: false,
            mended: 0,
            lines: Vec::new(),
        };
        if let Some(config) = instance.options.guest_config()? {
            instance.call(|exports, store| exports.audit_store_control().call_configure(store, &config))?;
        }
        Ok(instance)
    }

    /// Records one event, whatever it is (`writer.write`). An event that cannot be kept is counted in
    /// [`Instance::status`] by its reason.
    ///
    /// # Errors
    /// [`Error::Trap`] if the component stopped.
    pub fn write(&mut self, event: &Event) -> Result<(), Error> {
        let (fitted, mended) = large::fit_all(std::slice::from_ref(event));
        self.with_fault(|instance| {
            instance.call(|exports, store| {
                let writer = exports.audit_store_writer();
                Ok(Ok(fitted.iter().try_for_each(|event| writer.call_write(&mut *store, event))?))
            })
        })?;
        self.mended += mended.count();
        Ok(())
    }

    /// Records all of the events, in their order, or none of them; but see [`Error::Incomplete`]
    /// (`writer.write-batch`). No event is refused for its content.
    ///
    /// # Errors
    /// - [`Error::Invalid`] names the first event by its position whose `ts` is no timestamp.
    /// - [`Error::Incomplete`]: only the first events are stored.
    /// - [`Error::Access`]: a file cannot be written. Nothing is stored.
    /// - [`Error::Unavailable`]: the store or its database takes no events now; they may be written again
    ///   later.
    /// - [`Error::Other`]: the batch is too large. More than 32 MiB of lines always are.
    /// - [`Error::Trap`]: the component stopped, and may have stored some of the events.
    pub fn write_batch(&mut self, events: &[Event]) -> Result<Receipt, Error> {
        let (fitted, mended) = large::fit_all(events);
        room::check_events(&fitted).map_err(Error::Other)?;
        let answer = self.with_fault(|instance| {
            instance.call(|exports, store| exports.audit_store_writer().call_write_batch(store, &fitted))
        });
        self.mended += mended.stored(&answer);
        answer
    }

    /// As [`Instance::write_batch`], but the events are passed on as JSON lines, which takes less time: the component
    /// copies what is in a line, and has to allocate each text of a record.
    pub(crate) fn write_events(&mut self, events: &[Event]) -> Result<Receipt, Error> {
        let (fitted, mended) = large::fit_all(events);
        room::check_events(&fitted).map_err(Error::Other)?;
        let mut lines = std::mem::take(&mut self.lines);
        for event in &*fitted {
            put_event(&event.into(), &mut lines);
            lines.push(b'\n');
        }
        room::check_size(lines.len()).map_err(Error::Other)?;
        let answer = self.with_fault(|instance| {
            instance.call(|exports, store| {
                let lines = str::from_utf8(&lines).map_err(wasmtime::Error::from)?;
                exports.audit_store_writer().call_write_jsonl(store, lines)
            })
        });
        lines.clear();
        lines.shrink_to(LINES_KEPT);
        self.lines = lines;
        self.mended += mended.stored(&answer);
        answer
    }

    /// Records the events of all lines, in their order, or none of them; but see [`Error::Incomplete`]
    /// (`writer.write-jsonl`). Each line is a JSON object with the field names of the stored lines. Empty lines are
    /// skipped.
    ///
    /// # Errors
    /// As for [`Instance::write_batch`]. [`Error::Invalid`] is also a line that is no JSON object, a value of the wrong
    /// type and an unknown field; its position is that of the line, counted from 0.
    pub fn write_jsonl(&mut self, lines: &str) -> Result<Receipt, Error> {
        let large::Lines { lines, mended, invalid } = large::fit_lines(lines);
        room::check_lines(&lines).map_err(Error::Other)?;
        let answer = self.call(|exports, store| exports.audit_store_writer().call_write_jsonl(store, &lines));
        self.mended += mended.stored(&answer);
        match (answer, invalid) {
            (Err(Error::Invalid(value)), Some(known)) if value.index == known.index => {
                Err(Error::Invalid(known))
            }
            (answer, _) => answer,
        }
    }

    /// Passes on the events that the component has buffered, and drains a part of the spool (`writer.flush`).
    ///
    /// # Errors
    /// [`Error::Access`] or [`Error::Unavailable`] says why some events still have to wait. [`Error::Trap`]
    /// if the component stopped.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.set_insert_deadline(None);
        self.call(|exports, store| exports.audit_store_writer().call_flush(store))
    }

    /// Reads a page of the entries that match the filter (`reader.read`).
    ///
    /// # Errors
    /// - [`Error::Invalid`]: a time or the cursor is invalid.
    /// - [`Error::Access`]: the folder cannot be read.
    /// - [`Error::Unavailable`]: the database does not answer.
    /// - [`Error::Other`]: the texts of the filter are larger than 16 MiB.
    /// - [`Error::Trap`]: the component stopped.
    pub fn read(&mut self, filter: &Filter, page: &PageRequest) -> Result<Page, Error> {
        room::check_query(filter, page).map_err(Error::Other)?;
        self.call(|exports, store| exports.audit_store_reader().call_read(store, filter, page))
    }

    /// Like [`Instance::read`], with the entries as JSON lines in one string (`reader.read-jsonl`).
    ///
    /// # Errors
    /// As for [`Instance::read`].
    pub fn read_jsonl(&mut self, filter: &Filter, page: &PageRequest) -> Result<JsonlPage, Error> {
        room::check_query(filter, page).map_err(Error::Other)?;
        self.call(|exports, store| exports.audit_store_reader().call_read_jsonl(store, filter, page))
    }

    /// The state of this instance (`control.status`).
    ///
    /// # Errors
    /// [`Error::Trap`] if the component stopped.
    pub fn status(&mut self) -> Result<Status, Error> {
        let status = self.call(|exports, store| exports.audit_store_control().call_status(store))?;
        let mut status = Status::from(status);
        status.mended += self.mended;
        Ok(status)
    }

    /// Flushes and closes the store (`control.close`).
    ///
    /// # Errors
    /// [`Error::Access`] or [`Error::Unavailable`] says why some events could not be passed on. The store
    /// then stays open, and has them in memory. [`Error::Trap`] if the component stopped.
    pub fn close(&mut self) -> Result<(), Error> {
        self.set_insert_deadline(None);
        self.call(|exports, store| exports.audit_store_control().call_close(store))
    }

    /// Whether the folder did not exist when the instance was started with [`Options::read_only`], which does
    /// not create it. There was nothing to read in the folder then. The instance cannot read what others have
    /// recorded in it since.
    #[must_use]
    pub fn found_no_folder(&self) -> bool {
        matches!(&self.folder, Some(Err(NoFolder { missing: true, .. })))
    }

    /// The folder of the daily files or of the spool.
    pub(crate) fn folder_path(&self) -> Option<PathBuf> {
        self.options.folder()
    }

    /// Whether the path of the folder leads to another folder than when the instance was started: the folder
    /// was removed or replaced since, or could not be opened then. Creates the folder if it does not exist.
    pub(crate) fn folder_has_moved(&self) -> bool {
        let Some(path) = self.options.folder() else { return false };
        if !self.options.read_only {
            let _ = fs::create_dir_all(&path);
        }
        folder_id(&path).is_ok_and(|now| !matches!(&self.folder, Some(Ok(then)) if *then == now))
    }

    /// Makes inserts into the database fail from `deadline` on, until the next flush. `None` for no deadline.
    pub(crate) fn set_insert_deadline(&mut self, deadline: Option<Instant>) {
        let state = self.store.data_mut();
        (state.insert_deadline, state.insert_deadline_missed) = (deadline, false);
    }

    /// Whether an insert has failed because of the deadline since it was set.
    pub(crate) fn missed_insert_deadline(&self) -> bool {
        self.store.data().insert_deadline_missed
    }

    /// Whether a trap has ended this instance.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Calls an export, within the limit of a call. A trap ends the instance.
    fn call<T>(
        &mut self,
        call: impl FnOnce(&Full, &mut Store<HostState>) -> wasmtime::Result<Result<T, types::Error>>,
    ) -> Result<T, Error> {
        if self.stopped {
            return Err(Error::Trap("an earlier call stopped it; open a new instance".into()));
        }
        self.store.data_mut().time = CallTime::start();
        set_deadline(&mut self.store, self.epochs);
        let _inside = runtime::enter();
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
    fn with_fault<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        call(self)
    }

    /// Makes the call with the next fault that a test has injected.
    #[cfg(test)]
    fn with_fault<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let fault = self.options.faults.lock().expect("no test panics with it").pop_front();
        if fault == Some(Fault::Before) {
            self.stopped = true;
        }
        let answer = call(self);
        if fault == Some(Fault::After) {
            self.stopped = true;
            return Err(Error::Trap("a fault that the test injected".into()));
        }
        answer
    }
}

fn set_deadline(store: &mut Store<HostState>, epochs: Option<u64>) {
    // A new store has no epochs left, so it needs a deadline even without a limit. Half of the range is far
    // enough and cannot overflow.
    store.set_epoch_deadline(epochs.unwrap_or(u64::MAX / 2));
}

/// Why the component stopped. The text names the option whose limit was reached.
fn reason(trap: &wasmtime::Error, state: &HostState, options: &Options) -> String {
    if let (Some(Trap::Interrupt), Some(limit)) = (trap.downcast_ref(), options.call_limit) {
        return format!("the call took longer than its limit of {limit:?} (the option call_limit)");
    }
    if state.memory.exceeded {
        return format!(
            "it needs more memory than its limit of {} bytes (the option guest_memory)",
            state.memory.bytes
        );
    }
    trap.root_cause().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Makes a call that takes the component some hundredths of a second, under a limit of 1 ms. `waited` is
    /// how long the call is said to have waited for the database.
    fn write(waited: Duration) -> Result<Receipt, Error> {
        let options = Options::new().backend("null").call_limit(Duration::from_millis(1)).warnings(|_| {});
        // On a busy machine, the start itself can take longer than the limit.
        let mut instance = (0..100).find_map(|_| Instance::open(&options).ok()).expect("it starts");
        let lines = "{\"tool\":\"search\",\"status\":\"ok\"}\n".repeat(20_000);
        instance.call(|exports, store| {
            store.data_mut().time.waited = waited;
            exports.audit_store_writer().call_write_jsonl(store, &lines)
        })
    }

    #[test]
    fn a_folder_that_is_created_after_the_start_counts_as_not_found() {
        let place = tempfile::tempdir().expect("a folder");
        let options = Options::new().dir(place.path().join("audit")).read_only(true);
        let instance = Instance::open(&options).expect("it starts");
        std::fs::create_dir(place.path().join("audit")).expect("it was not there");
        assert!(instance.found_no_folder());
        assert!(!Instance::open(&options).expect("it starts").found_no_folder());
    }

    #[test]
    fn waiting_for_the_database_does_not_count_towards_the_limit_of_a_call() {
        assert!(write(Duration::from_secs(60)).is_ok());
        for waited in [Duration::ZERO, Duration::from_millis(2)] {
            let answer = write(waited);
            let limit = |text: &String| text.contains("longer than its limit of 1ms");
            assert!(matches!(&answer, Err(Error::Trap(text)) if limit(text)), "{answer:?}");
        }
    }
}
