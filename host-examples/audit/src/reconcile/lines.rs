//! The lines of a transcript, each as a sketch: so a line may have any length.

use std::io::{self, Read};

use memchr::memchr;

use crate::call::input::Hasher;
use crate::call::sketch::{Path, Sketch, Sketcher, Wanted};

/// How many bytes are read at once.
const PIECE: usize = 64 * 1024;

pub(super) enum Line {
    Json(Box<Sketch>),
    NotJson,
    /// The last line has no newline and is no JSON: it is being written, or was never finished.
    Torn,
}

pub(super) struct Lines<R> {
    input: R,
    wanted: &'static [Wanted],
    kept: &'static [Path],
    hasher: Hasher,
    piece: Vec<u8>,
    /// What of the piece is still to be looked at.
    from: usize,
    to: usize,
    /// How many bytes were read.
    pub(super) read: u64,
}

impl<R: Read> Lines<R> {
    /// Reads lines, of which some values are measured, and only some are kept.
    pub(super) fn new(
        input: R,
        (wanted, kept): (&'static [Wanted], &'static [Path]),
        hasher: &Hasher,
    ) -> Self {
        Self { input, wanted, kept, hasher: hasher.clone(), piece: vec![0; PIECE], from: 0, to: 0, read: 0 }
    }

    fn sketcher(&self) -> Sketcher {
        Sketcher::new(self.wanted, &self.hasher).keeping(self.kept)
    }

    /// The next line that is not empty. `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut sketcher = self.sketcher();
        let mut is_empty = true;
        loop {
            if self.from == self.to {
                self.to = self.fill()?;
                self.from = 0;
                if self.to == 0 {
                    let last = sketcher.finish().map_or(Line::Torn, |sketch| Line::Json(Box::new(sketch)));
                    return Ok((!is_empty).then_some(last));
                }
            }
            let rest = self.piece.get(self.from..self.to).unwrap_or_default();
            let newline = memchr(b'\n', rest);
            let part = rest.get(..newline.unwrap_or(rest.len())).unwrap_or_default();
            is_empty &= part.trim_ascii().is_empty();
            sketcher.push(part);
            self.from += part.len() + usize::from(newline.is_some());
            if newline.is_some() {
                if !is_empty {
                    let line = sketcher.finish();
                    return Ok(Some(line.map_or(Line::NotJson, |sketch| Line::Json(Box::new(sketch)))));
                }
                sketcher = self.sketcher();
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        loop {
            match self.input.read(&mut self.piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(read) => {
                    self.read += read as u64;
                    return Ok(read);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each line: its number, or why it is none.
    fn lines(text: &[u8]) -> Vec<String> {
        let mut lines = Lines::new(text, (&[], &[]), &Hasher::default());
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(match line {
                Line::Json(sketch) => sketch.value["n"].to_string(),
                Line::NotJson => "not JSON".into(),
                Line::Torn => "torn".into(),
            });
        }
        assert_eq!(lines.read, text.len() as u64);
        found
    }

    #[test]
    fn each_line_is_read_whatever_it_is() {
        assert_eq!(lines(b""), [""; 0]);
        assert_eq!(lines(b"\n \r\n{\"n\":1}\r\n\nx\n{\"n\":2}"), ["1", "not JSON", "2"]);
        assert_eq!(lines(b"{\"n\":1}\n{\"n\":"), ["1", "torn"]);
        let long = format!("{{\"x\":\"{}\",\"n\":1}}\n{{\"n\":2}}\n", "y".repeat(3 * PIECE));
        assert_eq!(lines(long.as_bytes()), ["1", "2"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            lines(&bytes);
        }
    }
}
