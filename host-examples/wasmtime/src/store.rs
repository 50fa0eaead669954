//! The store that a program embeds: a worker thread, a reader thread, and the handles that reach both.

mod asynchronous;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use std::vec;

use audit_format::time::Timestamp;

use crate::component::Component;
use crate::error::Error;
use crate::instance::Instance;
use crate::options::Options;
use crate::queue::Queue;
use crate::reader::Reader;
use crate::types::{Entry, Event, Filter, JsonlPage, Order, Page, PageRequest, Receipt, Status};
use crate::worker::{ReadVia, Request, Worker};

/// How long [`Handle::status`] waits for a busy worker. By default this is longer than one database timeout.
const STATUS_WAIT: Duration = Duration::from_secs(3);

/// An open store. It runs the component on a worker thread, and is used through its [`Handle`].
///
/// [`AuditStore::close`] drains the queue, closes the component and reports how that went. Dropping the store
/// does the same without a report. Both block until the worker has ended.
///
/// ```
/// use audit_host::{AuditStore, Event, Options};
///
/// # fn main() -> Result<(), audit_host::Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// let store = AuditStore::open(Options::new().dir(folder.path()))?;
/// store.write(Event { tool: "search".into(), ..Event::default() });
/// let status = store.close()?;
/// assert_eq!((status.counts.stored, status.counts.dropped.unwritable), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AuditStore {
    handle: Handle,
    worker: Option<JoinHandle<()>>,
}

impl AuditStore {
    /// Loads the component and starts the worker. Blocks until the component runs.
    ///
    /// It is no error if the folder cannot be created. Events then wait in the queue until they can be
    /// stored, and [`Handle::status`] says why they cannot.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid option; [`Error::Start`] if the component cannot be started.
    pub fn open(options: Options) -> Result<Self, Error> {
        Self::run(None, options)
    }

    /// Like [`AuditStore::open`], with a component that is already loaded, for programs with several stores.
    ///
    /// # Errors
    /// As for [`AuditStore::open`].
    pub fn open_with(component: &Component, options: Options) -> Result<Self, Error> {
        Self::run(Some(component.clone()), options)
    }

