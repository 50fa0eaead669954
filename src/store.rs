//! The store: it owns the backend, accounts for every event, and keeps what went wrong for the status.

mod status;
mod write;

pub use status::{Receipt, Status};

use crate::accounting::{Counts, Dropped};
use crate::backend::{Backend, Holdings, Leftover, Notice};
use crate::backends;
use crate::batch::Batch;
use crate::error::Error;
use crate::host::Host;
use crate::settings::{Config, Settings};
use crate::sink::{End, Sink};
use crate::warnings::{Topic, Warnings};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::id::Ids;
use audit_format::query::{Filter, PageRequest, Query};
use audit_format::time::Timestamp;
use uuid::Uuid;

const CLOSED: &str = "the store is closed; `configure` opens it again";

/// A store.
pub struct Store<H: Host> {
    host: Rc<H>,
    settings: Settings,
    /// `None`: the store is closed.
    backend: Option<Box<dyn Backend>>,
    /// Since when this backend is open.
    since: Timestamp,
    ids: Ids,
    chain: Uuid,
    /// The `seq` of the next event.
    seq: u64,
    received: u64,
    /// Events that a backend accepted.
    accepted: u64,
    /// Accepted events that were lost later: the database refused them, or their spool file was removed.
    lost: u64,
    rejected: u64,
    dropped: Dropped,
    /// Accepted events that differ from what was sent.
    mended: u64,
    /// What replaced backends have left on disk for the database.
    leftovers: Vec<Leftover>,
    /// Since when events wait in memory.
    waiting_since: Option<Timestamp>,
    warnings: Warnings,
    last_error: Option<String>,
    /// An empty batch, whose memory is used again.
    scratch: Batch,
}

