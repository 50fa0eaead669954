//! A fast parser for plain lines: only known fields, each at most once, with texts without escapes, whole
//! numbers or null. Nearly every line is plain, and takes a third of the general parser's time. The general
//! parser reads all other lines, and says what is wrong with them.

use crate::attributes::Attribute;
use crate::fields::{Fields, Name};
use crate::json::{Json, Origin};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// Adds the members of a line to `fields`, which have none yet. None: it is not plain, and `fields` are of no use.
pub(crate) fn parse<'a>(line: &'a str, fields: &mut Fields<'a>) -> Option<()> {
    let mut scanner = Scanner { line, at: 0 };
    scanner.expect(b'{')?;
    loop {
        scanner.expect(b'"')?;
        let name = Name::of(scanner.text()?)?;
        scanner.expect(b':')?;
        fields.put(name, scanner.value()?, Origin::Caller).ok()?;
        match scanner.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scanner.next().is_none().then_some(())
}

/// A line, and how far it was read.
struct Scanner<'a> {
    line: &'a str,
    /// The next byte to read.
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.line.as_bytes()[self.at..]
    }

    /// Reads the next byte that is not white space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.line.as_bytes().get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(byte);
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn value(&mut self) -> Option<Json<'a>> {
        match self.next()? {
            b'"' => Some(Json::Text(Cow::Borrowed(self.text()?))),
            b'n' => {
                self.at += self.rest().starts_with(b"ull").then_some(3)?;
                Some(Json::Null)
            }
            digit @ b'0'..=b'9' => self.number(digit),
            b'{' => self.attributes().map(Json::Attributes),
            _ => None,
        }
    }

    /// Reads an object of texts after its opening bracket.
    fn attributes(&mut self) -> Option<Vec<Attribute<'a>>> {
        let mut attributes = Vec::new();
        loop {
            self.expect(b'"')?;
            let key = self.text()?;
            self.expect(b':')?;
            self.expect(b'"')?;
            attributes.push(Attribute::new(key, self.text()?));
            match self.next()? {
                b',' => {}
                b'}' => return Some(attributes),
                _ => return None,
            }
        }
    }

    /// Reads a whole number after its first digit. The caller checks what follows it.
    fn number(&mut self, digit: u8) -> Option<Json<'a>> {
        let mut number = u64::from(digit - b'0');
        while let Some(digit @ b'0'..=b'9') = self.rest().first() {
            // JSON has no leading zeros.
            if number == 0 {
                return None;
            }
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        Some(Json::Number(number))
    }

    /// Reads a text without escapes, after its opening quote.
    fn text(&mut self) -> Option<&'a str> {
        let start = self.at;
        let len = plain_len(self.rest());
        self.at += len + 1;
        // If it ends with a control character or an escape, it is not plain.
        (self.line.as_bytes().get(start + len) == Some(&b'"')).then(|| &self.line[start..start + len])
    }
}

/// How many bytes come before the first quote, backslash or control character.
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // Sets the high bit of bytes that are 0.
    let zero_in = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut len = 0;
    for word in bytes.chunks_exact(8) {
        let word =
            u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]);
        let quote = zero_in(word ^ (ONES * u64::from(b'"')));
        let backslash = zero_in(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        // A borrow can set wrong bits above the lowest one that is set. Only the lowest is used.
        let found = quote | backslash | control;
        if found != 0 {
            return len + (found.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    len + bytes[len..].iter().position(special).unwrap_or(bytes.len() - len)
}
