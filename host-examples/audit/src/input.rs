//! Reads JSON lines from a file or from stdin. A thread of its own reads ahead, in constant memory.

mod pieces;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(super) use self::pieces::{Piece, count_lines};
use crate::message::Failure;

/// How many invalid lines are named. Further ones are only counted.
pub(super) const MAX_NAMED_LINES: u64 = 100;

/// How many pieces may be read ahead.
const AHEAD: usize = 4;

/// An input that is open.
pub(super) struct Input {
    from: Box<dyn Read + Send>,
    /// In bytes. `None` if it is not known.
    pub(super) size: Option<u64>,
}

impl Input {
    /// Opens the file. `-` or `None` stands for stdin.
    pub(super) fn open(file: Option<&Path>) -> io::Result<Self> {
        let Some(path) = file.filter(|path| !is_stdin(path)) else {
            return Ok(Self { from: Box::new(io::stdin()), size: None });
        };
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self { from: Box::new(file), size })
    }

    /// Starts a thread that reads the input. Nobody joins the thread: if the events cannot be stored, the
    /// program ends while the thread may still wait for input.
    pub(super) fn read(self) -> io::Result<Receiver<Piece>> {
        let (pieces, read) = sync_channel(AHEAD);
        thread::Builder::new().name("input".into()).spawn(move || {
            pieces::split(self.from, |piece| pieces.send(piece).is_ok());
        })?;
        Ok(read)
    }
}

/// Whether the path stands for stdin.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The failure to read a file. It explains where a database URL belongs if the path looks like a URL.
pub(super) fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    let path = path.display().to_string();
    let hint =
        if path.contains("://") { "; a database is given by --database-url or DATABASE_URL" } else { "" };
    Failure::because(format!("cannot read {path}"), format_args!("{error}{hint}"))
}

/// A progress bar, which only a terminal shows. `size` is the size of the input in bytes.
pub(super) fn progress_bar(size: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{bar:40} {bytes} of {total_bytes}, {eta} left"),
        None => (ProgressBar::no_length(), "{spinner} {bytes}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
