//! Splits the input into pieces, each of which has whole lines of valid UTF-8.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memrchr};

/// How many bytes are read at once. A longer line is rejected; the line of an event has at most 4096 bytes.
const PIECE: usize = 64 * 1024;

/// The mark that an editor may have put in front of the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A part of the input. Lines are numbered from 1.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Whole lines. Only the last line of the input may lack its newline.
    Lines { text: String, first: u64 },
    /// A line that is too long or not UTF-8.
    Invalid { line: u64, reason: String, bytes: u64 },
    /// The input cannot be read from this line on.
    Failed { line: u64, error: io::Error },
}

/// Reads to the end of the input, or until `send` returns false.
pub(super) fn split(mut input: impl Read, send: impl FnMut(Piece) -> bool) {
    let mut splitter = Splitter { send, line: 1 };
    let mut buffer = vec![0; PIECE];
    let mut filled = 0;
    // The buffer has no newline before this position.
    let mut searched = 0;
    loop {
        let read = match input.read(&mut buffer[filled..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                (splitter.send)(Piece::Failed { line: splitter.line, error });
                return;
            }
        };
        if splitter.line == 1 && filled < BYTE_ORDER_MARK.len() && filled + read >= BYTE_ORDER_MARK.len() {
            // Replaced by spaces, so that the positions of bytes in the line stay the same.
            if buffer.starts_with(BYTE_ORDER_MARK) {
                buffer[..BYTE_ORDER_MARK.len()].fill(b' ');
            }
        }
        filled += read;
        let end = match memrchr(b'\n', &buffer[searched..filled]) {
            _ if read == 0 => filled,
            Some(newline) => searched + newline + 1,
            None if filled < PIECE => {
                searched = filled;
                continue;
            }
            None => {
                let Some(rest) = splitter.too_long(&mut input, &mut buffer) else { return };
                (filled, searched) = (rest, 0);
                continue;
            }
        };
        if !splitter.lines(&buffer[..end]) || read == 0 {
            return;
        }
        buffer.copy_within(end..filled, 0);
        filled -= end;
        searched = filled;
    }
}

struct Splitter<S> {
    send: S,
    /// The number of the next line.
    line: u64,
}

impl<S: FnMut(Piece) -> bool> Splitter<S> {
    /// Sends whole lines on. Returns false if the receiver wants no more.
    fn lines(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (text, invalid) = match std::str::from_utf8(rest) {
                Ok(text) => (text, None),
                Err(error) => {
                    let valid = error.valid_up_to();
                    let start = rest[..valid]
                        .iter()
                        .rposition(|byte| *byte == b'\n')
                        .map_or(0, |newline| newline + 1);
                    let end = rest[valid..].iter().position(|byte| *byte == b'\n');
                    let end = end.map_or(rest.len(), |newline| valid + newline + 1);
                    // Everything before `start` is valid UTF-8.
                    (
                        std::str::from_utf8(&rest[..start]).unwrap_or_default(),
                        Some((start..end, valid - start)),
                    )
                }
            };
            if !text.is_empty() {
                let piece = Piece::Lines { text: text.to_owned(), first: self.line };
                self.line += count_lines(text);
                if !(self.send)(piece) {
                    return false;
                }
            }
            let Some((range, column)) = invalid else { return true };
            let reason = format!("not UTF-8 from byte {} on; accepted is a JSON object in UTF-8", column + 1);
            if !self.invalid(reason, range.len() as u64) {
                return false;
            }
            rest = &rest[range.end..];
        }
        true
    }

    /// Sends an invalid line on. Returns false if the receiver wants no more.
    fn invalid(&mut self, reason: String, bytes: u64) -> bool {
        let line = self.line;
        self.line += 1;
        (self.send)(Piece::Invalid { line, reason, bytes })
    }

    /// Skips the rest of a line that is longer than the buffer. Returns how many bytes of the next lines are
    /// in the buffer then. `None` if there is nothing left to do.
    fn too_long(&mut self, input: &mut impl Read, buffer: &mut [u8]) -> Option<usize> {
        let mut bytes = buffer.len() as u64;
        let reason = format!("longer than {} KiB; accepted are events of at most 4096 bytes", PIECE / 1024);
        loop {
            let read = match input.read(buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    (self.send)(Piece::Failed { line: self.line, error });
                    return None;
                }
            };
            let newline = memchr(b'\n', &buffer[..read]);
            let end = newline.map_or(read, |newline| newline + 1);
            bytes += end as u64;
            if newline.is_some() || read == 0 {
                let more = self.invalid(reason, bytes) && read > 0;
                buffer.copy_within(end..read, 0);
                return more.then_some(read - end);
            }
        }
    }
}

