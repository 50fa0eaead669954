//! `audit write`: events from JSON lines, in constant memory. One thread reads the input while the component
//! works on what was read before.

mod input;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use audit_host::{Error, Instance, Options};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use memchr::{memchr, memchr_iter, memrchr};

use self::input::Piece;
use super::args::WriteArgs;
use super::{Failure, TROUBLE, say};

/// So many rejected lines are named.
const NAMED: u64 = 100;

/// How many pieces may be read ahead.
const AHEAD: usize = 4;

/// After a rejected line a call gets so many bytes, and twice as many after each that is accepted: otherwise
/// a file of rejected lines would be handed over again and again.
const CAREFUL: usize = 8 * 1024;

pub(super) fn run(args: &WriteArgs, options: &Options) -> Result<ExitCode, Failure> {
    let (input, size) = open(args.file.as_deref())?;
    let (pieces, read) = sync_channel(AHEAD);
    // It is not waited for: where the store fails, it may be waiting for input that never comes.
    thread::Builder::new().name("input".into()).spawn(move || {
        input::split(input, |piece| pieces.send(piece).is_ok());
    })?;
    let mut writing =
        Writing { instance: Instance::open(options)?, accepted: 0, rejected: 0, bar: bar(size) };
    let done = writing.all(&read);
    writing.finish(done)
}

fn open(file: Option<&Path>) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
    let Some(path) = file.filter(|path| *path != Path::new("-")) else {
        return Ok((Box::new(io::stdin()), None));
    };
    let failure = |error| Failure(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(failure)?;
    let metadata = file.metadata().map_err(failure)?;
    Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
}

/// Shows on a terminal how far it is.
fn bar(size: Option<u64>) -> ProgressBar {
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

struct Writing {
    instance: Instance,
    accepted: u64,
    rejected: u64,
    bar: ProgressBar,
}

impl Writing {
    fn all(&mut self, pieces: &Receiver<Piece>) -> Result<(), Failure> {
        for piece in pieces {
            match piece {
                Piece::Lines { text, first } => {
                    self.lines(&text, first)?;
                    self.bar.inc(text.len() as u64);
                }
                Piece::Bad { line, reason, bytes } => {
                    self.reject(line, "json", &reason);
                    self.bar.inc(bytes);
                }
                Piece::Failed { line, error } => {
                    return Err(Failure(format!("cannot read line {line}: {error}")));
                }
            }
        }
        Ok(())
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
            self.bar.suspend(|| {
                let _ = writeln!(io::stderr(), "line {line}: {field}: {reason}");
            });
        }
    }

    fn finish(mut self, done: Result<(), Failure>) -> Result<ExitCode, Failure> {
        self.bar.finish_and_clear();
        if self.rejected > NAMED {
            let _ = writeln!(io::stderr(), "and {} more rejected lines", self.rejected - NAMED);
        }
        // Also after an error: what is buffered may still be written.
        let closed = self.instance.close();
        let lost = self.instance.status().map_or(0, |status| status.counts.pending);
        self.accepted -= lost.min(self.accepted);
        let done = match (done, closed) {
            (_, Err(error)) if lost > 0 => {
                Err(Failure(format!("the last {lost} events that were taken could not be written: {error}")))
            }
            (done, closed) => done.and_then(|()| Ok(closed?)),
        };
        let _ = writeln!(io::stderr(), "{} accepted, {} rejected", self.accepted, self.rejected);
        Ok(match done {
            Ok(()) if self.rejected == 0 => ExitCode::SUCCESS,
            Ok(()) => ExitCode::FAILURE,
            Err(Failure(text)) => {
                say(text);
                ExitCode::from(TROUBLE)
            }
        })
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

fn count_lines(lines: &str) -> u64 {
    memchr_iter(b'\n', lines.as_bytes()).count() as u64
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
