//! Reads have an instance and a thread of their own, so that a big search holds up no write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::component::Component;
use crate::error::Error;
use crate::instance::Instance;
use crate::options::Options;

/// What a caller wants to read, answer included.
type Request = Box<dyn FnOnce(&mut Reading) + Send>;

/// The thread that reads. It is started by the first read.
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

    /// Reads, and waits for the answer.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        read: impl Fn(&mut Instance) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = mpsc::sync_channel(1);
        let asked = Instant::now();
        let request: Request = Box::new(move |reading| drop(answer.send(reading.read(asked, read))));
        self.send(request)?;
        answered.recv().unwrap_or(Err(Error::Closed))
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
        let (options, speaks) = self.options.beside();
        let component = self.component.clone();
        let mut reading = Reading { component, options, speaks, instance: None, unanswered: None };
        let run = move || received.into_iter().for_each(|request| request(&mut reading));
        thread::Builder::new().name("audit-reader".into()).spawn(run).map_err(Error::start)?;
        Ok(requests)
    }

    /// Ends the thread, once what was asked for is answered.
    pub(crate) fn end(&self) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Thread::Ended;
    }
}

/// What the thread works with.
struct Reading {
    component: Component,
    options: Options,
    /// Whether warnings of the instance are passed on.
    speaks: Arc<AtomicBool>,
    instance: Option<Instance>,
    /// When the database last left a read without an answer, and the error.
    unanswered: Option<(Instant, Error)>,
}

impl Reading {
    /// Reads, for somebody who asked for it then.
    fn read<T>(
        &mut self,
        asked: Instant,
        read: impl Fn(&mut Instance) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some((at, error)) = &self.unanswered
            && asked < *at
        {
            // Those who ask at the same time wait for one timeout, not each for another.
            return Err(error.clone());
        }
        let answer = self.instance().and_then(read);
        if let Err(error @ Error::Unavailable(_)) = &answer {
            self.unanswered = Some((Instant::now(), error.clone()));
        }
        answer
    }

    /// An instance on the folder that is there now.
    fn instance(&mut self) -> Result<&mut Instance, Error> {
        let usable = |instance: &Instance| !instance.stopped() && !instance.folder_has_moved();
        let instance = match self.instance.take().filter(usable) {
            Some(instance) => instance,
            None => {
                self.speaks.store(false, Ordering::Relaxed);
                Instance::start(&self.component, &self.options)?
            }
        };
        self.speaks.store(true, Ordering::Relaxed);
        Ok(self.instance.insert(instance))
    }
}
