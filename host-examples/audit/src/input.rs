//! Input of JSON lines, from a file or stdin. A thread of its own reads ahead, in constant memory.

mod pieces;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(super) use self::pieces::{Piece, count_lines};
use super::Failure;

/// So many bad lines are named, and the others counted.
pub(super) const NAMED: u64 = 100;

/// How many pieces may be read ahead.
const AHEAD: usize = 4;

/// Where lines come from.
pub(super) struct Input {
    from: Box<dyn Read + Send>,
    /// In bytes; none where that cannot be known.
    pub(super) size: Option<u64>,
}

impl Input {
    /// Opens a file; `-` or none is stdin.
    pub(super) fn open(file: Option<&Path>) -> io::Result<Self> {
        let Some(path) = file.filter(|path| !is_stdin(path)) else {
            return Ok(Self { from: Box::new(io::stdin()), size: None });
        };
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self { from: Box::new(file), size })
    }

    /// Reads it, in a thread of its own. It is not waited for: where the events cannot be stored, it may be waiting
    /// for input that never comes.
    pub(super) fn read(self) -> io::Result<Receiver<Piece>> {
        let (pieces, read) = sync_channel(AHEAD);
        thread::Builder::new().name("input".into()).spawn(move || {
            pieces::split(self.from, |piece| pieces.send(piece).is_ok());
        })?;
        Ok(read)
    }
}

/// Whether the name of a file stands for stdin.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

pub(super) fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    let path = path.display().to_string();
    let hint =
        if path.contains("://") { "; a database is given by --database-url or DATABASE_URL" } else { "" };
    Failure(format!("cannot read {path}: {error}{hint}"))
}

/// Shows on a terminal how far it is.
pub(super) fn bar(size: Option<u64>) -> ProgressBar {
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
