//! `audit write`: records events from JSON lines, in constant memory. One thread reads the input while the
//! component writes the lines that were read before.

mod recent;

use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use audit_host::{Error, Instance, Options};
use indicatif::ProgressBar;
use memchr::{memchr, memrchr};

use self::recent::Recent;
use crate::args::WriteArgs;
use crate::import;
use crate::input::{self, Input, MAX_NAMED_LINES, Piece, count_lines};
use crate::message::{Failure, TROUBLE, count, warn_line};

/// How many bytes a call gets after a rejected line. The number doubles with each call that is accepted. If
/// each call got all lines that are left, a piece with many invalid lines would be passed on again for each
/// of them.
const BYTES_AFTER_REJECTION: usize = 8 * 1024;

pub(super) fn run(args: &WriteArgs, options: &Options) -> Result<ExitCode, Failure> {
    if args.once {
        return import::write_once(args, options);
    }
    let file = args.file.as_deref();
    let input =
        Input::open(file).map_err(|error| input::cannot_read(file.unwrap_or(Path::new("-")), &error))?;
    let bar = input::progress_bar(input.size);
    let pieces = input.read()?;
    let instance = Instance::open(options)?;
    let mut writing = Writing {
        instance,
        accepted: 0,
        rejected: 0,
        replaced: 0,
        recent: Recent::default(),
        bar,
        interval: options.flush_interval_or_default(),
        flush_at: None,
    };
    let done = writing.write_all(&pieces);
    writing.finish(done)
}

struct Writing {
    instance: Instance,
    accepted: u64,
    rejected: u64,
    /// Lines that were not UTF-8.
    replaced: u64,
    /// The lines of the events that may wait in the component's memory.
    recent: Recent,
    bar: ProgressBar,
    /// How long an event may wait in the component's memory. The component has no timer to flush by itself.
    interval: Duration,
    /// When the event that has waited there the longest has to be flushed. `None` if no event waits.
    flush_at: Option<Instant>,
}

