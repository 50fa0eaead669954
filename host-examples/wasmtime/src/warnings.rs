//! Warnings: those that the component writes to its stderr, and the host's own.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// For how long after a warning further ones with the same reason are suppressed.
const INTERVAL: Duration = Duration::from_secs(60);

/// The most bytes that are kept of a line without an end.
const MAX_LINE: usize = 16 * 1024;

type Sink = dyn Fn(&str) + Send + Sync;

/// Passes each warning on, as a line without its newline. By default they go to stderr.
#[derive(Clone)]
pub(crate) struct Warnings {
    sink: Arc<Sink>,
    last: Arc<Mutex<HashMap<&'static str, Instant>>>,
}

impl Default for Warnings {
    fn default() -> Self {
        // One write, so that other processes that share stderr tear no line. Events are recorded even if stderr cannot be
        // written.
        Self::new(|line| drop(std::io::stderr().write_all(format!("{line}\n").as_bytes())))
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Warnings")
    }
}

impl Warnings {
    pub(crate) fn new(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(sink), last: Arc::default() }
    }

    /// Passes a line on as it is.
    pub(crate) fn warn_line(&self, line: &str) {
        (self.sink)(line);
    }

    /// Warns, at most once a minute for each reason.
    pub(crate) fn warn(&self, reason: &'static str, text: &str) {
        let now = Instant::now();
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.get(reason).is_some_and(|at| now.duration_since(*at) < INTERVAL) {
                return;
            }
            last.insert(reason, now);
        }
        (self.sink)(&format!("audit-store: {text}"));
    }
}

impl IsTerminal for Warnings {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Warnings {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines { sink: Arc::clone(&self.sink), unfinished: Vec::new() })
    }

    // Only components of WASI 0.3 use this one.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(wasmtime_wasi::cli::stderr())
    }
}

/// The component's stderr, split into lines.
struct Lines {
    sink: Arc<Sink>,
    unfinished: Vec<u8>,
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.unfinished.extend_from_slice(&bytes);
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            (self.sink)(&String::from_utf8_lossy(&self.unfinished[..end]));
            self.unfinished.drain(..=end);
        }
        self.unfinished.truncate(MAX_LINE);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(4096)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.unfinished.is_empty() {
            (self.sink)(&String::from_utf8_lossy(&self.unfinished));
        }
    }
}

impl Pollable for Lines {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}

/// A number of events in words: `1 event was`, `2 events were`.
pub(crate) fn events_were(count: u64) -> String {
    match count {
        1 => "1 event was".into(),
        count => format!("{count} events were"),
    }
}
