//! Passes input on to the command, and counts how much of it the command reads.
//!
//! The input may be a pipe with other readers: in `producer | while read x; do audit exec -- command; done`,
//! these are the loop and what else runs in it. So this program must not remove more from the pipe than the
//! command reads. On Linux, `tee` copies a piece of the input into the command's pipe without removing it,
//! and the command's pipe is so small that it holds one piece. Once the command has read the piece, this
//! program removes it from the input. On other systems, and from sockets, input is copied ahead and may be
//! removed without being read.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread, read, write};

use crate::child::streams::{BUFFER, Copier, wait_for};

/// Starts a thread that passes input on. The other end of `ended` is closed when the command has ended.
pub(super) fn pass_on(from: OwnedFd, to: PipeWriter, ended: PipeReader) -> io::Result<Copier> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if lending::prepare(&from, &to) {
        return Copier::start("stdin", move |count| lending::lend(&from, &to, &ended, count));
    }
    // This does not affect the command's end of the pipe.
    let flags = fcntl_getfl(&to)?;
    fcntl_setfl(&to, flags | OFlags::NONBLOCK)?;
    Copier::start("stdin", move |count| copy(&from, &to, &ended, count))
}

/// What the thread can do next.
#[derive(Clone, Copy)]
struct Ready {
    /// There is input, or the end of the input.
    readable: bool,
    /// The command's pipe has room.
    writable: bool,
    /// The command has closed its input, or has ended.
    closed: bool,
}

/// Waits until the command's pipe has room, if it is `full`, or else until there is input. In both cases it
/// also returns when the command has closed its input or has ended.
fn ready(from: &OwnedFd, to: &PipeWriter, ended: &PipeReader, full: bool) -> io::Result<Ready> {
    let wanted = if full { PollFlags::OUT } else { PollFlags::empty() };
    let mut fds = vec![PollFd::new(ended, PollFlags::IN), PollFd::new(to, wanted)];
    if !full {
        fds.push(PollFd::new(from, PollFlags::IN));
    }
    wait_for(&mut fds, None)?;
    let revents = |index: usize| fds.get(index).map_or(PollFlags::empty(), PollFd::revents);
    Ok(Ready {
        readable: !revents(2).is_empty(),
        writable: revents(1).intersects(PollFlags::OUT),
        closed: revents(1).intersects(PollFlags::ERR) || !revents(0).is_empty(),
    })
}

/// Copies input ahead of the command.
fn copy(from: &OwnedFd, to: &PipeWriter, ended: &PipeReader, count: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut waiting = 0..0;
    loop {
        let ready = ready(from, to, ended, !waiting.is_empty())?;
        if ready.closed {
            let unread = ioctl_fionread(to).unwrap_or(0);
            count.fetch_sub(unread.min(count.load(Ordering::Relaxed)), Ordering::Relaxed);
            return Ok(());
        }
        if ready.readable {
            match read(from, &mut buffer[..]) {
                Ok(0) => return Ok(()),
                Ok(len) => waiting = 0..len,
                // AGAIN: another reader took the input first.
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if (ready.writable || ready.readable) && !waiting.is_empty() {
            match write(to, &buffer[waiting.clone()]) {
                Ok(len) => {
                    waiting.start += len;
                    count.fetch_add(len as u64, Ordering::Relaxed);
                }
                Err(Errno::PIPE) => return Ok(()),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod lending {
    //! Shows input to the command with `tee`, and removes only what the command has read.

    use super::*;
    use rustix::event::{Timespec, poll};
    use rustix::fs::{FileType, fstat};
    use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, tee};

    /// Makes the command's pipe as small as possible. Returns false if that, or `tee`, is not possible.
    pub(super) fn prepare(from: &OwnedFd, to: &PipeWriter) -> bool {
        let is_pipe = fstat(from).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
        // The kernel rounds the size up to a page.
        is_pipe && fcntl_setpipe_size(to, 1).is_ok()
    }

    /// Copies one piece at a time, and waits until the command has read it.
    pub(super) fn lend(
        from: &OwnedFd,
        to: &PipeWriter,
        ended: &PipeReader,
        count: &AtomicU64,
    ) -> io::Result<()> {
        let mut lent = 0;
        loop {
            let ready = ready(from, to, ended, lent > 0)?;
            if lent > 0 && (ready.writable || ready.closed) {
                // The pipe holds one piece, so it has room only once the command has read all of it.
                let unread = if ready.writable { 0 } else { ioctl_fionread(to)? };
                let taken = lent - unread.min(lent);
                take(from, taken)?;
                count.fetch_add(taken, Ordering::Relaxed);
                lent = 0;
            }
            if ready.closed {
                return Ok(());
            }
            if ready.readable {
                match tee(from, to, BUFFER, SpliceFlags::NONBLOCK) {
                    Ok(0) => return Ok(()),
                    Ok(len) => lent = len as u64,
                    Err(Errno::PIPE) => return Ok(()),
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    /// Removes from the input what the command has read, unless another reader has removed it already.
    fn take(from: &OwnedFd, count: u64) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let mut left = usize::try_from(count).unwrap_or(usize::MAX);
        while left > 0 {
            let len = left.min(buffer.len());
            if poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&Timespec::default())) == Ok(0) {
                return Ok(());
            }
            match read(from, &mut buffer[..len]) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(()),
                Ok(len) => left -= len,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
