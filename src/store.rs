//! The store: checks and stamps events, hands them to the backend, and accounts for every one of them.

mod status;

pub use status::{Receipt, Status};

use crate::accounting::{Counts, DropReason, Dropped};
use crate::backend::{Backend, Holdings, Left, Notice, Refused};
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
use audit_format::Invalid;
use audit_format::event::{Dated, Event};
use audit_format::id::Ids;
use audit_format::line;
use audit_format::query::{Filter, PageRequest, Query};
use audit_format::read::parse_sent;
use audit_format::time::Timestamp;
use memchr::memchr;
use uuid::Uuid;

/// How much memory is kept from one batch to the next, in bytes.
const SCRATCH_KEPT: usize = 1 << 20;

/// The most bytes of lines in a batch: what the guest's memory is sized for.
const MAX_BATCH_BYTES: usize = 32 << 20;

/// A store.
pub struct Store<H: Host> {
    host: Rc<H>,
    settings: Settings,
    /// `None`: closed.
    backend: Option<Box<dyn Backend>>,
    since: Timestamp,
    ids: Ids,
    chain: Uuid,
    seq: u64,
    received: u64,
    accepted: u64,
    /// Of those accepted: what the database refused later.
    refused: u64,
    /// What backends that are gone have left on disk for the database.
    left: Vec<Left>,
    rejected: u64,
    dropped: Dropped,
    waiting_since: Option<Timestamp>,
    warnings: Warnings,
    last_error: Option<String>,
    scratch: Batch,
}