impl Writing {
    /// Writes the input, and flushes from time to time.
    fn write_all(&mut self, pieces: &Receiver<Piece>) -> Result<(), Failure> {
        loop {
            let piece = match self.flush_at {
                None => pieces.recv().map_err(RecvTimeoutError::from),
                Some(at) => pieces.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match piece {
                Ok(Piece::Lines { text, first, replaced, bytes }) => {
                    self.flush_at.get_or_insert_with(|| Instant::now() + self.interval);
                    self.replaced += replaced;
                    self.write_lines(&text, first)?;
                    self.bar.inc(bytes);
                }
                Ok(Piece::Failed { line, error }) => {
                    return Err(Failure::because(
                        format!("cannot read the input from line {line} on"),
                        error,
                    ));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.flush_at.is_some_and(|at| at <= Instant::now()) {
                self.flush()?;
            }
        }
    }

    /// Flushes the events that wait. If that fails they wait for the next flush: the component has warned of
    /// the error, and closing the store tells how many events are lost.
    fn flush(&mut self) -> Result<(), Failure> {
        self.flush_at = None;
        let pending = self.instance.status()?.counts.pending;
        self.recent.keep(pending);
        if pending == 0 {
            return Ok(());
        }
        match self.instance.flush() {
            Err(error @ Error::Trap(_)) => {
                Err(Failure::because("it is not known which of the last events were written", error))
            }
            Err(_) => {
                self.flush_at = Some(Instant::now() + self.interval);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Writes whole lines. `first` is the number of the first one.
    fn write_lines(&mut self, text: &str, first: u64) -> Result<(), Failure> {
        let (mut rest, mut line, mut max_bytes) = (text, first, usize::MAX);
        while !rest.is_empty() {
            let part = whole_lines(rest, max_bytes);
            match self.instance.write_jsonl(part) {
                Ok(receipt) => {
                    let lines = count_lines(part);
                    self.accepted += receipt.accepted;
                    if receipt.accepted == lines {
                        self.recent.add_run(line..line + lines);
                    } else {
                        self.recent.add(part, line);
                    }
                    if self.recent.is_scattered() {
                        self.recent.keep(self.instance.status()?.counts.pending);
                    }
                    rest = &rest[part.len()..];
                    line += lines;
                    max_bytes = max_bytes.saturating_mul(2);
                }
                Err(Error::Invalid(value)) => {
                    let Some((before, after)) = split_around(part, value.index) else {
                        return Err(not_written(line, &Error::Invalid(value)));
                    };
                    if !before.is_empty() {
                        self.write_lines(before, line)?;
                    }
                    self.reject(line + value.index, &value.field, &value.reason);
                    rest = &rest[part.len() - after.len()..];
                    line += value.index + 1;
                    max_bytes = BYTES_AFTER_REJECTION;
                }
                Err(Error::Incomplete(batch)) => {
                    self.accepted += batch.stored;
                    let line = line + lines_of_events(part, batch.stored);
                    return Err(not_written(line, &Error::Access(batch.reason)));
                }
                Err(error) => return Err(not_written(line, &error)),
            }
        }
        Ok(())
    }

    /// Counts a rejected line, and names it.
    fn reject(&mut self, line: u64, field: &str, reason: &str) {
        self.rejected += 1;
        if self.rejected <= MAX_NAMED_LINES {
            self.bar.suspend(|| warn_line(format_args!("line {line}: {field}: {reason}")));
        }
    }

    /// Closes the store, and says what became of the input.
    fn finish(mut self, done: Result<(), Failure>) -> Result<ExitCode, Failure> {
        self.bar.finish_and_clear();
        if self.rejected > MAX_NAMED_LINES {
            let more = count(self.rejected - MAX_NAMED_LINES, "more rejected line");
            warn_line(format_args!("and {more}"));
        }
        // The store is closed even after an error: buffered events may still be written.
        let closed = self.instance.close();
        let status = self.instance.status();
        let mended = status.as_ref().map_or(0, |status| status.mended) + self.replaced;
        let counts = status.map(|status| status.counts).unwrap_or_default();
        // The database may refuse an event, or not take it, after the component has accepted it.
        let (lost, refused) = (counts.pending, counts.dropped.unwritable);
        self.accepted = self.accepted.saturating_sub(lost + refused);
        let problems = match (done, closed) {
            (done, Err(error)) if lost > 0 => {
                self.recent.keep(lost);
                [done.err(), Some(given_up(lost, self.recent.first(), error))]
            }
            (Ok(()), closed) => [closed.err().map(Failure::from), None],
            (done, _) => [done.err(), None],
        };
        let refusals =
            if refused > 0 { format!(", {refused} refused by the database") } else { String::new() };
        let changes = if mended > 0 { format!(", {mended} recorded with changes") } else { String::new() };
        let (accepted, rejected) = (self.accepted, self.rejected);
        warn_line(format_args!("{accepted} accepted, {rejected} rejected{refusals}{changes}"));
        let mut status = if self.rejected + refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        for failure in problems.into_iter().flatten() {
            failure.tell();
            status = ExitCode::from(TROUBLE);
        }
        Ok(status)
    }
}

/// The failure to record the last events that were taken. `line` is the line of the first of them.
fn given_up(events: u64, line: u64, error: Error) -> Failure {
    let (events, were) = match events {
        1 => ("event".into(), "was"),
        events => (format!("{events} events"), "were"),
    };
    let last = format!("the last {events} that {were} taken, from line {line} on,");
    Failure::because(
        match error {
            Error::Unanswered(_) => format!(
                "{last} may be recorded or not; writing them again may record them twice, which `audit write --once` \
                 does not"
            ),
            _ => format!("{last} {were} not recorded"),
        },
        error,
    )
}

/// The failure to write the lines from this one on.
fn not_written(line: u64, error: &Error) -> Failure {
    let from = match error {
        // The component may have stopped in the middle of the lines.
        Error::Trap(_) => format!("it is not known what was written from line {line} on"),
        _ => format!("nothing was written from line {line} on"),
    };
    Failure::because(from, error)
}

/// The first lines that have `max_bytes` at most together, but at least one line.
fn whole_lines(lines: &str, max_bytes: usize) -> &str {
    if lines.len() <= max_bytes {
        return lines;
    }
    let bytes = lines.as_bytes();
    let end = match memrchr(b'\n', &bytes[..max_bytes]) {
        Some(newline) => newline + 1,
        None => memchr(b'\n', bytes).map_or(bytes.len(), |newline| newline + 1),
    };
    &lines[..end]
}

/// How many lines the first `count` events take, with the empty lines between them.
fn lines_of_events(lines: &str, count: u64) -> u64 {
    let mut left = count;
    let is_before = |line: &&str| {
        let is_event = !line.trim_ascii().is_empty();
        let before = left > 0 || !is_event;
        left = left.saturating_sub(u64::from(is_event));
        before
    };
    lines.split('\n').take_while(is_before).count() as u64
}

/// The lines before and behind the line at `index`. `None` if there is no such line.
fn split_around(lines: &str, index: u64) -> Option<(&str, &str)> {
    let mut rest = lines;
    for _ in 0..index {
        rest = &rest[rest.find('\n')? + 1..];
    }
    if rest.is_empty() {
        return None;
    }
    let end = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
    Some((&lines[..lines.len() - rest.len()], &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_whole_lines_and_at_least_one() {
        assert_eq!(whole_lines("a\nbb\nccc\n", 100), "a\nbb\nccc\n");
        assert_eq!(whole_lines("a\nbb\nccc\n", 5), "a\nbb\n");
        assert_eq!(whole_lines("a\nbb\nccc\n", 4), "a\n");
        assert_eq!(whole_lines("äöü\nb", 1), "äöü\n");
        assert_eq!(whole_lines("äöü", 3), "äöü");
    }

    #[test]
    fn empty_lines_are_no_events() {
        for (count, lines) in [(0, 0), (1, 2), (2, 4), (3, 5)] {
            assert_eq!(lines_of_events("a\n\nb\n \nc\n", count), lines + u64::from(count == 3));
        }
    }

    #[test]
    fn lines_are_split_around_an_index() {
        assert_eq!(split_around("a\nb\nc\n", 0), Some(("", "b\nc\n")));
        assert_eq!(split_around("a\nb\nc\n", 2), Some(("a\nb\n", "")));
        assert_eq!(split_around("a\n\nc", 2), Some(("a\n\n", "")));
        assert_eq!(split_around("a\nb\n", 2), None);
    }
}