    fn run(component: Option<Component>, options: Options) -> Result<Self, Error> {
        let queue = Arc::new(Queue::new(options.queue_events, options.queue_bytes));
        let (opened, opening) = mpsc::sync_channel(1);
        let (worker_queue, worker_options) = (Arc::clone(&queue), options.clone());
        // The component starts on the worker's thread, because WASI's file functions must not be called from
        // an asynchronous task and the caller may be one.
        let run = move || match Worker::open(component.as_ref(), &worker_options, worker_queue) {
            Ok(worker) => {
                drop(opened.send(Ok(worker.component().clone())));
                worker.run();
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        let worker = thread::Builder::new().name("audit-store".into()).spawn(run).map_err(Error::start)?;
        let component =
            opening.recv().unwrap_or_else(|_| Err(Error::Start("the worker thread ended".into())))?;
        let handle = Handle { queue, reader: Arc::new(Reader::new(component, options)) };
        Ok(Self { handle, worker: Some(worker) })
    }

    /// A handle for another part of the program.
    ///
    /// After [`AuditStore::close`], events passed to [`Handle::write`] are counted as `unwritable`,
    /// [`Handle::status`] returns the last status, and all other calls fail with [`Error::Closed`].
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Accepts no more events, drains the queue, closes the component and returns the last status. Blocks
    /// until all of that is done. Events that cannot be stored are lost, and counted as `unwritable`.
    ///
    /// # Errors
    /// [`Error::Closed`] if the worker had ended before, by a panic.
    pub fn close(mut self) -> Result<Status, Error> {
        self.end();
        self.handle.queue.status().ok_or(Error::Closed)
    }

    fn end(&mut self) {
        self.handle.queue.close();
        self.handle.reader.end();
        if let Some(worker) = self.worker.take() {
            // A panic of the worker has already been printed. It leaves no status, which `close` reports.
            let _ = worker.join();
        }
    }
}

impl Deref for AuditStore {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for AuditStore {
    fn drop(&mut self) {
        self.end();
    }
}

/// Writes to a store and reads from it. A clone is cheap, and all clones use the same store.
///
/// There are two ways to hand over one event, which differ where the queue is full:
/// - [`Handle::write`] never blocks, and drops the event and counts it. This is for the runtime of an agent, which no
///   record may hold up.
/// - [`Handle::write_when_room`] blocks until there is room, and [`Handle::write_when_room_async`] resolves once there is.
///   These are for a program that would rather wait than lose an event, such as one that imports events.
///
/// [`Handle::write`] and the future never block. All other calls block until they are answered, so an asynchronous program
/// makes them on a thread that may block. They see the events that were written before them. Reads run on a thread and an
/// instance of the component of their own, and do not hold up writes.
///
/// ```
/// use audit_host::{AuditStore, Event, Filter, Options, Order};
///
/// # fn main() -> Result<(), audit_host::Error> {
/// let store = AuditStore::open(Options::new().backend("memory"))?;
/// let handle = store.handle();
/// let tool = std::thread::spawn(move || {
///     handle.write(Event { tool: "search".into(), ..Event::default() });
/// });
/// # tool.join().expect("it does not panic");
/// store.write_jsonl(r#"{"tool":"fetch","status":"ok","duration_ms":45}"#)?;
///
/// let fetched = Filter { tool: Some("fetch".into()), ..Filter::default() };
/// let entries = store.entries(fetched, Order::NewestFirst).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(entries[0].event.duration_ms, 45);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Handle {
    queue: Arc<Queue<Request>>,
    reader: Arc<Reader>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle {
    /// Records one event. This never blocks and never fails. An event that cannot be kept is counted in
    /// [`Handle::status`] by its reason, and a warning goes to stderr at most once a minute for each reason.
    ///
    /// An event without a `ts` gets the time of this call.
    pub fn write(&self, event: Event) {
        self.queue.push(stamped(event));
    }

    /// Records one event, and blocks while the queue is full. Where several callers wait, also with
    /// [`Handle::write_when_room_async`], the one that came first is served first, and before events of
    /// [`Handle::write`]. An event that is larger than the whole queue waits until the queue is empty.
    ///
    /// As long as events cannot be stored, such as on a full disk, the queue stays full and this call blocks. Closing the
    /// store ends it. It must not be called from the function of [`Options::warnings`], which runs on the thread that
    /// makes room.
    ///
    /// An event without a `ts` gets the time of this call. It counts in [`Handle::status`] once it is in the queue.
    ///
    /// # Errors
    /// [`Error::Closed`] if the store is closed, before or meanwhile. The event is then counted as `unwritable`.
    pub fn write_when_room(&self, event: Event) -> Result<(), Error> {
        Arc::clone(&self.queue).push_when_room(stamped(event)).wait()
    }

    /// Like [`Handle::write_when_room`], for asynchronous programs: the future resolves once the event is in the queue.
    /// It never blocks, and needs no particular runtime. An event takes its place among those that wait when the future
    /// is first polled. If the future is dropped before it resolves, the event is not recorded, unless there was room
    /// for it meanwhile.
    ///
    /// ```
    /// use audit_host::{AuditStore, Event, Options};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), audit_host::Error> {
    /// let store = AuditStore::open(Options::new().backend("memory").queue(10, 1 << 20))?;
    /// for n in 0..1000 {
    ///     store.write_when_room_async(Event { tool: "search".into(), duration_ms: n, ..Event::default() }).await?;
    /// }
    /// assert_eq!(store.close()?.counts.stored, 1000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`Handle::write_when_room`].
    pub fn write_when_room_async(
        &self,
        event: Event,
    ) -> impl Future<Output = Result<(), Error>> + Send + Unpin + use<> {
        Arc::clone(&self.queue).push_when_room(stamped(event))
    }

    /// Records all of the events, in their order, or none of them. Blocks until the component has answered.
    ///
    /// # Errors
    /// - [`Error::Invalid`] names the first event by its position whose `ts` is no timestamp.
    /// - [`Error::Incomplete`]: only the first events are stored.
    /// - [`Error::Access`]: nothing is stored.
    /// - [`Error::Trap`]: some of the events may be stored; the text says how many.
    /// - [`Error::Unavailable`]: the component's memory or its database takes no events now; they may be
    ///   written again later.
    /// - [`Error::Start`]: there is no component, because the last one stopped and no new one can be started.
    /// - [`Error::Closed`]: the store is closed.
    pub fn write_batch(&self, events: Vec<Event>) -> Result<Receipt, Error> {
        let events = events.into_iter().map(stamped).collect();
        self.ask(|worker| worker.write_batch(events))?
    }

    /// Like [`Handle::write_batch`], for events as JSON objects, one on each line, with the field names of
    /// the stored lines. Empty lines are skipped.
    ///
    /// # Errors
    /// As for [`Handle::write_batch`]. After [`Error::Trap`] it is not known how many events are stored.
    pub fn write_jsonl(&self, lines: impl Into<String>) -> Result<Receipt, Error> {
        let lines = lines.into();
        self.ask(move |worker| worker.write_jsonl(&lines))?
    }

    /// Passes on all events that were written before, including those that the component has buffered. Under
    /// `auto` the component also tries the database again and drains the spool as far as the database takes
    /// it. Blocks until that is done.
    ///
    /// # Errors
    /// Says why some events still have to wait. None of them is lost, except after [`Error::Trap`]: events of
    /// [`Handle::write_jsonl`] that the component had buffered are then counted as `unwritable`.
    pub fn flush(&self) -> Result<(), Error> {
        let mut left = None;
        // Each call drains a part of the spool, so that the worker can take events from the queue in between.
        // The loop ends once the spool no longer shrinks: events may arrive faster than the database takes
        // them.
        while let Some(now) = self.ask(Worker::flush)?? {
            if left.is_some_and(|left| now >= left) {
                break;
            }
            left = Some(now);
        }
        Ok(())
    }

    /// Reads a page of the entries that match the filter. Blocks until the page is read.
    ///
    /// ```
    /// use audit_host::{AuditStore, Event, Filter, Options, PageRequest};
    ///
    /// # fn main() -> Result<(), audit_host::Error> {
    /// let store = AuditStore::open(Options::new().backend("memory"))?;
    /// store.write_batch(vec![Event { tool: "search".into(), ..Event::default() }; 5])?;
    ///
    /// let filter = Filter { tool: Some("search".into()), ..Filter::default() };
    /// let mut request = PageRequest { limit: 2, ..PageRequest::default() };
    /// let mut sizes = Vec::new();
    /// loop {
    ///     let page = store.read(&filter, request.clone())?;
    ///     sizes.push(page.entries.len());
    ///     // A page may end before its limit. Nothing is left only if there is no next cursor.
    ///     request.cursor = page.next;
    ///     if request.cursor.is_none() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(sizes, [2, 2, 1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Invalid`]: a time or the cursor is invalid.
    /// - [`Error::Access`]: the folder cannot be read.
    /// - [`Error::Unavailable`]: the database does not answer.
    /// - [`Error::Trap`]: the read needed too much time or memory; narrow the filter or ask for a smaller
    ///   page.
    /// - [`Error::Closed`]: the store is closed.
    pub fn read(&self, filter: &Filter, page: PageRequest) -> Result<Page, Error> {
        self.ask_to_read(filter, page, Instance::read)
    }

    /// Like [`Handle::read`], with the entries as JSON lines in one string.
    ///
    /// # Errors
    /// As for [`Handle::read`].
    pub fn read_jsonl(&self, filter: &Filter, page: PageRequest) -> Result<JsonlPage, Error> {
        self.ask_to_read(filter, page, Instance::read_jsonl)
    }

    /// Iterates over all entries that match the filter, and reads them a page at a time. Each matching entry
    /// that was stored before the first page is returned exactly once, also while others write.
    pub fn entries(&self, filter: Filter, order: Order) -> Entries {
        let request = PageRequest { order, limit: Entries::PAGE, cursor: None };
        Entries { handle: self.clone(), filter, request: Some(request), page: Vec::new().into_iter() }
    }

    /// The state of the store. Blocks until the worker has passed on the events that were written before, but
    /// for three seconds at most. After the store is closed, this is its last state.
    ///
    /// # Errors
    /// [`Error::Closed`] if the worker ended by a panic, and left no status.
    pub fn status(&self) -> Result<Status, Error> {
        // If the worker has ended, or is busy for longer, the status that it last published is returned.
        if let Ok(refreshed) = self.request(Worker::refresh) {
            let _ = refreshed.recv_timeout(STATUS_WAIT);
        }
        self.queue.status().ok_or(Error::Closed)
    }

    #[cfg(test)]
    pub(crate) fn queue(&self) -> &Queue<Request> {
        &self.queue
    }

    fn ask_to_read<T: Send + 'static>(
        &self,
        filter: &Filter,
        page: PageRequest,
        read: fn(&mut Instance, &Filter, &PageRequest) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let filter = filter.clone();
        let read = move |instance: &mut Instance| read(instance, &filter, &page);
        // The worker first passes on what was written before, so that the reader's instance can see it.
        let asked = Instant::now();
        match self.ask(move |worker| worker.prepare_read(asked))?? {
            ReadVia::Reader => self.reader.ask(read),
            ReadVia::Worker => self.ask(move |worker| worker.read(read))?,
        }
    }

    /// Has the worker do something, and blocks until it has answered.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker) -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.request(work)?.recv().map_err(|_| Error::Closed)
    }

    /// Has the worker do something. The receiver gets the answer.
    fn request<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker) -> T + Send + 'static,
    ) -> Result<mpsc::Receiver<T>, Error> {
        let (answer, answered) = mpsc::sync_channel(1);
        let request = Box::new(move |worker: &mut Worker| drop(answer.send(work(worker))));
        self.queue.ask(request).map_err(|_| Error::Closed)?;
        Ok(answered)
    }
}

fn stamped(mut event: Event) -> Event {
    if event.ts.is_empty() {
        event.ts = Timestamp::from(SystemTime::now()).to_string();
    }
    event
}

/// Iterates over the entries that match a filter; see [`Handle::entries`]. It ends after the first error.
#[derive(Debug)]
pub struct Entries {
    handle: Handle,
    filter: Filter,
    request: Option<PageRequest>,
    page: vec::IntoIter<Entry>,
}

impl Entries {
    /// Entries of a page: few enough that a page is small compared with the component's memory.
    const PAGE: u32 = 1000;
}

impl Iterator for Entries {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            let request = self.request.take()?;
            match self.handle.read(&self.filter, request.clone()) {
                Ok(page) => {
                    self.request = page.next.map(|next| PageRequest { cursor: Some(next), ..request });
                    self.page = page.entries.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
