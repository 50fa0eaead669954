//! A store that a program embeds: one worker thread, and handles to it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};
use std::vec;

use audit_format::time::Timestamp;

use crate::component::Component;
use crate::error::Error;
use crate::instance::Instance;
use crate::options::Options;
use crate::queue::Queue;
use crate::reader::Reader;
use crate::types::{Entry, Event, Filter, JsonlPage, Order, Page, PageRequest, Receipt, Status};
use crate::worker::{Request, Whose, Worker};

/// How long a status waits for a busy worker: longer than one timeout of the database, by default.
const STATUS_WAIT: Duration = Duration::from_secs(3);

/// A store in use: the component, on a thread of its own. It is used through its [`Handle`].
///
/// [`AuditStore::close`] hands over what is queued and closes the component; dropping it does the same, but
/// cannot say how it went.
#[derive(Debug)]
pub struct AuditStore {
    handle: Handle,
    worker: Option<JoinHandle<()>>,
}

impl AuditStore {
    /// Loads the component, and starts it.
    ///
    /// A folder that cannot be created is no error here: what is written waits in the queue until it can be
    /// stored, and [`Handle::status`] says why it is not.
    ///
    /// # Errors
    /// [`Error::Config`] for an invalid option, [`Error::Start`] where the component
    /// cannot be started.
    pub fn open(options: Options) -> Result<Self, Error> {
        Self::run(None, options)
    }

    /// [`AuditStore::open`] with a component that is loaded already, for a program with several stores.
    ///
    /// # Errors
    /// As [`AuditStore::open`].
    pub fn open_with(component: &Component, options: Options) -> Result<Self, Error> {
        Self::run(Some(component.clone()), options)
    }

    fn run(component: Option<Component>, options: Options) -> Result<Self, Error> {
        let queue = Arc::new(Queue::new(options.queue_events, options.queue_bytes));
        let (opened, opening) = mpsc::sync_channel(1);
        let (worker_queue, worker_options) = (Arc::clone(&queue), options.clone());
        // Started over there, because WASI's file functions must not be called from an asynchronous task.
        let run = move || match Worker::open(component.as_ref(), &worker_options, worker_queue) {
            Ok(worker) => {
                drop(opened.send(Ok(worker.component().clone())));
                worker.run();
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        let worker = thread::Builder::new().name("audit-store".into()).spawn(run).map_err(Error::start)?;
        let component = opening.recv().unwrap_or_else(|_| Err(Error::Start("its thread ended".into())))?;
        let handle = Handle { queue, reader: Arc::new(Reader::new(component, options)) };
        Ok(Self { handle, worker: Some(worker) })
    }

    /// A handle for another part of the program. After [`AuditStore::close`] its writes are counted as
    /// `unwritable`, and its other calls are [`Error::Closed`].
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Lets nothing in any more, hands over what is queued, closes the component, and returns the last status.
    /// What could not be stored until then is lost, and counted as `unwritable`.
    ///
    /// # Errors
    /// [`Error::Closed`] if the worker ended before.
    pub fn close(mut self) -> Result<Status, Error> {
        self.end();
        self.handle.queue.status().ok_or(Error::Closed)
    }

    fn end(&mut self) {
        self.handle.queue.close();
        self.handle.reader.end();
        if let Some(worker) = self.worker.take() {
            // A panic of the worker was printed when it happened, and leaves no status.
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

/// What a program writes to and reads from. A clone is cheap; all clones are the same store.
///
/// [`Handle::write`] never waits. The other calls wait for their answer: they see what was written before them, and in
/// an asynchronous program they belong into a thread that may block. Reads hold up no write: they have a thread and an
/// instance of the component of their own.
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
    /// Records one event. It never waits and never fails the caller: what cannot be kept is counted in
    /// [`Handle::status`] under its reason, and a warning goes to stderr once per reason and minute.
    ///
    /// An event without a `ts` gets the time of this call.
    pub fn write(&self, event: Event) {
        self.queue.push(stamped(event));
    }

    /// Records all of the events, in their order, or none, and waits until it is known.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the event; after [`Error::Access`] nothing is stored, except as the text says.
    /// After [`Error::Trap`] some of the events may be stored; the text says how many.
    pub fn write_batch(&self, events: Vec<Event>) -> Result<Receipt, Error> {
        let events = events.into_iter().map(stamped).collect();
        self.ask(|worker| worker.write_batch(events))?
    }

    /// [`Handle::write_batch`] for events as JSON objects, one a line, with the field names of the stored
    /// lines.
    ///
    /// # Errors
    /// As [`Handle::write_batch`].
    pub fn write_jsonl(&self, lines: impl Into<String>) -> Result<Receipt, Error> {
        let lines = lines.into();
        self.ask(move |worker| worker.write_jsonl(&lines))?
    }

    /// Hands over all that was written before, down to what the component has buffered. Under `auto` the database
    /// is tried again, and what is in the spool goes into it, as far as it takes it.
    ///
    /// # Errors
    /// Why something still has to wait; nothing is lost by it.
    pub fn flush(&self) -> Result<(), Error> {
        let mut left = None;
        // A call for each part, so that events are taken from the queue meanwhile. Where they come faster than the
        // database takes them, this would never end.
        while let Some(now) = self.ask(Worker::flush)?? {
            if left.is_some_and(|left| now >= left) {
                break;
            }
            left = Some(now);
        }
        Ok(())
    }

    /// A page of the entries that match.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an invalid time or cursor; [`Error::Access`] where the
    /// folder cannot be read.
    pub fn read(&self, filter: &Filter, page: PageRequest) -> Result<Page, Error> {
        self.ask_to_read(filter, page, Instance::read)
    }

    /// [`Handle::read`] with the entries as JSON lines in one string.
    ///
    /// # Errors
    /// As [`Handle::read`].
    pub fn read_jsonl(&self, filter: &Filter, page: PageRequest) -> Result<JsonlPage, Error> {
        self.ask_to_read(filter, page, Instance::read_jsonl)
    }

    /// All entries that match, a page at a time: each that was stored before the first page is given once,
    /// while others write.
    pub fn entries(&self, filter: Filter, order: Order) -> Entries {
        let request = PageRequest { order, limit: Entries::PAGE, cursor: None };
        Entries { handle: self.clone(), filter, request: Some(request), page: Vec::new().into_iter() }
    }

    /// How the store is doing, once what was written before was handed over, or after three seconds. After the store
    /// was closed: how it ended.
    ///
    /// # Errors
    /// [`Error::Closed`] where the worker ended without a status.
    pub fn status(&self) -> Result<Status, Error> {
        // Closed, or busy for longer: what it last said.
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
        // What was written before has to be where the reader looks.
        match self.ask(Worker::prepare_read)?? {
            Whose::Readers => self.reader.ask(read),
            Whose::Workers => self.ask(move |worker| worker.read(read))?,
        }
    }

    /// Has the worker do something, and waits for the answer.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker) -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.request(work)?.recv().map_err(|_| Error::Closed)
    }

    /// Has the worker do something; the answer comes when it is done.
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

/// The entries that match a filter; see [`Handle::entries`]. It ends after an error.
#[derive(Debug)]
pub struct Entries {
    handle: Handle,
    filter: Filter,
    request: Option<PageRequest>,
    page: vec::IntoIter<Entry>,
}

impl Entries {
    /// Few enough that a page is small beside the component's memory.
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
