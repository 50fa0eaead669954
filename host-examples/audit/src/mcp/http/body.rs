//! Bodies that are observed while they pass, each piece at once.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};

use super::proxy::Exchange;
use crate::mcp::observer::{Observer, Stream};
use crate::mcp::tracker::Closed;

/// Where the pieces are handed to.
pub(super) struct Tap {
    observer: Observer,
    stream: Stream,
    has_ended: bool,
}

impl Tap {
    pub(super) fn new(observer: &Observer, stream: Stream) -> Self {
        Self { observer: observer.clone(), stream, has_ended: false }
    }

    fn piece(&self, bytes: &Bytes) {
        if self.observer.has_room(self.stream, bytes.len()) {
            self.observer.bytes(self.stream, bytes);
        } else {
            // The other tasks of this thread do not wait.
            tokio::task::block_in_place(|| self.observer.bytes(self.stream, bytes));
        }
        self.observer.wake();
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.observer.end(self.stream);
            self.observer.wake();
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if !self.has_ended {
            self.observer.abandon(self.stream);
        }
    }
}

/// A request's body. Another copy of it has what a server that does not answer has not taken.
#[derive(Clone)]
pub(super) struct Upload(Arc<Mutex<Uploading>>);

struct Uploading {
    inner: Body,
    tap: Tap,
}

impl Upload {
    pub(super) fn new(inner: Body, tap: Tap) -> Self {
        Self(Arc::new(Mutex::new(Uploading { inner, tap })))
    }

    /// Takes the rest, so that it is known what the request was.
    pub(super) async fn finish(mut self) {
        while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut self).poll_frame(context)).await {}
    }

    fn lock(&self) -> MutexGuard<'_, Uploading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut upload = self.lock();
        let frame = ready!(Pin::new(&mut upload.inner).poll_frame(context));
        if let Some(bytes) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            upload.tap.piece(bytes);
        }
        // The server may know the end by the length, and answer at once.
        if frame.is_none() || upload.inner.is_end_stream() {
            upload.tap.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().inner.size_hint()
    }
}

/// The body of an answer. Its end is that of the exchange.
pub(super) struct Answer {
    inner: Body,
    /// Before the exchange: what was observed comes before its end.
    tap: Option<Tap>,
    exchange: Option<Exchange>,
}

impl Answer {
    pub(super) fn new(inner: Body, tap: Option<Tap>, exchange: Exchange) -> Self {
        let mut body = Self { inner, tap, exchange: Some(exchange) };
        if body.inner.is_end_stream() {
            body.end(Closed::ByServer);
        }
        body
    }

    fn end(&mut self, closed: Closed) {
        if let Some(mut tap) = self.tap.take()
            && closed == Closed::ByServer
        {
            tap.end();
        }
        if let Some(exchange) = self.exchange.take() {
            exchange.end(closed);
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(tap), Some(bytes)) = (&self.tap, frame.data_ref()) {
                    tap.piece(bytes);
                }
                // Nobody may ask for more, where the length is known.
                if self.inner.is_end_stream() {
                    self.end(Closed::ByServer);
                }
            }
            Some(Err(_)) => self.end(Closed::Broken),
            None => self.end(Closed::ByServer),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