pub(crate) fn count_lines(lines: &str) -> u64 {
    memchr_iter(b'\n', lines.as_bytes()).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns at most the given number of bytes from each read.
    struct Slow<'b>(&'b [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(buffer.len()).min(self.0.len());
            let (now, later) = self.0.split_at(len);
            buffer[..len].copy_from_slice(now);
            self.0 = later;
            Ok(len)
        }
    }

    /// The lines with their numbers. `None` for an invalid one.
    fn lines(input: &[u8], at_once: usize) -> Vec<(u64, Option<String>)> {
        let mut lines = Vec::new();
        split(Slow(input, at_once), |piece| {
            match piece {
                Piece::Lines { text, first } => {
                    assert!(!text.is_empty());
                    lines.extend((first..).zip(text.lines().map(|line| Some(line.to_owned()))));
                }
                Piece::Invalid { line, .. } => lines.push((line, None)),
                Piece::Failed { error, .. } => panic!("{error}"),
            }
            true
        });
        lines
    }

    fn expected(lines: &[Option<&str>]) -> Vec<(u64, Option<String>)> {
        (1..).zip(lines.iter().map(|line| line.map(str::to_owned))).collect()
    }

    #[test]
    fn lines_are_numbered_however_the_input_is_cut() {
        let all = [Some("a"), Some(""), Some("bc"), Some("d")];
        for at_once in [1, 2, 3, 1000] {
            assert_eq!(lines(b"a\n\nbc\nd", at_once), expected(&all));
            assert_eq!(lines(b"a\n\nbc\nd\n", at_once), expected(&all));
        }
        assert_eq!(lines(b"", 1), []);
    }

    #[test]
    fn a_line_that_is_not_utf8_does_not_affect_the_lines_around_it() {
        let input = b"a\nb\xFFc\nd\xFF\xFFe\n\nf\n\xC3";
        let all = [Some("a"), None, None, Some(""), Some("f"), None];
        for at_once in [1, 3, 1000] {
            assert_eq!(lines(input, at_once), expected(&all));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped() {
        let long = "x".repeat(3 * PIECE + 7);
        let all = [Some("a"), None, Some("b"), None];
        for at_once in [1000, 100_000, PIECE, 10 * PIECE] {
            assert_eq!(lines(format!("a\n{long}\nb\n{long}").as_bytes(), at_once), expected(&all));
        }
        let longest = "x".repeat(PIECE - 1);
        assert_eq!(
            lines(format!("{longest}\nb\n").as_bytes(), PIECE),
            expected(&[Some(&longest), Some("b")])
        );
    }

    #[test]
    fn a_byte_order_mark_is_white_space() {
        assert_eq!(lines(b"\xEF\xBB\xBF{}\n", 1000), expected(&[Some("   {}")]));
        assert_eq!(lines(b"\xEF\xBB\xBF{}\n", 1), expected(&[Some("   {}")]));
    }

    #[test]
    fn reading_stops_when_the_receiver_wants_no_more() {
        let mut pieces = 0;
        split(Slow(b"a\nb\nc\n", 2), |_| {
            pieces += 1;
            false
        });
        assert_eq!(pieces, 1);
    }
}
