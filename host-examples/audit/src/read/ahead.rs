//! Reading pages on a thread of its own: the next page is read while one is shown.

use std::panic;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use audit_host::{Error, Instance};

use super::pages::Pages;
use crate::message::Failure;

/// How many pages may wait to be shown, so that neither side waits for the other where pages take different times.
const WAITING: usize = 1;

/// A page, and how far the search had come with it.
pub(super) struct Page {
    pub(super) lines: String,
    /// The cursor up to which the search has come, if it goes on.
    pub(super) searched: Option<String>,
}

/// Pages that a thread reads. The thread ends after the page that it reads, once these are dropped; nothing waits for that.
pub(super) struct Ahead {
    read: Receiver<Page>,
    thread: JoinHandle<Result<Pages, Error>>,
}

impl Ahead {
    pub(super) fn start(mut pages: Pages, mut from: Instance) -> Result<Self, Failure> {
        let (sender, read) = mpsc::sync_channel(WAITING);
        let run = move || {
            while let Some(lines) = pages.next(&mut from)? {
                let searched = pages.searched().map(str::to_owned);
                if sender.send(Page { lines, searched }).is_err() {
                    break;
                }
            }
            Ok(pages)
        };
        let thread = thread::Builder::new().name("audit-pages".into()).spawn(run);
        Ok(Self { read, thread: thread.map_err(|error| Failure::because("cannot start a thread", error))? })
    }

    /// The next page, once it is there. `None`: there is none, or it cannot be read.
    pub(super) fn next(&self) -> Option<Page> {
        self.read.recv().ok()
    }

    /// What the read has come to, after its last page.
    pub(super) fn end(self) -> Result<Pages, Error> {
        self.thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    }
}
