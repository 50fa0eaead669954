//! `audit write`: events from JSON lines, in constant memory. One thread reads the input while the component
//! works on what was read before.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use audit_host::{Error, Instance, Options};
use indicatif::ProgressBar;
use memchr::{memchr, memrchr};

use super::args::WriteArgs;
use super::input::{self, Input, NAMED, Piece, count_lines};
use super::{Failure, TROUBLE, complain, count, say};

/// After a rejected line a call gets so many bytes, and twice as many after each that is accepted: otherwise
/// a file of rejected lines would be handed over again and again.
const CAREFUL: usize = 8 * 1024;

pub(super) fn run(args: &WriteArgs, options: &Options) -> Result<ExitCode, Failure> {
    let file = args.file.as_deref();
    let input =
        Input::open(file).map_err(|error| input::cannot_read(file.unwrap_or(Path::new("-")), &error))?;
    let bar = input::bar(input.size);
    let pieces = input.read()?;
    let instance = Instance::open(options)?;
    let mut writing =
        Writing { instance, accepted: 0, rejected: 0, bar, interval: options.flush_interval_or_default(), flush_at: None };
    let done = writing.all(&pieces);
    writing.finish(done)
}

struct Writing {
    instance: Instance,
    accepted: u64,
    rejected: u64,
    bar: ProgressBar,
    /// How long an event may wait in the component, which has no clock to wake it.
    interval: Duration,
    /// When the first of those that may wait there has waited for so long.
    flush_at: Option<Instant>,
}

impl Writing {
    fn all(&mut self, pieces: &Receiver<Piece>) -> Result<(), Failure> {
        loop {
            let piece = match self.flush_at {
                None => pieces.recv().map_err(RecvTimeoutError::from),
                Some(at) => pieces.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match piece {
                Ok(Piece::Lines { text, first }) => {
                    self.flush_at.get_or_insert_with(|| Instant::now() + self.interval);
                    self.lines(&text, first)?;
                    self.bar.inc(text.len() as u64);
                }
                Ok(Piece::Bad { line, reason, bytes }) => {
                    self.reject(line, "json", &reason);
                    self.bar.inc(bytes);
                }
                Ok(Piece::Failed { line, error }) => {
                    return Err(Failure(format!("cannot read line {line}: {error}")));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.flush_at.is_some_and(|at| at <= Instant::now()) {
                self.flush()?;
            }
        }
    }

    /// Flushes what waits. What cannot be written goes on waiting, for the next time: the component has warned of
    /// it, and the last time tells what is lost.
    fn flush(&mut self) -> Result<(), Failure> {
        self.flush_at = None;
        if self.instance.status()?.counts.pending == 0 {
            return Ok(());
        }
        match self.instance.flush() {
            Err(error @ Error::Trap(_)) => {
                Err(Failure(format!("it is not known what was written of the last events: {error}")))
            }
            Err(_) => {
                self.flush_at = Some(Instant::now() + self.interval);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Writes whole lines, `first` being the number of the first.
    fn lines(&mut self, text: &str, first: u64) -> Result<(), Failure> {
        let (mut rest, mut line, mut most) = (text, first, usize::MAX);
        while !rest.is_empty() {
            let part = head(rest, most);
            match self.instance.write_jsonl(part) {
                Ok(receipt) => {
                    self.accepted += receipt.accepted;
                    rest = &rest[part.len()..];
                    line += count_lines(part);
                    most = most.saturating_mul(2);
                }
                Err(Error::Invalid(value)) => {
                    let Some((before, after)) = cut_out(part, value.index) else {
                        return Err(from_here(line, &Error::Invalid(value)));
                    };
                    if !before.is_empty() {
                        let receipt =
                            self.instance.write_jsonl(before).map_err(|error| from_here(line, &error))?;
                        self.accepted += receipt.accepted;
                    }
                    self.reject(line + value.index, &value.field, &value.reason);
                    rest = &rest[part.len() - after.len()..];
                    line += value.index + 1;
                    most = CAREFUL;
                }
                Err(error) => return Err(from_here(line, &error)),
            }
        }
        Ok(())
    }

    fn reject(&mut self, line: u64, field: &str, reason: &str) {
        self.rejected += 1;
        if self.rejected <= NAMED {
            self.bar.suspend(|| complain(format_args!("line {line}: {field}: {reason}")));
        }
    }

    fn finish(mut self, done: Result<(), Failure>) -> Result<ExitCode, Failure> {
        self.bar.finish_and_clear();
        if self.rejected > NAMED {
            let more = count(self.rejected - NAMED, "more rejected line");
            let _ = writeln!(io::stderr(), "and {more}");
        }
        // Also after an error: what is buffered may still be written.
        let closed = self.instance.close();
        let counts = self.instance.status().map(|status| status.counts).unwrap_or_default();
        // The database has no caller to tell: it refuses what was accepted before.
        let (lost, refused) = (counts.pending, counts.dropped.unwritable);
        self.accepted = self.accepted.saturating_sub(lost + refused);
        let problems = match (done, closed) {
            (done, Err(error)) if lost > 0 => {
                let events = match lost {
                    1 => "event that was taken was".into(),
                    lost => format!("{lost} events that were taken were"),
                };
                [done.err(), Some(Failure(format!("the last {events} not recorded: {error}")))]
            }
            (Ok(()), closed) => [closed.err().map(Failure::from), None],
            (done, _) => [done.err(), None],
        };
        let refusals =
            if refused > 0 { format!(", {refused} refused by the database") } else { String::new() };
        let _ = writeln!(io::stderr(), "{} accepted, {} rejected{refusals}", self.accepted, self.rejected);
        let mut status = if self.rejected + refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        for Failure(text) in problems.into_iter().flatten() {
            say(text);
            status = ExitCode::from(TROUBLE);
        }
        Ok(status)
    }
}

fn from_here(line: u64, error: &Error) -> Failure {
    let from = match error {
        // It may have been in the middle of them.
        Error::Trap(_) => format!("it is not known what was written from line {line} on"),
        _ => format!("nothing was written from line {line} on"),
    };
    Failure(format!("{from}: {error}"))
}

/// The first lines, of at most so many bytes, but at least one line.
fn head(lines: &str, most: usize) -> &str {
    if lines.len() <= most {
        return lines;
    }
    let bytes = lines.as_bytes();
    let end = match memrchr(b'\n', &bytes[..most]) {
        Some(newline) => newline + 1,
        None => memchr(b'\n', bytes).map_or(bytes.len(), |newline| newline + 1),
    };
    &lines[..end]
}

/// What is before and behind the line at `index`; none if there is no such line.
fn cut_out(lines: &str, index: u64) -> Option<(&str, &str)> {
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
    fn the_head_is_whole_lines() {
        assert_eq!(head("a\nbb\nccc\n", 100), "a\nbb\nccc\n");
        assert_eq!(head("a\nbb\nccc\n", 5), "a\nbb\n");
        assert_eq!(head("a\nbb\nccc\n", 4), "a\n");
        assert_eq!(head("äöü\nb", 1), "äöü\n");
        assert_eq!(head("äöü", 3), "äöü");
    }

    #[test]
    fn a_line_is_cut_out() {
        assert_eq!(cut_out("a\nb\nc\n", 0), Some(("", "b\nc\n")));
        assert_eq!(cut_out("a\nb\nc\n", 2), Some(("a\nb\n", "")));
        assert_eq!(cut_out("a\n\nc", 2), Some(("a\n\n", "")));
        assert_eq!(cut_out("a\nb\n", 2), None);
    }
}