impl<H: Host + 'static> Store<H> {
    /// A store with the settings of the environment.
    pub fn new(host: H) -> Self {
        let host = Rc::new(host);
        let settings = Settings::from_environment(&|name| host.variable(name), &|| host.has_database());
        let now = host.now();
        let mut ids = Ids::default();
        let chain = ids.next(now, || host.random());
        let mut store = Self {
            host,
            settings,
            backend: None,
            since: now,
            ids,
            chain,
            seq: 0,
            received: 0,
            accepted: 0,
            lost: 0,
            rejected: 0,
            dropped: Dropped::default(),
            mended: 0,
            leftovers: Vec::new(),
            waiting_since: None,
            warnings: Warnings::default(),
            last_error: None,
            scratch: Batch::default(),
        };
        store.open();
        store
    }

    /// Replaces the backend by the one of the settings.
    fn open(&mut self) {
        self.retire_backend();
        self.backend = Some(backends::open(&self.settings, self.chain, &mut self.leftovers, &self.host));
        self.since = self.host.now();
        for warning in &self.settings.warnings {
            self.host.warn(&format!("audit-store: {warning}"));
        }
    }

    fn retire_backend(&mut self) {
        self.leftovers.extend(self.backend.as_mut().and_then(|backend| backend.retire()));
        self.backend = None;
    }

    /// Changes the settings, and opens a closed store.
    ///
    /// # Errors
    /// If a setting is invalid, or buffered events cannot be flushed. The store then stays as it was.
    pub fn configure(&mut self, config: &Config) -> Result<(), Error> {
        let settings =
            Settings::resolve(config, &|name| self.host.variable(name), &|| self.host.has_database());
        let settings = settings.map_err(Error::Config)?;
        if self.backend.is_some() && settings == self.settings {
            return Ok(());
        }
        if self.holdings().pending > 0 {
            self.flush()?;
        }
        self.settings = settings;
        self.open();
        Ok(())
    }

    /// Stores the events that wait in memory.
    ///
    /// # Errors
    /// If some of them cannot be stored now. They stay in memory.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.store_waiting(|backend| backend.flush())
    }

    fn store_waiting(
        &mut self,
        store: impl FnOnce(&mut dyn Backend) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.waiting_since = None;
        let Some(backend) = &mut self.backend else { return Ok(()) };
        let result = store(&mut **backend);
        self.pass_on_notices();
        if let Err(error) = &result {
            self.warn(Topic::Flush, &error.to_string());
        }
        result
    }

    /// Flushes once events have waited for the flush interval, so that a store that is written to steadily
    /// does not depend on calls of `flush`.
    fn flush_if_due(&mut self) {
        if self.holdings().pending == 0 {
            self.waiting_since = None;
            return;
        }
        let now = self.host.now();
        let since = *self.waiting_since.get_or_insert(now);
        if now.micros().abs_diff(since.micros()) >= self.settings.flush_interval_ms.saturating_mul(1000) {
            // `flush` warns of an error, and nothing is lost.
            let _ = self.flush();
        }
    }

    /// Stores the events that wait in memory, and closes the store.
    ///
    /// # Errors
    /// That of `flush`. The store then stays open.
    pub fn close(&mut self) -> Result<(), Error> {
        self.store_waiting(|backend| backend.close())?;
        self.retire_backend();
        Ok(())
    }

    /// Hands the page of the matching entries to the sink.
    ///
    /// # Errors
    /// If the filter or the page request is invalid, the store is closed, or its folder or database cannot be
    /// read.
    pub fn read(&mut self, filter: Filter, request: &PageRequest, sink: &mut dyn Sink) -> Result<End, Error> {
        let query = Query::new(filter, request)?;
        let Some(backend) = &mut self.backend else {
            return Err(Error::Unavailable(CLOSED.into()));
        };
        let end = backend.read(&query, sink);
        match &end {
            Ok(end) => {
                for file in &end.unreadable {
                    self.warn(Topic::Read, file);
                }
            }
            Err(error) => self.note(&error.to_string()),
        }
        end
    }

    /// Counts events that could not be written because the store was in use.
    pub fn count_unwritten(&mut self, count: u64) {
        self.received += count;
        self.dropped.unwritable += count;
    }

    /// Finds out what the status tells about other instances.
    pub fn survey(&mut self) {
        if let Some(backend) = &mut self.backend {
            backend.survey();
        }
    }

    /// The state of the store, with what the last survey has found.
    pub fn status(&self) -> Status<'_> {
        let holdings = self.holdings();
        let (pending, spooled) = (holdings.pending, holdings.spooled + self.left_over());
        let (backend, since) = holdings.active.unwrap_or((self.settings.backend.into(), self.since));
        Status {
            settings: &self.settings,
            backend,
            since,
            chain: self.chain,
            counts: Counts {
                received: self.received,
                stored: self.accepted.saturating_sub(pending + spooled + self.lost),
                spooled,
                pending,
                rejected: self.rejected,
                dropped: self.dropped,
            },
            mended: self.mended,
            spooled_by_others: holdings.spooled_by_others,
            last_error: self.last_error.as_deref(),
        }
    }

    fn holdings(&self) -> Holdings {
        self.backend.as_ref().map(|backend| backend.holdings()).unwrap_or_default()
    }

    /// How many events replaced backends have left on disk for the database.
    fn left_over(&self) -> u64 {
        self.leftovers.iter().flat_map(|leftover| &leftover.files).map(|file| file.counted).sum()
    }

    /// Counts and shows what the backend has to say.
    fn pass_on_notices(&mut self) {
        let notices = self.backend.as_mut().map(|backend| backend.notices()).unwrap_or_default();
        for Notice { topic, text, lost } in notices {
            self.lost += lost;
            self.dropped.unwritable += lost;
            self.warn(topic, &text);
        }
    }

    /// Warns on stderr, and notes what went wrong for the status.
    fn warn(&mut self, topic: Topic, text: &str) {
        if !matches!(topic, Topic::Recovered | Topic::Mended(_)) {
            self.note(text);
        }
        if let Some(line) = self.warnings.line(topic, text, self.host.now()) {
            self.host.warn(&line);
        }
    }

    /// Notes what went wrong for the status.
    fn note(&mut self, text: &str) {
        self.last_error = Some(format!("{} {text}", self.host.now()));
    }
}

#[cfg(test)]
mod tests;
