//! Splits the input into pieces, each of which has whole lines.

use std::borrow::Cow;
use std::io::{self, Read};

use memchr::{memchr_iter, memrchr};

/// How many bytes are read at once. A longer line makes the buffer grow.
const PIECE: usize = 64 * 1024;

/// The mark that an editor may have put in front of the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A part of the input. Lines are numbered from 1.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Whole lines. Only the last line of the input may lack its newline.
    Lines {
        /// The lines. Bytes that are not UTF-8 are replaced by U+FFFD.
        text: String,
        /// The number of the first line.
        first: u64,
        /// How many of the lines were not UTF-8.
        replaced: u64,
        /// How many bytes of the input they are.
        bytes: u64,
    },
    /// The input cannot be read from this line on.
    Failed { line: u64, error: io::Error },
}

/// Reads to the end of the input, or until `send` returns false.
pub(super) fn split(mut input: impl Read, mut send: impl FnMut(Piece) -> bool) {
    let mut line = 1;
    let mut buffer = vec![0; PIECE];
    let mut filled = 0;
    // The buffer has no newline before this position.
    let mut searched = 0;
    loop {
        let read = match input.read(&mut buffer[filled..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                send(Piece::Failed { line, error });
                return;
            }
        };
        if line == 1 && filled < BYTE_ORDER_MARK.len() && filled + read >= BYTE_ORDER_MARK.len() {
            // Replaced by spaces, so that the positions of bytes in the line stay the same.
            if buffer.starts_with(BYTE_ORDER_MARK) {
                buffer[..BYTE_ORDER_MARK.len()].fill(b' ');
            }
        }
        filled += read;
        let end = match memrchr(b'\n', &buffer[searched..filled]) {
            _ if read == 0 => filled,
            Some(newline) => searched + newline + 1,
            None => {
                searched = filled;
                if filled == buffer.len() {
                    buffer.resize(2 * filled, 0);
                }
                continue;
            }
        };
        if end > 0 {
            let piece = lines(&buffer[..end], line);
            line += memchr_iter(b'\n', &buffer[..end]).count() as u64;
            if !send(piece) {
                return;
            }
        }
        if read == 0 {
            return;
        }
        buffer.copy_within(end..filled, 0);
        filled -= end;
        searched = filled;
        if filled < PIECE {
            buffer.truncate(PIECE);
        }
    }
}

fn lines(bytes: &[u8], first: u64) -> Piece {
    let text = String::from_utf8_lossy(bytes);
    let is_replaced = matches!(text, Cow::Owned(_));
    let broken = |line: &&[u8]| str::from_utf8(line).is_err();
    let replaced =
        if is_replaced { bytes.split(|byte| *byte == b'\n').filter(broken).count() as u64 } else { 0 };
    Piece::Lines { text: text.into_owned(), first, replaced, bytes: bytes.len() as u64 }
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

    /// The lines with their numbers, and how many were not UTF-8.
    fn lines(input: &[u8], at_once: usize) -> (Vec<(u64, String)>, u64) {
        let (mut lines, mut all_replaced, mut all_bytes) = (Vec::new(), 0, 0);
        split(Slow(input, at_once), |piece| {
            match piece {
                Piece::Lines { text, first, replaced, bytes } => {
                    assert!(!text.is_empty());
                    lines.extend((first..).zip(text.lines().map(str::to_owned)));
                    all_replaced += replaced;
                    all_bytes += bytes;
                }
                Piece::Failed { error, .. } => panic!("{error}"),
            }
            true
        });
        assert_eq!(all_bytes, input.len() as u64);
        (lines, all_replaced)
    }

    fn expected(lines: &[&str], replaced: u64) -> (Vec<(u64, String)>, u64) {
        ((1..).zip(lines.iter().map(|line| (*line).to_owned())).collect(), replaced)
    }

    #[test]
    fn lines_are_numbered_however_the_input_is_cut() {
        let all = ["a", "", "bc", "d"];
        for at_once in [1, 2, 3, 1000] {
            assert_eq!(lines(b"a\n\nbc\nd", at_once), expected(&all, 0));
            assert_eq!(lines(b"a\n\nbc\nd\n", at_once), expected(&all, 0));
        }
        assert_eq!(lines(b"", 1), expected(&[], 0));
    }

    #[test]
    fn what_is_not_utf8_is_replaced_and_counted() {
        let input = b"a\nb\xFFc\nd\xFF\xFFe\n\nf\n\xC3";
        let all = ["a", "b\u{fffd}c", "d\u{fffd}\u{fffd}e", "", "f", "\u{fffd}"];
        for at_once in [1, 3, 1000] {
            assert_eq!(lines(input, at_once), expected(&all, 3));
        }
    }

    #[test]
    fn a_line_may_have_any_length() {
        let long = "x".repeat(3 * PIECE + 7);
        for at_once in [1000, 100_000, PIECE, 10 * PIECE] {
            let input = format!("a\n{long}\nb\n{long}");
            assert_eq!(lines(input.as_bytes(), at_once), expected(&["a", &long, "b", &long], 0));
        }
    }

    #[test]
    fn a_byte_order_mark_is_white_space() {
        assert_eq!(lines(b"\xEF\xBB\xBF{}\n", 1000), expected(&["   {}"], 0));
        assert_eq!(lines(b"\xEF\xBB\xBF{}\n", 1), expected(&["   {}"], 0));
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
