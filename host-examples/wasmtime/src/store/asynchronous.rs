//! The calls of a handle that wait for an answer, for callers that must not block: each resolves once the answer is there.

use std::time::Instant;

use tokio::sync::oneshot;

use super::{Handle, stamped};
use crate::error::Error;
use crate::instance::Instance;
use crate::types::{Event, Filter, JsonlPage, Page, PageRequest, Receipt};
use crate::worker::{ReadVia, Worker};

impl Handle {
    pub(crate) async fn write_batch_async(&self, events: Vec<Event>) -> Result<Receipt, Error> {
        let events = events.into_iter().map(stamped).collect();
        self.answered(|worker| worker.write_batch(events)).await?
    }

    pub(crate) async fn write_jsonl_async(&self, lines: String) -> Result<Receipt, Error> {
        self.answered(move |worker| worker.write_jsonl(&lines)).await?
    }

    pub(crate) async fn flush_async(&self) -> Result<(), Error> {
        let mut left = None;
        // As in `flush`: the spool is drained in parts, until it no longer shrinks.
        while let Some(now) = self.answered(Worker::flush).await?? {
            if left.is_some_and(|left| now >= left) {
                break;
            }
            left = Some(now);
        }
        Ok(())
    }

    pub(crate) async fn read_async(&self, filter: Filter, page: PageRequest) -> Result<Page, Error> {
        self.read_answered(filter, page, Instance::read).await
    }

    pub(crate) async fn read_jsonl_async(
        &self,
        filter: Filter,
        page: PageRequest,
    ) -> Result<JsonlPage, Error> {
        self.read_answered(filter, page, Instance::read_jsonl).await
    }

    async fn read_answered<T: Send + 'static>(
        &self,
        filter: Filter,
        page: PageRequest,
        read: fn(&mut Instance, &Filter, &PageRequest) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let read = move |instance: &mut Instance| read(instance, &filter, &page);
        let asked = Instant::now();
        match self.answered(move |worker| worker.prepare_read(asked)).await?? {
            ReadVia::Reader => self.reader.answered(read).await,
            ReadVia::Worker => self.answered(move |worker| worker.read(read)).await?,
        }
    }

    /// Has the worker do something, and resolves once it has answered.
    async fn answered<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let request = Box::new(move |worker: &mut Worker| drop(answer.send(work(worker))));
        self.queue.ask(request).map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)
    }
}
