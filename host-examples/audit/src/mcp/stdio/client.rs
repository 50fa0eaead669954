//! The client's side of the proxy: what it sends, and what is sent to it.

use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, read};

use super::server::Life;
use crate::call::sketch::Sketcher;
use crate::child::streams::{BUFFER, Destination, duplicate, is_hung_up, wait_for, write_all};
use crate::mcp::lines::may_hide_a_message;
use crate::mcp::observer::{Observer, Stream};
use crate::mcp::tracker::Moment;
use crate::mcp::watch::Watch;
use crate::message::warn;

/// The longest message, in bytes, that is held until it is recorded. A longer one is refused.
const MAX_HELD: usize = 64 << 20;

/// Closes this program's own ends of the streams of which it has copies: the other side shall see when those are closed.
pub(super) fn close_own() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

/// The client's output, on its way to the server.
pub(super) struct FromClient {
    pub(super) from: Arc<OwnedFd>,
    pub(super) to: PipeWriter,
    pub(super) observer: Observer,
    pub(super) stream: Stream,
    pub(super) life: Arc<Life>,
}

impl FromClient {
    /// Copies in a thread of its own. With a gate, a message goes on only once it is recorded. Nobody joins the thread: the
    /// program ends while the thread may wait for input.
    pub(super) fn start(self, gate: Option<(Arc<Watch>, Injector)>) -> io::Result<()> {
        let (from, life) = (Arc::clone(&self.from), Arc::clone(&self.life));
        let run = move || {
            let copied = match gate {
                None => self.copy(),
                Some((watch, injector)) => {
                    let sketcher = watch.sketcher();
                    Gate { watch, injector, held: Vec::new(), sketcher, began: None, is_too_long: false }
                        .copy(self)
                }
            };
            if let Err(error) = copied {
                warn(format_args!("stdin: {error}"));
            }
            wait_for_end(from, &life);
        };
        thread::Builder::new().name("stdin".into()).spawn(run).map(drop)
    }

