//! What all subcommands share: why they fail, and how they write to stderr.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use audit_format::show::escaped;
use audit_host::{Error, SinkError};

use crate::mask::masked;

/// The exit status if the options are invalid, or the store cannot be used.
pub(crate) const TROUBLE: u8 = 2;

/// How many of the reasons that were told last are remembered.
const REMEMBERED: usize = 8;

/// The most lines that wait to be written in the background.
const MAX_WAITING: usize = 200;

/// The longest line that is written in the background, in bytes.
const MAX_LINE: usize = 4000;

/// How long the end of the program waits for lines to be written.
const LAST: Duration = Duration::from_millis(500);

/// Lines that a thread of their own writes, where nothing may wait for stderr.
struct Background {
    lines: VecDeque<String>,
    /// How many lines found no room.
    dropped: u64,
    is_started: bool,
    is_writing: bool,
}

static BACKGROUND: Mutex<Background> =
    Mutex::new(Background { lines: VecDeque::new(), dropped: 0, is_started: false, is_writing: false });
static CHANGED: Condvar = Condvar::new();

/// The reasons that were told last, so that none of them is told again.
static TOLD: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Why a subcommand could not do its work.
pub(crate) struct Failure {
    /// What became of the work, if that does not follow from the reason.
    what: Option<String>,
    reason: String,
}

impl Failure {
    pub(crate) fn new(reason: impl fmt::Display) -> Self {
        Self { what: None, reason: reason.to_string() }
    }

    pub(crate) fn because(what: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self { what: Some(what.into()), reason: reason.to_string() }
    }

    /// Says what happened, and the reason unless that was told before.
    pub(crate) fn tell(self) {
        let Self { what, reason } = self;
        match (what, was_told(&reason)) {
            (Some(what), true) => warn(what),
            (Some(what), false) => warn(format_args!("{what}: {reason}")),
            (None, true) => {}
            (None, false) => warn(&reason),
        }
        remember(reason);
    }

    /// What happened, and why.
    pub(crate) fn into_text(self) -> String {
        match self.what {
            Some(what) => format!("{what}: {}", self.reason),
            None => self.reason,
        }
    }

    pub(crate) fn into_reason(self) -> String {
        self.reason
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Unavailable(text) | SinkError::Unanswered(text) | SinkError::Other(text) => {
                Self::new(text)
            }
            SinkError::NotConfigured => Self::new("there is no database"),
        }
    }
}

/// Whether a line that was written has the reason. Its last clause may differ: it says how many events are concerned.
fn was_told(reason: &str) -> bool {
    let reason = reason.rsplit_once("; ").map_or(reason, |(reason, _)| reason);
    let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    told.iter().any(|line| line.contains(reason))
}

fn remember(reason: String) {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    told.push_front(reason);
    told.truncate(REMEMBERED);
}

/// Writes a warning of the store to stderr. Its reason is not told again.
pub(crate) fn warn_of_store(line: &str) {
    warn_line(line);
    remember(line.to_owned());
}

/// Writes a message of this program to stderr.
pub(crate) fn warn(text: impl fmt::Display) {
    warn_line(format_args!("audit: {text}"));
}

/// Writes a line to stderr, in which passwords are masked, and characters that would control the terminal are escaped. The
/// program goes on if stderr cannot be written.
pub(crate) fn warn_line(line: impl fmt::Display) {
    write_at_once(&[shown(&line.to_string())]);
}

/// Like [`warn`], for a text of several lines.
pub(crate) fn warn_lines(text: &str) {
    write_at_once(&format!("audit: {text}").lines().map(shown).collect::<Vec<_>>());
}

fn shown(line: &str) -> String {
    escaped(&masked(line)).to_string()
}

/// From now on, nothing waits until a line is written: somebody may have connected stderr, and never read it.
pub(crate) fn write_in_background() {
    let started = thread::Builder::new().name("stderr".into()).spawn(write_waiting);
    background().is_started = started.is_ok();
}

/// Waits for a moment until the lines that wait are written.
pub(crate) fn finish() {
    let is_busy = |state: &mut Background| state.is_writing || !state.lines.is_empty();
    let _ = CHANGED.wait_timeout_while(background(), LAST, is_busy);
}

fn background() -> MutexGuard<'static, Background> {
    BACKGROUND.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_waiting() {
    loop {
        let waited = CHANGED.wait_while(background(), |state| state.lines.is_empty());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let mut lines: Vec<String> = state.lines.pop_front().into_iter().collect();
        let dropped = if state.lines.is_empty() { std::mem::take(&mut state.dropped) } else { 0 };
        if dropped > 0 {
            lines.push(format!("audit: {} more could not be written in time", count(dropped, "line")));
        }
        state.is_writing = true;
        drop(state);
        write_now(&lines);
        background().is_writing = false;
        CHANGED.notify_all();
    }
}

fn write_at_once(lines: &[String]) {
    let mut state = background();
    if !state.is_started {
        drop(state);
        return write_now(lines);
    }
    if state.lines.len() < MAX_WAITING {
        let line = lines.join("\n");
        state.lines.push_back(shortened(&line, MAX_LINE).into_owned());
    } else {
        state.dropped += 1;
    }
    CHANGED.notify_all();
}

/// The text, or its beginning if it is longer than so many bytes.
pub(crate) fn shortened(text: &str, len: usize) -> Cow<'_, str> {
    if text.len() <= len {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(len)]).into()
}

/// Writes the lines in one write, so that other processes that share stderr tear none of them.
fn write_now(lines: &[String]) {
    let _ = io::stderr().write_all((lines.join("\n") + "\n").as_bytes());
}

/// A number with its unit, such as `1 line` or `2 lines`.
pub(crate) fn count(number: u64, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}
