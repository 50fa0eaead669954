//! Where the line of a client may end for a server. For this program that is a line feed. Python's universal newlines end one at a
//! carriage return too, `readline` of Node.js at the separators of Unicode, and `str.splitlines` at some more characters.

/// The characters that may end a line, in UTF-8. What begins with another byte is none.
const ENDS: [&[u8]; 9] = [
    b"\r",
    b"\x0B",
    b"\x0C",
    b"\x1C",
    b"\x1D",
    b"\x1E",
    "\u{85}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{2029}".as_bytes(),
];

/// A part of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'b> {
    Bytes(&'b [u8]),
    /// The line may end here.
    End(&'static [u8]),
}

/// Finds the ends within a line that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The first bytes of what may become an end.
    begun: Vec<u8>,
}

impl Ends {
    pub(super) fn push(&mut self, mut piece: &[u8], mut take: impl FnMut(Part)) {
        while let Some(&first) = piece.first() {
            if self.begun.is_empty() {
                let len = piece.iter().position(|byte| begins(*byte)).unwrap_or(piece.len());
                let (bytes, rest) = piece.split_at(len);
                if !bytes.is_empty() {
                    take(Part::Bytes(bytes));
                }
                let Some((&first, rest)) = rest.split_first() else { return };
                self.begun.push(first);
                piece = rest;
            } else {
                self.begun.push(first);
                piece = &piece[1..];
            }
            if let Some(end) = ENDS.iter().find(|end| **end == self.begun) {
                self.begun.clear();
                take(Part::End(end));
            } else if !ENDS.iter().any(|end| end.starts_with(&self.begun)) {
                // No character begins within these.
                let last = self.begun.pop().filter(|last| begins(*last));
                self.begun.extend(last.is_none().then_some(first));
                take(Part::Bytes(&std::mem::take(&mut self.begun)));
                self.begin(last, &mut take);
            }
        }
    }

    fn begin(&mut self, byte: Option<u8>, take: &mut impl FnMut(Part)) {
        let Some(byte) = byte else { return };
        match ENDS.iter().find(|end| **end == [byte]) {
            Some(end) => take(Part::End(end)),
            None => self.begun.push(byte),
        }
    }

    /// The line feed comes.
    pub(super) fn finish(&mut self, mut take: impl FnMut(Part)) {
        if !self.begun.is_empty() {
            take(Part::Bytes(&std::mem::take(&mut self.begun)));
        }
    }
}

fn begins(byte: u8) -> bool {
    matches!(byte, b'\r' | 0x0B | 0x0C | 0x1C..=0x1E | 0xC2 | 0xE2)
}

/// Whether a server that ends lines elsewhere may find a message within this one.
pub(super) fn may_hide_a_message(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (mut is_first, mut is_fresh, mut hides) = (true, false, false);
    let mut ends = Ends::default();
    let mut take = |part: Part| match part {
        // JSON has it between values alone, and nobody needs it there.
        Part::End(b"\r") => hides = true,
        Part::End(_) => (is_first, is_fresh) = (false, true),
        Part::Bytes(bytes) => {
            let blank = |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control();
            if let Some(byte) = bytes.iter().find(|byte| !blank(byte)).filter(|_| is_fresh && !is_first) {
                hides |= matches!(byte, b'{' | b'[' | 0xEF | 0xC2 | 0xE2 | 0xE3);
                is_fresh = false;
            }
        }
    };
    ends.push(line, &mut take);
    ends.finish(take);
    hides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str, piece: usize) -> Vec<String> {
        let (mut ends, mut parts) = (Ends::default(), vec![Vec::new()]);
        let mut take = |part: Part| match part {
            Part::Bytes(bytes) => parts.last_mut().unwrap().extend_from_slice(bytes),
            Part::End(_) => parts.push(Vec::new()),
        };
        line.as_bytes().chunks(piece).for_each(|piece| ends.push(piece, &mut take));
        ends.finish(take);
        parts.into_iter().map(|part| String::from_utf8(part).unwrap()).collect()
    }

    #[test]
    fn each_end_is_found_in_whatever_pieces() {
        let line = "a\rb\u{2028}ü\u{2029}\u{85}€â\u{80}\u{C2}\u{2030}\x0Bc\x1E\u{2028}";
        for piece in 1..=line.len() {
            let expected = ["a", "b", "ü", "", "€â\u{80}\u{C2}\u{2030}", "c", "", ""];
            assert_eq!(parts(line, piece), expected, "{piece}");
        }
    }

    #[test]
    fn a_line_hides_a_message_where_another_may_begin_within_it() {
        for line in
            ["{}\r{}", "{\r\"a\":1}\n", "\r{}", "{}\r\r\n", "{\"a\":\"\u{2028} {}\"}", "{\"\u{85}[\"}"]
        {
            assert!(may_hide_a_message(line.as_bytes()), "{line:?}");
        }
        for line in ["{}\r\n", "{}", "{\"a\":\"one\u{2028}two\u{2029}\"}\n", "{\"a\":\"\u{2028}\"}", ""] {
            assert!(!may_hide_a_message(line.as_bytes()), "{line:?}");
        }
    }
}