    /// The next piece. None: no more comes, or nobody reads it.
    fn read<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        loop {
            // Also returns when the server has closed its input, as if this program were not there.
            let mut fds =
                [PollFd::new(&*self.from, PollFlags::IN), PollFd::new(&self.to, PollFlags::empty())];
            wait_for(&mut fds, None)?;
            if fds[1].revents().intersects(PollFlags::ERR) {
                return Ok(None);
            }
            if fds[0].revents().is_empty() {
                continue;
            }
            match read(&*self.from, &mut *buffer) {
                Ok(0) => {
                    self.life.client_left();
                    return Ok(None);
                }
                Ok(len) => return Ok(Some(&buffer[..len])),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn copy(self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        while let Some(piece) = self.read(&mut buffer)? {
            self.observer.bytes(self.stream, piece);
            let is_read = write_all(&self.to, piece)?;
            self.life.progress();
            self.observer.wake();
            if !is_read {
                break;
            }
        }
        self.observer.end(self.stream);
        Ok(())
    }
}

/// The server has closed its input, or the client has left. A client that sends more sees that nobody reads it.
fn wait_for_end(from: Arc<OwnedFd>, life: &Life) {
    loop {
        let mut fds = [PollFd::new(&*from, PollFlags::IN)];
        if wait_for(&mut fds, None).is_err() || !fds[0].revents().is_empty() {
            break;
        }
    }
    if is_hung_up(&*from) || matches!(read(&*from, &mut [0][..]), Ok(0)) {
        life.client_left();
    }
}

/// Holds each message of the client until it is recorded.
struct Gate {
    watch: Arc<Watch>,
    injector: Injector,
    held: Vec<u8>,
    sketcher: Sketcher,
    began: Option<Moment>,
    is_too_long: bool,
}

impl Gate {
    fn copy(mut self, client: FromClient) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        while let Some(mut piece) = client.read(&mut buffer)? {
            while let Some(end) = memchr::memchr(b'\n', piece) {
                let (line, rest) = piece.split_at(end + 1);
                self.hold(line);
                if !self.release(&client)? {
                    return Ok(());
                }
                piece = rest;
            }
            self.hold(piece);
        }
        self.release(&client).map(drop)
    }

    fn hold(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        self.began.get_or_insert_with(Moment::now);
        self.sketcher.push(piece);
        self.is_too_long |= self.held.len() + piece.len() > MAX_HELD;
        if self.is_too_long {
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(piece);
        }
    }

    /// Passes the message on, or answers it. False: nobody reads it.
    fn release(&mut self, client: &FromClient) -> io::Result<bool> {
        let Some(began) = self.began.take() else { return Ok(true) };
        let sketch = std::mem::replace(&mut self.sketcher, self.watch.sketcher()).finish();
        let is_too_long = std::mem::take(&mut self.is_too_long);
        let held = std::mem::take(&mut self.held);
        if !is_too_long && held.trim_ascii().is_empty() {
            return write_all(&client.to, &held);
        }
        // What the message goes on with, or answers, stands in what passed before.
        client.observer.settle();
        let problem = if is_too_long {
            Some(format!("it has more than {MAX_HELD} bytes"))
        } else {
            may_hide_a_message(&held)
                .then(|| "a server may find another message within it, where a line may end".to_owned())
        };
        let whole = (!is_too_long).then_some(&held[..]);
        client.life.holding(true);
        let admitted = self.watch.admit(client.stream.place, sketch, whole, problem.as_deref(), began);
        client.life.holding(false);
        match admitted {
            Ok(()) => write_all(&client.to, &held),
            Err(answer) => {
                if !answer.is_empty() {
                    self.injector.inject(&answer)?;
                }
                Ok(true)
            }
        }
    }
}

/// Where the server's output goes, with the answers of this program between its lines.
pub(super) struct Out {
    fd: OwnedFd,
    state: Mutex<OutState>,
}

#[derive(Default)]
struct OutState {
    /// The server's output stands within a line.
    is_within_line: bool,
    /// Answers that wait for its end.
    waiting: Vec<u8>,
    /// No more comes of the server's output.
    is_over: bool,
}

impl Out {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn lock(&self) -> MutexGuard<'_, OutState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the answers that wait, on lines of their own.
    fn write_waiting(&self, state: &mut OutState) -> io::Result<()> {
        let answers = std::mem::take(&mut state.waiting);
        if answers.is_empty() {
            return Ok(());
        }
        let is_torn = std::mem::take(&mut state.is_within_line);
        let line_end: &[u8] = if is_torn { b"\n" } else { b"" };
        write_all(&self.fd, &[line_end, &answers].concat()).map(drop)
    }
}

/// Writes answers of this program.
pub(super) struct Injector(Arc<Out>);

impl Injector {
    fn inject(&self, answer: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        state.waiting.extend_from_slice(answer);
        state.waiting.push(b'\n');
        if state.is_within_line && !state.is_over { Ok(()) } else { self.0.write_waiting(&mut state) }
    }
}

/// The server's output, on its way to the client.
pub(super) struct ToClient {
    out: Arc<Out>,
    observer: Observer,
    stream: Stream,
    life: Arc<Life>,
}

impl ToClient {
    pub(super) fn new(observer: Observer, stream: Stream, life: Arc<Life>) -> io::Result<Self> {
        let fd = duplicate(io::stdout().as_fd())?;
        Ok(Self { out: Arc::new(Out { fd, state: Mutex::default() }), observer, stream, life })
    }

    pub(super) fn out(&self) -> Weak<Out> {
        Arc::downgrade(&self.out)
    }

    pub(super) fn injector(&self) -> Injector {
        Injector(Arc::clone(&self.out))
    }
}

impl Destination for ToClient {
    fn fd(&self) -> BorrowedFd<'_> {
        self.out.fd.as_fd()
    }

    fn pass_on(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.observer.bytes(self.stream, bytes);
        let mut state = self.out.lock();
        let mut rest = bytes;
        let mut is_read = true;
        if !state.waiting.is_empty()
            && let Some(end) = memchr::memchr(b'\n', rest)
        {
            let (line, behind) = rest.split_at(end + 1);
            let answers = std::mem::take(&mut state.waiting);
            is_read = write_all(&self.out.fd, line)? && write_all(&self.out.fd, &answers)?;
            rest = behind;
        }
        let is_read = is_read && write_all(&self.out.fd, rest)?;
        state.is_within_line = bytes.last().is_some_and(|byte| *byte != b'\n');
        drop(state);
        self.life.progress();
        self.observer.wake();
        Ok(is_read)
    }
}

impl Drop for ToClient {
    fn drop(&mut self) {
        if is_hung_up(&self.out.fd) {
            self.life.client_left();
        }
        {
            let mut state = self.out.lock();
            state.is_over = true;
            let _ = self.out.write_waiting(&mut state);
        }
        self.observer.end(self.stream);
    }
}
