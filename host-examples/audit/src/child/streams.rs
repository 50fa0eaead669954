//! Copies the output of the command, and counts it.
//!
//! A copier ends when its source ends or its destination is closed, and at the latest a moment after the
//! command has ended: a background process of the command may hold a pipe open for any time.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread, read, write};

/// How many bytes are copied at once: the size of a pipe on Linux.
pub(crate) const BUFFER: usize = 64 * 1024;

/// What says that the other side of a stream is gone: of a pipe that is written an error, of a socket or a terminal this.
pub(crate) const GONE: PollFlags = PollFlags::ERR.union(PollFlags::HUP);

/// For how long, after the command has ended, output of processes that it left behind is copied.
const GRACE: Duration = Duration::from_millis(100);

/// Where output goes.
pub(crate) trait Destination {
    /// Has an error once nobody reads the output any more.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Passes all bytes on. Returns false if nobody reads them.
    fn pass_on(&mut self, bytes: &[u8]) -> io::Result<bool>;
}

impl Destination for OwnedFd {
    fn fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn pass_on(&mut self, bytes: &[u8]) -> io::Result<bool> {
        write_all(self, bytes)
    }
}

/// A thread that copies a stream.
pub(crate) struct Copier {
    name: &'static str,
    count: Arc<AtomicU64>,
    done: Receiver<io::Result<()>>,
}

impl Copier {
    /// Starts to copy output of the command. The other end of `ended` is closed when the command has ended.
    pub(crate) fn output(
        name: &'static str,
        from: PipeReader,
        mut to: impl Destination + Send + 'static,
        ended: PipeReader,
    ) -> io::Result<Self> {
        Self::start(name, move |count| copy_output(&from, &mut to, &ended, count))
    }

    /// Starts a thread that copies and adds to the count of bytes.
    pub(crate) fn start(
        name: &'static str,
        copy: impl FnOnce(&AtomicU64) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let count = Arc::<AtomicU64>::default();
        let (done, wait) = sync_channel(1);
        let counted = Arc::clone(&count);
        let run = move || drop(done.send(copy(&counted)));
        thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(Self { name, count, done: wait })
    }

    /// How many bytes were copied.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until the thread has ended, or until `give_up` returns true. Returns the error, if there was
    /// one.
    pub(crate) fn wait(&self, give_up: impl Fn() -> bool) -> Option<String> {
        loop {
            match self.done.recv_timeout(Duration::from_millis(20)) {
                Ok(Ok(())) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(Err(error)) => return Some(format!("{}: {error}", self.name)),
                Err(RecvTimeoutError::Timeout) if give_up() => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

fn copy_output(
    from: &PipeReader,
    to: &mut impl Destination,
    ended: &PipeReader,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    // Once the command has ended: when to stop, and how many bytes of its own output are still to be copied.
    let mut stop: Option<(Instant, u64)> = None;
    loop {
        let left = stop.map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let (readable, gone, over) = {
            let to = to.fd();
            let mut fds = vec![PollFd::new(from, PollFlags::IN), PollFd::new(&to, PollFlags::empty())];
            if stop.is_none() {
                fds.push(PollFd::new(ended, PollFlags::IN));
            }
            wait_for(&mut fds, left)?;
            let revents = |index: usize| fds.get(index).map_or(PollFlags::empty(), PollFd::revents);
            (!revents(0).is_empty(), revents(1).intersects(GONE), !revents(2).is_empty())
        };
        if gone {
            // Nobody reads the output any more. Closing the pipe tells the command, as if this program were
            // not there.
            return Ok(());
        }
        if over {
            stop = Some((Instant::now() + GRACE, ioctl_fionread(from)?));
        }
        if readable {
            let len = retry(|| read(from, &mut buffer[..]))?;
            if len == 0 {
                return Ok(());
            }
            count.fetch_add(len as u64, Ordering::Relaxed);
            if !to.pass_on(&buffer[..len])? {
                return Ok(());
            }
            if let Some((_, due)) = &mut stop {
                *due = due.saturating_sub(len as u64);
            }
        }
        if stop.is_some_and(|(at, due)| (due == 0 || !readable) && Instant::now() >= at) {
            return Ok(());
        }
    }
}

/// Writes all bytes. Returns false if nobody reads them.
pub(crate) fn write_all(to: &impl AsFd, mut bytes: &[u8]) -> io::Result<bool> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(Errno::PIPE) => return Ok(false),
            Err(Errno::INTR) => {}
            // Another process that shares the stream has made it non-blocking.
            Err(Errno::AGAIN) => wait_for(&mut [PollFd::new(to, PollFlags::OUT)], None)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Waits until one of the descriptors is ready, or for `at_most`.
pub(crate) fn wait_for(fds: &mut [PollFd<'_>], at_most: Option<Duration>) -> io::Result<()> {
    let at_most = at_most.and_then(|time| Timespec::try_from(time).ok());
    match poll(fds, at_most.as_ref()) {
        Ok(_) => Ok(()),
        Err(Errno::INTR) => {
            // A signal came. To the caller this looks like the end of the time, and it waits again.
            for fd in fds {
                fd.clear_revents();
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the other side of a stream has closed it, although there may be more to read.
pub(crate) fn is_hung_up(fd: impl AsFd) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let asked = PollFlags::RDHUP;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let asked = PollFlags::empty();
    let mut fds = [PollFd::new(&fd, asked)];
    let polled = wait_for(&mut fds, Some(Duration::ZERO));
    polled.is_ok() && fds[0].revents().intersects(GONE | asked)
}

/// Repeats a call that a signal has interrupted.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Duplicates the descriptor of one of this program's streams.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}
