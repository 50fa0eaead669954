//! The host's database. Events are sent in batches, and wait in memory until the host acknowledges their
//! batch.

use super::rows::{self, Refusal, Waiting};
use crate::accounting::{DropReason, events};
use crate::backend::{Backend, Holdings, Notice, Rejected};
use crate::batch::Batch;
use crate::error::Error;
use crate::host::Host;
use crate::settings::Settings;
use crate::sink::{End, Sink};
use crate::warnings::Topic;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::query::Query;

pub struct Postgres<H> {
    host: Rc<H>,
    batch_size: usize,
    queue_limit: usize,
    waiting: Waiting,
    /// Why the last batch was not stored. No other is sent before the next flush, because each could take as
    /// long as the database has for an answer.
    failed: Option<String>,
    notices: Vec<Notice>,
}

impl<H: Host> Postgres<H> {
    pub fn new(host: Rc<H>, settings: &Settings) -> Self {
        Self {
            host,
            batch_size: settings.batch_size,
            queue_limit: settings.queue_limit,
            waiting: Waiting::default(),
            failed: None,
            notices: Vec::new(),
        }
    }

    /// Sends waiting lines in batches, as long as at least `least` of them wait.
    fn send(&mut self, least: usize) -> Result<(), Error> {
        let notices = &mut self.notices;
        let mut on_refusal = |refusal: &Refusal<'_>| {
            let text = format!("the database refuses an event, which is dropped: {}", refusal.reason);
            notices.push(Notice { topic: Refusal::TOPIC, text, lost: 1 });
        };
        let sent = self.waiting.send(&*self.host, self.batch_size, least, &mut on_refusal);
        self.failed = sent.as_ref().err().map(|error| error.to_string());
        Ok(sent?)
    }
}

impl<H: Host> Backend for Postgres<H> {
    fn append(&mut self, batch: &Batch) -> Result<(), Rejected> {
        if self.waiting.lines.is_full_for(batch, self.queue_limit) && self.failed.is_none() {
            let _ = self.send(1);
        }
        if self.waiting.lines.is_full_for(batch, self.queue_limit) {
            let why = self.failed.as_deref().unwrap_or_default();
            let text = format!("the queue of {} is full: {why}", events(self.queue_limit));
            let error = Error::Unavailable(text);
            return Err(Rejected { stored: 0, reason: DropReason::QueueFull, error });
        }
        self.waiting.lines.extend(batch);
        if self.failed.is_none()
            && let Err(error) = self.send(self.batch_size)
        {
            // The lines wait in memory, so the batch is accepted.
            self.notices.push(Notice { topic: Topic::Database, text: error.to_string(), lost: 0 });
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.send(1).map_err(|error| self.waiting.error(error))
    }

    fn holdings(&self) -> Holdings {
        Holdings { pending: self.waiting.lines.len() as u64, ..Holdings::default() }
    }

    fn notices(&mut self) -> Vec<Notice> {
        core::mem::take(&mut self.notices)
    }

    fn read(&mut self, query: &Query, sink: &mut dyn Sink) -> Result<End, Error> {
        let waiting = &self.waiting;
        rows::read(&*self.host, query, sink, &mut |page| {
            waiting.lines.offer_to(page);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
