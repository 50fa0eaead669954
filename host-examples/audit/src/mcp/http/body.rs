//! A body that is observed while it passes, each piece at once.

use std::pin::Pin;
use std::task::{Context, Poll};

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
        if self.observer.has_room(bytes.len()) {
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

/// A body, and whom its pieces are for.
pub(super) struct Observed {
    inner: Body,
    /// Before the exchange: what was observed comes before its end.
    tap: Option<Tap>,
    /// Of the answer.
    exchange: Option<Exchange>,
}

impl Observed {
    pub(super) fn request(inner: Body, tap: Tap) -> Self {
        Self { inner, tap: Some(tap), exchange: None }
    }

    pub(super) fn response(inner: Body, tap: Option<Tap>, exchange: Exchange) -> Self {
        let mut body = Self { inner, tap, exchange: Some(exchange) };
        if body.inner.is_end_stream() {
            body.end(Closed::ByServer);
        }
        body
    }

    fn end(&mut self, closed: Closed) {
        if let Some(tap) = &mut self.tap
            && closed == Closed::ByServer
        {
            tap.end();
        }
        self.tap = None;
        if let Some(exchange) = self.exchange.take() {
            exchange.end(closed);
        }
    }
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(tap), Some(bytes)) = (&self.tap, frame.data_ref()) {
                    tap.piece(bytes);
                }
                // The other side may know the end by the length, and not wait for more.
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
