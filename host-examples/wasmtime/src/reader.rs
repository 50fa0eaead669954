//! The thread that reads. It has an instance of its own, so that a long read does not hold up writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::component::Component;
use crate::error::Error;
use crate::instance::Instance;
use crate::options::Options;
use crate::unanswered::Unanswered;

/// What a caller wants to read. The function also sends the answer.
type Request = Box<dyn FnOnce(&mut ReaderState) + Send>;

/// The reader thread. The first read starts it.
pub(crate) struct Reader {
    component: Component,
    options: Options,
    thread: Mutex<Thread>,
}

enum Thread {
    NotStarted,
    Running(Sender<Request>),
    Ended,
}

impl Reader {
    pub(crate) fn new(component: Component, options: Options) -> Self {
        Self { component, options, thread: Mutex::new(Thread::NotStarted) }
    }

    /// Reads, and blocks until the answer is there.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        read: impl Fn(&mut Instance) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = mpsc::sync_channel(1);
        let asked = Instant::now();
        let request: Request = Box::new(move |reader| drop(answer.send(reader.read(asked, read))));
        self.send(request)?;
        answered.recv().unwrap_or(Err(Error::Closed))
    }

    /// Like [`Reader::ask`], and resolves once the answer is there.
    pub(crate) async fn answered<T: Send + 'static>(
        &self,
        read: impl Fn(&mut Instance) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let asked = Instant::now();
        self.send(Box::new(move |reader| drop(answer.send(reader.read(asked, read)))))?;
        answered.await.unwrap_or(Err(Error::Closed))
    }

    fn send(&self, request: Request) -> Result<(), Error> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Thread::NotStarted = *thread {
            *thread = Thread::Running(self.start()?);
        }
        match &*thread {
            Thread::Running(requests) => requests.send(request).map_err(|_| Error::Closed),
            Thread::NotStarted | Thread::Ended => Err(Error::Closed),
        }
    }

    fn start(&self) -> Result<Sender<Request>, Error> {
        let (requests, received) = mpsc::channel::<Request>();
        let (options, pass_warnings) = self.options.for_reader();
        let component = self.component.clone();
        let unanswered = Unanswered::default();
        let mut state = ReaderState { component, options, pass_warnings, instance: None, unanswered };
        let run = move || received.into_iter().for_each(|request| request(&mut state));
        thread::Builder::new().name("audit-reader".into()).spawn(run).map_err(Error::start)?;
        Ok(requests)
    }

    /// Lets the thread end once it has answered the requests that it has.
    pub(crate) fn end(&self) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Thread::Ended;
    }
}

/// What the thread works with.
struct ReaderState {
    component: Component,
    options: Options,
    /// Whether the warnings of the instance are passed on.
    pass_warnings: Arc<AtomicBool>,
    instance: Option<Instance>,
    unanswered: Unanswered,
}

impl ReaderState {
    /// Reads for a caller that asked at the time `asked`.
    fn read<T>(
        &mut self,
        asked: Instant,
        read: impl Fn(&mut Instance) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.unanswered.check(asked)?;
        let answer = self.instance().and_then(read);
        self.unanswered.observe(&answer);
        answer
    }

    /// The instance, or a new one if the folder has moved since or the instance has stopped.
    fn instance(&mut self) -> Result<&mut Instance, Error> {
        let usable = |instance: &Instance| !instance.stopped() && !instance.folder_has_moved();
        let instance = match self.instance.take().filter(usable) {
            Some(instance) => instance,
            None => {
                // The worker's instance has already warned of what is wrong with the options.
                self.pass_warnings.store(false, Ordering::Relaxed);
                Instance::start(&self.component, &self.options)?
            }
        };
        self.pass_warnings.store(true, Ordering::Relaxed);
        Ok(self.instance.insert(instance))
    }
}