impl<H: Host + 'static> Store<H> {
    /// A store as the environment sets it up.
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
            refused: 0,
            left: Vec::new(),
            rejected: 0,
            dropped: Dropped::default(),
            waiting_since: None,
            warnings: Warnings::default(),
            last_error: None,
            scratch: Batch::default(),
        };
        store.open();
        store
    }

    fn open(&mut self) {
        self.leave();
        self.backend = Some(backends::open(&self.settings, self.chain, &mut self.left, &self.host));
        self.since = self.host.now();
        for warning in &self.settings.warnings {
            self.host.warn(&format!("audit-store: {warning}"));
        }
    }

    /// Changes the settings; an error changes nothing.
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

    /// Records one event. Never fails: an event that cannot be kept is counted, with a warning.
    pub fn write(&mut self, event: Event<'_>) {
        self.received += 1;
        let mut batch = core::mem::take(&mut self.scratch);
        let refused = match self.stamp(event, self.host.now(), self.seq, &mut batch) {
            Ok(()) => match self.append(&mut batch) {
                Ok(()) => None,
                Err(refused) if refused.stored == 0 => Some((refused.reason, refused.error.to_string())),
                // It is there to stay all the same.
                Err(refused) => {
                    self.note(&refused.error.to_string());
                    None
                }
            },
            Err(invalid) => Some((DropReason::Invalid, invalid.to_string())),
        };
        self.put_scratch(batch);
        if let Some((reason, text)) = refused {
            self.dropped.add(reason);
            let what = match reason {
                DropReason::Invalid => "an invalid event is dropped",
                DropReason::QueueFull => "an event is dropped",
                DropReason::Unwritable => "an event cannot be written and is dropped",
            };
            self.report(Topic::Dropped(reason), &format!("{what}: {text}"));
        }
    }

    /// Records all events, or none.
    pub fn write_batch(&mut self, events: Vec<Event<'_>>) -> Result<Receipt, Error> {
        let count = events.len();
        let events = events.into_iter().enumerate().map(|(index, event)| (index, Ok(event)));
        self.write_all(count, events)
    }

    /// Records the events of all JSON lines, or none.
    pub fn write_jsonl(&mut self, text: &str) -> Result<Receipt, Error> {
        let lines: Vec<_> =
            lines(text).enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()).collect();
        let count = lines.len();
        self.write_all(count, lines.into_iter().map(|(index, line)| (index, parse_sent(line))))
    }

    fn write_all<'e>(
        &mut self,
        count: usize,
        events: impl Iterator<Item = (usize, Result<Event<'e>, Invalid>)>,
    ) -> Result<Receipt, Error> {
        self.received += count as u64;
        let first_seq = self.seq;
        let now = self.host.now();
        let mut batch = core::mem::take(&mut self.scratch);
        for (index, event) in events {
            let seq = first_seq + batch.len() as u64;
            let stamped = event.and_then(|event| self.stamp(event, now, seq, &mut batch));
            if let Err(invalid) = stamped {
                self.put_scratch(batch);
                self.rejected += count as u64;
                return Err(Error::Invalid { index: index as u64, invalid });
            }
            if batch.size() > MAX_BATCH_BYTES {
                self.rejected += count as u64;
                let most = MAX_BATCH_BYTES >> 20;
                return Err(Error::Other(format!(
                    "the batch has more than {most} MiB of lines; send it in smaller ones"
                )));
            }
        }
        let result = self.append(&mut batch);
        self.put_scratch(batch);
        result.map_err(|refused| {
            self.rejected += (count - refused.stored) as u64;
            self.note(&refused.error.to_string());
            refused.error
        })?;
        Ok(Receipt { accepted: count as u64, chain: self.chain, first_seq })
    }

    /// Checks the event and adds its line to the batch.
    fn stamp(
        &mut self,
        event: Event<'_>,
        now: Timestamp,
        seq: u64,
        batch: &mut Batch,
    ) -> Result<(), Invalid> {
        let event = Dated::new(event, now)?;
        let id = self.ids.next(now, || self.host.random());
        batch.push(event.at(), |out| line::encode(&event, id, self.chain, seq, out))
    }

    fn append(&mut self, batch: &mut Batch) -> Result<(), Refused> {
        let Some(backend) = &mut self.backend else {
            let error = Error::Unavailable(CLOSED.into());
            return Err(Refused { stored: 0, reason: DropReason::Unwritable, error });
        };
        batch.seal();
        let result = backend.append(batch);
        let stored = result.as_ref().map_or_else(|refused| refused.stored, |()| batch.len());
        self.accepted += stored as u64;
        self.seq += stored as u64;
        self.pass_on_notices();
        self.flush_if_due();
        result
    }

    /// Hosts are asked to call `flush`; under steady writing it is not needed.
    fn flush_if_due(&mut self) {
        if self.holdings().pending == 0 {
            self.waiting_since = None;
            return;
        }
        let now = self.host.now();
        let since = *self.waiting_since.get_or_insert(now);
        if now.micros().abs_diff(since.micros()) >= self.settings.flush_interval_ms.saturating_mul(1000) {
            // `flush` has reported it, and nothing is lost.
            let _ = self.flush();
        }
    }

    fn holdings(&self) -> Holdings {
        self.backend.as_ref().map(|backend| backend.holdings()).unwrap_or_default()
    }

    /// Ends the backend.
    fn leave(&mut self) {
        self.left.extend(self.backend.as_mut().and_then(|backend| backend.leave()));
        self.backend = None;
    }

    /// How many events backends that are gone have left on disk for the database.
    fn left(&self) -> u64 {
        self.left.iter().flat_map(|left| &left.files).map(|file| file.lines).sum()
    }

    /// Passes on what the backend has to report.
    fn pass_on_notices(&mut self) {
        let notices = self.backend.as_mut().map(|backend| backend.notices()).unwrap_or_default();
        for Notice { topic, text, lost } in notices {
            self.refused += lost;
            self.dropped.unwritable += lost;
            self.report(topic, &text);
        }
    }

    fn put_scratch(&mut self, mut batch: Batch) {
        if batch.size() <= SCRATCH_KEPT {
            batch.clear();
            self.scratch = batch;
        }
    }

    /// Hands on what is buffered.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.waiting_since = None;
        let Some(backend) = &mut self.backend else { return Ok(()) };
        let result = backend.flush();
        self.pass_on_notices();
        if let Err(error) = &result {
            self.report(Topic::Flush, &error.to_string());
        }
        result
    }

    /// Flushes and closes; after an error the store is still open.
    pub fn close(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.leave();
        Ok(())
    }

    /// Hands the page of the entries that match to the sink.
    pub fn read(&mut self, filter: Filter, request: &PageRequest, sink: &mut dyn Sink) -> Result<End, Error> {
        let query = Query::new(filter, request)?;
        let Some(backend) = &mut self.backend else {
            return Err(Error::Unavailable(CLOSED.into()));
        };
        let end = backend.read(&query, sink);
        match &end {
            Ok(end) => {
                for file in &end.unreadable {
                    self.report(Topic::Read, file);
                }
            }
            Err(error) => self.note(&error.to_string()),
        }
        end
    }

    /// How the store is doing.
    pub fn status(&self) -> Status<'_> {
        let holdings = self.holdings();
        let (pending, spooled) = (holdings.pending, holdings.spooled + self.left());
        let (backend, since) = holdings.active.unwrap_or((self.settings.backend.name(), self.since));
        Status {
            settings: &self.settings,
            backend,
            since,
            chain: self.chain,
            counts: Counts {
                received: self.received,
                stored: self.accepted.saturating_sub(pending + spooled + self.refused),
                spooled,
                pending,
                rejected: self.rejected,
                dropped: self.dropped,
            },
            spooled_by_others: holdings.spooled_by_others,
            last_error: self.last_error.as_deref(),
        }
    }

    /// Warns, and notes what went wrong.
    fn report(&mut self, topic: Topic, text: &str) {
        if topic != Topic::Recovered {
            self.note(text);
        }
        if let Some(line) = self.warnings.line(topic, text, self.host.now()) {
            self.host.warn(&line);
        }
    }

    fn note(&mut self, text: &str) {
        self.last_error = Some(format!("{} {text}", self.host.now()));
    }
}

/// The lines of `text`. Only the newline ends a line: a carriage return is white space to JSON.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let end = memchr(b'\n', text.as_bytes());
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

const CLOSED: &str = "the store is closed";

#[cfg(test)]
mod tests;
