//! Passing input on to the command, and counting what it takes of it.
//!
//! A pipe may have other readers: in `producer | while read x; do audit exec -- command; done` they are the loop
//! and what runs in it. So nothing may be taken out of it that the command does not read. Linux can lend: `tee`
//! shows the command what is in the pipe, in a pipe that holds one piece, and once the command has read that,
//! this program takes as much out of the original. Elsewhere, and from sockets, input is copied ahead.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread, read, write};

use super::streams::{BUFFER, Copier, wait_for};

/// Passes on what the command may read. `ended` is closed at the other end when the command has ended.
pub(super) fn pass_on(from: OwnedFd, to: PipeWriter, ended: PipeReader) -> io::Result<Copier> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if lending::prepare(&from, &to) {
        return Copier::start("stdin", move |count| lending::lend(&from, &to, &ended, count));
    }
    // The command's end of the pipe is not affected.
    let flags = fcntl_getfl(&to)?;
    fcntl_setfl(&to, flags | OFlags::NONBLOCK)?;
    Copier::start("stdin", move |count| copy(&from, &to, &ended, count))
}

/// What there is to do.
#[derive(Clone, Copy)]
struct Ready {
    /// There is input, or its end.
    readable: bool,
    /// The command's pipe has room.
    writable: bool,
    /// The command does not read on, or has ended.
    over: bool,
}

/// Waits until the command's pipe has room if `full`, else until there is input; or until it is over.
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
        over: revents(1).intersects(PollFlags::ERR) || !revents(0).is_empty(),
    })
}

fn copy(from: &OwnedFd, to: &PipeWriter, ended: &PipeReader, count: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut waiting = 0..0;
    loop {
        let ready = ready(from, to, ended, !waiting.is_empty())?;
        if ready.over {
            let unread = ioctl_fionread(to).unwrap_or(0);
            count.fetch_sub(unread.min(count.load(Ordering::Relaxed)), Ordering::Relaxed);
            return Ok(());
        }
        if ready.readable {
            match read(from, &mut buffer[..]) {
                Ok(0) => return Ok(()),
                Ok(len) => waiting = 0..len,
                // Somebody else read it first.
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
    use super::*;
    use rustix::event::{Timespec, poll};
    use rustix::fs::{FileType, fstat};
    use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, tee};

    /// Makes the command's pipe hold one piece, if the input is a pipe too.
    pub(super) fn prepare(from: &OwnedFd, to: &PipeWriter) -> bool {
        let is_pipe = fstat(from).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
        // Less than a page is a page.
        is_pipe && fcntl_setpipe_size(to, 1).is_ok()
    }

    pub(super) fn lend(
        from: &OwnedFd,
        to: &PipeWriter,
        ended: &PipeReader,
        count: &AtomicU64,
    ) -> io::Result<()> {
        let mut lent = 0;
        loop {
            let ready = ready(from, to, ended, lent > 0)?;
            if lent > 0 && (ready.writable || ready.over) {
                // There is room once all of the piece is read.
                let unread = if ready.writable { 0 } else { ioctl_fionread(to)? };
                let taken = lent - unread.min(lent);
                take(from, taken)?;
                count.fetch_add(taken, Ordering::Relaxed);
                lent = 0;
            }
            if ready.over {
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

    /// Takes out what the command has read, unless another reader did.
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
